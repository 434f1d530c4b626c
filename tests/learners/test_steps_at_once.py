"""Loops that take steps at once, as accelerators do, learn the same."""

import jax
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.lab.run import builds
from lstm_jax.training import compilation
from tests.accelerators.covering import setting_of
from tests.gradients import cheap_jit

LANES = 3
# An error at the last step alone; one at every step, sequences of all lengths.
TASKS = ('adding', 'reber')


def settings(task):
  """Learner -> a setting of it on a task, of those that have one."""
  cells = ('lstm', *catalog.names('cells'))
  for learner in catalog.names('learners'):
    for cell in cells:
      if setting := setting_of((learner, cell, task)):
        yield pytest.param(setting, id=f'{learner}-{cell}-{task}')
        break


def learned(setting, platform):
  """Trials after a few sequences, by a platform's loops; on this CPU."""
  build = builds.build(setting, platform=platform)
  numbers = dict(build.numbers) | {
    name: np.float32(0.1)
    for name, v in build.numbers.items()
    if np.isnan(v).any()
  }
  numbers = {
    name: np.broadcast_to(v[..., None], (*np.shape(v), LANES))
    for name, v in ((n, np.asarray(v)) for n, v in numbers.items())
  }
  words = np.arange(1, LANES + 1, dtype=np.uint32)
  length = np.full(LANES, setting.length or 1, np.int32)
  many = np.full(LANES, 100, np.int32)
  trials = cheap_jit(build.program.start)((words, words), numbers, length, many)
  trials, work = cheap_jit(build.program.advance)(trials, np.int32(5))
  return trials, work


@pytest.mark.parametrize(
  'setting', [case for task in TASKS for case in settings(task)]
)
def test_trials_are_the_same(setting):
  plain, blocks = (learned(setting, name) for name in ('cpu', 'gpu'))
  assert jax.tree.structure(plain) == jax.tree.structure(blocks)
  for a, b in zip(*map(jax.tree.leaves, (plain, blocks)), strict=True):
    np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-6)
  assert np.all(plain[0].seen == 5)


def test_a_cpu_has_its_own_loops():
  task = catalog.build('tasks', 'adding')
  assert compilation.task_on(task, 'cpu') is task
  for platform in ('gpu', 'tpu'):
    of_platform = compilation.task_on(task, platform)
    assert of_platform.steps_at_once == compilation.STEPS_AT_ONCE
