"""Random feedback, on-line: errors come back through weights that never learn.

Murray, "Local online learning in recurrent networks with random feedback",
eLife 8, 2019.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from lstm_jax.ops.arrays import cast, to_dense

NUMBERS = {'learning_rate': 0.1}
NEEDS = {
  'internal_state': 'each unit hands its own past on, and this cell has none',
  'readout': 'the feedback takes the place of the output weights',
}


class State(NamedTuple):
  """A network in training."""

  params: lj.Params  # [..., *]
  learning_rate: jax.Array  # [*]


def rflo(cell: lj.Cell, task: lj.Task, *, feedback_seed: int = 0) -> lj.Learner:
  """Random-feedback local on-line learning: one update a sequence.

  What each unit's state owes to each weight is carried along in time through
  that unit alone; the error of the outputs reaches the units through a fixed
  random matrix B in place of the transposed output weights.

  Args:
    cell: a cell with an internal state h and output weights `w_out`.
    task: any task.
    feedback_seed: B is drawn from it, uniform in [-1, 1).
  """
  name = cell.internal.field
  units = cell.initial_carry((), np.float32)._asdict()[name].shape[0]
  random = np.random.default_rng(feedback_seed)
  feedback = random.uniform(-1, 1, (units, cell.num_outputs))

  def init(key, numbers):
    own = {n: numbers[n] for n in cell.numbers}
    return State(cell.init(key, own), jnp.asarray(numbers['learning_rate']))

  def learned(params, learning_rate, episode):
    """The params of one network after a sequence."""
    stream = task.stream(episode)
    dtype = params.w_out.dtype

    def body(t, held):
      total, owed, carry_tm1 = held
      x_t = to_dense(cast(stream.input_at(t), dtype))
      state_of = lambda params, h: getattr(
        cell.step(params, carry_tm1._replace(**{name: h}), x_t)[0], name
      )
      h = getattr(carry_tm1, name)
      kept = jax.jvp(lambda h: state_of(params, h), (h,), (jnp.ones_like(h),))[
        1
      ]
      new = jax.jacrev(state_of)(params, h)
      owed = jax.tree.map(
        lambda p, n: kept.reshape(-1, *[1] * (p.ndim - 1)) * p + n, owed, new
      )
      (carry_t, net), back = jax.vjp(
        lambda params: cell.step(params, carry_tm1, x_t), params
      )
      target = stream.target_at(t).astype(dtype)
      error = jax.grad(lambda net: jnp.sum(task.loss(net, target)))(net)
      error = error * stream.scored_at(t)
      (readout,) = back((jax.tree.map(jnp.zeros_like, carry_t), error))
      at_units = jnp.asarray(feedback, dtype) @ error
      moved = jax.tree.map(lambda p: jnp.tensordot(at_units, p, 1), owed)
      moved = moved._replace(w_out=readout.w_out, b_out=readout.b_out)
      return jax.tree.map(jnp.add, total, moved), owed, carry_t

    carry = cell.initial_carry((), dtype)
    zeros = jax.tree.map(jnp.zeros_like, params)
    owed = jax.tree.map(lambda w: jnp.zeros((units, *w.shape), dtype), params)
    total, _, _ = jax.lax.fori_loop(
      0, stream.length, body, (zeros, owed, carry)
    )
    return jax.tree.map(
      lambda w, g, exists: w - learning_rate * g * exists,
      params,
      total,
      cell.mask,
    )

  def judge(params, episode):
    return lj.judge_forward(cell, task, params, episode)

  def update(state, episode):
    of_lanes = learned
    for _ in state.learning_rate.shape:  # networks side by side, lanes last
      of_lanes = jax.vmap(of_lanes, in_axes=-1, out_axes=-1)
    params = of_lanes(state.params, state.learning_rate, episode)
    return state._replace(params=params), judge(state.params, episode)

  return lj.Learner(init, update, judge)
