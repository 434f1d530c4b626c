"""Checks what a task promises: see `types.Task` and `types.Stream`."""

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.prng import Key
from lstm_jax.testing.broken import Broken, must_be, words
from lstm_jax.types import OneHot, StopRule, Stream, Task

_SEQUENCES = 4  # drawn of a task
_STEPS = 512  # looked at of each


def admit_task(name: str, task: Task, length: int = 1) -> None:
  """Checks a task on a few of its sequences.

  Args:
    name: for messages.
    task: what its factory has made.
    length: T.

  Raises:
    Broken: shapes that are not those of its numbers of inputs and outputs; a
      sequence without steps, without a scored step, or longer than `longest`;
      an input, or a target that counts, that is not finite.
  """
  title = f'task {name}'
  must_be(title, task, Task)
  must_be(f'{title}: stop_rule', task.stop_rule, StopRule)
  longest = task.longest(length)
  if not isinstance(longest, int | np.integer):
    raise Broken(
      f'{title}: longest({length}) is {longest!r}, must be an integer'
    )
  words_of = jnp.arange(_SEQUENCES, dtype=jnp.uint32)
  key = Key(words_of + 7, words_of + 11)
  lanes = jnp.full(_SEQUENCES, length, jnp.int32)

  def look(key):
    """`(length, steps, (x_t, target, scored) at them)` of drawn sequences."""
    episode = task.draw(key, lanes, task.prepare(key, lanes))
    stream = task.stream(episode)
    must_be(f'{title}: stream', stream, Stream)
    steps = jnp.arange(min(longest, _STEPS), dtype=jnp.int32)
    steps = jnp.broadcast_to(steps[:, None], (len(steps), _SEQUENCES))
    if longest > _STEPS:  # the ends of long ones
      half = _STEPS // 2
      steps_late = steps[half:] + (stream.length - _STEPS)[None]
      steps = jnp.concatenate((steps[:half], jnp.maximum(steps_late, half)))
    at = lambda t: (
      stream.input_at(t),
      stream.target_at(t),
      stream.scored_at(t),
    )
    return stream.length, steps, jax.vmap(at)(steps)

  program = jax.jit(look).lower(key)
  _check_step_shapes(title, task, program.out_info[2])
  draw = lambda key, lanes: task.draw(key, lanes, task.prepare(key, lanes))
  for what, make in (('draw', draw), ('fresh', task.fresh)):
    _check_tolerance(f'{title}: {what}', task, make, key, lanes)
  program = program.compile()(key)
  _check_values(title, longest, jax.tree.map(np.asarray, program))


def _check_step_shapes(title, task, step):
  """A step of a sequence has the shapes that the task says."""
  x_t, target, scored = step
  lanes = (_SEQUENCES,)
  row = lambda leaf: leaf.shape[1:]  # without the steps
  one_hot = isinstance(x_t, OneHot)
  lines = (x_t.size, *row(x_t.index)) if one_hot else row(x_t)
  for part, shape, target_shape in (
    ('inputs [I, *]', lines, (task.num_inputs, *lanes)),
    ('targets [K, *]', row(target), (task.num_outputs, *lanes)),
    ('scored [*]', row(scored), lanes),
  ):
    if shape != target_shape:
      raise Broken(
        f'{title}: {part} of its stream are {list(shape)} for {_SEQUENCES} '
        f'lanes, must be {list(target_shape)}'
      )
  net = jax.ShapeDtypeStruct((task.num_outputs, *lanes), jnp.float32)
  output = jax.eval_shape(task.output, net)
  target_struct = jax.ShapeDtypeStruct(row(target), target.dtype)
  loss = jax.eval_shape(task.loss, net, target_struct)
  for part, shape, target_shape in (
    ('output', output.shape, net.shape),
    ('loss', loss.shape, lanes),
  ):
    if shape != target_shape:
      raise Broken(
        f'{title}: {part} of {words(net)} is {list(shape)}, must be '
        f'{list(target_shape)}'
      )


def _check_tolerance(who, task, make, key, lanes):
  """Sequences of both kinds have a stream, and their outputs are rated."""

  def rate(key, net):
    episode = make(key, lanes)
    must_be(f'{who}: stream', task.stream(episode), Stream)
    return task.correct(episode, 0 * lanes, task.output(net))

  net = jax.ShapeDtypeStruct((task.num_outputs, *lanes.shape), jnp.float32)
  right = jax.eval_shape(rate, key, net)
  if (right.shape, right.dtype) != (lanes.shape, bool):
    raise Broken(
      f'{who}: correct gives {words(right)}, must be bool{list(lanes.shape)}'
    )


def _check_values(title, longest, sequences):
  """Lengths, inputs, targets and scored steps of sequences drawn."""
  length, steps, (x_t, target, scored) = sequences
  if length.dtype.kind not in 'iu':
    raise Broken(f'{title}: lengths are {length.dtype}, must be integers')
  if length.min() < 1 or length.max() > longest:
    raise Broken(
      f'{title}: sequences of {length.min():,} to {length.max():,} steps, must '
      f'have 1 to {longest:,} (longest)'
    )
  is_step = steps < length
  if not (scored & is_step).any(0).all() and longest <= _STEPS:
    raise Broken(f'{title}: a sequence without a step whose error counts')
  if isinstance(x_t, OneHot):
    index = x_t.index[is_step]
    if index.min() < 0 or index.max() >= x_t.size:
      raise Broken(
        f'{title}: inputs pick row {index.min()} to {index.max()} of {x_t.size}'
      )
  elif not np.isfinite(x_t.astype(np.float32).swapaxes(1, 2)[is_step]).all():
    raise Broken(f'{title}: an input is not finite (nan or inf)')
  targets = target.astype(np.float32).swapaxes(1, 2)[scored & is_step]
  if not np.isfinite(targets).all():
    raise Broken(f'{title}: a target that counts is not finite (nan or inf)')
