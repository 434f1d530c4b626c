"""A sweep without nets over the real store: what the fault tests interrupt.

A trial is a few chunks of arithmetic on an array; its state is saved after
every chunk. Nothing imports jax, so a process of it starts at once:

  python -m tests.fake_sweep FOLDER [I N]    run it (as shard I of N)
  python -m tests.fake_sweep FOLDER --kill   run it in children that are
                                             killed again and again
"""

import os
import random
import signal
import sys
from pathlib import Path

import numpy as np

from lstm_jax.lab.store import checkpoints, files, results_table, trial_records
from lstm_jax.lab.store.folder import create_or_open, note
from lstm_jax.lab.store.lock import lock
from tests import flat

CHUNKS = 3

# The order of the steps is what is tested; waiting for a real disk is not.
QUICK = files.DISK._replace(
  fsync=lambda fd: None, fsync_directory=lambda path: None
)


def setting(seed, **changes):
  values = dict(
    grid='fake',
    row=f'adding, {seed % 2}',
    task='adding',
    cell='lstm1997',
    learner='truncated1997',
    length=100,
    window=None,
    hidden='2x2',
    learning_rate=0.1,
    options={'task.output': 'linear', 'task.zeroed': ['input', 'target']},
    seed=seed,
    budget=1000,
  )
  values.update(changes)
  return flat.stored(values)


def make_plan(trials=3, changes=None, **provenance):
  settings = [setting(seed, **(changes or {})) for seed in range(trials)]
  return {
    'flags': {'learning_rate': [settings[0]['numbers']['learning_rate']]},
    'trials': settings,
    'programs': {'p0': {'trials': [s['id'] for s in settings], 'lanes': 2}},
    'provenance': {'jax': '0.10.2', 'device_kind': 'cpu', **provenance},
    'created': '2026-01-01T00:00:00+00:00',
  }


def advance(state):
  """One chunk: something that any lost or repeated step would show in."""
  return np.sin(state * 1.7 + np.arange(state.size) / 3) + state / 3


def record_of(trial, state, **changes):
  return flat.record(
    {
      'trial': trial,
      'status': 'solved' if state[0] > 0 else 'budget',
      'sequences_to_success': 12 if state[0] > 0 else None,
      'sequences_seen': 100,
      'milestone': None,
      'weights': 93,
      'test_wrong': 1,
      'test_total': 2560,
      'test_absolute': float(state[1]),
      'test_squared': np.float32(state[2]),
      'train_absolute': float('nan'),
      'seconds': 0.5,
      'device': 'cpu',
      **changes,
    }
  )


def record(folder, index=0, **changes):
  """A record of trial number `index`, with some of it changed."""
  trial = changes.pop('trial', list(folder.trials)[index])
  return record_of(trial, np.arange(4.0) / 3, **changes)


def sweep(path, disk=files.DISK, plan=None, shard=None, announce=None):
  """Runs what is left to do; `announce(word)` after each chunk and record."""
  announce = announce or (lambda word: None)
  plan = plan or make_plan()
  folder = create_or_open(path, plan, disk=disk)
  with lock(folder, shard):
    done, _ = trial_records.read_records(folder)
    saved = {name: (meta, a) for name, meta, a in checkpoints.load(folder)[0]}
    i, n = shard or (1, 1)
    for trial in list(folder.trials)[i - 1 :: n]:
      if trial not in done:
        start = np.arange(4.0) + folder.trials[trial].seed
        meta, arrays = saved.get(trial, ({'chunk': 0}, {'state/x': start}))
        state = arrays['state/x']
        for chunk in range(meta['chunk'] + 1, CHUNKS + 1):
          announce('chunk')
          state = advance(state)
          if chunk < CHUNKS:
            now = {'state/x': state, 'n': np.uint32(chunk)}
            checkpoints.save(folder, trial, now, {'chunk': chunk})
        trial_records.write_record(folder, record_of(trial, state))
        announce(trial)
      checkpoints.drop(folder, trial)
    results_table.write_csv(folder)
  note(folder, 'finished')
  return folder


def stepwise(before, disk=files.DISK):
  """A disk that calls `before(name, arguments)` ahead of every step."""

  def wrap(name, call):
    def step(*arguments):
      before(name, arguments)
      return call(*arguments)

    return step

  return files.Disk(
    **{name: wrap(name, call) for name, call in disk._asdict().items()}
  )


class Died(BaseException):
  """The process is gone: no later step happens, no handler runs."""


def table(path):
  return (path / 'results.csv').read_bytes()


def hidden(path):
  return [str(p) for p in path.rglob('.*')]


def damaged(data):
  """Every flipped bit of a byte in turn, and every truncation."""
  for at in range(len(data)):
    flipped = bytearray(data)
    flipped[at] ^= 1 << (at % 8)
    yield bytes(flipped)
    flipped[at] ^= 0xFF
    yield bytes(flipped)
    yield data[:at]
  yield data + b'\n'
  yield data + data


def told(path, plan, pipe):
  """A sweep that tells of every step, chunk and record down a pipe."""
  disk = stepwise(lambda *_: os.write(pipe, b'.'))
  tell = lambda word: os.write(pipe, b'c' if word == 'chunk' else b'r')
  sweep(path, disk, plan, announce=tell)


def killing(path, kills, seed):
  """Kills children at random steps until `kills` are dead, then finishes.

  Prints how many chunks were computed and how many states were met.
  """
  draw = random.Random(seed)
  plan = make_plan(trials=2 + kills // 2)
  chunks, states = 0, set()
  for kill in range(kills + 1):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
      os.close(reader)
      told(path, plan, writer)
      os._exit(0)
    os.close(writer)
    # The child runs on while the signal is under way: any moment is hit.
    patience = draw.randint(1, 90)
    seen = b''
    while kill == kills or len(seen) < patience:
      byte = os.read(reader, 1)
      if not byte:
        break
      seen += byte
    if kill < kills:
      os.kill(child, signal.SIGKILL)
    while rest := os.read(reader, 4096):
      seen += rest
    os.close(reader)
    _, status = os.waitpid(child, 0)
    if kill == kills and status:
      sys.exit('the last run failed')
    chunks += seen.count(b'c')
    patterns = 'records/*.jsonl', 'checkpoints/*.[0-9]', '**/.*.tmp'
    states.add(tuple(len(list(Path(path).glob(p))) for p in patterns))
  print(chunks, len(plan['trials']) * CHUNKS, len(states))


if __name__ == '__main__':
  folder_path, *rest = sys.argv[1:]
  if rest[:1] == ['--kill']:
    killing(folder_path, int(rest[1]), int(rest[2]))
  else:
    sweep(
      folder_path,
      plan=make_plan(trials=40),
      shard=tuple(map(int, rest)) if rest else None,
    )
