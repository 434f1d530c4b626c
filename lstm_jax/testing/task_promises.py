"""Checks of a task, thoroughly: all that the tasks of the catalog promise."""

import sys
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.choices import type_words
from lstm_jax.ops.arrays import to_dense
from lstm_jax.ops.prng import Key
from lstm_jax.testing.broken import Broken, same
from lstm_jax.testing.numeric import (
  lane,
  require_finite,
  require_pure,
  require_same,
  require_slope,
)
from lstm_jax.testing.promises import Failure, Promise, build, hold
from lstm_jax.testing.tasks import admit_task
from lstm_jax.types import Array, Evidence, Judgement, Task

_LANES = 8
_MOST_STEPS = 64  # looked at of a sequence


class _Subject(NamedTuple):
  """A task under examination: how it draws, and that compiled."""

  name: str
  task: Task
  length: int
  draw: Callable[..., object]
  functions: dict[str, Callable[..., dict[str, Array]]]
  compiled: dict[str, Callable[..., dict[str, Array]]]


def check_task(
  factory: Callable[..., Task] | Task,
  *,
  length: int | None = None,
  options: Mapping[str, object] | None = None,
  name: str = '',
  without: Collection[str] = (),
  raises: bool = True,
) -> tuple[Failure, ...]:
  """Checks a task against all that the tasks of this package promise.

  Whether the inputs tell the targets is not looked at: equal inputs with other
  targets are right where targets are noisy, or the next of several symbols.

  Args:
    factory: `(**options) -> Task`, or a task.
    length: T; None: `NUMBERS['length']` of the factory's module, but at most
      20, and at least its SHORTEST; 1 where there is none.
    options: of the factory.
    name: for messages; '': that of the factory.
    without: names of promises that are left out.
    raises: whether broken promises are raised, or returned.

  Returns:
    A `Failure` for each broken promise, () for none.

  Raises:
    Broken: with a line for each broken promise: what is wrong, where to look.

  Example:
    >>> import lstm_jax as lj
    >>> lj.testing.check_task(lj.adding, length=10)
    ()
    >>> bad = lj.adding()._replace(longest=lambda length: length)
    >>> lj.testing.check_task(bad, length=10, raises=False)[0].promise
    'sequences'
  """
  name = name or getattr(factory, '__name__', 'task')
  if length is None:
    length = _length(factory)
  task = build(factory, Task, f'task {name}', **options or {})
  draw = lambda key, length: task.draw(key, length, task.prepare(key, length))
  functions = {'draw': draw, 'fresh': task.fresh}
  subject = _Subject(
    name,
    task,
    length,
    jax.jit(functions['draw']),
    {drawing: _look(task, function) for drawing, function in functions.items()},
    {drawing: jax.jit(_look(task, of)) for drawing, of in functions.items()},
  )
  return hold(f'task {name}', TASK_PROMISES, subject, without, raises)


def _look(task, draw):
  """`(key, length, clocks [n, *]) -> what is drawn`, name -> array."""

  def look(key, length, clocks):
    episode = draw(key, length)
    stream = task.stream(episode)
    at = lambda t: {
      'input_at': to_dense(stream.input_at(t)),
      'target_at': stream.target_at(t),
      'scored_at': stream.scored_at(t),
    }
    return {'length': stream.length, **jax.vmap(at)(clocks)}

  return look


def _length(factory):
  """The length that a task is looked at with, by what its module says."""
  module = sys.modules.get(getattr(factory, '__module__', ''))
  usual = getattr(module, 'NUMBERS', {}).get('length', 1)
  return max(min(usual, 20), getattr(module, 'SHORTEST', 1))


def _keys(lanes=(_LANES,), seed=0):
  random = np.random.default_rng(seed)
  return Key(*random.integers(2**32, size=(2, *lanes), dtype=np.uint32))


def _clocks(of):
  """Steps that are looked at, in reverse in every other lane."""
  count = min(of.task.longest(of.length), _MOST_STEPS)
  steps = np.arange(count, dtype=np.int32)[:, None]
  return np.where(np.arange(_LANES) % 2, steps, steps[::-1])


