"""Run folders with one bad file: damaged, of another kind, or sealed anew.

A folder here holds two trials that have ended, a network of each, one in the
form of earlier versions, and a checkpoint, made by the store without training.
"""

import hashlib
import json
import os
import struct

import numpy as np

from lstm_jax.lab.plan import flags, plan
from lstm_jax.lab.store import checkpoints, nets, seal, trial_records
from lstm_jax.lab.store.folder import create_or_open
from lstm_jax.lab.store.setting import entry_of, trial_id
from tests.fake_sweep import QUICK, record_of
from tests.older_records import as_files

LINE = '--task=adding --cell=srn --learner=bptt --length=9 --seeds=2'
KINDS = ('plan', 'record', 'net')
DEEP = 100_000


def folder(path):
  """Makes the folder; returns it open."""
  asked = flags.parse(['sweep', *LINE.split()], {})
  trials = {trial_id(s): s for s in plan.expand(asked).trials}
  entries = [entry_of(s) for s in trials.values()]
  content = {
    'flags': {},
    'trials': entries,
    'programs': {'p': [*trials]},
    'provenance': {'jax': '0.10.2', 'device_kind': 'cpu'},
  }
  opened = create_or_open(path, content, disk=QUICK)
  for i, name in enumerate(trials):
    trial_records.write_record(opened, record_of(name, np.arange(4.0) + i))
  as_files(path)
  first, second = trials
  earlier_net(opened, first, {'w_x': np.ones([2, 3])})
  nets.save(opened, second, {'w_x': np.ones([2, 3]), 'b': np.zeros([0])})
  of = {'programs': {'p': [[name, 0.5] for name in trials]}}
  checkpoints.save(opened, 'state', {'p/seen': np.arange(2)}, of)
  return opened


def earlier_net(opened, trial, params):
  """Keeps a network as earlier versions did."""
  content = {
    'trial': trial,
    'plan': opened.identity,
    'params': {name: w.tolist() for name, w in params.items()},
    'shapes': {name: list(w.shape) for name, w in params.items()},
  }
  path = opened.path / 'nets' / f'{trial}.json'
  path.parent.mkdir(exist_ok=True)
  path.write_bytes(seal.seal_json('net', content))


def file_of(opened, kind):
  """The file of a kind: the plan, a record, a network or a checkpoint."""
  name, other = opened.trials
  return {
    'plan': opened.path / 'plan.json',
    'record': opened.path / 'records' / f'{name}.json',
    'net': opened.path / 'nets' / f'{name}.json',
    'tensors': opened.path / 'nets' / f'{other}.safetensors',
    'checkpoint': opened.path / 'checkpoints' / 'state.1',
  }[kind]


def content_of(opened, kind):
  """What the file of a kind holds, unsealed."""
  path = file_of(opened, kind)
  return seal.unseal_json(kind, path.read_bytes(), path)


def in_place_of(path):
  """Puts things that are no file in place of one; yields the name of each."""
  for name, make in (
    ('a directory', lambda: path.mkdir()),
    ('a FIFO', lambda: os.mkfifo(path)),
    ('/dev/zero', lambda: path.symlink_to('/dev/zero')),
    ('a link to nothing', lambda: path.symlink_to('absent')),
    ('a loop', lambda: path.symlink_to(path.name)),
    ('huge', lambda: (path.touch(), os.truncate(path, 2**40))),
    ('zeros', lambda: (path.touch(), os.truncate(path, 2**31))),
    ('empty', lambda: path.touch()),
    ('text', lambda: path.write_text('hello\x1b[31m')),
    ('deep', lambda: path.write_text('[' * DEEP + ']' * DEEP)),
    ('a number', lambda: path.write_text('9' * 10_000)),
    ('null', lambda: path.write_text('null')),
    ('no content', lambda: path.write_text('{"schema": 1}')),
    ('newer', lambda: path.write_bytes(seal.seal_json('plan', {}, 99))),
    ('nan', lambda: path.write_text('{"schema": 1, "content": NaN}')),
  ):
    remove(path)
    make()
    yield name
  remove(path)


def remove(path):
  """Removes a file, a link or an empty directory, if there is one."""
  if path.is_dir() and not path.is_symlink():
    path.rmdir()
  elif os.path.lexists(path):
    path.unlink()


def paths_in(value, at=()):
  """The path of everything within a value of JSON, as keys and indices."""
  yield at
  pairs = ()
  if isinstance(value, dict):
    pairs = value.items()
  elif isinstance(value, list):
    pairs = enumerate(value)
  for key, inner in pairs:
    yield from paths_in(inner, (*at, key))


