"""Derives from a cell's equations its step, its parts, its products.

A cell says its net inputs, its advance and its readout once, as `Equations`.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.arrays import affine, spread
from lstm_jax.ops.unroll import detach
from lstm_jax.types import Array, Carry, Cell, Equations, Params, Source

# Points at which it is tried what moves what.
_POINTS = 16
# Weights of some units for each of their sources, and their biases.
Weights = tuple[tuple[Array, ...], Array]


class Matrices(NamedTuple):
  """Weights of the hidden layer, as a layer multiplies them.

  Attributes:
    w_x: `[R, I]`.
    b: `[R]`, zeros where there is no bias.
    w_h: `[Q, S]`, all connections side by side.
    extra: of `Equations.extra`.
  """

  w_x: Array
  b: Array
  w_h: Array
  extra: tuple[Array, ...]


def net_input(weights: Weights, sources: Sequence[Source]) -> Array:
  """`sum_i W_i z_i + b` `[U, *]` of `Weights` and sources `[S_i, *]`."""
  w, b = weights
  net = _sum_of_products(w, sources)
  return net + spread(b, net)


def _sum_of_products(weights, sources):
  return sum(map(affine, weights, sources))


# The parts that learning rules look at.


def hidden_weights(equations: Equations, params: Params) -> Weights:
  """`(tuple of [U, S_i, *], bias [U, *])`, those of the input lines first."""
  arrays = params._asdict()
  w = (arrays[c.weights][: c.rows] for c in equations.recurrent)
  bias = arrays['b'] if equations.bias else jnp.zeros_like(arrays['w_x'][:, 0])
  return (arrays['w_x'], *w), bias


def hidden_sources(
  equations: Equations, carry_tm1: Carry, x_t: Source
) -> tuple[Source, ...]:
  """Lists what hidden weights multiply, tuple of `[S_i, *]`, `x_t` first."""
  z = (getattr(carry_tm1, c.activations) for c in equations.recurrent)
  return x_t, *z


def output_weights(equations: Equations, params: Params) -> Weights:
  """`(tuple of [K, S_i, *], bias [K, *])` of the output units."""
  arrays = params._asdict()
  return tuple(arrays[name] for name in equations.readout), arrays['b_out']


def output_sources(
  equations: Equations, carry_t: Carry, x_t: Source
) -> tuple[Source, ...]:
  """Lists what weights of output units multiply, tuple of `[S_i, *]`."""
  y_t = getattr(carry_t, equations.output)
  return tuple(x_t if n.endswith('_x') else y_t for n in equations.readout)


def gather(
  equations: Equations, params: Params, hidden: Weights, output: Weights
) -> Params:
  """Arrays like those that were taken, back in their places in the params.

  Args:
    equations: of the cell.
    params: like those to be made.
    hidden: `(tuple of [U, S_i, *], bias [U, *])`, as from `hidden_weights`.
    output: `(tuple of [K, S_i, *], bias [K, *])`, as from `output_weights`.

  Returns:
    The params; zeros for all that neither has.
  """
  (w, b), (w_out, b_out) = hidden, output
  names = 'w_x', *(c.weights for c in equations.recurrent), *equations.readout
  arrays = dict(zip(names, (*w, *w_out), strict=True), b=b, b_out=b_out)
  return jax.tree.map(jnp.zeros_like, params)._replace(**arrays)


def advance(equations: Equations, carry_tm1: Carry, net: Array) -> Carry:
  """The carry after a step of a cell with an internal state, by `net`."""
  return equations.advance((), carry_tm1, net)[0]


# The step.


def step_of(
  equations: Equations, num_outputs: int
) -> Callable[[Params, Carry, Source], tuple[Carry, Array]]:
  """`Cell.step`: `(params, carry_tm1, x_t) -> (carry_t, net_k)`."""

  def step(params, carry_tm1, x_t):
    carry_t, _, nets = _advanced(equations, params, carry_tm1, x_t)
    if not equations.readout:
      return carry_t, nets[0][:num_outputs]
    z_k = output_sources(equations, carry_t, x_t)
    return carry_t, net_input(output_weights(equations, params), z_k)

  return step


def gates_of(
  equations: Equations, params: Params, carry_tm1: Carry, x_t: Source
) -> dict[str, Array]:
  """The activations inside a step of a cell, name -> `[n, *]`."""
  return _advanced(equations, params, carry_tm1, x_t)[1]


def _advanced(equations, params, carry_tm1, x_t, cut=()):
  """`(carry_t, gates, net inputs)`; fields in `cut` are constant sources."""
  w, b = hidden_weights(equations, params)
  z = hidden_sources(equations, detach(carry_tm1, cut), x_t)
  if equations.separate_nets:
    nets = [net_input((w[:1], b), z[:1]), _sum_of_products(w[1:], z[1:])]
  else:
    nets = [net_input((w, b), z)]
  carry_t, gates = equations.advance(equations.extra(params), carry_tm1, *nets)
  return carry_t, gates, nets


# The step of rules that follow each unit through its own state alone.


def local_step_of(
  equations: Equations, feedback: Array | None = None
) -> Callable[[Params, Carry, Source], tuple[Carry, Array]]:
  """`step_of` with another derivative: what units send each other is constant.

  Args:
    equations: of a cell with output units outside the recurrent layer.
    feedback: `[K, C, *]`, what an error of the output units comes back to y(t)
      by; None: the weights that y(t) is read by.

  Returns:
    The step; its values are those of `step_of`.
  """
  cut = _sent(equations)

  def step(params, carry_tm1, x_t):
    carry_t, _, _ = _advanced(equations, params, carry_tm1, x_t, cut)
    weights = output_weights(equations, params)
    if feedback is None:
      z_k = output_sources(equations, carry_t, x_t)
      return carry_t, net_input(weights, z_k)
    y_t = getattr(carry_t, equations.output)
    constant = detach(carry_t, (equations.output,))
    net_k = net_input(weights, output_sources(equations, constant, x_t))
    back = affine(feedback, y_t)
    # Adds 0, whose derivative is the feedback.
    return carry_t, net_k + (back - jax.lax.stop_gradient(back))

  return step


@functools.lru_cache(maxsize=64)
def local_fields(cell: Cell) -> tuple[str, ...] | None:
  """Names the carry fields by which units go on at constant sources.

  s_c of a memory cell; none where a unit keeps no more than it sends.

  Returns:
    The names; None where an entry of them acts on others than itself, or the
    cell has no equations.
  """
  if cell.equations is None or not cell.equations.products:
    return None
  carry = cell.initial_carry((), np.float32)
  ends = np.cumsum([len(field) for field in carry])
  field_of = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
  # Also where a learner is made while something else is traced.
  with jax.ensure_compile_time_eval():
    moves = np.any(np.asarray(_moves(cell, 0)) != 0, axis=1)
  sources = np.unique(field_of[moves.any(axis=0)])
  kept = np.isin(field_of, sources)
  among = moves[np.ix_(kept, kept)]
  if np.any(among & ~np.eye(len(among), dtype=bool)):
    return None
  return tuple(carry._fields[i] for i in sources)


@functools.lru_cache(maxsize=64)
def constant_leak(cell: Cell) -> float | None:
  """The factor by which all that units keep decays, if it is constant.

  1 - a for h(t) = (1 - a) h(t-1) + a f(net(t)).

  Returns:
    The factor; None where units send something else than what they keep, or
    the factor depends on anything.
  """
  if local_fields(cell) is None:
    return None
  assert cell.equations is not None
  if cell.initial_carry()._fields != (cell.equations.output,):
    return None
  with jax.ensure_compile_time_eval():
    moves = np.stack([_moves(cell, seed) for seed in range(2)])
  factors = np.diagonal(moves, axis1=1, axis2=3)
  is_constant = np.ptp(factors) < 1e-6
  return float(np.mean(factors)) if is_constant else None


@functools.partial(jax.jit, static_argnums=(0, 1))
def _moves(cell, seed):
  """D `[n, _POINTS, n]` at constant sources, each column at its own points.

  Several, as a rectified unit that is at 0 moves nothing.
  """
  equations, rng = cell.equations, np.random.default_rng(seed)
  carry = cell.initial_carry((), np.float32)
  ends = np.cumsum([len(field) for field in carry])
  pack = lambda carry: jnp.concatenate(tuple(carry))
  unpack = lambda s: type(carry)(*jnp.split(s, ends[:-1]))
  draw = lambda *shape: np.asarray(rng.normal(size=shape), np.float32)
  n = int(ends[-1])
  params = jax.tree.map(lambda m: draw(*m.shape), cell.mask)
  x_t = draw(cell.num_inputs, _POINTS * n)
  cut = _sent(equations)

  def advance(s):
    return pack(_advanced(equations, params, unpack(s), x_t, cut)[0])

  each = np.tile(np.eye(n, dtype=np.float32), _POINTS)
  return jax.jvp(advance, (draw(n, _POINTS * n),), (each,))[1].reshape(
    n, _POINTS, n
  )


def _sent(equations):
  """Names the carry fields that units hear each other by."""
  return tuple({connection.activations for connection in equations.recurrent})


# The products of a layer.


def matrices(equations: Equations, params: Params) -> Matrices:
  """The weights of the hidden layer, without lanes."""
  (w_x, *w), b = hidden_weights(equations, params)
  w_h = jnp.concatenate(w, axis=1) if w else w_x[:, :0]
  return Matrices(w_x, b, w_h, equations.extra(params))


def recurrent_input(equations: Equations, carry: Carry) -> Array:
  """Returns what `Matrices.w_h` multiplies, `[S, *]`."""
  z = [getattr(carry, c.activations) for c in equations.recurrent]
  return jnp.concatenate(z) if z else getattr(carry, equations.output)[:0]
