"""One sequence of the chunker: the automatizer A below, the chunker C above.

The order of what happens stands in `chunker`. A takes a symbol a step; C's
steps are done along with A's in every lane and count where a symbol goes up.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.learners import _judge, _steps
from lstm_jax.learners._chunker import net_step
from lstm_jax.learners._forward import influence_matrix
from lstm_jax.ops.arrays import select, to_dense
from lstm_jax.types import (
  Array,
  Carry,
  Cell,
  Episode,
  Judgement,
  OneHot,
  Params,
  Stream,
  Task,
)


class Form(NamedTuple):
  """Parts that do not change in training.

  Attributes:
    cell: the form of both nets.
    upper_cell: the same with C's weights in its mask.
    task: the task.
    failure, predicts, rule, upper_rule: of `chunker`.
    online: whether weights move at every step, or once a sequence.
  """

  cell: Cell
  upper_cell: Cell
  task: Task
  failure: str
  predicts: str
  rule: str
  upper_rule: str
  online: bool


class State(NamedTuple):
  """Two networks in training.

  Attributes:
    params: A, as a network of the cell, `[..., *]`.
    predictor: A's other output units: field of the params -> rows.
    upper: C, as `params`.
    learning_rate: `[*]`, of A.
    upper_learning_rate: `[*]`, of C.
    failure_threshold: `[*]`.
  """

  params: Params
  predictor: net_step.Weights
  upper: Params
  learning_rate: Array
  upper_learning_rate: Array
  failure_threshold: Array


class Weights(NamedTuple):
  """All weights: field -> `[..., *]`; A with its other outputs' rows apart."""

  lower: net_step.Weights
  predictor: net_step.Weights
  upper: net_step.Weights


class Upper(NamedTuple):
  """C in the middle of a sequence.

  Attributes:
    carry_tm1: C's carry before its last input.
    symbol: `[*]` int32, its last input.
    influence: of its weights on it before its last input; () for Elman's rule.
    began: `[*]` bool, whether it has had one.
    carry_t: its carry after it.
    recurrent_input: `[Q, *]`, what A has to predict of it.
  """

  carry_tm1: Carry
  symbol: Array
  influence: influence_matrix.Memory
  began: Array
  carry_t: Carry
  recurrent_input: Array


class Lower(NamedTuple):
  """A in the middle of a sequence.

  Attributes:
    carry_tm1: its carry.
    influence: of its weights on it; () for Elman's rule.
    symbol: `[*]` int32, its next input.
    surprise: `[*]` bool, whether it failed to predict it.
  """

  carry_tm1: Carry
  influence: influence_matrix.Memory
  symbol: Array
  surprise: Array


class Context(NamedTuple):
  """Parts that do not change within a sequence."""

  form: Form
  state: State  # before it
  first: Weights  # of the state
  episode: Episode
  stream: Stream
  past: influence_matrix.Past  # what links a net's steps
  rtrl_rule: influence_matrix.Rule


def listen(form: Form, carry: Carry, net_k: Array) -> Array:
  """`[Q, *]`, what A has to predict of C, from C's carry and outputs."""
  equations = form.cell.equations
  assert equations is not None  # `chunker` takes no other cell.
  h = getattr(carry, equations.output)
  if form.predicts == 'hidden':
    return h
  return jnp.concatenate((h, form.task.output(net_k)))


def one_sequence(
  form: Form, state: State, episode: Episode
) -> tuple[State, Judgement]:
  """Learns from a sequence.

  Args:
    form: the `Form`.
    state: both nets, rates and threshold.
    episode: the sequence; the lengths of its stream are `[*]`.

  Returns:
    `(state, judgement)`.
  """
  stream = form.task.stream(episode)
  lanes, dtype = stream.length.shape, state.learning_rate.dtype
  past = influence_matrix.past(form.cell)
  first = Weights(
    state.params._asdict(), state.predictor, state.upper._asdict()
  )
  context = Context(
    form, state, first, episode, stream, past, influence_matrix.full(past)
  )
  # One iteration more than steps: the last symbol is a target of A's and may
  # be an input of C's.
  num_steps, clock = _steps.clocks(stream, form.task.steps_at_once, 1)

  def body(i, loop):
    weights, c, a, tally = loop
    t = clock(i)
    weights, c = _see(context, weights, c, a, t)
    weights, a, tally = _predict(context, weights, c, a, t, tally)
    return weights, c, a, tally

  carry = form.cell.initial_carry(lanes, dtype)
  no_lane = jnp.zeros(lanes, bool)
  nothing = lambda rule: (
    context.rtrl_rule.start(lanes, dtype) if rule == 'rtrl' else ()
  )
  symbol = _index(stream.input_at(jnp.zeros_like(stream.length)))
  rows = next(iter(state.predictor.values()))
  c = Upper(
    carry_tm1=carry,
    symbol=jnp.zeros(lanes, jnp.int32),
    influence=nothing(form.upper_rule),
    began=no_lane,
    carry_t=carry,
    recurrent_input=jnp.zeros((len(rows), *lanes), dtype),
  )
  a = Lower(carry, nothing(form.rule), symbol.astype(jnp.int32), ~no_lane)
  start = first if form.online else jax.tree.map(jnp.zeros_like, first)
  tally = _judge.no_tally(lanes, dtype)
  weights, _, _, tally = _steps.loop(
    form.task, num_steps + 1, body, (start, c, a, tally)
  )
  if not form.online:
    weights = jax.tree.map(jnp.add, first, weights)
  return state._replace(
    params=state.params._replace(**weights.lower),
    predictor=weights.predictor,
    upper=state.upper._replace(**weights.upper),
  ), _judge.judgement_of(tally)


