"""Masks for dropout and zoneout in a layer: drawn once, given as data.

Because a mask is an argument, a run stays a pure function, maps over models and
seeds, and can be repeated to the bit; without masks it is the network in use.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from lstm_jax.nn.equations import equations_of, output_size, state_of
from lstm_jax.ops.step import recurrent_input
from lstm_jax.types import Array, Cell


class Noise(NamedTuple):
  """Masks of a run, drawn once and given as data; None: none.

  They get no cotangents.

  Attributes:
    inputs: `[I]` or `[B, I]`, factors on the inputs, the same at every step.
    heard: `[S]` or `[B, S]`, factors on what the recurrent weights multiply,
      the same at every step (Gal & Ghahramani 2016).
    keep: `[T, C]` or `[T, B, C]`, also with T = 1: the share of each unit's old
      state that it keeps, 1 or 0 in training and the probability in use
      (zoneout, Krueger et al. 2017). C is the size of a field of the state.
  """

  inputs: Array | None = None
  heard: Array | None = None
  keep: Array | None = None


def draw_noise(
  key: Array,
  cell: Cell,
  num_steps: int,
  batch: int | None = None,
  *,
  inputs: float = 0.0,
  heard: float = 0.0,
  zoneout: float = 0.0,
  dtype: DTypeLike = jnp.float32,
) -> Noise:
  """Masks for one run in training.

  Args:
    key: one key.
    cell: the cell.
    num_steps: T.
    batch: B, each sequence with masks of its own; None: one sequence.
    inputs: probability that an input line is dropped for the whole sequence;
      those left are divided by one minus that.
    heard: the same for what the recurrent weights multiply: variational dropout
      (Gal & Ghahramani, "A theoretically grounded application of dropout in
      recurrent neural networks", NeurIPS 2016). Internal states are left alone.
    zoneout: probability that a unit keeps its old state in a step, drawn for
      every step (Krueger et al., "Zoneout", ICLR 2017), one mask for all
      fields of the state.
    dtype: of the masks.

  Returns:
    The `Noise`, None where the probability is 0.

  Raises:
    ValueError: a probability outside [0, 1); `heard` of a cell without
      `Equations`.

  Example:
    >>> import jax, lstm_jax as lj
    >>> cell = lj.lstm(3, 0, hidden=8)
    >>> noise = lj.draw_noise(jax.random.key(0), cell, 5, batch=2, heard=0.5)
    >>> noise.heard.shape, noise.inputs, noise.keep
    ((2, 8), None, None)
  """
  for name, value in (
    ('inputs', inputs),
    ('heard', heard),
    ('zoneout', zoneout),
  ):
    if not 0 <= value < 1:
      raise ValueError(f'{name}={value} must be at least 0 and below 1')
  lanes = () if batch is None else (batch,)
  keys = jax.random.split(key, 3)
  if heard and not equations_of(cell).products:
    raise ValueError(f'heard={heard}: the cell has no Equations that hear it')
  size = output_size(cell)

  def factors(key, rate, size):
    if not rate:
      return None
    is_kept = jax.random.bernoulli(key, 1 - rate, (*lanes, size))
    return is_kept.astype(dtype) / (1 - rate)

  return Noise(
    factors(keys[0], inputs, cell.num_inputs),
    factors(keys[1], heard, heard and _recurrent_size(cell)),
    jax.random.bernoulli(keys[2], zoneout, (num_steps, *lanes, size)).astype(
      dtype
    )
    if zoneout
    else None,
  )


def expected_noise(
  cell: Cell, *, zoneout: float, dtype: DTypeLike = jnp.float32
) -> Noise:
  """Returns what replaces drawn masks when the network is used.

  Dropout needs nothing (its masks have mean 1); with zoneout every unit keeps
  the expected share of its old state.

  Args:
    cell: the cell.
    zoneout: as of `draw_noise`.
    dtype: of the mask.

  Returns:
    A `Noise` with `keep` `[1, C]`.

  Raises:
    ValueError: a probability outside [0, 1).

  Example:
    >>> import lstm_jax as lj
    >>> cell = lj.lstm(3, 0, hidden=8)
    >>> lj.expected_noise(cell, zoneout=0.1).keep.shape
    (1, 8)
  """
  if not 0 <= zoneout < 1:
    raise ValueError(f'zoneout={zoneout} must be at least 0 and below 1')
  return Noise(keep=jnp.full((1, output_size(cell)), zoneout, dtype))


def _recurrent_size(cell):
  """S, sources that the recurrent weights multiply."""
  input_of = lambda carry: recurrent_input(equations_of(cell), carry)
  return jax.eval_shape(input_of, state_of(cell)).shape[0]
