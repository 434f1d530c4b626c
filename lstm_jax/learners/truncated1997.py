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
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.learners import _carousel, _descend
from lstm_jax.types import Learner
from lstm_jax.unroll import select, settle

NEEDS = {
  'split': 'the rule keeps the error inside an internal state, '
  'and this cell has none',
}
NUMBERS = {'learning_rate': 0.1}
# What else is compiled into a program, and under which options.
STATIC = {'length': {'form': 'batched'}}


def truncated1997(
  cell,
  task,
  *,
  form: Literal['streaming', 'batched'] = 'streaming',
  optimizer: Literal['sgd', 'adam', 'rmsprop'] = 'sgd',
  length: int | None = None,
) -> Learner:
  """The truncated rule of 1997: error kept in the internal state alone.

  Args:
    cell: a cell with a `split` (lstm1997, lstm): one that has an internal
      state with an elementwise recurrence.
    task: the task, for its error and its sequences.
    form: 'streaming' (forward traces; memory does not grow with the sequence)
      or 'batched' (stores the forward pass; no recursion over time but the
      forward one). Equal to rounding.
    optimizer: what turns the gradient into an update; the paper's is 'sgd'.
    length: the task's T, which the batched form must know to size its arrays.

  Returns:
    The learner: one update a sequence.

  Raises:
    ValueError: a cell without `split`, an unknown form or optimizer, the
      batched form without a length.
  """
  if cell.split is None:
    raise ValueError(f'truncated1997: {NEEDS["split"]}')
  if form not in ('streaming', 'batched'):
    raise ValueError(f'form={form!r} must be one of streaming, batched')
  if form == 'batched' and length is None:
    raise ValueError('form=batched needs length, to size its arrays')

  def gradient(params, episode):
    if form == 'streaming':
      return streaming_gradient(cell, task, params, episode)
    return batched_gradient(cell, task, params, episode, task.longest(length))

  def judge(params, episode):
    return _descend.judge_forward(cell, task, params, episode)

  return _descend.descend(cell, gradient, judge, optimizer)


class _Loop(NamedTuple):
  """What the streaming loop carries from one step to the next."""

  carry_tm1: tuple  # the cell's carry
  net: jax.Array  # [U, *] net inputs of this step, already computed
  z: tuple  # [S_i, *] the sources of this step, its input first
  x_tp1: jax.Array  # [I, *] the input of the next step
  traces: dict  # kind -> ([C, S_i, *] for each source, [C, *] for the bias)


def streaming_gradient(cell, task, params, episode):
  """The gradient of one sequence by traces carried forward, eqs. (25), (27).

  Args:
    cell, task: the net and the task.
    params: `[..., *]`.
    episode: the sequence; the lengths of its stream are `[*]`.

  Returns:
    `(grads, judgement)`: dE/dw, E the sum of `task.loss` over scored steps,
    and the judgement of the outputs.
  """
  stream, split = task.stream(episode), cell.split
  lanes = stream.length.shape
  weights = split.weights(params)
  dtype = weights[1].dtype
  num_steps, clock = _descend.clocks(stream)
  input_at = lambda i: stream.input_at(clock(i)).astype(dtype)

  def body(i, loop):
    # The step's net inputs and sources come from the iteration before, and its
    # input from two before. XLA:CPU would otherwise fuse the squashing and the
    # draw of the input into each consumer and compute them once a row.
    active = clock(i) >= 0
    carry_t, factors, decay = _carousel.eligibility(
      split, loop.carry_tm1, loop.net
    )
    carry_t = select(active, carry_t, loop.carry_tm1)
    traces = {
      kind: _accumulate(
        loop.traces[kind], jnp.where(active, factor, 0), decay, loop.z
      )
      for kind, factor in factors.items()
    }
    z = split.sources(carry_t, loop.x_tp1)
    net = _carousel.net_of(weights, z)
    return _Loop(carry_t, net, z, input_at(i + 2), traces)

  carry = cell.initial_carry(lanes, dtype)
  z = split.sources(carry, input_at(0))
  cells = getattr(carry, split.internal)
  nothing = lambda s: jnp.zeros((len(cells), *s.shape), dtype)
  traces = {
    kind: (tuple(map(nothing, z)), jnp.zeros_like(cells))
    for kind in split.serves
  }
  net = _carousel.net_of(weights, z)
  loop = _Loop(carry, net, z, input_at(1), traces)

  def score(loop, t, weight):
    target = stream.target_at(t).astype(dtype)
    grads, e, net_k = _descend.scored_step(
      cell, task, params, loop.carry_tm1, loop.z[0], target, weight,
      keep=(split.internal,),
    )  # fmt: skip
    grads, e, net_k = settle((grads, e, net_k), num_steps > 0)
    past = _from_traces(split, e[split.internal], loop.traces, len(weights[1]))
    return _plus(grads, past), net_k

  if task.error_at_end:
    loop = jax.lax.fori_loop(0, num_steps - 1, body, loop)
    t = stream.length - 1
    grads, net_k = score(loop, t, 1.0)
    tally = _descend.no_tally(lanes, dtype)
    return grads, _descend.judged(
      _descend.tally_step(tally, task, stream, episode, t, net_k)
    )

  def scored_body(i, c):
    loop, grads, tally = c
    t = clock(i)
    weight = ((t >= 0) & stream.scored_at(t)).astype(dtype)
    step_grads, net_k = score(loop, t, weight)
    tally = _descend.tally_step(tally, task, stream, episode, t, net_k)
    return body(i, loop), _plus(grads, step_grads), tally

  start = (
    loop,
    jax.tree.map(jnp.zeros_like, params),
    _descend.no_tally(lanes, dtype),
  )
  _, grads, tally = jax.lax.fori_loop(0, num_steps, scored_body, start)
  return grads, _descend.judged(tally)


