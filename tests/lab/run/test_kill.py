"""A kill -9 loses no more than the time between two checkpoints.

Both kinds of run: trials of a task, epochs of a data set. A child writes how
far each trial is, and when, after every advance of its loop; what its last
checkpoint holds is looked up there.
"""

import json
import os

import numpy as np
import pytest

from lstm_jax.lab.store import checkpoints
from lstm_jax.lab.store.folder import open_folder
from tests import children

PERIOD = 3.0
# A chunk takes half a second, and the answer to a question waits for one.
SLACK = 1.5
KINDS = {
  'task': '--task=adding --cell=srn --learner=elman --length=100 --hidden=8'
  ' --learning_rate=1e-9 --set=learner.optimizer=sgd --seeds=2'
  ' --budget=10000000',
  'data set': '--task=noisy_sine --cell=srn --hidden=3 --window=4 --seeds=1'
  ' --set=learner.batch=8 --set=learner.kernel=xla --budget=1000000',
}
CHILD = """
import json, sys, time
from lstm_jax.lab.run import queue
told = queue.Shared.tell
def tell(shared, worker, seen, *more, **work):
  with open(sys.argv[1], 'a') as file:
    file.write(json.dumps([time.time(), seen]) + chr(10))
  told(shared, worker, seen, *more, **work)
queue.Shared.tell = tell
from experiments import sweep
sys.exit(sweep.main(['sweep', *sys.argv[2:]]))
"""


def updates(leaves, batches):
  """How far a trial is, as its loop tells it."""
  if 'seen' in leaves:
    return float(leaves['seen'])
  return float(leaves['epoch']) + float(leaves['batch']) / batches


@pytest.mark.slow
@pytest.mark.parametrize('kind', KINDS)
def test_what_a_kill_loses(kind, tmp_path):
  out, log = tmp_path / 'run', tmp_path / 'log'
  words = [*KINDS[kind].split(), '--devices=1', '--progress=none']
  words += [f'--checkpoint_seconds={PERIOD}', f'--out={out}']
  environ = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(('XLA_', 'JAX_', 'SLURM_'))
  }
  process = children.start('-c', CHILD, log, *words, env=environ)

  def told():
    lines = log.read_text().split('\n')[:-1] if log.exists() else []
    return [json.loads(line) for line in lines]

  def written():
    return sorted(
      path.stat().st_mtime for path in out.glob('checkpoints/state.*')
    )

  # Two checkpoints, and most of the time to the third.
  children.await_that(
    process,
    lambda: (
      len(written()) >= 2 and told()[-1][0] - written()[-1] > 0.8 * PERIOD
    ),
  )
  process.kill()
  _, said = process.communicate()
  assert process.returncode == -9, said
  history = [(when, seen) for when, seen in told() if seen]
  killed = history[-1][0]
  ((_, meta, arrays),), problems = checkpoints.load(open_folder(out))
  assert problems == []
  # A trial that keeps networks has leaves of its own, and an entry.
  kept = [
    (key, i, name)
    for key, trials in meta['programs'].items()
    for i, (name, _) in enumerate(trials)
  ]
  assert len(kept) == len(history[-1][1])
  for key, i, name in kept:
    leaves = {
      leaf.removeprefix(f'{key}/'): np.asarray(array[..., i])
      for leaf, array in arrays.items()
    }
    steps = {round(seen[name] % 1, 9) for _, seen in history} - {0}
    batches = round(1 / min(steps)) if steps else 1
    held = updates(leaves, batches)
    reached = max(when for when, seen in history if seen[name] <= held + 1e-6)
    assert killed - reached <= PERIOD + SLACK
