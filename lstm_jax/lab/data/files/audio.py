"""One sound file: WAV as it is, other codecs through soundfile.

Plain PCM and float WAV of any rate, depth and number of channels need numpy
alone. ADPCM, mu-law, A-law, FLAC and Ogg Vorbis need the extra `audio`.
"""

import hashlib
import io
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstm_jax.lab.data.files import archives, riff
from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.store import files
from lstm_jax.lab.store.faults import StoreError

# Bits where each sample counts for itself; a lossy codec has no depth, and 16
# bits are what it is given and what players make of it.
_DEPTHS = {'PCM_S8': 8, 'PCM_U8': 8, 'PCM_16': 16, 'PCM_24': 24, 'PCM_32': 32}
_LOSSY_BITS = 16
_PIECE = 2**16  # frames

_LAST_PAGE = 4  # flag of an Ogg page
# Ogg's checksum is that of zlib with the bits of each byte, and of the sum, the
# other way round, and without its two inversions.
_BITS_REVERSED = bytes(int(f'{byte:08b}'[::-1], 2) for byte in range(256))
_ONES = 2**32 - 1


class Clip(NamedTuple):
  """The samples of one file.

  Attributes:
    samples: `[n, channels]` float32, full scale is 1. Integers of up to 24 bits
      come back exactly from `samples * 2**(bits - 1)`. A float file may go
      beyond 1.
    rate: frames a second.
    bits: bits of a sample; 16 for lossy codecs.
    codec: its name, as 'PCM' or 'VORBIS'.
  """

  samples: np.ndarray
  rate: int
  bits: int
  codec: str


def read(path: str | Path) -> Clip:
  """Reads one file.

  Args:
    path: of the file.

  Returns:
    `Clip`.

  Raises:
    BadData: file and reason: it is empty, cut short, contradicts its header,
      has an unknown codec, no samples, or samples that are no numbers; or its
      codec needs soundfile, which is not installed.
  """
  try:
    content = files.read(path, archives.LARGEST)
  except OSError as error:
    raise BadData(f'{path}: {error.strerror}') from error
  except StoreError as error:
    raise BadData(str(error)) from error
  return decode(content, path)


def decode(content: bytes, name: str | Path) -> Clip:
  """`read` for the bytes of a file called `name` in messages."""
  try:
    clip = _decode(content)
    if not len(clip.samples):
      raise ValueError('no samples: a clip of length zero')
    if not np.isfinite(clip.samples).all():
      places = np.argwhere(~np.isfinite(clip.samples))
      raise ValueError(
        f'{len(places):,} samples are no numbers (NaN or inf), the first is '
        f'sample {places[0][0]:,}'
      )
  except ValueError as error:
    raise BadData(f'{name}: {error}') from error
  return clip


def _decode(content):
  if not content:
    raise ValueError('is empty (0 bytes)')
  if content[:4] == b'fLaC':
    clip = _by_soundfile(content, 'FLAC')
    _check_digest(content, clip)
    return clip
  if content[:4] == b'OggS':
    _check_pages(content)
    return _by_soundfile(content, 'Ogg')
  head = riff.header(content)
  if head.codec not in (riff.PCM, riff.FLOAT):
    return _by_soundfile(content, riff.CODECS[head.codec])
  content_bytes = np.frombuffer(content, np.uint8, head.size, head.start)
  return Clip(
    _numbers(content_bytes, head).reshape(-1, head.channels),
    head.rate,
    head.bits,
    riff.CODECS[head.codec],
  )


