"""Numbers that checks hold against each other: in float64, small and random."""

import re
from collections.abc import Callable, Iterable
from types import EllipsisType

import jax
import numpy as np
from jax.typing import DTypeLike

from lstm_jax.testing.broken import Broken, leaves
from lstm_jax.types import Cell, Params

TOLERANCE = 1e-12  # of sums in another order, in float64


def weights_of(
  cell: Cell, lanes: tuple[int, ...] = (), size: float = 0.1, seed: int = 0
) -> Params:
  """Random weights where the mask has one, lanes last."""
  random = np.random.default_rng(seed)

  def draw(exists):
    w = random.uniform(-size, size, (*exists.shape, *lanes))
    return w * exists.reshape(*exists.shape, *(1,) * len(lanes))

  return jax.tree.map(draw, cell.mask)


def lane(tree: object, *index: int) -> object:
  """One lane of a tree whose arrays have lanes last, by an index an axis."""
  place: tuple[EllipsisType | int, ...] = (..., *index)
  return jax.tree.map(lambda a: np.asarray(a)[place], tree)


def structs(tree: object, lanes: tuple[int, ...], dtype: DTypeLike) -> object:
  """Shapes and dtypes of a tree's arrays with lanes after their axes."""
  return jax.tree.map(
    lambda a: jax.ShapeDtypeStruct((*np.shape(a), *lanes), dtype), tree
  )


def require_same(
  sentence: str, tree: object, other: object, tolerance: float = TOLERANCE
) -> None:
  """Raises `Broken` unless two trees hold the same numbers.

  Args:
    sentence: the one that is wrong then; the place of the largest difference
      follows it.
    tree, other: the trees, of one structure.
    tolerance: absolute and relative, 0 for the same bits.
  """
  pairs = list(zip(leaves(tree), leaves(other), strict=True))
  for (at, a), (_, b) in pairs:
    a, b = (np.asarray(x, np.float64) for x in (a, b))
    if a.shape != b.shape:
      raise Broken(
        f'{sentence}: {at or "it"} is {list(a.shape)} and {list(b.shape)}'
      )
    differs = ~np.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
    if differs.any():
      place = tuple(np.argwhere(differs)[0])
      words = '' if not place else f' at {list(map(int, place))}'
      raise Broken(
        f'{sentence}: {at.lstrip(".") or "it"}{words} is {a[place]:.6g} and '
        f'{b[place]:.6g}'
      )


def require_slope(
  sentence: str,
  by_grad: np.ndarray,
  by_differences: np.ndarray,
  tolerance: float,
) -> None:
  """Raises `Broken` unless derivatives are slopes.

  Args:
    sentence: the sentence that is wrong then.
    by_grad: derivatives in a direction, a lane each.
    by_differences: slopes in that direction, by finite differences.
    tolerance: absolute; the relative one is 1e-5.
  """
  if not np.allclose(by_grad, by_differences, rtol=1e-5, atol=tolerance):
    raise Broken(
      f'{sentence}: {by_grad[0]:.6g} by jax.grad, {by_differences[0]:.6g} by '
      'finite differences'
    )


def require_pure(
  name: str, function: Callable[..., object], *args: object
) -> None:
  """Raises `Broken` unless a function traced twice is one program.

  Whatever it keeps between calls, or draws by itself, stands in its program.

  Args:
    name: the function, for the message.
    function: of arrays.
    *args: arrays.
  """
  texts = []
  for _ in range(2):
    # Another function each time: JAX remembers what it has traced.
    program = jax.make_jaxpr(lambda *given: function(*given))(*args)
    constants = [np.asarray(c).tobytes() for c in program.consts]
    texts.append((re.sub('0x[0-9a-f]+', '', str(program)), constants))
  if texts[0] != texts[1]:
    raise Broken(f'{name} is not pure: called twice it is another function')


def require_finite(name: str, tree: object) -> None:
  """Raises `Broken` unless all numbers of a tree are finite."""
  for at, leaf in leaves(tree):
    is_bad = ~np.isfinite(np.asarray(leaf, np.float64))
    if is_bad.any():
      raise Broken(
        f'{name}: {at.lstrip(".") or "it"} has {int(is_bad.sum()):,} of '
        f'{is_bad.size:,} that are no finite numbers'
      )


def key_of(seed: int) -> jax.Array:
  """A key of the generator that is cheap to compile."""
  return jax.random.key(seed, impl='unsafe_rbg')


def arrays(tree: object) -> Iterable[np.ndarray]:
  """The arrays of a tree, of numpy."""
  return map(np.asarray, jax.tree.leaves(tree))
