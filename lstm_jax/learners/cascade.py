"""Recurrent Cascade-Correlation: units are added one by one, each for good.

Fahlman, "The recurrent cascade-correlation architecture", NIPS 3, 1991, after
Fahlman & Lebiere, "The cascade-correlation learning architecture", NIPS 2,
1990. The network starts with its output units alone. (1) Quickprop trains the
weights of the output units on 1/2 sum (t - y)^2 until there is no progress.
(2) A pool of candidate units is trained, outside the network, to covary with
the error that remains (see `_candidates`). (3) The best one joins the network
with its incoming weights frozen, and (1) begins again; when the network is
full, for good.

The rules of the phases and their usual values are those of the public programs
of CMU (Fahlman's of 1990, and of 1995 where it says so):

* A phase ends `patience` epochs after the last change by more than a fraction
  of the old value: 8 epochs (1995: 12); 0.01 of the squared error of the output
  phase, 0.03 of the best score of the candidates; or after so many epochs
  (1995: 200). The candidates' patience counts from the first such change only.
* Quickprop with mu = 2, weight decay 1e-4 (1995: 0) for the output units and 0
  for candidates, and epsilon over the number of steps in an epoch: 0.35 (1995:
  1) for the output units; for candidates, as of 1995, 100 times as much. (1990:
  1 over the number of steps times that of incoming weights.)
* 8 candidates. Weights start uniform in [-1, 1].
* 0.1 is added to the derivative f' of the output units wherever it is used.
* The residual error is (y - t) f', not y - t.
* Signs of correlations, mean errors and sum E^2 in the candidates' slopes are
  of the epoch before, so that one epoch does for both; the first epoch of a
  pool only measures. Those programs keep the means and sum E^2 of the last
  epoch of the output phase instead, where every epoch has the same sequences.

Not theirs: the training set is as many sequences as are asked for, the first
that come (`epochs`). Their programs also stop when no output is wrong by more
than 0.4; here the stop rule is the task's.
"""

from typing import Literal

import jax
import jax.numpy as jnp

from lstm_jax.learners import _judge
from lstm_jax.learners._cascade import (
  candidate_pool,
  epoch_pass,
  phases,
  quickprop,
  training_set,
)
from lstm_jax.ops.arrays import select
from lstm_jax.ops.checked import Count, Positive, checked
from lstm_jax.ops.initial import initial_params
from lstm_jax.ops.prng import Key
from lstm_jax.types import Cell, Learner, Task

NEEDS = {
  'cascade': 'units join a network one by one, each reads those before it, '
  'and those of this cell do not'
}
NUMBERS = {'learning_rate': 1.0}
RANGES = {
  'learning_rate': (0.1, 10.0, 'log'),
  'candidate_rate': (10.0, 1000.0, 'log'),
}


