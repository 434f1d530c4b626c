"""The learning rule of the 1997 paper: truncated errors, constant carousel.

Hochreiter & Schmidhuber (1997), section 4 and appendix A.1, eqs. (19)-(28).
Errors that reach a net input of a gate or cell change its incoming weights and
go no further back in time; only the path inside the internal state s_c is
kept. Then, with z the sources that the weights multiply,

  ds_c(t)/dw = J(t) ds_c(t-1)/dw + F(t) z(t),   F = ds_c/dnet,

and J = 1 for the carousel: a sum over time, of which there are two exact forms.
*Streaming* carries the traces ds_c/dw forwards; its memory does not depend on
the sequence length. *Batched* stores F and z and needs no traces: with e(t) =
dE/ds_c(t) gathered from the steps that follow t (a reverse cumulative sum),
dE/dw = sum_t e(t) F(t) z(t), one matrix product.
"""

import functools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from lstm_jax.learners import _descend, _judge, _steps
from lstm_jax.learners._optimizer import Optimizer
from lstm_jax.learners._restarts import LAST_STEP_ALONE, Restart, restarting
from lstm_jax.learners._truncated import carousel, compiled, growth
from lstm_jax.learners._truncated.traces import (
  streaming_gradient,
  streaming_updates,
)
from lstm_jax.nn.native import truncated
from lstm_jax.ops import parts, step
from lstm_jax.ops.arrays import add_outer, cast, select
from lstm_jax.ops.checked import Count, Positive, checked
from lstm_jax.types import (
  Cell,
  Episode,
  ForeignSteps,
  Judgement,
  Learner,
  OneHot,
  Params,
  Task,
)

NEEDS = {
  'internal_state': 'the rule keeps the error inside an internal state, '
  'and this cell has none',
  'inputs_to_outputs': (
    'cells_added=at_plateau trains output units that see the inputs at first',
    {'cells_added': 'at_plateau'},
  ),
  'compiled_rule': (
    'form=native is compiled code for the cells lstm1997 and lstm, with plain '
    'sums and without peepholes',
    {'form': 'native'},
  ),
}
TASK_NEEDS = {
  'error_at_end': [
    (
      'form=native moves the weights once a sequence where every step has an '
      'error',
      {'form': 'native', 'update': 'every_step'},
    ),
    LAST_STEP_ALONE,
  ],
}
NUMBERS = {'learning_rate': 0.1}
AUTO = {'form': ('native', 'streaming')}
# What else is compiled into a program, and under which options.
STATIC = {'length': {'form': 'batched'}}
REFUSES = (
  (
    {'form': 'batched', 'update': 'every_step'},
    'the batched form has the gradient of the whole sequence only',
  ),
)


