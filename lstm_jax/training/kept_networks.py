"""Networks of a trial kept along its way: how it came to what it learned.

The first, then one whenever about twice as many sequences have been seen. Where
there are too many between the first and the last, every other one goes.
"""

from collections.abc import Mapping

import numpy as np

Weights = Mapping[str, np.ndarray]
Networks = tuple[tuple[int, Weights], ...]

MOST_WEIGHTS = 20_000  # of a network that is kept
BETWEEN = 8  # kept at most between the first and the last
_LEAF = 'networks'


def first(weights: Weights) -> Networks:
  """The network of the start; () where it is too large to be kept."""
  size = sum(array.size for array in weights.values())
  return ((0, weights),) if size <= MOST_WEIGHTS else ()


def is_due(networks: Networks, seen: int) -> bool:
  """Tells whether the network after so many sequences is to be kept."""
  return bool(networks) and seen >= max(2 * networks[-1][0], 1)


def with_network(networks: Networks, seen: int, weights: Weights) -> Networks:
  """The networks and that of now; of too many every other one goes."""
  start, between = networks[:1], networks[1:]
  if len(between) == BETWEEN:
    between = between[1::2]
  return (*start, *between, (seen, weights))


def with_last(earlier: Networks, seen: int, weights: Weights) -> Networks:
  """The networks and that of the end, where any are kept.

  What is not finite is left out: a trial that has diverged has no last one.
  """
  networks = (*earlier, (seen, weights)) if earlier else ()
  finite = lambda net: all(np.isfinite(a).all() for a in net.values())
  return tuple((n, net) for n, net in networks if finite(net))


def leaves_of(networks: Networks) -> dict[str, np.ndarray]:
  """Networks as leaves of a `TrialState`."""
  return {
    f'{_LEAF}/{seen}/{path}': array
    for seen, weights in networks
    for path, array in weights.items()
  }


def taken_from(
  leaves: Mapping[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], Networks]:
  """The leaves of a `TrialState` without those of its networks, and these."""
  other_leaves: dict[str, np.ndarray] = {}
  by_count: dict[int, dict[str, np.ndarray]] = {}
  for name, array in leaves.items():
    head, *tail = name.split('/', 2)
    if head == _LEAF:
      by_count.setdefault(int(tail[0]), {})[tail[1]] = array
    else:
      other_leaves[name] = array
  return other_leaves, tuple(sorted(by_count.items()))
