"""Few settings in which all learners meet all cells and all tasks they can."""

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np

from lstm_jax.lab.plan import catalog, flags, plan, values
from lstm_jax.lab.run import builds
from lstm_jax.lab.store.setting import Setting

# Programs, of each target: a compilation takes seconds.
MOST = 30
# Numbers that one trial may keep: 256 side by side then take 1 GB. More have
# `kf` on networks of over 1000 weights, of which it keeps the square; with the
# 120 outputs of S5 its compilation and run also take minutes and 9 GB.
MOST_NUMBERS = 2**20
# (learner, cell, task)
Triple = tuple[str, str, str]


def setting_of(triple: Triple) -> Setting | None:
  """The setting of a learner, a cell and a task; None where it is refused."""
  learner, cell, task = triple
  words = f'--learner={learner} --cell={cell} --task={task} --seeds=1'
  try:
    return plan.expand(flags.parse(['sweep', *words.split()])).trials[0]
  except values.Refused:
    return None


def possible() -> dict[Triple, Setting]:
  """All that the catalog can put together, of trials on-line."""
  settings = {
    (learner, cell, task): setting_of((learner, cell, task))
    for learner in catalog.names('learners')
    for cell in catalog.names('cells')
    for task in catalog.names('tasks')
  }
  return {key: of for key, of in settings.items() if of is not None}


def pairs_of(triple: Triple) -> frozenset[tuple[str, str]]:
  """The pairs that a triple covers: its learner with its cell, its task."""
  learner, cell, task = triple
  return frozenset(((learner, f'cell {cell}'), (learner, f'task {task}')))


def can_be_built(setting: Setting) -> bool:
  """Tells whether its program can be built: a network may be too large."""
  import jax

  try:
    build = builds.build(setting)
  except ValueError:
    return False
  zero = np.zeros((1,), np.uint32)
  numbers = {
    name: np.zeros((*value.shape, 1), np.float32)
    for name, value in build.numbers.items()
  }
  trial = jax.eval_shape(
    build.program.start, (zero, zero), numbers, *[zero.astype(np.int32)] * 2
  )
  return sum(leaf.size for leaf in jax.tree.leaves(trial)) <= MOST_NUMBERS


def covering(
  triples: Iterable[Triple],
  most: int = MOST,
  is_possible: Callable[[Triple], bool] = lambda triple: True,
) -> list[Triple]:
  """Chooses triples, greedily, that cover all pairs that any of them has.

  First come those that show an entry of the catalog for the first time, then
  learners by turns.

  Args:
    triples: to choose from.
    most: no more than so many.
    is_possible: asked of those that would be chosen alone.
  """
  triples = set(triples)
  chosen: list[Triple] = []
  names: set[tuple[int, str]] = set()
  pairs: set[tuple[str, str]] = set()
  turns: Counter[str] = Counter()
  while len(chosen) < most:
    news = {
      triple: (
        len({*enumerate(triple)} - names),
        -turns[triple[0]],
        len(pairs_of(triple) - pairs),
      )
      for triple in triples
      if pairs_of(triple) - pairs  # a new name is in a new pair
    }
    best = max(sorted(news), key=news.__getitem__, default=None)
    if best is None:
      break
    if not is_possible(best):
      triples.remove(best)
      continue
    chosen.append(best)
    names |= {*enumerate(best)}
    pairs |= pairs_of(best)
    turns[best[0]] += 1
  return chosen
