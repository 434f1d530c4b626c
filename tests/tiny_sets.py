"""Data sets of a few small files, in their published layouts."""

import functools
import io
import struct
import tarfile

import numpy as np

from lstm_jax.lab.data.files import prepared

URBAN = 'slice_file_name,fsID,start,end,salience,fold,classID,class'
ESC = 'filename,fold,target,category,esc10,src_file,take'
# name, recording, fold, class id, class
URBAN_CLIPS = (
  ('7-3-0-0.wav', 7, 1, 3, 'dog_bark'),
  ('7-3-0-1.wav', 7, 1, 3, 'dog_bark'),
  ('8-1-0-0.wav', 8, 2, 1, 'car_horn'),
  ('9-9-0-0.wav', 9, 10, 9, 'street_music'),
)
ESC_CLIPS = (
  ('1-7-A-0.wav', 1, 0, 'dog', True, 7),
  ('1-8-A-41.wav', 1, 41, 'chainsaw', True, 8),
  ('2-9-A-5.wav', 2, 5, 'cat', False, 9),
  ('5-6-A-10.wav', 5, 10, 'rain', True, 6),
)


def fmt(codec=1, channels=1, rate=8000, bits=16, tail=b'', align=None):
  """A format chunk without its head."""
  align = channels * bits // 8 if align is None else align
  head = struct.pack(
    '<HHIIHH', codec, channels, rate, rate * align, align, bits
  )
  return head + tail


def extensible(codec, bits, channels=1):
  """A format chunk of WAVE_FORMAT_EXTENSIBLE."""
  guid = struct.pack('<H', codec) + bytes.fromhex(
    '000000001000800000aa00389b71'
  )
  return (
    fmt(0xFFFE, channels, bits=bits) + struct.pack('<HHI', 22, bits, 0) + guid
  )


def riff(form, data, said=None, data_said=None, before=b'', after=b''):
  """A WAV file, by default one whose lengths are right."""
  data_said = len(data) if data_said is None else data_said
  body = b'WAVE' + b'fmt ' + struct.pack('<I', len(form)) + form + before
  body += b'data' + struct.pack('<I', data_said) + data
  body += b'\0' * (len(data) % 2) + after
  return b'RIFF' + struct.pack('<I', len(body) if said is None else said) + body


def samples(count=80, channels=1, seed=0):
  """`[count, channels]` int16."""
  drawn = np.random.default_rng(seed).integers(-32768, 32768, count * channels)
  return drawn.astype(np.int16).reshape(count, channels)


def wav(values=None, rate=8000):
  """A good 16-bit file."""
  values = samples() if values is None else values
  form = fmt(channels=values.shape[1], rate=rate)
  return riff(form, values.astype('<i2').tobytes())


def urban(folder, clips=URBAN_CLIPS):
  """UrbanSound8K of four clips; returns its folder."""
  home = folder / 'UrbanSound8K'
  lines = [URBAN]
  for number, (name, recording, fold, label, word) in enumerate(clips):
    place = home / 'audio' / f'fold{fold}'
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(wav(samples(seed=number)))
    lines.append(f'{name},{recording},0.0,4.0,1,{fold},{label},{word}')
  (home / 'metadata').mkdir()
  write_lines(home / 'metadata' / 'UrbanSound8K.csv', lines)
  return home


def esc(folder, clips=ESC_CLIPS):
  """ESC-50 of four clips, three of them in ESC-10; returns its folder."""
  home = folder / 'ESC-50-master'
  (home / 'audio').mkdir(parents=True)
  lines = [ESC]
  for number, (name, fold, target, word, ten, recording) in enumerate(clips):
    (home / 'audio' / name).write_bytes(wav(samples(seed=number)))
    lines.append(f'{name},{fold},{target},{word},{ten},{recording},A')
  (home / 'meta').mkdir()
  write_lines(home / 'meta' / 'esc50.csv', lines)
  return home


def imdb(folder, numbers=(0, 2, 10)):
  """Reviews of these numbers in each class and split; returns the folder."""
  home = folder / 'aclImdb'
  for split in ('train', 'test'):
    for kind, rating in (('neg', 3), ('pos', 9)):
      place = home / split / kind
      place.mkdir(parents=True)
      for number in numbers:
        text = f'{split} {kind} {number} <br />\u00e9t\u00e9'
        (place / f'{number}_{rating}.txt').write_text(text, encoding='utf-8')
    (home / split / 'unsup').mkdir()
    (home / split / 'unsup' / '0_0.txt').write_text('not used')
  return home


def write_lines(path, lines):
  path.write_text('\n'.join(lines) + '\n', encoding='utf-8')


def tar(path, members, mode='w'):
  """A tar of (`TarInfo`, bytes); a name stands for the `TarInfo` of a file."""
  with tarfile.open(path, mode) as archive:
    for member, content in members:
      if isinstance(member, str):
        member = tarfile.TarInfo(member)
      member.size = len(content)
      archive.addfile(member, io.BytesIO(content))
  return path


def packed(folder, path, mode='w'):
  """A tar of a folder."""
  with tarfile.open(path, mode) as archive:
    archive.add(folder, folder.name)
  return path


MAKERS = {'imdb': imdb, 'urban_sound': urban, 'esc10': esc}
CLIP = 'audio/fold1/7-3-0-0.wav'  # of UrbanSound8K


def silent(line):
  """Says nothing."""
  del line


prepare = functools.partial(prepared.prepare, say=silent)
load = functools.partial(prepared.load, say=silent)


def records(held):
  """Split -> list of all records."""
  return {split: [*of] for split, of in held.splits.items()}