def _see(context, weights, c, a, t):
  """C learns to predict A's next symbol and takes it, where A failed."""
  form, task, cell = context.form, context.form.task, context.form.cell
  up = (t >= 0) & a.surprise
  learns = up & c.began
  weights_upper = weights.upper if form.online else context.first.upper
  moment = net_step.step(
    cell, net_step.column(weights_upper, c.symbol), c.carry_tm1
  )
  target = to_dense(
    OneHot(a.symbol, task.num_outputs), context.state.learning_rate.dtype
  )
  error = jax.grad(lambda n: jnp.sum(task.loss(n, target)))(moment.net_k)
  direct, past = _gradient(context, form.upper_rule, moment, error, c.influence)
  upper = net_step.plus(
    form.upper_cell, weights.upper, direct, c.symbol,
    jnp.where(learns, -context.state.upper_learning_rate, 0), past,
  )  # fmt: skip
  influence = _remembered(
    context,
    form.upper_rule,
    weights_upper,
    c.carry_tm1,
    c.symbol,
    t,
    c.influence,
  )
  weights_upper = upper if form.online else context.first.upper
  carry_tm1, symbol = select(up, (c.carry_t, a.symbol), (c.carry_tm1, c.symbol))
  moment_t = net_step.step(
    cell, net_step.column(weights_upper, symbol), carry_tm1
  )
  return weights._replace(upper=upper), Upper(
    carry_tm1=carry_tm1,
    symbol=symbol,
    influence=select(learns, influence, c.influence),
    began=c.began | up,
    carry_t=select(up, moment_t.carry_t, c.carry_t),
    recurrent_input=select(
      up, listen(form, moment_t.carry_t, moment_t.net_k), c.recurrent_input
    ),
  )


def _predict(context, weights, c, a, t, tally):
  """A takes its next symbol, learns to predict the one after it and C."""
  form, state, stream = context.form, context.state, context.stream
  cell, task = form.cell, form.task
  size = task.num_outputs
  active = (t >= 0) & (t < stream.length)
  weights_now = weights if form.online else context.first
  weights_wide = net_step.wider(
    net_step.column(weights_now.lower, a.symbol),
    net_step.column(weights_now.predictor, a.symbol),
  )
  moment = net_step.step(cell, weights_wide, a.carry_tm1)
  target = stream.target_at(t).astype(context.state.learning_rate.dtype)

  def error(net):
    next_symbol = task.loss(net[:size], target)
    return jnp.sum(next_symbol + task.loss(net[size:], c.recurrent_input))

  error = jax.grad(error)(moment.net_k)
  direct, past = _gradient(context, form.rule, moment, error, a.influence)
  rows = {name: direct[name][size:] for name in weights_now.predictor}
  gradient = direct | {name: direct[name][:size] for name in rows}
  factor = jnp.where(active, -state.learning_rate, 0)
  weights = weights._replace(
    lower=net_step.plus(cell, weights.lower, gradient, a.symbol, factor, past),
    predictor=net_step.plus(cell, weights.predictor, rows, a.symbol, factor),
  )
  net_k = moment.net_k[:size]
  tally = _judge.tally_step(tally, task, stream, context.episode, t, net_k)
  influence = _remembered(
    context, form.rule, weights_now.lower, a.carry_tm1, a.symbol, t, a.influence
  )
  lower = Lower(
    carry_tm1=moment.carry_t,
    influence=influence,
    symbol=jnp.argmax(target, axis=0).astype(jnp.int32),
    surprise=_failures(form, task.output(net_k), target, state),
  )
  return weights, select(active, lower, a), tally


def _gradient(context, rule, moment, error, influence):
  """`(direct, past)`: dE/dw at constant carry, and through the carry."""
  direct, e = moment.back(error)
  if rule == 'elman':
    return direct, {}
  e = influence_matrix.pack(context.past.fields, e)
  past = context.past.weights.tree(
    context.rtrl_rule.credit(influence, e)
  )._asdict()
  return direct, {k: g for k, g in past.items() if not net_step.of_outputs(k)}


def _remembered(context, rule, weights, carry_tm1, symbol, t, influence):
  """The influence of the weights on a carry, a step on."""
  if rule == 'elman':
    return influence
  params = context.state.params._replace(**weights)
  x_t = OneHot(symbol, context.form.task.num_outputs)
  return context.rtrl_rule.advance(params, carry_tm1, x_t, t, influence)[1]


def _failures(form, y_k, target, state):
  """`[*]` bool, whether outputs `[K, *]` fail to predict a symbol."""
  if form.failure == 'error':
    largest_error = jnp.max(jnp.abs(y_k - target), axis=0)
    return largest_error > state.failure_threshold
  rivals = jnp.max(jnp.where(target > 0, -jnp.inf, y_k), axis=0)
  return ~(jnp.sum(y_k * target, axis=0) > rivals)


def _index(x):
  """`[*]`, which symbol an input `[I, *]` is."""
  return x.index if isinstance(x, OneHot) else jnp.argmax(x, axis=0)