def _keys_of(of):
  return _keys(), np.full(_LANES, of.length, np.int32), _clocks(of)


def _draw_masked(of, drawing='draw'):
  """Sequences as lanes see them, 0 where nothing counts."""
  with jax.enable_x64(False):
    return _mask(of.compiled[drawing](*_keys_of(of)), _clocks(of))


def _mask(sequences, clocks):
  """Sequences as seen, 0 past the end of sequences and where nothing counts."""
  sequences = {name: np.asarray(value) for name, value in sequences.items()}
  is_step = clocks < sequences['length']
  scored = is_step & sequences['scored_at']
  return {
    'length': sequences['length'],
    'input_at': np.where(np.expand_dims(is_step, 1), sequences['input_at'], 0),
    'target_at': np.where(np.expand_dims(scored, 1), sequences['target_at'], 0),
    'scored_at': scored,
  }


def _sequences(of):
  with jax.enable_x64(False):
    admit_task(of.name, of.task, of.length)


def _longest(of):
  lengths = [of.task.longest(of.length + n) for n in range(4)]
  for steps in lengths:
    if not isinstance(steps, int) or isinstance(steps, bool):
      raise Broken(
        f'longest gives {steps!r}, {type_words(steps)}; must be an int'
      )
  if sorted(lengths) != lengths:
    raise Broken(f'longest falls as the length grows: {lengths}')


def _keys_decide(of):
  for drawing in of.compiled:
    sequences = _draw_masked(of, drawing)
    lanes = {
      b''.join(
        sequences[name][..., i].tobytes() for name in ('input_at', 'target_at')
      )
      for i in range(0, _LANES, 2)
    }
    if len(lanes) == 1:
      raise Broken(
        f'{drawing} gives one sequence whatever the key: {_LANES // 2} keys '
        'were tried'
      )


def _purity(of):
  with jax.enable_x64(False):
    for drawing, look in of.functions.items():
      require_pure(drawing, look, *_keys_of(of))


def _lanes(of):
  """Each lane is the sequence of its key alone, without being compiled."""
  sequences = _draw_masked(of)
  keys, lengths, clocks = _keys_of(of)
  for i in (0, 1):
    with jax.enable_x64(False):
      sequence = of.functions['draw'](
        Key(*(jnp.asarray(word[i]) for word in keys)),
        jnp.asarray(lengths[i]),
        jnp.asarray(clocks[:, i]),
      )
    require_same(
      f'the sequence of lane {i} is another one when it is alone, and not '
      'compiled',
      lane(sequences, i),
      _mask(sequence, clocks[:, i]),
      1e-6,
    )


def _end(of):
  if not of.task.error_at_end:
    return
  sequences = _draw_masked(of)
  if np.any(sequences['scored_at'] & (_clocks(of) != sequences['length'] - 1)):
    raise Broken(
      'error_at_end is True, and a step before the last one is scored'
    )


def _next_symbol(of):
  if not of.task.next_symbol:
    return
  seen, clocks = _draw_masked(of), _clocks(of)
  for i in range(_LANES):
    order = np.argsort(clocks[:, i])[: int(seen['length'][i])]
    inputs, targets = (
      seen[what][..., i][order] for what in ('input_at', 'target_at')
    )
    if not np.array_equal(targets[:-1], inputs[1:]):
      raise Broken(
        'next_symbol is True, and the target of a step is not the input of the '
        'next'
      )


def _tolerance(of):
  """Wrong outputs are wrong at one of the steps that count, at least."""
  counts, (episode, _) = _draw_masked(of)['scored_at'], _episode(of)
  correct = jax.jit(jax.vmap(of.task.correct, (None, 0, None)))
  for words, value in (('outputs of 1,000,000', 1e6), ('nan', np.nan)):
    with jax.enable_x64(False):
      y_k = jnp.full((of.task.num_outputs, _LANES), value)
      right = correct(episode, _clocks(of), y_k)
    if np.all(np.asarray(right) | ~counts):
      raise Broken(f'correct takes {words} for right')


