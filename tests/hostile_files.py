"""Archives and sound files that nobody means well with, made by code.

Each maker gives the bytes of a file. What reads them must name the file and the
reason, in one line that a terminal can bear, and ask for no more memory than
the file is large.
"""

import gzip
import io
import lzma
import struct
import tarfile

import numpy as np

from tests import tiny_sets as tiny

CSV = 'metadata/UrbanSound8K.csv'
ESCAPES = 'audio/fold1/\x1b[2J\x1b[31mdone\nurban_sound: all is well\r.wav'


def info(name, kind=tarfile.REGTYPE, size=None, **fields):
  made = tarfile.TarInfo(name)
  made.type = kind
  for field, value in fields.items():
    setattr(made, field, value)
  return made, size


def tar(*members, end=True):
  """A tar of `(TarInfo, size to claim or None)` or `(name, content)`."""
  out = io.BytesIO()
  for member, content in members:
    if isinstance(member, str):
      member = tarfile.TarInfo(member)
    data = content if isinstance(content, bytes) else b''
    member.size = content if isinstance(content, int) else len(data)
    out.write(member.tobuf(tarfile.GNU_FORMAT))
    out.write(data + bytes(-len(data) % 512))
  if end:
    out.write(bytes(1024))
  return out.getvalue()


def urban(*more):
  """UrbanSound8K of four clips as a tar, with members added."""
  lines = [tiny.URBAN]
  members = []
  for name, recording, fold, label, word in tiny.URBAN_CLIPS:
    members.append((f'US/audio/fold{fold}/{name}', tiny.wav()))
    lines.append(f'{name},{recording},0.0,4.0,1,{fold},{label},{word}')
  table = '\n'.join(lines).encode() + b'\n'
  return tar((f'US/{CSV}', table), *members, *more)


def archives():
  """name -> `(ending of the file, bytes, words of the reason)`.

  What takes long to make is a function that makes the bytes.
  """
  first = f'US/{tiny.CLIP}'
  header = urban()[:512]
  found = {
    'honest': ('tar', urban(), None),
    'escapes in a name': ('tar', urban((f'US/{ESCAPES}', b'x')), 'not printed'),
    'escapes in a link': (
      'tar',
      urban(info('US/l', tarfile.SYMTYPE, linkname='a\n\x1b[2Jb')),
      r'a link to a\\n\\x1b\[2Jb',
    ),
    'a bomb': (
      'tar.gz',
      lambda: gzip.compress(urban(('US/z', bytes(2**26)))),
      'no data set',
    ),
    'a bomb in xz': (
      'tar.xz',
      lambda: lzma.compress(urban(('US/z', bytes(2**26))), preset=0),
      'no data set',
    ),
    'memory for xz': (
      'tar.xz',
      lzma.compress(
        urban(),
        filters=[{'id': lzma.FILTER_LZMA2, 'preset': 0, 'dict_size': 2**30}],
      ),
      '[Mm]emory',
    ),
    'a member of 2^62 bytes': (
      'tar', urban(info('US/audio/big.wav', size=2**62)), 'more than follow'
    ),
    'a member of 2^80 bytes': (
      'tar', urban(info('US/audio/big.wav', size=2**80)), 'damaged|more than'
    ),
    'a member below 0': (
      'tar', urban(info('US/audio/big.wav', size=-5)), 'damaged|more than'
    ),
    'sparse': (
      'tar', urban(info('US/s.wav', tarfile.GNUTYPE_SPARSE)), 'sparse|damaged'
    ),
    'case': (
      'tar', urban(('US/audio/fold1/7-3-0-0.WAV', b'x')), 'in case alone'
    ),
    'twice': ('tar', urban((first, b'x')), 'is there twice'),
    'climbing': ('tar', urban(('US/../../x.wav', b'x')), r"'\.\.'"),
    'absolute': ('tar', urban(('/etc/x.wav', b'x')), 'absolute'),
    'device': ('tar', urban(info('US/d', tarfile.BLKTYPE)), 'no file'),
    'long name': ('tar', urban(('US/' + 'n' * 9000, b'x')), 'characters'),
    'nested': ('tar', urban(('US/more.tar', urban())), None),
    'cut': ('tar', urban()[:-2048], 'damaged or cut'),
    'no end': ('tar', urban()[:-1024], 'damaged or cut'),
    'empty': ('tar', b'', 'damaged or cut'),
    'no tar': ('tar', b'\x1b[2J' * 600, 'damaged or cut'),
    'gzip of nothing': ('tar.gz', gzip.compress(b''), 'damaged or cut'),
    'cut gzip': ('tar.gz', gzip.compress(urban())[:-9], 'damaged or cut'),
    'cut xz': ('tar.xz', lzma.compress(urban())[:-9], 'damaged or cut'),
    'a size that is no number': (
      'tar', header[:124] + b'zzzzzzzzzzzz' + header[136:], 'damaged or cut'
    ),
  }  # fmt: skip
  return found


def sounds():
  """name -> `(bytes, words of the reason)`."""
  data = tiny.samples(80).astype('<i2').tobytes()

  def wav(rate=8000, **form):
    """A file whose header says so, whatever that comes to a second."""
    made = bytearray(tiny.fmt(**form))
    struct.pack_into('<I', made, 4, rate)
    return tiny.riff(bytes(made), data)

  return {
    'honest': (tiny.wav(), None),
    'a rate of 2^31 - 1': (wav(rate=2**31 - 1), 'a rate of 2,147,483,647'),
    'a rate of 1': (wav(rate=1), 'a rate of 1 Hz'),
    'a rate of 0': (wav(rate=0), 'rate is 0'),
    'an hour': (
      tiny.riff(tiny.fmt(rate=1000), bytes(2 * 10**6)),
      'lasts 1,000 s',
    ),
    '80 channels': (wav(channels=80), '80 channels'),
    'no channels': (wav(channels=0), 'channels is 0'),
    '0 bits': (wav(bits=0), '0 bits'),
    'a block of 0 bytes': (wav(align=0), '0 bytes a frame'),
    '4 GB said': (
      tiny.riff(tiny.fmt(), data, data_said=2**32 - 1),
      'cut short',
    ),
    'ADPCM of 2^31 - 1 Hz': (
      wav(2**31 - 1, codec=2, bits=4, align=256),
      'a rate of',
    ),
    'nan': (
      tiny.riff(tiny.fmt(3, bits=32), np.full(20, np.nan, '<f4').tobytes()),
      'no numbers',
    ),
    'FLAC': (b'fLaC' + bytes(100), 'FLAC'),
    'Ogg': (b'OggS' + bytes(100), 'Ogg|damaged|cut short'),
    'FLAC that says a terabyte': (
      b'fLaC\x80\x00\x00\x22'
      + struct.pack('>HH', 4096, 4096)
      + bytes(6)
      # 44,100 Hz, one channel, 16 bits, 2^36 - 1 frames
      + ((44100 << 44) | (15 << 36) | (2**36 - 1)).to_bytes(8, 'big')
      + bytes(16),
      'FLAC|cut short|no samples',
    ),
    'text': (b'<html>not found</html>', 'no RIFF WAVE'),
    'nothing': (b'', 'is empty'),
  }
