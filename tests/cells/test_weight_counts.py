"""The weight counts that the 1997 paper prints pin its connectivity.

Sources: Tables 1 to 9; the options are those of Table 10.
"""

import numpy as np
import pytest

from lstm_jax.cells.fully_recurrent import fully_recurrent
from lstm_jax.cells.lstm1997 import lstm1997
from lstm_jax.cells.srn import srn

EXPERIMENT_2A = dict(
  blocks=1,
  block_size=1,
  output_gates=False,
  cells_hear='nothing',
  gates_hear='nothing',
  bias='none',
  outputs_see_inputs=True,
)


def experiment_2c(p):
  """p distractors and 4 more symbols in, 2 out, no biases."""
  sizes = dict(blocks=2, block_size=1, bias='none')
  return p + 4, 2, sizes, 6 * p + 64


# Experiment -> (inputs, outputs, options, weights).
PUBLISHED = {
  '1, 4 blocks of 1': (7, 7, dict(blocks=4, block_size=1, bias='gates'), 264),
  '1, 3 blocks of 2': (7, 7, dict(blocks=3, block_size=2, bias='gates'), 276),
  '2a, p = 100': (101, 101, EXPERIMENT_2A, 10504),
  **{f'2c, p = {p}': experiment_2c(p) for p in (50, 100, 200, 500, 1000)},
  '3': (1, 1, dict(blocks=3, block_size=1, bias='hidden'), 102),
  '4 and 5': (2, 1, dict(blocks=2, block_size=2), 93),
  '6a': (8, 4, dict(blocks=2, block_size=2), 156),
  '6b': (8, 8, dict(blocks=3, block_size=2), 308),
}


NO_BIAS = dict(hidden_bias=False, output_bias=False)
ONE_UNIT = dict(hidden=1, recurrence='self', outputs_see_inputs=True, **NO_BIAS)
# The others: a cell -> (symbols, options, weights).
OTHERS = [
  *((srn, p + 1, ONE_UNIT, n) for p, n in ((4, 36), (10, 144), (100, 10404))),
  (srn, 7, dict(hidden=15, **NO_BIAS), 435),
  (fully_recurrent, 7, dict(hidden=3), 170),
  (fully_recurrent, 7, dict(hidden=12), 494),
]


@pytest.mark.parametrize(('cell', 'symbols', 'options', 'count'), OTHERS)
def test_published_weight_count_of_the_others(cell, symbols, options, count):
  mask = cell(symbols, symbols, **options).mask
  assert sum(int(np.sum(exists)) for exists in mask) == count


@pytest.mark.parametrize('experiment', PUBLISHED)
def test_published_weight_count(experiment):
  num_inputs, num_outputs, options, count = PUBLISHED[experiment]
  cell = lstm1997(num_inputs, num_outputs, **options)
  assert sum(int(np.sum(exists)) for exists in cell.mask) == count