def _numbers(content_bytes, head):
  """Bytes of samples as float32."""
  size = head.bits // 8
  if head.codec == riff.FLOAT:
    with np.errstate(over='ignore'):  # what float32 cannot hold is found as inf
      return content_bytes.view(f'<f{size}').astype(np.float32)
  if size == 1:  # the one depth that has no sign
    return (content_bytes.astype(np.float32) - 128) / 128
  if size == 3:  # the upper three bytes of 32 bits
    quads = np.zeros((len(content_bytes) // 3, 4), np.uint8)
    quads[:, 1:] = content_bytes.reshape(-1, 3)
    content_bytes, size = quads.reshape(-1), 4
  scale = np.float32(2.0 ** (1 - 8 * size))
  return content_bytes.view(f'<i{size}').astype(np.float32) * scale


def _by_soundfile(content, codec):
  try:
    import soundfile
  except (ImportError, OSError):  # OSError: without libsndfile
    raise ValueError(
      f"{codec} needs soundfile: pip install 'lstm_jax[audio]'"
    ) from None
  try:
    with soundfile.SoundFile(io.BytesIO(content)) as file:
      num_frames, rate, kind = file.frames, file.samplerate, file.subtype
      riff.bounded(rate, file.channels, 0)
      # In pieces: a damaged head may promise more than memory can hold.
      pieces = [file.read(_PIECE, dtype='float32', always_2d=True)]
      while len(pieces[-1]) == _PIECE:
        riff.bounded(rate, 1, sum(map(len, pieces)))
        pieces.append(file.read(_PIECE, dtype='float32', always_2d=True))
  except (soundfile.SoundFileError, RuntimeError) as error:
    reason = str(error).rpartition('object at ')[2].partition('>: ')
    raise ValueError(
      f'damaged or unknown {codec}: {(reason[2] or str(error)).rstrip(".")}'
    ) from error
  samples = np.concatenate(pieces)
  riff.bounded(rate, samples.shape[1], len(samples))
  if len(samples) != num_frames:
    raise ValueError(
      f'cut short: {len(samples):,} frames, it says {num_frames:,}'
    )
  return Clip(samples, rate, _DEPTHS.get(kind, _LOSSY_BITS), kind)


def _check_digest(content, clip):
  """Raises ValueError unless the samples of a FLAC file are those it was given.

  libsndfile believes the number of frames in the header.

  Source: RFC 9639, section 8.2.
  """
  digest = content[26:42]
  if clip.bits > 24 or digest == bytes(16):  # float32 cannot say; not given
    return
  integers = np.rint(clip.samples * 2.0 ** (clip.bits - 1)).astype('<i4')
  sample_bytes = (
    integers.reshape(-1, 1).view(np.uint8)[:, : clip.bits // 8].tobytes()
  )
  if hashlib.md5(sample_bytes, usedforsecurity=False).digest() != digest:
    raise ValueError('damaged: its samples do not have the checksum it says')


def _check_pages(content):
  """Raises ValueError unless whole Ogg pages reach the end of the stream.

  libsndfile takes the last whole page for the end, passes over a damaged one,
  and returns what is there.

  Source: RFC 3533, section 6.
  """
  at, flags = 0, 0
  while at < len(content):
    head = content[at : at + 27]
    if not b'OggS'.startswith(head[:4]):
      raise ValueError(f'damaged: no Ogg page at byte {at:,}')
    segments = head[26] if len(head) == 27 else 0
    table = content[at + 27 : at + 27 + segments]
    size = 27 + segments + sum(table)
    page = content[at : at + size]
    if len(head) < 27 or len(table) < segments or len(page) < size:
      raise ValueError(f'cut short within the Ogg page at byte {at:,}')
    checksum, flags = struct.unpack_from('<I', page, 22)[0], page[5]
    if checksum != _ogg_sum(page[:22] + bytes(4) + page[26:]):
      raise ValueError(f'damaged: wrong checksum of the page at byte {at:,}')
    at += size
  if not flags & _LAST_PAGE:
    raise ValueError('cut short: the last Ogg page is not the end')


def _ogg_sum(page):
  reversed_bits = zlib.crc32(page.translate(_BITS_REVERSED), _ONES) ^ _ONES
  return int(f'{reversed_bits:032b}'[::-1], 2)
