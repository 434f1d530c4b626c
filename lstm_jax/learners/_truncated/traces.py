"""The streaming form of the truncated rule: traces ds_c/dw carried forward."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from lstm_jax.learners import _descend, _judge, _steps
from lstm_jax.learners._truncated import carousel
from lstm_jax.ops import step
from lstm_jax.ops.arrays import cast, select
from lstm_jax.types import (
  Array,
  Carry,
  Cell,
  Episode,
  Judgement,
  OneHot,
  Params,
  Source,
  Task,
)

# Of the hidden layer and of the output units, as `step.gather` takes it.
Gradient = tuple[step.Weights, step.Weights]
# What an error adds: by the traces, to the hidden layer, to the output units.
Parts = tuple[carousel.Part, carousel.Part, carousel.Part]


class Loop(NamedTuple):
  """The carry of the loop over time."""

  carry_tm1: Carry  # the cell's carry
  net: Array  # [U, *] net inputs of this step, already computed
  z: tuple[Source, ...]  # [S_i, *] the sources of this step, its input first
  x_tp1: Source  # [I, *] the input of the next step
  # kind -> ([C, S_i, *] for each source, [C, *] for the bias)
  traces: dict[str, step.Weights]


class Machine(NamedTuple):
  """The loop of one episode, its weights given at each call.

  Attributes:
    num_steps: iterations.
    clock: `i -> t [*]`, negative before a lane has started.
    start: `params -> Loop` before the first step.
    step: `(i, params, loop) -> Loop`, one step of the network and its traces.
    errors: `(i, params, loop, weight) -> (Errors, parts)` of the step to come.
    add: `(total, errors, parts, loop, in_place) -> total` with dE/dw of that
      step's error added; `total` is `(hidden, output)`, as `step.gather` takes
      it; `in_place` as in `_carousel.plus_columns`.
  """

  num_steps: Array
  clock: Callable[[ArrayLike], Array]
  start: Callable[[Params], Loop]
  step: Callable[[ArrayLike, Params, Loop], Loop]
  errors: Callable[..., tuple[carousel.Errors, Parts]]
  add: Callable[..., Gradient]


def machine(
  cell: Cell, task: Task, episode: Episode, dtype: DTypeLike
) -> Machine:
  """The streaming loop of a cell on one episode a lane."""
  stream, (equations, internal) = task.stream(episode), carousel.parts_of(cell)
  lanes = stream.length.shape
  num_steps, clock = _steps.clocks(
    stream, task.steps_at_once, -task.error_at_end
  )
  input_at = lambda i: cast(stream.input_at(clock(i)), dtype)

  def start(params):
    weights = step.hidden_weights(equations, params)
    carry = cell.initial_carry(lanes, dtype)
    z = step.hidden_sources(equations, carry, input_at(0))
    cells = getattr(carry, internal.field)
    traces = {
      kind: (
        tuple(
          jnp.zeros((len(cells), *w.shape[1:2], *lanes), dtype)
          for w in weights[0]
        ),
        jnp.zeros_like(cells),
      )
      for kind in internal.unit_of_cell
    }
    return Loop(carry, step.net_input(weights, z), z, input_at(1), traces)

  def advance(i, params, loop):
    # The step's net inputs and sources come from the iteration before, and its
    # input from two before. XLA:CPU would otherwise fuse the squashing and the
    # draw of the input into each consumer and compute them once a row.
    active = clock(i) >= 0
    carry_t, factors, decay = carousel.eligibility(
      cell, loop.carry_tm1, loop.net
    )
    carry_t = select(active, carry_t, loop.carry_tm1)
    traces = {
      kind: _accumulate(
        loop.traces[kind], jnp.where(active, factor, 0), decay, loop.z
      )
      for kind, factor in factors.items()
    }
    z = step.hidden_sources(equations, carry_t, loop.x_tp1)
    net = step.net_input(step.hidden_weights(equations, params), z)
    return Loop(carry_t, net, z, input_at(i + 2), traces)

  def errors(i, params, loop, weight):
    target = stream.target_at(clock(i)).astype(dtype)
    error = carousel.errors(
      cell, task, step.output_weights(equations, params), loop.carry_tm1,
      loop.net, loop.z[0], target, weight,
    )  # fmt: skip
    past = _from_traces(cell, error.e_s, loop, one_hot=False)
    # Stored before it is added: where a sum of products over cells and kinds
    # meets the compiler as one expression, which product is fused with an
    # addition depends on the number of lanes, and with it the last bit. Single
    # products may be fused: their order is that of the additions.
    error, past = _steps.settled(task, (error, past), num_steps > 0)
    parts = (
      past,
      carousel.products(error.e_net, loop.z),
      carousel.products(error.e_k, error.z_k),
    )
    return error, parts

  def add(total, e, parts, loop, in_place=True):
    hidden, output = total
    past, of_hidden, of_output = parts
    # Not stored: the input weights of a thousand symbols.
    columns = _from_traces(cell, e.e_s, loop, one_hot=True)
    hidden = carousel.plus(carousel.plus(hidden, past), columns)
    hidden = carousel.plus(hidden, of_hidden)
    output = carousel.plus(output, of_output)
    return (
      carousel.plus_columns(hidden, e.e_net, loop.z, in_place),
      carousel.plus_columns(output, e.e_k, e.z_k, in_place),
    )

  return Machine(num_steps, clock, start, advance, errors, add)


def streaming_gradient(
  cell: Cell, task: Task, params: Params, episode: Episode
) -> tuple[Params, Judgement]:
  """The gradient of one sequence by traces carried forward, eqs. (25), (27).

  Args:
    cell, task: the network and the task.
    params: `[..., *]`.
    episode: the sequence; the lengths of its stream are `[*]`.

  Returns:
    `(grads, judgement)`: dE/dw, E the sum of `task.loss` over scored steps,
    and the judgement of the outputs.
  """
  stream, (equations, _) = task.stream(episode), carousel.parts_of(cell)
  lanes = stream.length.shape
  dtype = jax.tree.leaves(params)[0].dtype
  m = machine(cell, task, episode, dtype)
  loop = m.start(params)

  if task.error_at_end:
    loop = _steps.loop(
      task, m.num_steps - 1, lambda i, loop: m.step(i, params, loop), loop
    )
    return gradient_at_end(m, cell, task, params, episode, loop)

  def body(i, c):
    loop, total, tally = c
    (e, parts), tally = _score_step(
      m, task, stream, episode, tally, i, params, loop
    )
    total = m.add(total, e, parts, loop)
    return m.step(i, params, loop), total, tally

  start = loop, _nothing(cell, params), _judge.no_tally(lanes, dtype)
  _, total, tally = _steps.loop(task, m.num_steps, body, start)
  return step.gather(equations, params, *total), _judge.judgement_of(tally)


def gradient_at_end(
  m: Machine,
  cell: Cell,
  task: Task,
  params: Params,
  episode: Episode,
  loop: Loop,
) -> tuple[Params, Judgement]:
  """`streaming_gradient` of a task whose last step alone is scored.

  Args:
    m: the `Machine` of the episode.
    cell, task, params, episode: as there.
    loop: of `m`, before the last step.
  """
  stream, (equations, _) = task.stream(episode), carousel.parts_of(cell)
  lanes, dtype = stream.length.shape, loop.net.dtype
  e, parts = m.errors(m.num_steps - 1, params, loop, jnp.ones(lanes, dtype))
  # Once a sequence there is nothing to gain by fusing its products either.
  parts = _steps.settled(task, parts, m.num_steps > 0)
  tally = _judge.tally_step(
    _judge.no_tally(lanes, dtype), task, stream, episode, stream.length - 1,
    e.net_k,
  )  # fmt: skip
  total = m.add(_nothing(cell, params), e, parts, loop, in_place=False)
  return step.gather(equations, params, *total), _judge.judgement_of(tally)


def streaming_updates(
  cell: Cell,
  task: Task,
  state: _descend.State,
  episode: Episode,
  move: Callable[[_descend.State, Params, Array], _descend.State],
) -> tuple[_descend.State, Judgement]:
  """One sequence with an update after every scored step.

  The traces of later steps were gathered under earlier weights, as in RTRL
  that runs on.

  Args:
    cell, task: the network and the task.
    state: of the learner, with `params` `[..., *]`.
    episode: the sequence.
    move: of `_descend.stepper`.

  Returns:
    `(state, judgement)`.
  """
  stream, (equations, _) = task.stream(episode), carousel.parts_of(cell)
  lanes = stream.length.shape
  dtype = jax.tree.leaves(state.params)[0].dtype
  m = machine(cell, task, episode, dtype)

  def body(i, c):
    state, loop, tally = c
    (e, parts), tally = _score_step(
      m, task, stream, episode, tally, i, state.params, loop
    )
    total = m.add(_nothing(cell, state.params), e, parts, loop)
    t = m.clock(i)
    target = stream.target_at(t).astype(dtype)
    squared = _judge.squared_error(task, target, e.net_k)
    grads = step.gather(equations, state.params, *total)
    update = move(state, grads, squared)
    state = select((t >= 0) & stream.scored_at(t), update, state)
    return state, m.step(i, state.params, loop), tally

  start = state, m.start(state.params), _judge.no_tally(lanes, dtype)
  state, _, tally = _steps.loop(task, m.num_steps, body, start)
  return state, _judge.judgement_of(tally)


def _score_step(m, task, stream, episode, tally, i, params, loop):
  """`(errors, tally)` of the step to come, errors 0 where it is not scored."""
  t = m.clock(i)
  weight = (t >= 0) & stream.scored_at(t)
  e, parts = m.errors(i, params, loop, weight.astype(loop.net.dtype))
  tally = _judge.tally_step(tally, task, stream, episode, t, e.net_k)
  return (e, parts), tally


def _nothing(cell, params):
  """No gradient yet: `(hidden, output)` of zeros."""
  zeros = jax.tree.map(jnp.zeros_like, params)
  return (
    step.hidden_weights(cell.equations, zeros),
    step.output_weights(cell.equations, zeros),
  )


def _accumulate(trace, factor, decay, z):
  """Traces one step on: J trace + F z, the bias with z = 1."""
  (per_source, bias) = trace
  if decay is not None:
    per_source = tuple(decay[:, None] * p for p in per_source)
    bias = decay * bias
  return carousel.plus_products((per_source, bias), factor, z)


def _from_traces(cell, e_s, loop, one_hot):
  """Returns what the steps before contribute: sum_c e_s ds_c(t-1)/dw.

  For the weights of `OneHot` sources, or of the others and the bias; None for
  the rest.
  """
  to_units = functools.partial(
    carousel.to_units, cell.internal, num_units=len(loop.net)
  )
  total = None
  for kind, (per_source, bias) in loop.traces.items():
    w = tuple(
      to_units(kind, e_s[:, None] * p)
      if isinstance(s, OneHot) == one_hot
      else None
      for p, s in zip(per_source, loop.z, strict=True)
    )
    part = w, None if one_hot else to_units(kind, e_s * bias)
    total = part if total is None else carousel.plus(total, part)
  return total
