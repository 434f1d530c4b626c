"""Compiled steps where every step may have an error (`nn.native.truncated`).

The network takes a block of steps in C++; their errors, side by side, are those
of the batched form, so that any task's loss will do; the traces and the sums
over steps are C++ again. Memory does not grow with the sequence.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.learners import _judge, _steps
from lstm_jax.learners._truncated import carousel
from lstm_jax.learners._truncated.packing import INPUTS_A_BLOCK, Packing
from lstm_jax.nn.native import truncated
from lstm_jax.ops import step
from lstm_jax.ops.arrays import settle, to_dense
from lstm_jax.types import Array, Cell, Episode, Judgement, Params, Task

# Steps of a block: one is as many as a string of symbols has.
_BLOCK = INPUTS_A_BLOCK
# Lanes whose errors are computed side by side.
_LANES = 16


class Sums(NamedTuple):
  """The gradient so far, and what carries it from block to block; L lanes.

  Attributes:
    state: before the next step.
    past: of errors that came by the traces, a row for each of these.
    now: of errors of a step's own net inputs.
    outputs: of the output units, their bias first.
    tally: of the outputs.
  """

  state: truncated.State
  past: Array  # [kinds C, S, L]
  now: Array  # [U, S, L]
  outputs: Array  # [K, 1 + S_k, L]
  tally: _judge.Tally


def compiled_gradient(
  cell: Cell, task: Task, params: Params, episode: Episode
) -> tuple[Params, Judgement]:
  """The gradient of one sequence, the sum over its scored steps.

  Args:
    cell, task, params, episode: as in `compiled.compiled_gradient`.

  Returns:
    As `streaming_gradient`.
  """
  stream, (equations, internal) = task.stream(episode), carousel.parts_of(cell)
  lanes, rule = stream.length.shape, internal.compiled
  assert rule is not None
  packing, weights = (
    Packing(cell, lanes),
    step.hidden_weights(equations, params),
  )
  output_weights = step.output_weights(equations, params)
  dtype, w = weights[1].dtype, packing.weights(weights)
  num_steps, clock = _steps.clocks(stream)
  begin = packing.flatten(num_steps - stream.length)
  errors_of = _errors(cell, task, packing, output_weights, num_steps)

  def input_at(i):
    return to_dense(stream.input_at(clock(i)), dtype)

  def block(b, c):
    sums, xs = c
    first = b * _BLOCK
    count = jnp.minimum(num_steps - first, _BLOCK)
    xs = packing.draw_inputs(input_at, first, count, xs)
    s, y, kept = truncated.kept_steps(
      rule, packing.heard, w, xs, begin, first, count, *sums.state[:2]
    )
    t = jax.vmap(clock)(first + jnp.arange(_BLOCK))
    scored = jax.vmap(functools.partial(_judge.is_scored, stream))(t)
    targets = jax.vmap(stream.target_at)(t).astype(dtype)
    e = errors_of(kept, xs, packing.steps_last(targets), scored.astype(dtype))
    nets = jnp.moveaxis(packing.unflatten(e.net_k), 1, 0)

    def tally_step(k, tally):
      return _judge.tally_step(tally, task, stream, episode, t[k], nets[k])

    ones = jnp.ones_like(xs[:1])
    z = jnp.concatenate([ones, xs, kept.y[len(y) - packing.heard :]])
    traces, past = truncated.add_trace_errors(
      count, e.e_s, kept, z, sums.state.traces, sums.past
    )
    add = functools.partial(truncated.add_products, count)
    return Sums(
      truncated.State(s, y, traces),
      past,
      add(e.e_net, z, sums.now),
      add(e.e_k, jnp.concatenate([ones, *e.z_k]), sums.outputs),
      jax.lax.fori_loop(0, count, tally_step, sums.tally),
    ), xs

  state = packing.start(cell.initial_carry(lanes, dtype))
  sizes = [part.shape[1] for part in output_weights[0]]
  num_lanes = w.shape[-1]
  start = Sums(
    state,
    state.traces,
    jnp.zeros_like(w),
    jnp.zeros((cell.num_outputs, 1 + sum(sizes), num_lanes), dtype),
    _judge.no_tally(lanes, dtype),
  )
  xs = jnp.zeros((cell.num_inputs, _BLOCK, num_lanes), dtype)
  sums, _ = jax.lax.fori_loop(0, -(-num_steps // _BLOCK), block, (start, xs))
  hidden = packing.hidden(sums.now)
  for kind, (per_source, bias) in packing.traces(sums.past).items():
    *of_units, bias = (
      carousel.to_units(internal, kind, part, len(weights[1]))
      for part in (*per_source, bias)
    )
    hidden = carousel.plus(hidden, (tuple(of_units), bias))
  outputs = packing.unflatten(sums.outputs)
  ends = [sum(sizes[:n]) for n in range(1, len(sizes))]
  by_source = tuple(jnp.split(outputs[:, 1:], ends, axis=1))
  grads = step.gather(equations, params, hidden, (by_source, outputs[:, 0]))
  return grads, _judge.judgement_of(sums.tally)


def _errors(cell, task, packing, output_weights, num_steps):
  """`(kept, xs, targets [K, N, L], scored [N, *]) -> Errors` of a block.

  Its arrays are `[rows, N, L]`. Groups of so many lanes each, filled up, take
  turns: what the compiler makes of them, and with it the last bit, does not
  depend on how many lanes there are.
  """
  dtype = output_weights[1].dtype
  num_lanes = math.prod(packing.lanes)
  num_groups = -(-num_lanes // _LANES)
  carry_0 = cell.initial_carry((_LANES,), dtype)
  narrow = Packing(cell, (_LANES,))

  def grouped(array):
    """`[..., L]` as `[groups, ..., _LANES]`."""
    more = num_groups * _LANES - num_lanes
    array = jnp.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, more)])
    array = array.reshape(*array.shape[:-1], num_groups, _LANES)
    return jnp.moveaxis(array, -2, 0)

  def joined(array):
    array = jnp.moveaxis(array, 0, -2)
    return array.reshape(*array.shape[:-2], num_groups * _LANES)[
      ..., :num_lanes
    ]

  weights = jax.tree.map(lambda a: grouped(packing.flatten(a)), output_weights)

  def errors(kept, xs, targets, scored):
    arrays = jax.tree.map(
      grouped,
      (kept.nets, kept.s, kept.y, xs, targets, packing.flatten(scored)[None]),
    )

    def of_group(g):
      own = jax.tree.map(lambda a: a[g], (weights, arrays))
      # Stored: where they lie among those of other groups is not compiled in.
      of_outputs, given = settle(own, num_steps > 0)

      def score(net, s, y, x_t, target, scored):
        carry = narrow.carry(carry_0, truncated.State(s, y, s))
        return carousel.errors(
          cell, task, of_outputs, carry, net, x_t, target, scored[0]
        )

      return jax.vmap(score, in_axes=1, out_axes=1)(*given)

    like = jax.eval_shape(of_group, 0)
    start = jax.tree.map(
      lambda a: jnp.zeros((num_groups, *a.shape), a.dtype), like
    )

    def body(g, all_errors):
      return jax.tree.map(
        lambda a, new: jax.lax.dynamic_update_index_in_dim(a, new, g, 0),
        all_errors,
        of_group(g),
      )

    # The compiler does not know the number of turns, and keeps the loop.
    count = jnp.where(num_steps > 0, num_groups, 0)
    return jax.tree.map(joined, jax.lax.fori_loop(0, count, body, start))

  return errors