@checked
def cascade(
  cell: Cell,
  task: Task,
  *,
  candidates: Count = 8,
  epoch_sequences: Count = 256,
  patience: Count = 8,
  output_change: float = 0.01,
  candidate_change: float = 0.03,
  most_epochs: Count = 200,
  candidate_rate: float = 100.0,
  mu: Positive = 2.0,
  decay: float = 1e-4,
  prime_offset: float = 0.1,
  residual: Literal['error_signal', 'difference'] = 'error_signal',
  epochs: Literal['same', 'new'] = 'same',
) -> Learner:
  """Recurrent Cascade-Correlation (Fahlman 1991): a network that grows.

  One call is one sequence of an epoch; the weights move at its end.

  Args:
    cell: a cell in cascade; its `hidden` units are the most there can be.
    task: the task, for its error and its sequences.
    candidates: units of the pool (P).
    epoch_sequences: sequences of an epoch; Experiment 1's training set has 256.
    patience: epochs without a significant change that end a phase.
    output_change: fraction of the squared error that is significant.
    candidate_change: fraction of the best score that is significant.
    most_epochs: epochs that end a phase whatever changes.
    candidate_rate: the candidates' epsilon over that of the output units, the
      learning rate.
    mu: largest growth of a step of Quickprop.
    decay: weight decay of the output units, in Quickprop's slopes.
    prime_offset: added to the derivative of the output units: their error
      signal becomes dE/dnet + prime_offset (y - t).
    residual: the error that candidates are to covary with: the error signal
      of the output units, as Fahlman, or the difference y - t.
    epochs: whether every epoch has the sequences of the first one, a training
      set, or those that are shown in it. The latter makes errors and slopes
      differ from epoch to epoch where nothing else does, and Quickprop and
      patience take that for progress. With the former, a sequence is shown to
      the network for its judgement and one of the first is learned from.

  Numbers of `init`: `learning_rate`, Quickprop's epsilon times the steps of an
  epoch; `init_range` r of the cell, also of the candidates.

  Returns:
    The learner; its state is a `phases.State`.

  Raises:
    ValueError: a cell that is not in cascade, counts below 1, mu not above 0, a
      residual outside its choices.

  Cost per step: P (I + C) traces besides the network's own step; memory the
  same, whatever the sequence length.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.adding()
    >>> cell = lj.cascaded(2, 1)
    >>> learner = lj.cascade(cell, task)
    >>> sorted(learner._fields)
    ['extra_weights', 'foreign', 'init', 'judge', 'update']
  """
  settings = phases.Settings(
    candidates, patience, output_change, candidate_change, most_epochs,
    candidate_rate, mu, decay,
  )  # fmt: skip
  run = epoch_pass.runner(cell, task, prime_offset, residual)

  def init(key, numbers):
    params = initial_params(cell, key, numbers)
    zeros = jax.tree.map(jnp.zeros_like, params)
    rate = jnp.asarray(numbers['learning_rate'])
    num_zero = jnp.zeros(rate.shape, jnp.int32)
    words = jax.random.bits(jax.random.fold_in(key, 1), (2,), jnp.uint32)
    key = Key(words[0], words[1])
    init_range = jnp.asarray(numbers['init_range'])
    pool = jax.tree.map(
      jnp.zeros_like,
      candidate_pool.draw_pool(
        key, num_zero, cell.mask, candidates, init_range, num_zero
      ),
    )
    arrays = params._asdict()
    readout = epoch_pass.Readout(
      zeros.w_out, arrays['w_out_x'], arrays['b_out']
    )
    return phases.State(
      params=zeros._replace(**readout._asdict()),
      learning_rate=rate,
      init_range=init_range,
      key=key,
      installed=num_zero,
      phase=num_zero + phases.OUTPUTS,
      n=num_zero,
      epoch=num_zero,
      quit=num_zero,
      level=zeros.w_out[0, 0],
      memory=quickprop.nothing(readout),
      pool=pool,
      pool_memory=quickprop.nothing(pool),
      aim=candidate_pool.no_aim(pool, cell.num_outputs),
      sums=epoch_pass.no_sums(pool, readout),
      training_set=training_set.empty_set(task, epoch_sequences)
      if epochs == 'same'
      else (),
      filled=num_zero > 0,
    )

  def update(state, episode):
    if epochs == 'same':
      pool_set, taught = training_set.show(
        state.training_set, state.filled, state.n, episode
      )
      state = state._replace(training_set=pool_set)
    else:
      taught = episode
    sums, judgement = run(state, taught)
    if epochs == 'same':
      judgement = judge(state.params, episode)
    state = state._replace(sums=sums, n=state.n + 1)
    over = state.n >= epoch_sequences
    # Most sequences end no epoch in any lane.
    state = jax.lax.cond(
      jnp.any(over),
      lambda s: select(over, phases.turned(settings, cell.mask, s), s),
      lambda s: s,
      state,
    )
    return state, judgement

  def judge(params, episode):
    return _judge.judge_forward(cell, task, params, episode)

  return Learner(init, update, judge)
