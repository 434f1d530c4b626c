"""In the networks of the paper a network has the same bits alone and among 16.

No promise rests on it, since the width follows from the plan; but a row's trial
may then be looked at alone. The compiler may contract a product and a sum, or
share a term, in another order for another number of lanes; what the loops
store, and where, keeps it from doing so. (A mean over 101 outputs it adds in
another order, so that recorded errors differ.) Rows as they are, with frequent
exams.
"""

import functools

import jax
import numpy as np
import pytest

from lstm_jax.lab.plan import flags, plan
from lstm_jax.lab.run import builds
from lstm_jax.training.compilation import Compiled
from lstm_jax.training.loop import Job
from lstm_jax.training.trial_columns import first_trials, padded

SHOWN = 25  # sequences, with an exam after every ten
EXAMS = ['--set=task.exam_every=10']
ROWS = {
  'once a sequence': ['table1', '--row=3x2-rate0.5-literal', *EXAMS],
  'every step': ['table1', '--row=4x1-rate0.5-step', *EXAMS],
  'cells added': [
    *('table2', '--row=2a-literal', *EXAMS),
    '--set=learner.plateau_sequences=5',
  ],
  'one-hot': ['table3', '--row=q50-p50-literal', *EXAMS],
  'noise': ['table6', '--row=T100-N3-literal', *EXAMS],
  'linear output': ['table7', '--row=T100-linear'],
  'logistic output': ['table8', '--row=n140-literal'],
  'symbols and reals': ['table9', '--row=6b'],
}  # fmt: skip


@functools.cache
def built(row):
  grid, *words = ROWS[row]
  argv = ['sweep', f'--grid={grid}', *words, '--seeds=16']
  settings = plan.expand(flags.parse(argv)).trials
  assert len(settings) == 16
  return settings, builds.build(settings[0])


def after(row, width):
  """Lane 0 of `width` trials after `SHOWN` sequences each."""
  settings, build = built(row)
  numbers = {k: np.nan if v is None else v for k, v in settings[0].numbers}
  length = settings[0].length or 1
  jobs = [
    Job(str(s.seed), '', s.seed, numbers, length, 10**6)
    for s in settings[:width]
  ]
  device = jax.devices()[0]
  trials = first_trials(
    Compiled(device), '', build.program, build.numbers, jobs, width
  )
  trials = padded(trials, width)
  for _ in range(SHOWN):
    trials, _ = advance_of(row)(trials, np.int32(1))
  assert int(np.min(trials.seen)) > SHOWN // 2
  nets = jax.tree.leaves((trials.learner.params, trials.seen))
  return [np.asarray(x)[..., 0] for x in nets]


@functools.cache
def advance_of(row):
  return jax.jit(built(row)[1].program.advance)


@pytest.mark.slow
@pytest.mark.parametrize('row', ROWS)
def test_a_lane_has_the_bits_it_has_alone(row):
  among = after(row, 16)
  for one, other in zip(after(row, 1), among, strict=True):
    assert one.dtype == other.dtype
    assert one.tobytes() == other.tobytes()
