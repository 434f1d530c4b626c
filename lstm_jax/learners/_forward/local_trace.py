"""Rules that follow each unit's own past alone: eligibility traces.

At constant recurrent input D is diagonal, d(t), and the influence obeys

  eps(t) = d(t) eps(t-1) + I(t),  eps(0) = 0,  elementwise,

a number for each weight and each state that it acts on within a step.
"""

import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.learners import _descend
from lstm_jax.learners._forward import influence_matrix, loop, sparsity
from lstm_jax.learners._optimizer import Optimizer
from lstm_jax.ops import step
from lstm_jax.types import Array, Cell, Learner, Params, Task

# What an error of the output units comes back to the hidden units by.
Feedback = Literal['symmetric', 'random']


class State(NamedTuple):
  """A network in training and the weights that its errors come back by."""

  inner: _descend.State
  feedback: Array  # [K, C, *], never trained

  @property
  def params(self) -> Params:
    """The weights."""
    return self.inner.params


def learner(
  cell: Cell, task: Task, feedback: Feedback, update: str, optimizer: Optimizer
) -> Learner:
  """The learner that descends along eligibility traces.

  Args:
    cell: one with local states and a readout.
    task: the task.
    feedback: 'random': weights of their own in place of those from y(t) to the
      output units.
    update, optimizer: of `loop.descend`.

  Raises:
    ValueError: an unknown `update` or optimizer.
  """
  equations, fields = cell.equations, step.local_fields(cell)
  assert equations is not None  # see NEEDS of the learners
  local = cell._replace(step=step.local_step_of(equations))
  names = cell.initial_carry()._fields
  cut = [name for name in names if name not in fields] if fields else ()
  past = influence_matrix.past(local, cut)
  rule = traces(past) if fields else no_traces(past)
  start, learn, judge = loop.descend(local, task, past, update, optimizer)
  num_units = len(getattr(cell.initial_carry(), equations.output))

  def init(key, numbers):
    inner = start(key, numbers)
    # Not the key itself, from which the weights are drawn.
    feedback = jax.random.uniform(
      jax.random.fold_in(key, 1), (cell.num_outputs, num_units),
      inner.learning_rate.dtype, -1.0, 1.0,
    )  # fmt: skip
    return State(inner, feedback / math.sqrt(max(cell.num_outputs, 1)))

  def update_symmetric(state, episode):
    return learn(state, episode, rule)

  def update_random(state, episode):
    away = cell._replace(step=step.local_step_of(equations, state.feedback))
    _, learn, _ = loop.descend(away, task, past, update, optimizer)
    inner, judgement = learn(state.inner, episode, rule)
    return State(inner, state.feedback), judgement

  if feedback == 'symmetric':
    return Learner(start, update_symmetric, judge)
  return Learner(init, update_random, judge)


def traces(past: influence_matrix.Past) -> influence_matrix.Rule:
  """The `Rule` of a past whose D is diagonal: exact, as far as that is so."""
  touches = past.touches()
  group = sparsity.groups(touches)
  number = np.arange(max(group) + 1)
  # Row a of `rows` holds each weight's a-th state; weights that have fewer
  # repeat one, which then counts for nothing.
  m = max(int(np.max(np.sum(touches, axis=0))), 1)
  rows = np.argsort(~touches, axis=0, kind='stable')[:m]
  counts = touches[rows, np.arange(past.weights.size)]

  def start(lanes, dtype):
    return jnp.zeros((*rows.shape, *lanes), dtype)

  def advance(params, carry_tm1, x_t, t, trace):
    del t
    carry_t, _, pull = past.step(params, carry_tm1, x_t)
    lanes = trace.shape[2:]
    spread = lambda table: table.reshape(*table.shape, *(1,) * len(lanes))
    # States that share no weight in one pass backwards.
    members = spread(number[:, None] == group).astype(trace.dtype)
    d, columns = jax.vmap(pull)(
      jnp.broadcast_to(members, (*members.shape[:2], *lanes))
    )
    at_once = sum(
      jnp.where(spread(counts & (group[rows] == g)), column[None], 0)
      for g, column in zip(number, columns, strict=True)
    )
    return carry_t, jnp.sum(d, axis=0)[rows] * trace + at_once

  def credit(trace, e):
    return jnp.sum(e[rows] * trace, axis=0)

  return influence_matrix.Rule(start, advance, credit)


def no_traces(past: influence_matrix.Past) -> influence_matrix.Rule:
  """The `Rule` of units that keep nothing: no step owes anything to others."""

  def advance(params, carry_tm1, x_t, t, trace):
    del t
    return past.step(params, carry_tm1, x_t)[0], trace

  def credit(trace, e):
    return jnp.zeros((past.weights.size, *e.shape[1:]), e.dtype)

  return influence_matrix.Rule(lambda lanes, dtype: (), advance, credit)
