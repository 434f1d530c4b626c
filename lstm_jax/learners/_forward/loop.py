"""The loop of rules in forward mode, and gradient descent in it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from lstm_jax.learners import _descend, _judge, _steps
from lstm_jax.learners._forward import influence_matrix
from lstm_jax.learners._optimizer import Optimizer
from lstm_jax.ops.arrays import cast, select
from lstm_jax.types import (
  Array,
  Cell,
  Episode,
  Judgement,
  LearnerState,
  Params,
  Task,
)

_State = TypeVar('_State', bound=LearnerState)


class Sum(NamedTuple):
  """A gradient in the making, under weights that stand still."""

  params: Params
  total: Params


def through(
  task: Task,
  past: influence_matrix.Past,
  rule: influence_matrix.Rule,
  state: _State,
  episode: Episode,
  absorb: Callable[..., tuple[_State, Array]],
) -> tuple[_State, Judgement]:
  """One sequence, forwards.

  Args:
    task: the task.
    past: the cell's `Past`.
    rule: what is remembered of the influence.
    state: anything with `params`: those that the network runs with.
    episode: the sequence; the lengths of its stream are `[*]`.
    absorb: `(state, carry_tm1, memory, x_t, target, scored [*]) -> (state,
      net_k)`: what a step's error does. The step itself is then taken under the
      weights of before.

  Returns:
    `(state, judgement)`.
  """
  stream = task.stream(episode)
  lanes = stream.length.shape
  dtype = jax.tree.leaves(state.params)[0].dtype
  num_steps, clock = _steps.clocks(
    stream, task.steps_at_once, -task.error_at_end
  )
  input_at = lambda t: cast(stream.input_at(t), dtype)
  tally = _judge.no_tally(lanes, dtype)
  start = past.initial(lanes, dtype), rule.start(lanes, dtype)

  def advance(params, i, memory_tm1):
    t = clock(i)
    carry_tm1, memory = memory_tm1
    memory_t = rule.advance(params, carry_tm1, input_at(t), t, memory)
    return select(t >= 0, memory_t, memory_tm1)

  def score(state, memory_tm1, t, scored, tally):
    target = stream.target_at(t).astype(dtype)
    state, net_k = absorb(state, *memory_tm1, input_at(t), target, scored)
    return state, _judge.tally_step(tally, task, stream, episode, t, net_k)

  if task.error_at_end:
    before = _steps.loop(
      task, num_steps - 1, lambda i, b: advance(state.params, i, b), start
    )
    scored = jnp.ones(lanes, bool)
    state, tally = score(state, before, stream.length - 1, scored, tally)
    return state, _judge.judgement_of(tally)

  def body(i, c):
    state, before, tally = c
    t = clock(i)
    scored = (t >= 0) & stream.scored_at(t)
    moved, tally = score(state, before, t, scored, tally)
    return moved, advance(state.params, i, before), tally

  state, _, tally = _steps.loop(task, num_steps, body, (state, start, tally))
  return state, _judge.judgement_of(tally)


def descend(
  cell: Cell,
  task: Task,
  past: influence_matrix.Past,
  update: str,
  optimizer: Optimizer,
) -> tuple[
  Callable[[Array, Mapping[str, ArrayLike]], _descend.State],
  Callable[
    [_descend.State, Episode, influence_matrix.Rule],
    tuple[_descend.State, Judgement],
  ],
  Callable[[Params, Episode], Judgement],
]:
  """Gradient descent along what a rule remembers.

  Args:
    cell, task: the network and the task.
    past: the cell's `Past`.
    update: 'every_step', after every scored step, or 'sequence', once with the
      sum over the sequence.
    optimizer: of `_descend.stepper`.

  Returns:
    `(init, learn, judge)`: `init` and `judge` of a `Learner`, and `learn(state,
    episode, rule) -> (state, judgement)`.

  Raises:
    ValueError: an unknown `update` or optimizer.
  """
  init, move = _descend.stepper(cell, optimizer)

  def learn(state, episode, rule):
    def gradient(params, step, total=None):
      carry_tm1, memory, x_t, target, scored = step
      total, e, net_k = _descend.scored_step(
        cell, task, params, carry_tm1, x_t, target,
        scored.astype(target.dtype), past.fields, total,
      )  # fmt: skip
      recurrent = past.weights.tree(
        rule.credit(memory, influence_matrix.pack(past.fields, e))
      )
      return jax.tree.map(jnp.add, total, recurrent), net_k

    def at_once(state, *step):
      grads, net_k = gradient(state.params, step)
      # An optimizer with a memory must not move at steps without an error.
      squared = _judge.squared_error(task, step[-2], net_k)
      return select(step[-1], move(state, grads, squared), state), net_k

    def postpone(state, *step):
      total, net_k = gradient(state.params, step, state.total)
      return state._replace(total=total), net_k

    if update == 'every_step' and not task.error_at_end:
      return through(task, past, rule, state, episode, at_once)
    nothing = Sum(state.params, jax.tree.map(jnp.zeros_like, state.params))
    end, judgement = through(task, past, rule, nothing, episode, postpone)
    return move(state, end.total, judgement.squared), judgement

  def judge(params, episode):
    return _judge.judge_forward(cell, task, params, episode)

  return init, learn, judge
