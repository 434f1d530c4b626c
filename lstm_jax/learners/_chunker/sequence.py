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
from lstm_jax.ops.arrays import dense, select
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
    above: the same with C's weights in its mask.
    task: the task.
    failure, predicts, rule, upper_rule: of `chunker`.
    online: whether weights move at every step, or once a sequence.
  """

  cell: Cell
  above: Cell
  task: Task
  failure: str
  predicts: str
  rule: str
  upper_rule: str
  online: bool


class State(NamedTuple):
  """Two networks in training.

  Attributes:
    params: A, as a net of the cell, `[..., *]`.
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
    heard: `[Q, *]`, what A has to predict of it.
  """

  carry_tm1: Carry
  symbol: Array
  influence: influence_matrix.Memory
  began: Array
  carry_t: Carry
  heard: Array


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


class Here(NamedTuple):
  """Parts that do not change within a sequence."""

  form: Form
  state: State  # before it
  first: Weights  # of the state
  episode: Episode
  stream: Stream
  past: influence_matrix.Past  # what links a net's steps
  exact: influence_matrix.Rule


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
  here = Here(
    form, state, first, episode, stream, past, influence_matrix.full(past)
  )
  # One iteration more than steps: the last symbol is a target of A's and may
  # be an input of C's.
  num_steps, clock = _steps.clocks(stream)

  def body(i, loop):
    weights, c, a, tally = loop
    t = clock(i)
    weights, c = _see(here, weights, c, a, t)
    weights, a, tally = _predict(here, weights, c, a, t, tally)
    return weights, c, a, tally

  carry = form.cell.initial_carry(lanes, dtype)
  none = jnp.zeros(lanes, bool)
  nothing = lambda how: here.exact.start(lanes, dtype) if how == 'rtrl' else ()
  symbol = _index(stream.input_at(jnp.zeros_like(stream.length)))
  rows = next(iter(state.predictor.values()))
  c = Upper(
    carry_tm1=carry,
    symbol=jnp.zeros(lanes, jnp.int32),
    influence=nothing(form.upper_rule),
    began=none,
    carry_t=carry,
    heard=jnp.zeros((len(rows), *lanes), dtype),
  )
  a = Lower(carry, nothing(form.rule), symbol.astype(jnp.int32), ~none)
  start = first if form.online else jax.tree.map(jnp.zeros_like, first)
  tally = _judge.no_tally(lanes, dtype)
  weights, _, _, tally = jax.lax.fori_loop(
    0, num_steps + 1, body, (start, c, a, tally)
  )
  if not form.online:
    weights = jax.tree.map(jnp.add, first, weights)
  return state._replace(
    params=state.params._replace(**weights.lower),
    predictor=weights.predictor,
    upper=state.upper._replace(**weights.upper),
  ), _judge.judged(tally)


def _see(here, weights, c, a, t):
  """C learns to predict A's next symbol and takes it, where A failed."""
  form, task, cell = here.form, here.form.task, here.form.cell
  up = (t >= 0) & a.surprise
  learns = up & c.began
  now = weights.upper if form.online else here.first.upper
  moment = net_step.step(cell, net_step.column(now, c.symbol), c.carry_tm1)
  target = dense(
    OneHot(a.symbol, task.num_outputs), here.state.learning_rate.dtype
  )
  error = jax.grad(lambda n: jnp.sum(task.loss(n, target)))(moment.net_k)
  direct, past = _gradient(here, form.upper_rule, moment, error, c.influence)
  upper = net_step.plus(
    form.above, weights.upper, direct, c.symbol,
    jnp.where(learns, -here.state.upper_learning_rate, 0), past,
  )  # fmt: skip
  influence = _remembered(
    here, form.upper_rule, now, c.carry_tm1, c.symbol, t, c.influence
  )
  now = upper if form.online else here.first.upper
  carry_tm1, symbol = select(up, (c.carry_t, a.symbol), (c.carry_tm1, c.symbol))
  after = net_step.step(cell, net_step.column(now, symbol), carry_tm1)
  return weights._replace(upper=upper), Upper(
    carry_tm1=carry_tm1,
    symbol=symbol,
    influence=select(learns, influence, c.influence),
    began=c.began | up,
    carry_t=select(up, after.carry_t, c.carry_t),
    heard=select(up, listen(form, after.carry_t, after.net_k), c.heard),
  )


def _predict(here, weights, c, a, t, tally):
  """A takes its next symbol, learns to predict the one after it and C."""
  form, state, stream = here.form, here.state, here.stream
  cell, task = form.cell, form.task
  size = task.num_outputs
  active = (t >= 0) & (t < stream.length)
  now = weights if form.online else here.first
  wide = net_step.wider(
    net_step.column(now.lower, a.symbol),
    net_step.column(now.predictor, a.symbol),
  )
  moment = net_step.step(cell, wide, a.carry_tm1)
  target = stream.target_at(t).astype(here.state.learning_rate.dtype)

  def error(net):
    next_symbol = task.loss(net[:size], target)
    return jnp.sum(next_symbol + task.loss(net[size:], c.heard))

  error = jax.grad(error)(moment.net_k)
  direct, past = _gradient(here, form.rule, moment, error, a.influence)
  rows = {name: direct[name][size:] for name in now.predictor}
  own = direct | {name: direct[name][:size] for name in rows}
  factor = jnp.where(active, -state.learning_rate, 0)
  weights = weights._replace(
    lower=net_step.plus(cell, weights.lower, own, a.symbol, factor, past),
    predictor=net_step.plus(cell, weights.predictor, rows, a.symbol, factor),
  )
  net_k = moment.net_k[:size]
  tally = _judge.tally_step(tally, task, stream, here.episode, t, net_k)
  influence = _remembered(
    here, form.rule, now.lower, a.carry_tm1, a.symbol, t, a.influence
  )
  after = Lower(
    carry_tm1=moment.carry_t,
    influence=influence,
    symbol=jnp.argmax(target, axis=0).astype(jnp.int32),
    surprise=_failed(form, task.output(net_k), target, state),
  )
  return weights, select(active, after, a), tally


def _gradient(here, how, moment, error, influence):
  """`(direct, past)`: dE/dw at constant carry, and through the carry."""
  direct, e = moment.back(error)
  if how == 'elman':
    return direct, {}
  e = influence_matrix.pack(here.past.fields, e)
  past = here.past.weights.tree(here.exact.credit(influence, e))._asdict()
  return direct, {k: g for k, g in past.items() if not net_step.of_outputs(k)}


def _remembered(here, how, now, carry_tm1, symbol, t, influence):
  """The influence of the weights on a carry, a step on."""
  if how == 'elman':
    return influence
  params = here.state.params._replace(**now)
  x_t = OneHot(symbol, here.form.task.num_outputs)
  return here.exact.advance(params, carry_tm1, x_t, t, influence)[1]


def _failed(form, y_k, target, state):
  """`[*]` bool, whether outputs `[K, *]` fail to predict a symbol."""
  if form.failure == 'error':
    worst = jnp.max(jnp.abs(y_k - target), axis=0)
    return worst > state.failure_threshold
  others = jnp.max(jnp.where(target > 0, -jnp.inf, y_k), axis=0)
  return ~(jnp.sum(y_k * target, axis=0) > others)


def _index(x):
  """`[*]`, which symbol an input `[I, *]` is."""
  return x.index if isinstance(x, OneHot) else jnp.argmax(x, axis=0)
