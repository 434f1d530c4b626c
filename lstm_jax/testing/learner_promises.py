"""Checks of a learner: all that the learners of the catalog promise."""

from collections.abc import Callable, Collection, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.arrays import to_dense
from lstm_jax.ops.prng import Key
from lstm_jax.ops.unroll import unroll
from lstm_jax.testing.broken import Broken
from lstm_jax.testing.learner_subject import (
  LANES,
  RATES,
  SHORTENED_BY,
  Subject,
  drawer,
  episodes_of,
  numbers_of,
  states_of,
  subject_of,
)
from lstm_jax.testing.learners import check_shapes
from lstm_jax.testing.numeric import (
  arrays,
  key_of,
  lane,
  require_finite,
  require_pure,
  require_same,
)
from lstm_jax.testing.promises import Failure, Promise, hold
from lstm_jax.types import Cell, Learner, Task

_ROUNDS = 3


def check_learner(
  factory: Callable[..., Learner] | Learner,
  cell: Cell | None = None,
  task: Task | None = None,
  *,
  length: int = 10,
  options: Mapping[str, object] | None = None,
  numbers: Mapping[str, object] | None = None,
  exact: bool | None = None,
  name: str = '',
  without: Collection[str] = (),
  raises: bool = True,
) -> tuple[Failure, ...]:
  """Checks a learner against all that the learners of this package promise.

  Args:
    factory: `(cell, task, **options) -> Learner`, or a learner.
    cell: what it trains; None: an `lstm1997` that lacks some connections.
    task: what that learns; None: `adding`.
    length: T; at least 4 and what the task is defined for after that.
    options: of the factory; `length` is added where STATIC of its module names
      it.
    numbers: name -> default of the learner's; None: NUMBERS of its module, or
      the learning rate alone.
    exact: whether an update goes down the full gradient of the sequence's error
      at the learning rate; None: whether PROVIDES of its module names
      'exact_gradient'.
    name: for messages; '': that of the factory.
    without: names of promises that are left out: `judged_first` of a rule that
      learns within a sequence.
    raises: whether broken promises are raised, or returned.

  Returns:
    A `Failure` for each broken promise, () for none.

  Raises:
    Broken: with a line for each broken promise: what is wrong, where to look.

  Example:
    >>> import lstm_jax as lj
    >>> lj.testing.check_learner(lj.elman, lj.srn(2, 1))
    ()
  """
  name = name or getattr(factory, '__name__', 'learner')
  subject = subject_of(
    factory, name, cell, task, length, options or {}, numbers, exact
  )
  return hold(f'learner {name}', LEARNER_PROMISES, subject, without, raises)


def _key(*words):
  """A key of arrays of whatever kind."""
  return Key(*words)


def _state(of):
  """Structure, shapes and dtypes, of one network and of lanes."""
  for dtype, lanes in ((np.float32, (2, 3)), (np.float64, ())):
    check_shapes(
      of.learner, of.cell, of.task, numbers_of(of, 0.5), lanes, dtype
    )


def _finite(of):
  state = states_of(of)
  for _ in range(_ROUNDS):
    state, judgement, _ = of.run(state, episodes_of(of))
    require_finite('the state after updates at rates of 0 to 0.5', state)
    require_finite('a judgement', judgement)


def _learns(of):
  """A rate of 0 moves nothing, however often, any other something.

  A rule without a rate may let be what is right already.
  """
  first = state = states_of(of)
  for seed in range(_ROUNDS):
    state, judgement, _ = of.run(state, episodes_of(of, 7 + seed))
    _check_moved(of, first.params, state.params, judgement, seed + 1)


def _check_moved(of, before, after, judged, updates):
  """Checks which lanes have moved, and that no error is below 0."""
  rated = 'learning_rate' in of.own_numbers
  often = 'an update' if updates == 1 else f'{updates} updates'
  for i, rate in enumerate(RATES):
    pairs = zip(arrays(lane(before, i)), arrays(lane(after, i)), strict=True)
    moved = any(np.any(a != b) for a, b in pairs)
    if rated and moved != (rate > 0):
      what = 'changes weights' if moved else 'changes no weight'
      raise Broken(f'{often} at a learning rate of {rate:g} {what}')
    if not rated and not moved and not judged.right[i]:
      raise Broken(f'{often} on a sequence that is wrong changes no weight')
  if np.any(np.asarray(judged.squared) < 0):
    raise Broken('a judgement has a squared error below 0')


def _mask(of):
  state = states_of(of)
  num_missing = sum(int(np.sum(m == 0)) for m in of.cell.mask)
  for _ in range(_ROUNDS):
    state, *_ = of.run(state, episodes_of(of))
  pairs = zip(state.params._fields, state.params, of.cell.mask, strict=True)
  for name, w, exists in pairs:
    if np.any(np.where(exists[..., None] == 0, w, 0)):
      raise Broken(
        f'update gives {name} a weight where the mask has none ({num_missing} '
        'weights do not exist in this cell)'
      )


