"""Files of one's own: small good ones, and many that nobody could learn from.

Each bad one is a maker of a file and the words that its refusal must have.
"""

import io
import os
import zipfile

import numpy as np

from tests import tiny_sets

COUNT, LONGEST, FEATURES = 24, 6, 2


def lengths(seed=0):
  return np.random.default_rng(seed).integers(2, LONGEST + 1, COUNT)


def inputs(seed=0):
  shape = COUNT, LONGEST, FEATURES
  return np.random.default_rng(seed).normal(size=shape)


def classes(count=2):
  return np.arange(COUNT) % count


def arrays(**changes):
  """Arrays of a good `.npz`, with changes; None leaves one out."""
  held = {'inputs': inputs(), 'lengths': lengths(), 'targets': classes()}
  return {k: v for k, v in (held | changes).items() if v is not None}


def npz(path, packed=False, **changes):
  (np.savez_compressed if packed else np.savez)(path, **arrays(**changes))
  return path


def joined(padded, of=None):
  """`[N, T, ...]` as `[S, ...]`."""
  of = lengths() if of is None else of
  return np.concatenate([row[:n] for row, n in zip(padded, of, strict=True)])


def lines(asked='label', split=False):
  """The lines of a good `.csv`, headings first."""
  x, found = inputs(), [f'id,time,x,y,{asked}' + ',split' * split]
  for i, length in enumerate(lengths()):
    for t in range(length):
      value = {
        'label': 'ab'[i % 2],
        'target': f'{x[i, 0, 0]}',
        'step_label': 'no yes'.split()[int(x[i, t, 0] > 0)],
        'step_target': f'{x[i, : t + 1, 0].sum()}',
      }[asked]
      part = ',' + 'train train train test valid'.split()[i // 2 % 5]
      found.append(f's{i},{t},{x[i, t, 0]},{x[i, t, 1]},{value}' + part * split)
  return found


def csv(path, found=None, **options):
  text = '\n'.join(lines(**options) if found is None else found) + '\n'
  path.write_text(text, 'utf-8')
  return path


def sounds(folder, classes=('high', 'low'), count=6):
  """Class folders of short tones."""
  for label, name in enumerate(classes):
    place = folder / name
    place.mkdir(parents=True)
    for i in range(count):
      steps = np.arange(1600 + 400 * i) / 8000
      tone = 8000 * np.sin(2 * np.pi * (400 + 900 * label) * steps)
      noise = np.random.default_rng(10 * label + i).normal(0, 500, len(steps))
      values = (tone + noise).astype(np.int16)[:, None]
      (place / f'{i}.wav').write_bytes(tiny_sets.wav(values))
  return folder


def _changed(array, place, value):
  array = np.array(array)
  array[place] = value
  return array


def bad_arrays():
  """Case -> `(changes of the arrays, words of the refusal)`."""
  x, n, y = inputs(), lengths(), classes()
  words = np.array(['train', 'test', 'valid', 'train'] * (COUNT // 4))
  return {
    'nan': (
      {'inputs': _changed(x, (3, 1, 0), np.nan)},
      'feature 0 of sequence 3, step 1 is nan',
    ),
    'inf': ({'inputs': _changed(x, (0, 0, 1), np.inf)}, 'step 0 is inf'),
    'beyond float32': ({'inputs': _changed(x, (0, 0, 1), 1e39)}, 'float32'),
    'a length of 0': (
      {'lengths': _changed(n, 2, 0)}, 'length 0 of sequence 2 must be 1 to 6'
    ),
    'a length beyond T': (
      {'lengths': _changed(n, 2, 7)}, 'length 7 of sequence 2 must be 1 to 6'
    ),
    'a negative length': ({'lengths': _changed(n, 2, -1)}, 'length -1'),
    'lengths that are floats': ({'lengths': n * 1.0}, 'whole numbers [N]'),
    'too few lengths': ({'lengths': n[:-1]}, '23 lengths of 24 sequences'),
    'joined steps that do not add up': (
      {'inputs': joined(x)[:-1]}, 'lengths add up to'
    ),
    'joined steps without lengths': (
      {'inputs': joined(x), 'lengths': None}, 'or [S, F] with lengths'
    ),
    'inputs of four axes': ({'inputs': x[..., None]}, 'must be [N, T, F]'),
    'no inputs': ({'inputs': None}, 'has no array inputs; it has leng'),
    'no targets': ({'targets': None}, 'has no array targets'),
    'an array that has no meaning': (
      {'length': n}, "array 'length' has no meaning; known are inputs, targets"
    ),
    'objects': (
      {'targets': np.array([[1], [2, 3]] * 12, object)},
      'array targets holds Python objects',
    ),
    'complex inputs': ({'inputs': x * 1j}, 'must be numbers or text'),
    'inputs of words': ({'inputs': x.astype(str)}, 'they must be numbers'),
    'classes with a gap': (
      {'targets': 2 * y}, 'but none is 1; numbers to be predicted are floats'
    ),
    'classes from 1': ({'targets': y + 1}, 'but none is 0'),
    'a class below 0': ({'targets': y - 1}, 'target -1 of int64 must be a'),
    'a class without an example': (
      {'classes': np.array(['a', 'b', 'c'])}, 'class c has no example'
    ),
    'a class that has no name': (
      {'classes': np.array(['a'])}, 'target 1 of int64 must be a class, 0 to 0'
    ),
    'names of classes twice': (
      {'classes': np.array(['a', 'a'])}, 'classes has a name twice'
    ),
    'names of numbers': (
      {'targets': y * 1.0, 'classes': np.array(['a', 'b'])}, 'store whole num'
    ),
    'one class': ({'targets': 0 * y}, 'one class (0); it takes two'),
    'a class that cannot be printed': (
      {'targets': np.array(['a', 'b\x1b[2J'] * 12)}, 'is no name'
    ),
    'targets of another number': ({'targets': y[:-1]}, 'must be [24], or'),
    'targets of three axes': ({'targets': x.astype(int)}, 'must be [24]'),
    'numbers or steps': (
      {'targets': x[..., 0]}, 'are either 6 numbers of each sequence or one'
    ),
    'targets that are all the same': (
      {'targets': 0.5 + 0 * x[:, 0, 0]}, 'is 0.5 everywhere'
    ),
    'classes as rows of a single 1': (
      {'targets': np.eye(3)[np.arange(len(x)) % 3]}, 'a single 1 among 0s'
    ),
    'classes as such rows at every step': (
      {'targets': np.eye(2)[(x[..., 0] > 0).astype(int)]}, 'argmax(-1)'
    ),
    'a target that is nan': (
      {'targets': _changed(x[:, 0, 0], 4, np.nan)}, 'sequence 4 is nan'
    ),
    'too few sequences': (
      {k: v[:9] for k, v in arrays().items()}, '9 sequences; it takes at least'
    ),
    'sequences that are all the same': (
      {'inputs': 0 * x, 'lengths': 0 * n + 6},
      '1 different sequences of class 0',
    ),
    'a word that is no part': (
      {'split': np.where(words == 'test', 'tset', words)},
      "'tset' is no part; parts are train, valid, test",
    ),
    'a part that is empty': (
      {'split': np.where(words == 'test', 'train', words)},
      'no sequence is in part test',
    ),
    'a part without a class': (
      {'split': np.where(y == 1, 'train', words)}, 'part test has no example'
      if ((words == 'test') & (y == 0)).any()
      else 'no sequence is in part test',
    ),
    'too few words': ({'split': words[:-1]}, 'split has 23 words of 24'),
    'parts in numbers': ({'split': y}, 'must be text in one row'),
  }  # fmt: skip


def member(array, **fields):
  """A `.npy`, perhaps with another head than it should have."""
  out = io.BytesIO()
  np.lib.format.write_array(out, np.asarray(array))
  content = out.getvalue()
  for old, new in fields.get('head', ()):
    assert old in content
    content = content.replace(old, new.ljust(len(old)), 1)
  return content


def zipped(members, kind=zipfile.ZIP_STORED):
  out = io.BytesIO()
  with zipfile.ZipFile(out, 'w', kind) as archive:
    for name, content in members:
      archive.writestr(name, content)
  return out.getvalue()


def bad_zips():
  """Case -> `(bytes of a .npz or what makes them, words of the refusal)`."""
  good = {f'{k}.npy': member(v) for k, v in arrays().items()}
  whole = zipped(good.items())
  with_inputs = lambda content: zipped((good | {'inputs.npy': content}).items())
  shape = b"'shape': (24, 6, 2), "
  head = lambda new: member(inputs(), head=[(shape, new)])
  return {
    'nothing': (b'', 'no .npz, or damaged'),
    'text': (b'id,time\n', 'no .npz, or damaged'),
    'a .npy': (member(inputs()), 'no .npz, or damaged'),
    'cut': (whole[:-30], 'no .npz, or damaged'),
    'cut within an array': (whole[:900] + whole[-400:], '.npz'),
    'a turned bit': (
      whole[:700] + bytes([whole[700] ^ 1]) + whole[701:], 'damaged|finite'
    ),
    'a bomb': (
      lambda: zipped(
        [('inputs.npy', bytes(2**28 + 1))], zipfile.ZIP_DEFLATED
      ),
      'data that pack so well',
    ),
    'a head that says more': (
      with_inputs(head(b"'shape': (99, 6, 2), ")), r'where shape \[99, 6, 2\]'
    ),
    'a head that says less': (
      with_inputs(head(b"'shape': (2, 6, 2), ")), 'where shape'
    ),
    'a negative shape': (
      with_inputs(head(b"'shape': (-4, 6, 2), ")), 'has shape'
    ),
    'a head that is code': (
      with_inputs(head(b"'shape': exit(), ")), 'its head is damaged'
    ),
    'a pickle': (
      with_inputs(
        member(inputs(), head=[(b"'descr': '<f8'", b"'descr': '|O'")])
      ),
      'holds Python objects',
    ),
    'a pickle alone': (with_inputs(b'\x80\x04K\x01.'), 'magic'),
    'an array twice': (
      lambda: _twice(good), 'array targets is there twice'
    ),
    'a path for a name': (
      zipped([('../../inputs.npy', member(inputs()))]), 'has no meaning'
    ),
    'a name of escapes': (
      zipped([('\x1b[2J.npy', member(inputs()))]), 'has no meaning'
    ),
    'bytes that are no text': (
      zipped(
        (good | {
          'targets.npy': member(
            np.full(COUNT, 0xD800, '<u4').view('<U1')
          )
        }).items()
      ),
      'holds what is no text',
    ),
  }  # fmt: skip


def _twice(good):
  import warnings

  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    return zipped([*good.items(), ('targets.npy', good['targets.npy'])])


def bad_tables():
  """Case -> `(lines of a .csv, words of the refusal)`."""
  good = lines()
  edit = lambda at, old, new: [
    line.replace(old, new, 1) if i == at else line
    for i, line in enumerate(good)
  ]
  second = good[2].split(',')
  replaced = lambda place, value: [
    *good[:2],
    ','.join([*second[:place], value, *second[place + 1 :]]),
    *good[3:],
  ]
  swapped = [good[0], good[2], good[1], *good[3:]]
  parts = lines(split=True)
  return {
    'nothing': ([], 'is empty, it has no line with columns'),
    'headings alone': (good[:1], 'is empty, it has columns but no line'),
    'no id': (edit(0, 'id', 'name'), 'has no column id; it has name'),
    'no time': (edit(0, 'time', 't'), 'has no column time'),
    'semicolons': (
      [line.replace(',', ';') for line in good], 'is its separator a comma'
    ),
    'tabs': (
      [line.replace(',', '\t') for line in good], r"parted by '\t' (is its"
    ),
    'semicolons and decimal commas': (
      [line.replace(',', ';').replace('.', ',') for line in good],
      "line 1 is one column, parted by ';'",
    ),
    'no label': (edit(0, 'label', 'class'), 'it takes one of label, target'),
    'two kinds of targets': (edit(0, 'y', 'target'), 'has target and label'),
    'no feature': (
      ['id,time,label', *(f's{i},0,{"ab"[i % 2]}' for i in range(24))],
      'no column of a feature',
    ),
    'a column twice': (edit(0, 'y', 'x'), 'has x more than once'),
    'a column without a name': (edit(0, 'y', ''), 'is no name of a column'),
    'a ragged line': (edit(2, ',a', ''), 'line 3: 4 fields where there are 5'),
    'a longer line': (edit(2, ',a', ',a,a'), 'line 3: 6 fields'),
    'an empty field': (replaced(2, ''), 'line 3: x is empty'),
    'nan': (replaced(2, 'nan'), "line 3: x is 'nan'"),
    'words': (replaced(3, 'high'), "line 3: y is 'high'"),
    'a number with a comma': (replaced(2, '"1,5"'), "x is '1,5'"),
    'times out of order': (swapped, 'time 0 of id s0 does not come after 1'),
    'an id of two sequences': (
      [*good, good[1]], 'is one id used for two sequences'
    ),
    'a time that is no number': (replaced(1, 'noon'), "time 'noon' is no num"),
    'labels mixed within an id': (
      replaced(4, 'b'),
      "label of id s0 is 'b' here and 'a' before; for one at every step call",
    ),
    'labels that are numbers': (
      [good[0]] + [f's{i},0,1,2,{i / 3}' for i in range(24)],
      'call the column target to predict them',
    ),
    'labels in two spellings': (
      [good[0]]
      + [f's{i},0,{i},2,{("1", "1.0", "2")[i % 3]}' for i in range(24)],
      'writes one number in two ways',
    ),
    'an empty label': (
      [good[0]] + [f's{i},0,{i},2,{"a" * (i % 2)}' for i in range(24)],
      "label '' is no name of a class",
    ),
    'parts mixed within an id': (
      [*parts[:2], parts[2].replace('train', 'test'), *parts[3:]],
      "split of id s0 is 'test' here and 'train' before",
    ),
    'a word that is no part': (
      [line.replace('valid', 'vlaid') for line in parts], "'vlaid' is no part"
    ),
    'a quote that does not end': ([*good, '"s9,1'], 'line'),
    'an id that cannot be printed': (replaced(0, 's\x1b[2J'), 'is no name'),
  }  # fmt: skip


def bad_folders():
  """Case -> `(what spoils a folder of sounds, words of the refusal)`."""

  def put(name, content=b'x'):
    def spoil(folder):
      (folder / name).parent.mkdir(parents=True, exist_ok=True)
      (folder / name).write_bytes(content)

    return spoil

  hour = np.zeros((61 * 1000, 1), np.int16)
  return {
    'text in a class': (put('high/notes.txt'), 'high/notes.txt: is no sound'),
    'a sound beside the classes': (put('a.wav'), 'a.wav: is in no class'),
    'an empty class': (
      lambda folder: (folder / 'none').mkdir(), 'none: a class without a sound'
    ),
    'a folder in a class': (
      lambda folder: (folder / 'high/more').mkdir(), 'a folder within a class'
    ),
    'no RIFF': (put('high/a.wav', b'<html>'), 'high/a.wav: no RIFF WAVE file'),
    'an empty file': (put('high/a.wav', b''), 'high/a.wav: '),
    'too long': (
      put('high/a.wav', tiny_sets.wav(hour, 1000)), 'high/a.wav: '
    ),
    'a link to nothing': (
      lambda folder: (folder / 'high/a.wav').symlink_to('nowhere'),
      'high/a.wav',
    ),
    'a FIFO': (
      lambda folder: os.mkfifo(folder / 'high/a.wav'), 'a FIFO, not a regular'
    ),
    'one class': (
      lambda folder: [one.unlink() for one in (folder / 'low').iterdir()]
      and (folder / 'low').rmdir(),
      '1 class folders with sounds',
    ),
    'training alone': (
      lambda folder: (folder / 'high').rename(folder / 'train'),
      'has a folder train and none for test',
    ),
  }  # fmt: skip