def _episode(of):
  """`(episode, step)` of lanes, at a step that is scored."""
  first = np.argmax(_draw_masked(of)['scored_at'], axis=0)
  at = np.take_along_axis(_clocks(of), first[None], axis=0)[0]
  key, length, _ = _keys_of(of)
  with jax.enable_x64(False):
    return of.draw(key, length), jnp.asarray(at)


def _loss(of):
  """The derivative of the loss is its slope, and far out it is finite."""
  task, h = of.task, 1e-6
  loss = jax.jit(task.loss)
  random = np.random.default_rng(1)
  episode, at = _episode(of)
  with jax.enable_x64(False):
    target = np.asarray(task.stream(episode).target_at(at), np.float64)
  net = jnp.asarray(random.normal(size=(task.num_outputs, _LANES)))
  target = jnp.asarray(target)
  total = lambda net: jnp.sum(task.loss(net, target))
  slope_of = jax.jit(jax.grad(total))
  grads = slope_of(net)
  direction = random.normal(size=net.shape)
  losses = [loss(net + sign * h * direction, target) for sign in (1, -1)]
  slope = (losses[0] - losses[1]) / (2 * h)
  predicted = np.sum(np.asarray(grads) * direction, axis=0)
  require_slope(
    'the derivative of the loss is not its slope', predicted, slope, 1e-7
  )
  for size in (-1e3, 1e3):
    net_far = jnp.full_like(net, size)
    require_finite(
      f'outputs of net inputs of {size:g}',
      (jax.jit(task.output)(net_far), loss(net_far, target), slope_of(net_far)),
    )


def _stop_rule(of):
  rule, lanes = of.task.stop_rule, (_LANES,)
  zeros = jnp.zeros(lanes, jnp.float32)
  with jax.enable_x64(False):
    judgement = Judgement(jnp.ones(lanes, bool), zeros, zeros)
    state = rule.init(lanes, jnp.float32)
    evidence = Evidence(
      judgement=judgement,
      learned=jnp.ones(lanes, bool),
      seen=jnp.ones(lanes, jnp.int32),
      first_passed=jnp.zeros(lanes, jnp.int32),
      length=jnp.full(lanes, of.length, jnp.int32),
      key=_keys(),
      next_key=_keys(seed=1),
      params=judgement,
      judge=lambda params, episode: judgement,
    )
    state_t, verdict = jax.eval_shape(lambda s: rule.update(s, evidence), state)
    same('stop_rule.update', 'state', state_t, 'stop_rule.init', state)
    for name, value in verdict._asdict().items():
      shape, dtype = np.shape(value), value.dtype
      if np.dtype(dtype).kind != 'b' or shape not in ((), lanes):
        raise Broken(
          f'stop_rule.update gives {name} as {dtype}{list(shape)}, must be '
          f'bool{list(lanes)}'
        )


TASK_PROMISES: tuple[Promise[_Subject], ...] = (
  Promise('sequences', 'see lstm_jax.types.Task, Stream', _sequences),
  Promise('longest', 'see Task.longest', _longest),
  Promise('keys', 'see Task.draw, Task.fresh: lstm_jax.ops.prng', _keys_decide),
  Promise('purity', 'a function keeps nothing between calls', _purity),
  Promise('lanes', 'see Task.draw, Task.stream: lanes last, t is [*]', _lanes),
  Promise('error_at_end', 'see Task.error_at_end, Stream.scored_at', _end),
  Promise(
    'next_symbol', 'see Task.next_symbol, Stream.target_at', _next_symbol
  ),
  Promise('tolerance', 'see Task.correct', _tolerance),
  Promise('loss', 'see Task.loss, Task.output', _loss),
  Promise('stop_rule', 'see lstm_jax.types.StopRule', _stop_rule),
)