def _judged_first(of):
  state = states_of(of)
  for _ in range(2):
    state_t, judgement, judgement_alone = of.run(state, episodes_of(of))
    require_same(
      'the judgement of update is not that of the outputs before it (judge)',
      judgement,
      judgement_alone,
    )
    state = state_t


def _lanes(of):
  state, episode = states_of(of), episodes_of(of)
  state_t, judgement, _ = of.run(state, episode)
  for i in (2,):
    state_alone, verdict = of.run_alone(lane(state, i), lane(episode, i))
    words = f'lanes meet: lane {i} is not what it is alone: '
    require_same(f'{words}state', lane(state_t, i), state_alone)
    require_same(f'{words}judgement', lane(judgement, i), verdict)
  # Neighbours that have gone wrong.
  with_nan = jax.tree.map(_with_nan, state)
  state_spoiled, _, _ = of.run(with_nan, episode)
  for i in (0, 2):
    require_same(
      f'lanes meet: nan in lane 1 changes lane {i}',
      lane(state_spoiled.params, i),
      lane(state_t.params, i),
    )


def _with_nan(a):
  if not np.issubdtype(np.asarray(a).dtype, np.floating):
    return a
  return np.concatenate([a[..., :1], a[..., 1:2] * np.nan, a[..., 2:]], axis=-1)


def _check_compiled_once(of):
  state = states_of(of)
  num_before = len(of.traces)
  for seed in (7, 8):
    state, *_ = of.run(state, episodes_of(of, seed))
  if len(of.traces) - num_before > (num_before == 0):
    raise Broken('a second call with the same shapes is compiled again')


def _compiled(of):
  state = lane(states_of(of), 0)
  length = np.int32(max(1, of.length - max(SHORTENED_BY)))
  episode = drawer(of.task.fresh)(_key(np.uint32(3), np.uint32(4)), length)
  with jax.disable_jit():
    by_step = of.learner.update(state, episode)
  compiled = of.run_alone(state, episode)
  require_same('compiled it learns something else', compiled, by_step)


def _purity(of):
  state, episode = states_of(of), episodes_of(of)
  require_pure('update', of.learner.update, state, episode)
  require_pure('judge', of.learner.judge, state.params, episode)


def _keys(of):
  numbers = numbers_of(of, 0.5)
  state, again, other = (of.learner.init(key_of(k), numbers) for k in (0, 0, 1))
  require_same('init is not pure: called twice with one key', state, again, 0)
  pairs = zip(arrays(state.params), arrays(other.params), strict=True)
  if all(np.array_equal(a, b) for a, b in pairs):
    raise Broken('init gives the same weights for every key')


def _check_exact(of):
  if not of.is_exact:
    return
  state, episode = states_of(of), episodes_of(of)
  state_t, *_ = of.run(state, episode)
  steps = of.task.longest(of.length)
  stream = of.task.stream(episode)
  times = np.broadcast_to(np.arange(steps)[:, None], (steps, *LANES))
  at_times = lambda function: jax.vmap(function)(times)
  inputs, targets = (
    at_times(lambda t: to_dense(stream.input_at(t))),
    at_times(stream.target_at),
  )
  counts = at_times(stream.scored_at) & (times < np.asarray(stream.length))

  @jax.jit
  def gradient(params):
    def error(params):
      _, nets = unroll(
        of.cell, params, inputs.astype(np.float64), stream.length
      )
      losses = jax.vmap(of.task.loss)(nets, targets.astype(np.float64))
      return jnp.sum(jnp.where(counts, losses, 0))

    return jax.grad(error)(params)

  grads = gradient(state.params)
  rate = np.asarray(RATES)
  target_params = jax.tree.map(
    lambda w, g, m: w - rate * g * m[..., None],
    state.params,
    jax.tree.map(np.asarray, grads),
    of.cell.mask,
  )
  require_same(
    'its update is not that of the exact gradient (back-propagation through '
    'the whole sequence)',
    state_t.params,
    target_params,
  )


LEARNER_PROMISES: tuple[Promise[Subject], ...] = (
  Promise('state', 'see lstm_jax.types.Learner', _state),
  Promise('finite', 'see Learner.update', _finite),
  Promise('learns', 'see Learner.update: the learning rate', _learns),
  Promise('mask', 'see Learner.update, Cell.mask', _mask),
  Promise('judged_first', 'see Learner.update, Learner.judge', _judged_first),
  Promise('lanes', 'see Learner.update: lanes last, each by itself', _lanes),
  Promise('once', 'see Learner.update: static shapes', _check_compiled_once),
  Promise('compiled', 'see Learner.update', _compiled),
  Promise('purity', 'a function keeps nothing between calls', _purity),
  Promise('keys', 'see Learner.init', _keys),
  Promise('exact', 'see PROVIDES of its module', _check_exact),
)
