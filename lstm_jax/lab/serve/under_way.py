"""Trials that have begun and not ended, read from checkpoints."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lstm_jax.lab.store import checkpoints
from lstm_jax.lab.store.checkpoints import Checkpoint

Networks = tuple[tuple[int, Mapping[str, np.ndarray]], ...]
Curves = Mapping[str, Sequence[float | None]]


class UnderWay(NamedTuple):
  """A trial that has begun and not ended, as its last checkpoint has it.

  Attributes:
    seen: training sequences so far, or epochs.
    curves: learning curves so far, as in a record; {} where it has none.
    networks: (sequences seen, path -> array) each, of those kept on its way.
  """

  seen: int
  curves: Curves
  networks: Networks


def trials_of(saved: Iterable[Checkpoint]) -> dict[str, UnderWay]:
  """Id -> `UnderWay`, of what `checkpoints.load` has read."""
  begun: dict[str, UnderWay] = {}
  for saved_trial in checkpoints.trials(saved):
    trial, state = saved_trial.trial, _trial(saved_trial.leaves)
    if trial not in begun or begun[trial].seen < state.seen:
      begun[trial] = state
  return begun


def _trial(leaves):
  """`UnderWay` of the leaves of a trial's state."""
  from lstm_jax.training import kept_networks, learning_curve

  leaves, networks = kept_networks.taken_from(leaves)
  curves: dict[str, list[float]] = {}
  fields = learning_curve.LearningCurve._fields
  if all(f'curve/{name}' in leaves for name in fields):
    arrays = (leaves[f'curve/{name}'] for name in fields)
    curves = learning_curve.lists(learning_curve.LearningCurve._make(arrays))
  seen = leaves.get('seen', leaves.get('epoch', 0))
  for name, array in leaves.items():
    if name.startswith('curves/'):  # of epochs, NaN where not known yet
      curves[name.removeprefix('curves/')] = array[: int(seen)].tolist()
  if networks:
    prefix = 'learner/params/'
    now = {
      name.removeprefix(prefix): np.array(array)
      for name, array in leaves.items()
      if name.startswith(prefix)
    }
    last, weights = networks[-1]
    if now.keys() == weights.keys() and int(seen) > last:
      networks = (*networks, (int(seen), now))
  return UnderWay(int(seen), curves, networks)
