"""A trial: a network meets a task until it learns it or its budget is spent.

Many trials run at once, one a lane, in lock-step over sequences: draw a
sequence, run, judge, learn, ask the stop rule. Where the rule takes sequences
of its own, a lane takes them in the same lock-step and does not learn from
them. Everything that a trial does depends on its key and its
numbers alone, never on its lane, its neighbours or how the run was cut into
pieces: training sequence n is drawn from `fold_in(training key, n)`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from lstm_jax.ops import prng
from lstm_jax.ops.prng import Key
from lstm_jax.training import learning_curve
from lstm_jax.training.advance import (
  advance_trials,
  any_is_running,
  none_has_ended,
)
from lstm_jax.training.trials import (
  DATA,
  RUNNING,
  TEST,
  TRAINING,
  WEIGHTS,
  Trials,
  Work,
  child_key,
)
from lstm_jax.types import Judgement, Learner, Task


class Program(NamedTuple):
  """The pure functions of one (cell, learner, task): what gets compiled.

  Attributes:
    start: `(key, numbers {name: [..., *]}, length [*], budget [*]) ->
      Trials`, every lane at its first sequence.
    advance: `(trials, num_sequences) -> (trials, work)`: at most that many
      sequences for every running lane; returns early when a lane has finished,
      so that its place can be given away.
    advance_all: the same, but what has finished waits for the others: where
      lanes are many, one of them ends at almost every sequence.
    test: `(length [L], key, params [..., L], rounds) -> Judgement [L]`: the L
      lanes, copies of one network and key, take `rounds` fresh sequences each.
      `right` is the *number* of right ones, the errors are their means.
  """

  start: Callable[..., Trials]
  advance: Callable[[Trials, ArrayLike], tuple[Trials, Work]]
  advance_all: Callable[[Trials, ArrayLike], tuple[Trials, Work]]
  test: Callable[..., Judgement]


def program(task: Task, learner: Learner) -> Program:
  """The trial loop of a learner on a task.

  Args:
    task: the task.
    learner: the learner, already bound to its cell and this task.

  Returns:
    The program; its functions are pure and not yet compiled.
  """

  def start(key, numbers, length, budget):
    return _start(task, learner, key, numbers, length, budget)

  def advance(trials, num_sequences):
    return advance_trials(task, learner, trials, num_sequences, none_has_ended)

  def advance_all(trials, num_sequences):
    return advance_trials(task, learner, trials, num_sequences, any_is_running)

  def test(length, key, params, rounds):
    return _test(task, learner, length, key, params, rounds)

  return Program(start, advance, advance_all, test)


def _start(task, learner, key, numbers, length, budget):
  """`Trials` at their first sequence, see `Program.start`."""
  lanes = length.shape

  def init(key, numbers):
    key = jax.random.wrap_key_data(jnp.stack(key), impl='threefry2x32')
    return learner.init(key, numbers)

  for _ in lanes:
    init = jax.vmap(init, in_axes=-1, out_axes=-1)
  state = init(child_key(key, WEIGHTS, length), numbers)
  dtype = jax.tree.leaves(state.params)[0].dtype
  zeros = jnp.zeros(lanes, dtype)
  none = jnp.zeros(lanes, jnp.int32)
  return Trials(
    key=Key(*key),
    sequence_key=prng.fold_in(child_key(key, TRAINING, length), none),
    data=task.prepare(child_key(key, DATA, length), length),
    learner=state,
    stop=task.stop_rule.init(lanes, dtype),
    first_passed=none,
    length=length,
    budget=budget,
    seen=none,
    status=jnp.full(lanes, RUNNING, jnp.int32),
    error=Judgement(zeros, zeros, zeros),
    curve=learning_curve.start(lanes, dtype),
  )


def _test(task, learner, length, key, params, rounds):
  """The judgement of fresh sequences, see `Program.test`."""
  lanes = length.shape[0]
  key = child_key(key, TEST, length)

  def body(_, carry):
    n, total = carry
    episode = task.fresh(prng.fold_in(key, n), length)
    judgement = learner.judge(params, episode)
    add = lambda t, j: t + j.astype(t.dtype)
    return n + lanes, jax.tree.map(add, total, judgement)

  dtype = jax.tree.leaves(params)[0].dtype
  zeros = jnp.zeros(length.shape, dtype)
  no_judgement = Judgement(jnp.zeros(length.shape, jnp.int32), zeros, zeros)
  # The lanes share the test sequences between them. Their numbers are carried:
  # computed from `i`, the compiler of jax 0.12 would not end (LLVM, where a
  # random integer hangs on an iota).
  first = jnp.arange(lanes), no_judgement
  _, total = jax.lax.fori_loop(0, rounds, body, first)
  return Judgement(total.right, total.absolute / rounds, total.squared / rounds)
