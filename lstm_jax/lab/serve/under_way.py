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


def trials_of(saved_trials: Iterable[Checkpoint]) -> dict[str, UnderWay]:
  """Id -> `UnderWay`, of what `checkpoints.load` has read."""
  states: dict[str, UnderWay] = {}
  for saved_trial in checkpoints.trials(saved_trials):
    trial, state = saved_trial.trial, _trial(saved_trial.leaves)
    if trial not in states or states[trial].seen < state.seen:
      states[trial] = state
  return states


def _trial(leaves):
  """`UnderWay` of the leaves of a trial's state."""
  from lstm_jax.training import kept_networks, learning_curve

  leaves, networks = kept_networks.taken_from(leaves)
  curves: dict[str, list[float]] = {}
  fields = learning_curve.LearningCurve._fields
  if all(f'curve/{name}' in leaves for name in fields):
    arrays = (leaves[f'curve/{name}'] for name in fields)
    curves = learning_curve.lists(learning_curve.LearningCurve._make(arrays))
  count = leaves.get('seen', leaves.get('epoch', 0))
  for name, array in leaves.items():
    if name.startswith('curves/'):  # of epochs, NaN where not known yet
      curves[name.removeprefix('curves/')] = array[: int(count)].tolist()
  if networks:
    prefix = 'learner/params/'
    params = {
      name.removeprefix(prefix): np.array(array)
      for name, array in leaves.items()
      if name.startswith(prefix)
    }
    last, weights = networks[-1]
    if params.keys() == weights.keys() and int(count) > last:
      networks = (*networks, (int(count), params))
  return UnderWay(int(count), curves, networks)
