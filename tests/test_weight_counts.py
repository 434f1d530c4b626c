"""The weight counts that the 1997 paper prints pin its connectivity.

Sources: Tables 1 to 9; the options are those of Table 10.
"""

import numpy as np
import pytest

from lstm_jax.cells.lstm1997 import lstm1997

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


@pytest.mark.parametrize('experiment', PUBLISHED)
def test_published_weight_count(experiment):
  num_inputs, num_outputs, options, count = PUBLISHED[experiment]
  cell = lstm1997(num_inputs, num_outputs, **options)
  assert sum(int(np.sum(exists)) for exists in cell.mask) == count
