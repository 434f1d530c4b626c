"""The base of adding and multiplication: pairs (value, marker), two marked.

The readings of the paper's text that are fixed here stand in the docstring of
`adding`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from lstm_jax.ops.prng import KeyData, integer_at
from lstm_jax.types import Array, Drawn, Stream

# Positions of the sequence's random numbers. The value of step t is at t;
# these lie past every t.
_EARLY_PAIRS = 10  # pairs of which one has the first mark
_LENGTH, _FIRST, _SECOND = np.uint32(2**31) + np.arange(3, dtype=np.uint32)


class Episode(NamedTuple):
  """The facts of one sequence; positions count from 0."""

  key: KeyData  # [*] words, what the values are drawn from
  length: Array  # [*] int32, steps
  first: Array  # [*] int32, position of the first mark (X1)
  second: Array  # [*] int32, position of the second mark (X2)
  target: Array  # [*] float32, of the last step


def draw(
  key: KeyData,
  length: ArrayLike,
  value_at: Callable[[KeyData, Array], Array],
  at_start: float,
  combine: Callable[[Array, Array], Array],
  both_early: bool = False,
) -> Episode:
  """A sequence of minimal length `length`.

  Args:
    key: two words `[*]`.
    length: `[*]` integers, T.
    value_at: `(key, t [*]) -> [*]`, the value drawn for step t.
    at_start: value of the first pair where it is marked.
    combine: `(x1, x2) -> target`, all `[*]`.
    both_early: whether the second mark lies among the first ten pairs too. The
      sequence is then so much longer that no lag is below T.

  Returns:
    The `Episode`.
  """
  length = jnp.asarray(length).astype(jnp.int32)
  half = length // 2
  num_early = jnp.minimum(half, _EARLY_PAIRS)
  first = integer_at(key, _FIRST, 0, num_early)
  unmarked = integer_at(
    key, _SECOND, 0, (num_early if both_early else half) - 1
  )
  second = unmarked + (unmarked >= first)
  x1, x2 = (
    jnp.where(position == 0, at_start, value_at(key, position))
    for position in (first, second)
  )
  return Episode(
    key=key,
    length=integer_at(key, _LENGTH, length, length + length // 10 + 1)
    + (num_early if both_early else 0),
    first=first,
    second=second,
    target=combine(x1, x2),
  )


def stream(
  episode: Episode,
  value_at: Callable[[KeyData, Array], Array],
  at_start: float | None,
  scale: float,
  shift: float,
) -> Stream:
  """The sequence of an `Episode`, inputs `[2, *]`.

  Args:
    episode: the episode.
    value_at: as in `draw`.
    at_start: what the input has for the value of the first pair where it is
      marked; None: the value that was drawn.
    scale, shift: of a uniform number, which make a value of it.

  Returns:
    The `Stream`; one output, scored at the last step.
  """
  last = episode.length - 1
  start, marker = 0 * last, 0 * last + 1
  events = [(start, marker, -1.0), (last, marker, -1.0)]
  events += [(episode.first, marker, 1.0), (episode.second, marker, 1.0)]
  if at_start is not None:
    at_once = (episode.first == 0) | (episode.second == 0)
    events.append((jnp.where(at_once, 0, -1), start, at_start))

  def input_at(t):
    is_marked = (t == episode.first) | (t == episode.second)
    value = value_at(episode.key, t)
    if at_start is not None:
      value = jnp.where(is_marked & (t == 0), at_start, value)
    edge = jnp.where((t == 0) | (t == last), np.float32(-1), np.float32(0))
    marker = jnp.where(is_marked, 1, edge)
    # A sum of padded rows: a select by row would draw the value in both rows
    # (measured: 5-6 ns a lane-step against 3).
    other_axes = ((0, 0),) * value.ndim
    return jnp.pad(value[None], ((0, 1), *other_axes)) + jnp.pad(
      marker[None], ((1, 0), *other_axes)
    )

  return Stream(
    length=episode.length,
    input_at=input_at,
    target_at=lambda t: episode.target[None],
    scored_at=lambda t: t == last,
    drawn=Drawn(episode.key, tuple(events), scale, shift),
  )


def longest(
  length: int, shortest: int, name: str, both_early: bool = False
) -> int:
  """Steps of the longest sequence for a length T; refuses those too short."""
  if length < shortest:
    raise ValueError(f'length={length} must be at least {shortest} for {name}')
  num_more = min(length // 2, _EARLY_PAIRS) if both_early else 0
  return length + length // 10 + num_more