@checked
def truncated1997(
  cell: Cell,
  task: Task,
  *,
  form: Literal['streaming', 'batched', 'native', 'auto'] = 'streaming',
  update: Literal['sequence', 'every_step'] = 'sequence',
  cells_added: Literal['at_start', 'at_plateau'] = 'at_start',
  plateau_sequences: Count = 100,
  plateau_ratio: Positive = 0.99,
  optimizer: Optimizer = 'sgd',
  restart: Restart = 'never',
  restart_sequences: Count = 2000,
  restart_ratio: Positive = 0.7,
  length: int | None = None,
) -> Learner:
  """The truncated rule of 1997: error kept in the internal state alone.

  Args:
    cell: a cell with an internal state whose recurrence is elementwise
      (lstm1997, lstm).
    task: the task, for its error and its sequences.
    form: 'streaming' (forward traces; memory does not grow with the sequence)
      or 'batched' (stores the forward pass; no recursion over time but the
      forward one), or 'native' (the streaming form with its steps in C++, on a
      CPU where `python -m lstm_jax.nn.native` has been run; the bits of a trial
      do not depend on its neighbours). Equal to rounding. 'auto' is the native
      form where it is compiled already, the last step alone is scored and C++
      draws the inputs, else the streaming one; a plan chooses when it is made,
      and only where sequences are long.
    update: when the weights move: once with the sum over the sequence (the
      appendix: a weight's update is the sum over all time steps) or after
      every scored step. The same where only the last step is scored.
    cells_added: 'at_plateau' trains the weights from input lines to output
      units alone until the error stops falling, then adds the memory cells
      (Experiments 2a, 2b).
    plateau_sequences, plateau_ratio: the error has stopped falling when its
      mean square over so many sequences is above so much of that over as many
      before. The paper does not say.
    optimizer: what turns the gradient into an update: a name (the paper's is
      'sgd'; 'normalised' is for long lags), or a transformation of optax with a
      learning rate of its own.
    restart: 'without_progress' gives a trial new weights where its mean squared
      error over the second half of `restart_sequences` is above `restart_ratio`
      of the variance of the targets (a learner of long lags; not the paper's).
    length: the task's T, which the batched form must know to size its arrays.

  Returns:
    The learner.

  Raises:
    ValueError: a cell without an internal state, an unknown form, update,
      moment of adding cells or optimizer, the batched form without a length or
      with an update at every step, the native form where there is none (and
      why), cells to be added to a network whose output units do not see the
      input lines.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.adding()
    >>> cell = lj.lstm1997(2, 1)
    >>> learner = lj.truncated1997(cell, task)
    >>> sorted(learner._fields)
    ['extra_weights', 'foreign', 'init', 'judge', 'update']
  """
  gradient: Callable[[Params, Episode], tuple[Params, Judgement]]
  if form == 'auto':
    form = 'native' if _gains_by_native(cell, task) else 'streaming'
  if form == 'streaming':
    gradient = functools.partial(streaming_gradient, cell, task)
  elif form == 'native':
    if reason := compiled.refusal(task):
      raise ValueError(f'truncated1997: form=native: {reason}')
    gradient = functools.partial(compiled.compiled_gradient, cell, task)
  elif length is None:
    raise ValueError('form=batched needs length, to size its arrays')
  else:
    gradient = functools.partial(
      batched_gradient, cell, task, num_steps=task.longest(length)
    )

  def judge(params, episode):
    return _judge.judge_forward(cell, task, params, episode)

  first = growth.first_net(cell) if cells_added == 'at_plateau' else None
  init, move = _descend.stepper(cell, optimizer, first)

  def learn(state, episode):
    if update == 'every_step' and not task.error_at_end:
      return streaming_updates(cell, task, state, episode, move)
    grads, judgement = gradient(state.params, episode)
    return move(state, grads, judgement.squared), judgement

  def learn_after(state, episode, steps):
    grads, judgement = compiled.gradient_at_end(
      cell, task, state.params, episode, steps.state, steps.net
    )
    return move(state, grads, judgement.squared), judgement

  if first is None:
    foreign = None
    if form == 'native' and compiled.is_one_call(task):
      foreign = ForeignSteps(
        functools.partial(compiled.prepare_steps, cell, task),
        truncated.run_steps,
        learn_after,
      )
    learner = Learner(init, learn, judge, foreign=foreign)
  else:
    learner = growth.at_plateau(
      init, learn, judge, first, plateau_sequences, plateau_ratio
    )
  return restarting(learner, task, restart, restart_sequences, restart_ratio)


def _gains_by_native(cell, task):
  """Tells whether there is compiled code for it here, and not the slower."""
  return (
    parts.OF_CELLS['compiled_rule'](cell)
    and compiled.is_one_call(task)
    and compiled.refusal(task) is None
  )