def batched_gradient(cell, task, params, episode, num_steps):
  """The gradient of one sequence without traces or a recursion backwards.

  Args:
    cell, task, params, episode: as in `streaming_gradient`.
    num_steps: length of the arrays, a Python int not below any length.

  Returns:
    As `streaming_gradient`.
  """
  stream, split = task.stream(episode), cell.split
  weights = split.weights(params)
  dtype = weights[1].dtype
  lanes = stream.length.shape
  sequence = _descend.materialise(task, stream, num_steps, dtype)
  carry = cell.initial_carry(lanes, dtype)

  def forward(carry_tm1, step):
    t, x_t = step
    z = split.sources(carry_tm1, x_t)
    carry_t, factors, decay = _carousel.eligibility(
      split, carry_tm1, _carousel.net_of(weights, z)
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
    return _descend.scored_step(
      cell, task, params, carry_tm1, x_t, target, weight,
      keep=(split.internal,),
    )  # fmt: skip

  last, (carries, z, factors, decay) = jax.lax.scan(
    forward, carry, (jnp.arange(num_steps), sequence.inputs)
  )
  if task.error_at_end:
    t = stream.length - 1
    grads, e, net_k = score(
      last, stream.input_at(t).astype(dtype),
      stream.target_at(t).astype(dtype), 1.0,
    )  # fmt: skip
    tally = _descend.no_tally(lanes, dtype)
    judgement = _descend.judged(
      _descend.tally_step(tally, task, stream, episode, t, net_k)
    )
    # One error, which reaches every step before it.
    e_s = jnp.zeros((num_steps, *e[split.internal].shape), dtype)
    e_s = e_s.at[-1].set(e[split.internal])
  else:
    # Every step on its own, from carries that are constants: no recursion.
    grads, e, nets = jax.vmap(score)(
      carries, sequence.inputs, sequence.targets, sequence.mask
    )
    grads = jax.tree.map(lambda g: jnp.sum(g, axis=0), grads)
    judgement = _descend.judge_sequence(task, stream, episode, nets)
    e_s = jnp.concatenate(
      [e[split.internal][1:], jnp.zeros_like(e[split.internal][:1])]
    )

  e_s = _gather_errors(e_s, decay)
  to_units = functools.partial(
    _carousel.to_units, split, num_units=len(weights[1])
  )
  for kind, factor in factors.items():
    error = e_s * factor
    grads = _plus(
      grads,
      split.gather(
        tuple(to_units(kind, _sum_of_products(error, s)) for s in z),
        to_units(kind, jnp.sum(error, axis=0)),
      ),
    )
  return grads, judgement


def _accumulate(trace, factor, decay, z):
  """Traces one step on: J trace + F z, the bias with z = 1."""
  (per_source, bias) = trace
  if decay is not None:
    per_source = tuple(decay[:, None] * p for p in per_source)
    bias = decay * bias
  per_source = tuple(
    p + factor[:, None] * s[None] for p, s in zip(per_source, z, strict=True)
  )
  return per_source, bias + factor


def _from_traces(split, e_s, traces, num_units):
  """What the steps before contribute: sum_c e_s ds_c(t-1)/dw."""
  to_units = functools.partial(_carousel.to_units, split, num_units=num_units)
  total = None
  for kind, (per_source, bias) in traces.items():
    part = split.gather(
      tuple(to_units(kind, e_s[:, None] * p) for p in per_source),
      to_units(kind, e_s * bias),
    )
    total = part if total is None else _plus(total, part)
  return total


def _gather_errors(later, decay):
  """dE/ds_c(t) `[T, C, *]` from what the step after t alone sends back."""
  if decay is None:
    return jnp.flip(jnp.cumsum(jnp.flip(later, 0), axis=0), 0)
  # e(t) = later(t) + J(t+1) e(t+1): a linear recurrence, log-depth.
  decay = jnp.concatenate([decay[1:], jnp.zeros_like(decay[:1])])

  def combine(right, left):
    return right[0] * left[0], left[1] + left[0] * right[1]

  _, e = jax.lax.associative_scan(combine, (decay, later), reverse=True)
  return e


def _sum_of_products(error, z):
  """sum_t error(t) z(t): `[T, C, *]`, `[T, S, *]` to `[C, S, *]`."""
  if error.ndim == 2:
    return error.T @ z
  # With lanes a product a lane, which a batched matrix product does badly.
  return jnp.sum(error[:, :, None] * z[:, None], axis=0)


def _plus(a, b):
  return jax.tree.map(jnp.add, a, b)
