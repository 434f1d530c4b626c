"""Sums of cascade-correlation over an epoch, sequence by sequence."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.learners import _judge, _steps
from lstm_jax.learners._cascade import candidate_pool
from lstm_jax.ops.arrays import add_outer, select, spread, to_dense
from lstm_jax.types import Array, Cell, Judgement, Task


class Readout(NamedTuple):
  """Weights of the output units; fields like those of the cell's params."""

  w_out: Array  # [K, C, *]
  w_out_x: Array  # [K, I, *]
  b_out: Array  # [K, *]


class Sums(NamedTuple):
  """Over the scored steps of an epoch."""

  steps: Array  # [*] number
  squared: Array  # [*] of (t - y)^2
  error: Array  # [K, *] of the residual error E
  square: Array  # [*] of E^2, all output units
  slope: Readout  # of dE/dw
  products: candidate_pool.Products


def no_sums(pool: candidate_pool.Pool, readout: Readout) -> Sums:
  """The sums before the first sequence."""
  zeros = jax.tree.map(jnp.zeros_like, readout)
  error = zeros.b_out
  products = candidate_pool.no_products(pool, len(error))
  return Sums(error[0], error[0], error, error[0], zeros, products)


def runner(
  cell: Cell, task: Task, prime_offset: float, residual: str
) -> Callable[..., tuple[Sums, Judgement]]:
  """A function that runs a sequence and adds it to the sums.

  Args:
    cell, task: the network and the task.
    prime_offset: added to the derivative of the output units.
    residual: 'error_signal' or 'difference', what candidates covary with.

  Returns:
    `(state, episode) -> (sums, judgement)`; of the state it reads the network,
    the pool, the aim and the sums.
  """
  f = activation(cell)
  mask = cell.mask._asdict()
  bias = float(mask['b'][0])

  def errors(net_k, target):
    """`(y - t, error signal)` of the output units, `[K, *]` each."""
    difference = task.output(net_k) - target
    signal = jax.grad(lambda net: jnp.sum(task.loss(net, target)))(net_k)
    return difference, signal + prime_offset * difference

  def add(sums, trace, aim, x_t, h_t, net_k, target, scored):
    difference, signal = errors(net_k, target)
    error = difference if residual == 'difference' else signal
    signal_k, slope = scored[None] * signal, sums.slope
    total = lambda values: scored * jnp.sum(values * values, axis=0)
    return Sums(
      steps=sums.steps + scored,
      squared=sums.squared + total(difference),
      error=sums.error + scored[None] * error,
      square=sums.square + total(error),
      slope=Readout(
        w_out=add_outer(slope.w_out, signal_k, h_t),
        w_out_x=add_outer(slope.w_out_x, signal_k, x_t),
        b_out=slope.b_out + signal_k * spread(mask['b_out'], signal_k),
      ),
      products=candidate_pool.gather(sums.products, trace, error, aim, scored),
    )

  def run(state, episode):
    stream, params, pool = task.stream(episode), state.params, state.pool
    lanes, dtype = stream.length.shape, params.b.dtype
    num_steps, clock = _steps.clocks(stream, task.steps_at_once)
    units = candidate_pool.unit_flags(len(params.b), state.installed, dtype)

    def body(i, c):
      carry_tm1, trace, sums, tally = c
      t = clock(i)
      active = t >= 0
      x_t = to_dense(stream.input_at(t), dtype)
      target = stream.target_at(t).astype(dtype)
      carry_t, net_k = cell.step(params, carry_tm1, x_t)
      h_t = units * carry_t._asdict()['h']
      trace = candidate_pool.advance(f, pool, trace, x_t, h_t, bias, active)
      scored = (active & stream.scored_at(t)).astype(dtype)
      sums = add(sums, trace, state.aim, x_t, h_t, net_k, target, scored)
      tally = _judge.tally_step(tally, task, stream, episode, t, net_k)
      return select(active, carry_t, carry_tm1), trace, sums, tally

    start = (
      cell.initial_carry(lanes, dtype),
      candidate_pool.no_trace(pool),
      state.sums,
      _judge.no_tally(lanes, dtype),
    )
    _, _, sums, tally = _steps.loop(task, num_steps, body, start)
    return sums, _judge.judgement_of(tally)

  return run


def activation(cell: Cell) -> Callable[[Array], Array]:
  """The squashing function of a cell's units, `[P, *] -> [P, *]`.

  It is what the first unit makes of its bias when it reads nothing else.
  """
  silent = jax.tree.map(jnp.zeros_like, cell.mask)

  def f(net):
    lanes, dtype = net.shape, net.dtype
    weights = jax.tree.map(lambda w: w.astype(dtype), silent)
    others = jnp.zeros((len(silent.b) - 1, *lanes), dtype)
    # Candidates are side by side like lanes.
    carry, _ = cell.step(
      weights._replace(b=jnp.concatenate([net[None], others])),
      cell.initial_carry(lanes, dtype),
      jnp.zeros((cell.num_inputs, *lanes), dtype),
    )
    return carry._asdict()['h'][0]

  return f