def batched_gradient(
  cell: Cell, task: Task, params: Params, episode: Episode, num_steps: int
) -> tuple[Params, Judgement]:
  """The gradient of one sequence without traces or a recursion backwards.

  Args:
    cell, task, params, episode: as in `streaming_gradient`.
    num_steps: length of the arrays, a Python int not below any length.

  Returns:
    As `streaming_gradient`.
  """
  stream, (equations, internal) = task.stream(episode), carousel.parts_of(cell)
  weights = step.hidden_weights(equations, params)
  dtype = weights[1].dtype
  lanes = stream.length.shape
  sequence = _steps.materialise(task, stream, num_steps, dtype)
  carry = cell.initial_carry(lanes, dtype)

  def forward(carry_tm1, inputs):
    t, x_t = inputs
    z = step.hidden_sources(equations, carry_tm1, x_t)
    carry_t, factors, decay = carousel.eligibility(
      cell, carry_tm1, step.net_input(weights, z)
    )
    # Past the step before its last, a sequence stands still: the scan ends
    # with the carry that its last step starts from.
    active = t < stream.length - 1
    carry_t = select(active, carry_t, carry_tm1)
    factors = {k: jnp.where(active, f, 0) for k, f in factors.items()}
    if decay is not None:
      decay = jnp.where(active, decay, 1)
    return carry_t, (carry_tm1, z, factors, decay)

  def score(carry_tm1, x_t, target, weight):
    z = step.hidden_sources(equations, carry_tm1, x_t)
    return carousel.errors(
      cell, task, step.output_weights(equations, params), carry_tm1,
      step.net_input(weights, z), x_t, target, weight,
    )  # fmt: skip

  last, (carries, z, factors, decay) = jax.lax.scan(
    forward, carry, (jnp.arange(num_steps), sequence.inputs)
  )
  nothing = jax.tree.map(jnp.zeros_like, params)
  output = step.output_weights(equations, nothing)
  hidden = step.hidden_weights(equations, nothing)
  if task.error_at_end:
    t = stream.length - 1
    x_t = cast(stream.input_at(t), dtype)
    e = score(
      last, x_t, stream.target_at(t).astype(dtype), jnp.ones(lanes, dtype)
    )
    tally = _judge.no_tally(lanes, dtype)
    judgement = _judge.judgement_of(
      _judge.tally_step(tally, task, stream, episode, t, e.net_k)
    )
    z_last = step.hidden_sources(equations, last, x_t)
    hidden = carousel.plus_products(hidden, e.e_net, z_last)
    output = carousel.plus_products(output, e.e_k, e.z_k)
    # One error, which reaches every step before it.
    e_s = jnp.zeros((num_steps, *e.e_s.shape), dtype).at[-1].set(e.e_s)
  else:
    # Every step on its own, from carries that are constants: no recursion.
    e = jax.vmap(score)(
      carries, sequence.inputs, sequence.targets, sequence.mask
    )
    judgement = _judge.judge_sequence(task, stream, episode, e.net_k)
    hidden = _plus_all_products(hidden, e.e_net, z)
    output = _plus_all_products(output, e.e_k, e.z_k)
    e_s = jnp.concatenate([e.e_s[1:], jnp.zeros_like(e.e_s[:1])])

  e_s = _gather_errors(e_s, decay)
  for kind, factor in factors.items():
    to_units = functools.partial(
      carousel.to_units, internal, kind, num_units=len(weights[1])
    )
    nothing = jax.tree.map(
      lambda p, rows=factor.shape[1]: jnp.zeros((rows, *p.shape[1:]), dtype),
      weights,
    )
    w, b = _plus_all_products(nothing, e_s * factor, z)
    hidden = jax.tree.map(
      jnp.add, hidden, (tuple(map(to_units, w)), to_units(b))
    )
  return step.gather(equations, params, hidden, output), judgement


def _gather_errors(errors, decay):
  """dE/ds_c(t) `[T, C, *]` from what the step after t alone sends back."""
  if decay is None:
    return jnp.flip(jnp.cumsum(jnp.flip(errors, 0), axis=0), 0)
  # e(t) = later(t) + J(t+1) e(t+1): a linear recurrence, log-depth.
  decay = jnp.concatenate([decay[1:], jnp.zeros_like(decay[:1])])

  def combine(right, left):
    return right[0] * left[0], left[1] + left[0] * right[1]

  _, e = jax.lax.associative_scan(combine, (decay, errors), reverse=True)
  return e


def _plus_all_products(total, error, z):
  """`total + sum_t error(t) z(t)`, arrays `[T, R, *]` and `[T, S_i, *]`."""
  w, b = total
  w = tuple(
    p + _sum_of_products(p, error, s) for p, s in zip(w, z, strict=True)
  )
  return w, b + jnp.sum(error, axis=0)


def _sum_of_products(like, error, z):
  """sum_t error(t) z(t): `[T, R, *]`, `[T, S, *]` to `[R, S, *]`."""
  if isinstance(z, OneHot):

    def add(t, total):
      return add_outer(total, error[t], OneHot(z.index[t], z.size))

    return jax.lax.fori_loop(0, len(error), add, jnp.zeros_like(like))
  if error.ndim == 2:
    return error.T @ z
  # With lanes a product a lane, which a batched matrix product does badly.
  return jnp.sum(error[:, :, None] * z[:, None], axis=0)