def replaced(value, at, new):
  """A copy of `value` with `new` at a path, or without it where `new` is ..."""
  copy = json.loads(json.dumps(value))
  if not at:
    return new if new is not ... else None
  holder = copy
  for key in at[:-1]:
    holder = holder[key]
  if new is ...:
    del holder[at[-1]]
  else:
    holder[at[-1]] = new
  return copy


WRONG = (
  ...,
  None,
  True,
  -1,
  10**30,
  1.5,
  1e308,
  '',
  'x',
  'a\x1b[31m\nb',
  'x' * 20_000,
  [],
  {},
  [[]],
  {'a': {'b': 1}},
)


def checkpoints_of(opened):
  """Sealed checkpoints whose header says something else: (name, bytes)."""
  good = {
    'name': 'state',
    'generation': 1,
    'plan': opened.identity,
    'meta': {'programs': {'p': [[name, 0.5] for name in opened.trials]}},
    'arrays': [['p/seen', '<i8', [2]]],
  }
  body = np.arange(2).tobytes()

  def made(header, body=body):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return seal.seal(struct.pack('<Q', len(text)) + text + body)

  for at in paths_in(good):
    for new in WRONG:
      yield f'{at}={new!r}'[:60], made(replaced(good, at, new))
  for dtype, shape in (
    ('|O', [2]),
    ('<U9', [2]),
    ('<i8', [10**12]),
    ('<i8', [-1, -2]),
    ('<i8', [0, 2**40, 2**40]),
    ('<i8', ['aaaa', 10**9]),
    ('<i8', [True, 2]),
    ('<i8', [1] * 70 + [2]),
    ('(9999,9999)f8', [2]),
    ('f4,f4', [2]),
    ({'names': ['a'], 'formats': ['f8']}, [2]),
    ('a(', [2]),
    ('M8[ns]', [2]),
  ):
    bad = good | {'arrays': [['p/seen', dtype, shape]]}
    yield f'{dtype} {shape}'[:60], made(bad)
  twice = good | {'arrays': [['p/seen', '<i8', [1]]] * 2}
  yield 'twice', made(twice)
  yield 'deep', made(b'[' * DEEP + b']' * DEEP)
  yield 'long', seal.seal(struct.pack('<Q', 2**63) + b'{}')
  yield 'no length', seal.seal(b'abc')


def tensors_of(opened):
  """Nets as safetensors that say something else: (name, bytes)."""
  facts = {
    'format': 'lstm_jax net',
    'schema': 1,
    'names': ['w'],
    'trial': [*opened.trials][1],
    'plan': opened.identity,
  }
  arrays = {'w': {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]}}
  body = np.ones(2, np.float32).tobytes()

  def made(facts, arrays=arrays, body=body):
    nothing = '0' * 64
    held = {**facts, 'sha256': nothing} if isinstance(facts, dict) else facts
    head = {'__metadata__': {'lstm_jax': json.dumps(held)}}
    text = json.dumps(head | arrays).encode()
    data = struct.pack('<Q', len(text)) + text + body
    digest = hashlib.sha256(data).hexdigest()
    return data.replace(nothing.encode(), digest.encode(), 1)

  yield 'right', made(facts)
  for at in paths_in(facts):
    for new in WRONG:
      yield f'{at}={new!r}'[:60], made(replaced(facts, at, new))
  for at in paths_in(arrays):
    for new in WRONG:
      changed = replaced(arrays, at, new)
      if isinstance(changed, dict):
        yield f'{at}={new!r}'[:60], made(facts, changed)
  for dtype in ('F64', 'BF16', 'I64', 'BOOL', 'F8_E4M3'):
    one = {'dtype': dtype, 'shape': [1], 'data_offsets': [0, 8]}
    yield dtype, made(facts, {'w': one})
  for offsets, shape in (
    ([0, 2**62], [2**60]),
    ([0, 8], [2**33, 2**33]),
    ([4, 8], [1]),
    ([8, 0], [2]),
  ):
    one = {'dtype': 'F32', 'shape': shape, 'data_offsets': offsets}
    yield f'{offsets} {shape}', made(facts, {'w': one})
  for number in (np.nan, np.inf):
    yield str(number), made(facts, body=np.float32([1, number]).tobytes())
  yield 'a long head', struct.pack('<Q', 2**63) + made(facts)[8:]
  yield 'a deep head', struct.pack('<Q', 2 * DEEP) + b'[' * DEEP + b']' * DEEP
  yield 'no head', struct.pack('<Q', 0) + body
