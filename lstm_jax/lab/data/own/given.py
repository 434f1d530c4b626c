"""A file of sequences, `.npz` or `.csv`, or what TFDS has prepared."""

from pathlib import Path
from typing import Literal

from lstm_jax.dataset import Dataset
from lstm_jax.lab.data.files.errors import Source
from lstm_jax.lab.data.own import dataset as dataset_lib
from lstm_jax.lab.data.own import loading, sequences
from lstm_jax.ops.checked import checked


@checked
def given(
  path: Path,
  *,
  valid: float = 0.15,
  test: float = 0.15,
  split_seed: int = 0,
  scale: Literal['standard', 'none'] = 'standard',
  inputs: str = '',
  targets: str = '',
  split: str = '',
  source: Source | None = None,
) -> Dataset:
  """Sequences of a file of one's own, told apart or predicted.

  Args:
    path: of the file or folder.
    valid, test: shares of the sequences that validate and test, where the file
      does not say which do; drawn class by class.
    split_seed: of the draw.
    scale: 'standard' gives inputs, and targets that are numbers, mean 0 and
      deviation 1 over the training part; 'none' leaves them.
    inputs, targets, split: what the plan has found in the file, see
      `sequences.digests`; '' is not compared.
    source: not used.

  Returns:
    The `Dataset`. Its levels are the most frequent class and softmax
    regressions, or the mean and ridge regressions: on the mean of a sequence
    and its length, and on its last step; on each step by itself where each has
    a target.

  Raises:
    ValueError: shares that leave nothing to train on.
    BadData: the file, and what is wrong with it or has changed in it.
  """
  del source
  data = loading.load(path)
  planned_digests = {'inputs': inputs, 'targets': targets, 'split': split}
  dataset_lib.check_same(str(path), sequences.digests(data), planned_digests)
  return dataset_lib.dataset(
    str(path),
    data,
    valid=valid,
    test=test,
    split_seed=split_seed,
    scale=scale,
  )
