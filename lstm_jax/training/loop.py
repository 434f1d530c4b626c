"""The seam between training and whoever runs it.

A `Loop` trains some trials side by side, in updates that can be counted. It
starts from nothing or from snapshots, advances by so many updates, gives
snapshots, and hands over what has ended. It is pure: its state goes in and
comes out, and it knows no clock. Who runs it looks at the clock and chooses how
many updates come next (`lab.run.scheduler`).

Two kinds of training are loops: trials on-line (`lanes`) and epochs of
minibatches (`epochs`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from lstm_jax.types import Array, Tree


class Job(NamedTuple):
  """A trial to run.

  Attributes:
    id: its stable id.
    program: name of the program it runs in.
    seed: of its key.
    numbers: name -> float or array: the learning rate and the cell's numbers;
      those left out have their defaults.
    length: the task's T.
    budget: updates it may see: training sequences, or epochs.
    keep: whether networks are kept along its way, of a network that is not too
      large (`kept_networks.MOST_WEIGHTS`).
  """

  id: str
  program: str
  seed: int
  numbers: Mapping[str, ArrayLike | tuple[float, ...]]
  length: int
  budget: int
  keep: bool = False


class TrialState(NamedTuple):
  """A trial between two updates, as plain arrays; what a checkpoint holds.

  Attributes:
    leaves: path -> numpy array, without lanes.
    seconds: device time so far, shared with the lanes beside it.
  """

  leaves: dict[str, np.ndarray]
  seconds: float


class OtherSnapshot(ValueError):
  """A snapshot without the arrays of the program that should go on from it."""


class FreshScore(NamedTuple):
  """A network on fresh sequences: how many wrong of how many, mean errors."""

  wrong: int
  total: int
  absolute: float
  squared: float


class Outcome(NamedTuple):
  """The end of a trial.

  Attributes:
    id: of the job.
    status: 'solved', 'budget', 'given_up', 'diverged' or 'failed'.
    seen: updates: training sequences, or epochs.
    seconds: of its device, shared with the lanes beside it.
    metrics: name -> number, None where there is none.
    curves: name -> one number a point.
    details: what else is kept of it, by name, as plain values.
    reason: of a failure: the error, then its traceback.
    net: path in the params -> array: on-line those of the end, else of the
      epoch that was best; None of a failed one.
    networks: (training sequences seen, path in the params -> array) each, from
      the start to the end, where the job says `keep`.
    final_state: where it has spent its budget: it would go on from there under
      a larger one with the bits that it has in one piece.
  """

  id: str
  status: str
  seen: float
  seconds: float
  metrics: Mapping[str, float | None] = {}
  curves: Mapping[str, Sequence[float | None]] = {}
  details: Mapping[str, object] = {}
  reason: str = ''
  net: Mapping[str, np.ndarray] | None = None
  networks: Sequence[tuple[int, Mapping[str, np.ndarray]]] = ()
  final_state: TrialState | None = None


class Advanced(NamedTuple):
  """Results of some updates.

  Attributes:
    seen: job id -> updates so far: training sequences, epochs.
    has_ended: whether some trial has ended.
    is_complete: whether all updates asked for were made. What was cut short
      does not say that there is time for more.
    has_compiled: whether a program was compiled, which is no training.
    sequences: training sequences shown.
    useful, executed: time steps of running trials, and of all lanes.
    note: words on how it goes; '' for none.
  """

  seen: Mapping[str, float]
  has_ended: bool
  is_complete: bool
  has_compiled: bool = False
  sequences: float = 0.0
  useful: float = 0.0
  executed: float = 0.0
  note: str = ''


class Loop(NamedTuple):
  """Training that goes on piece by piece.

  Attributes:
    start: `(jobs, begun) -> state`; `begun` maps the ids of those that go on to
      their `TrialState`.
    advance: `(state, updates) -> (state, Advanced)`: at most so many updates of
      each trial.
    charge: `(state, seconds) -> state`: device time that the last updates took.
    snapshot: `state -> {id: TrialState}` of all that `results` has not taken.
    results: `(state) -> (state, outcomes)`: takes out what has ended.
    num_free: `state -> int`: how many more trials it could take now.
    join: `(state, jobs, begun) -> state` with more trials, at most `num_free`.
    first: updates of the first advance, before anything is known of its pace.
  """

  start: Callable[[Sequence[Job], Mapping[str, TrialState]], object]
  advance: Callable[[object, int], tuple[object, Advanced]]
  charge: Callable[[object, float], object]
  snapshot: Callable[[object], dict[str, TrialState]]
  results: Callable[[object], tuple[object, list[Outcome]]]
  num_free: Callable[[object], int]
  join: Callable[[object, Sequence[Job], Mapping[str, TrialState]], object]
  first: int = 1


def named(tree: object) -> list[tuple[str, Array]]:
  """`(path, leaf)` of every leaf of a tree, paths as checkpoints have them."""
  paths = jax.tree_util.tree_flatten_with_path(tree)[0]
  name = lambda path: jax.tree_util.keystr(path, simple=True, separator='/')
  return [(name(path), leaf) for path, leaf in paths]


def restored(tree: Tree, leaves: Mapping[str, np.ndarray]) -> Tree:
  """`tree` with these leaves in place of its own.

  Args:
    tree: any.
    leaves: by the paths of `named`.

  Raises:
    OtherSnapshot: a leaf is missing or of another shape.
  """
  named_leaves = named(tree)
  for name, leaf in named_leaves:
    if name not in leaves or leaves[name].shape != leaf.shape:
      raise OtherSnapshot(f'a snapshot of another network: {name} does not fit')
  return jax.tree.unflatten(
    jax.tree.structure(tree), [leaves[name] for name, _ in named_leaves]
  )
