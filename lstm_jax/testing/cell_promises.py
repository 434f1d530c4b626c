"""Checks of a cell, thoroughly: all that the cells of the catalog promise."""

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.ops import step as step_lib
from lstm_jax.ops.unroll import unroll
from lstm_jax.testing.broken import Broken, leaves, must_be, same
from lstm_jax.testing.cells import admit_cell
from lstm_jax.testing.numeric import (
  key_of,
  lane,
  require_finite,
  require_same,
  structs,
  weights_of,
)
from lstm_jax.testing.promises import Failure, Promise, hold
from lstm_jax.types import Array, Cell, OneHot, Params

_STEPS = 200
_LANES = 3
_EAGER = 4  # steps that are taken one by one


class _Subject(NamedTuple):
  """A cell under examination, and the one program of it that is compiled."""

  name: str
  cell: Cell
  again: Cell | None  # made anew
  learn: Callable[..., tuple[tuple[Array, tuple[object, ...]], Params]]


def check_cell(
  factory: Callable[..., Cell] | Cell,
  *,
  num_inputs: int = 3,
  num_outputs: int = 2,
  options: Mapping[str, object] | None = None,
  name: str = '',
  without: Collection[str] = (),
  raises: bool = True,
) -> tuple[Failure, ...]:
  """Checks a cell against all that the cells of this package promise.

  Compiles one program and takes some seconds. Identities are held in float64,
  and arrays are broadcast only where it is written out
  (`jax_numpy_rank_promotion`), as runs have it.

  Args:
    factory: `(num_inputs, num_outputs, **options) -> Cell`, or a cell.
    num_inputs: I.
    num_outputs: K.
    options: of the factory.
    name: for messages; '': that of the factory.
    without: names of promises that are left out: `gradient` of a cell whose
      derivative is meant to be another than its slope.
    raises: whether broken promises are raised, or returned.

  Returns:
    A `Failure` for each broken promise, () for none.

  Raises:
    Broken: with a line for each broken promise: what is wrong, where to look.

  Example:
    >>> import lstm_jax as lj
    >>> lj.testing.check_cell(lj.gru, options={'hidden': 2})
    ()
    >>> bad = lj.gru(3, 2)._replace(num_outputs=1)
    >>> lj.testing.check_cell(bad, name='mine', raises=False)[0].promise
    'shapes'
  """
  name = name or getattr(factory, '__name__', 'cell')
  again = None
  if isinstance(factory, Cell):
    cell = factory
  elif callable(factory) and not inspect.isclass(factory):
    make = functools.partial(factory, num_inputs, num_outputs, **options or {})
    cell, again = make(), make()
  else:
    must_be(f'cell {name}', factory, Cell)

  def loss(params, inputs):
    carry, nets = unroll(cell, params, inputs)
    error = 0.5 * jnp.mean(nets**2 + nets, axis=(0, 1))
    return jnp.sum(error), (error, carry, nets)

  learn = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
  subject = _Subject(name, cell, again, learn)
  return hold(f'cell {name}', CELL_PROMISES, subject, without, raises)


def _inputs(cell, lanes=(), seed=1):
  random = np.random.default_rng(seed)
  return random.normal(size=(_STEPS, cell.num_inputs, *lanes))


def _shapes(of):
  with jax.enable_x64(False):
    admit_cell(of.name, of.cell)


def _dtypes(of):
  """In either precision, with weights that are shared by lanes or not."""
  cell = of.cell
  for dtype, lanes, shared in (
    (np.float32, (), True),
    (np.float64, (3,), True),
    (np.float32, (2, 3), False),
    (np.float64, (2, 3), True),
  ):
    words = f'with {np.dtype(dtype)} and lanes {lanes}'
    start = functools.partial(cell.initial_carry, lanes, dtype)
    carry = jax.eval_shape(start)
    for at, leaf in leaves(carry):
      if leaf.dtype != dtype or leaf.shape[leaf.ndim - len(lanes) :] != lanes:
        raise Broken(
          f'initial_carry{at} {words} is {leaf.dtype}{list(leaf.shape)}'
        )
    params = structs(cell.mask, () if shared else lanes, dtype)
    x_t = jax.ShapeDtypeStruct((cell.num_inputs, *lanes), dtype)
    after, net = jax.eval_shape(cell.step, params, carry, x_t)
    same(f'step {words}', 'carry after it', after, 'initial_carry', carry)
    same(
      f'step {words}', 'outputs', net, 'it',
      jax.ShapeDtypeStruct((cell.num_outputs, *lanes), dtype),
    )  # fmt: skip


def _purity(of):
  cell = of.cell
  params, x_t = weights_of(cell), _inputs(cell)[0]
  start = lambda: cell.initial_carry((), np.float64)
  init = lambda: cell.init(key_of(0), dict(cell.numbers))
  for what, call in (
    ('init', init),
    ('initial_carry', start),
    ('step', lambda: cell.step(params, start(), x_t)),
  ):
    require_same(
      f'{what} is not pure: called twice with the same', call(), call(), 0
    )


def _alone(of):
  """The compiled scan of lanes against steps of one network, one by one."""
  cell, lanes = of.cell, (_LANES,)
  params, inputs = weights_of(cell, lanes), _inputs(cell, lanes)
  (_, (_, _, nets)), _ = of.learn(params, inputs)
  for i in range(_LANES):
    carry, own = cell.initial_carry((), np.float64), lane(params, i)
    own = jax.tree.map(jnp.asarray, own)
    for t in range(_EAGER):
      carry, net = cell.step(own, carry, jnp.asarray(inputs[t, :, i]))
      require_same(
        f'step {t} of lane {i} of a compiled scan is not that of the network '
        'alone: outputs',
        nets[t, ..., i],
        net,
      )
  for lanes, shared in (((2, 2), False), ((2,), True)):
    params = weights_of(cell, () if shared else lanes)
    x_t = _inputs(cell, lanes)[0]
    together = _first_step(cell, params, x_t)
    for at in np.ndindex(*lanes):
      own = params if shared else lane(params, *at)
      require_same(
        f'a step of lanes {list(lanes)}'
        + ' that share their weights' * shared
        + f' is not that of lane {list(at)} alone',
        lane(together, *at),
        _first_step(cell, own, x_t[..., *at]),
      )


def _first_step(cell, params, x_t):
  """The step of inputs [I, *], not compiled, from the initial carry."""
  params, x_t = jax.tree.map(jnp.asarray, (params, x_t))
  return cell.step(params, cell.initial_carry(x_t.shape[1:], x_t.dtype), x_t)


def _lanes(of):
  """Nothing in lane 1 changes lanes 0 and 2, to the bit."""
  lanes = (_LANES,)
  given = weights_of(of.cell, lanes), _inputs(of.cell, lanes)
  other = jax.tree.map(
    lambda a: np.stack([a[..., 0], -a[..., 2], a[..., 2]], axis=-1), given
  )
  ours, theirs = of.learn(*given), of.learn(*other)
  for i in (0, 2):
    (_, aux), grads = ours
    (_, their_aux), their_grads = theirs
    require_same(
      f'lanes meet: what is in lane 1 changes lane {i}',
      lane((aux, grads), i),
      lane((their_aux, their_grads), i),
      0,
    )


def _gradient(of):
  """Central differences in a random direction, of weights and of inputs."""
  cell, lanes, h = of.cell, (_LANES,), 1e-6
  given = weights_of(cell, lanes), _inputs(cell, lanes)
  (_, _), grads = of.learn(*given)
  random = np.random.default_rng(2)
  exist = cell.mask, np.ones((cell.num_inputs,))
  for what, which in (('the weights', 0), ('the inputs', 1)):
    drawn = _direction(given[which], exist[which], random)
    errors = []
    for step in (h, -h):
      moved = list(given)
      moved[which] = _moved(given[which], drawn, step)
      (_, (error, _, _)), _ = of.learn(*moved)
      errors.append(error)
    slope = (errors[0] - errors[1]) / (2 * h)
    predicted = sum(
      np.sum(np.reshape(g * d, (-1, _LANES)), axis=0)
      for g, d in zip(
        jax.tree.leaves(grads[which]), jax.tree.leaves(drawn), strict=True
      )
    )
    if not np.allclose(predicted, slope, rtol=1e-5, atol=1e-8):
      raise Broken(
        f'the gradient by {what} over {_STEPS} steps is not the slope: '
        f'{predicted[0]:.6g} by jax.grad, {slope[0]:.6g} by finite differences'
      )


def _direction(tree, exist, random):
  """A random direction along what exists, another one in each lane."""
  return jax.tree.map(
    lambda a, m: random.normal(size=a.shape) * m[..., None], tree, exist
  )


def _moved(tree, direction, step):
  return jax.tree.map(lambda a, d: a + step * d, tree, direction)


def _finite(of):
  lanes = (_LANES,)
  params, inputs = weights_of(of.cell, lanes), _inputs(of.cell, lanes)
  for size in (1, 1e3):
    (_, (error, carry, nets)), grads = of.learn(params, size * inputs)
    what = f'after {_STEPS} steps of inputs of size {size:g}'
    require_finite(f'the carry {what}', carry)
    require_finite(f'an output {what}', (error, nets))
    require_finite(f'the gradient {what}', grads)


def _weights(of):
  lanes = (_LANES,)
  (_, (_, _, nets)), (grads, _) = of.learn(
    weights_of(of.cell, lanes), _inputs(of.cell, lanes)
  )
  if np.std(nets, axis=0).min(initial=1) < 1e-9:
    raise Broken(f'an output is the same at all of {_STEPS} random inputs')
  pairs = zip(leaves(grads), leaves(of.cell.mask), strict=True)
  for (at, grad), (_, exists) in pairs:
    idle = ~np.any(np.asarray(grad) != 0, axis=-1) & (exists != 0)
    if idle.any():
      raise Broken(
        f'{int(idle.sum())} of the weights that mask{at} says exist do nothing '
        f'in {_STEPS} steps; weights without a connection are 0 in the mask'
      )


def _init(of):
  cell = of.cell
  numbers = _numbers(cell)
  params = cell.init(key_of(3), numbers)
  same('init', 'params', params, 'the mask', cell.mask, dtypes=False)
  for (at, w), (_, exists) in zip(
    leaves(params), leaves(cell.mask), strict=True
  ):
    if np.any(np.where(exists == 0, w, 0)):
      raise Broken(f'init gives params{at} a weight where the mask has none')
  require_finite('init', params)
  other = cell.init(key_of(4), numbers)
  pairs = zip(jax.tree.leaves(params), jax.tree.leaves(other), strict=True)
  if all(np.array_equal(a, b) for a, b in pairs):
    raise Broken('init gives the same weights for every key')
  # Networks side by side, each with numbers of its own.
  stacked = {
    name: np.stack([value, value * 0.5], axis=-1)
    for name, value in numbers.items()
  }
  keys = jnp.stack([key_of(3), key_of(4)])
  both = jax.vmap(cell.init, in_axes=-1, out_axes=-1)(keys, stacked)
  same(
    'init, mapped over keys and numbers', 'params', both, 'two networks',
    jax.tree.map(lambda a: np.stack([a, a], axis=-1), params),
  )  # fmt: skip


def _numbers(cell):
  """Numbers in float64; biases that are drawn stay so."""
  return {k: np.asarray(v, np.float64) for k, v in cell.numbers.items()}


def _hparams(of):
  numbers = _numbers(of.cell)
  for name, value in of.cell.numbers.items():
    if not isinstance(value, np.ndarray | np.generic):
      raise Broken(
        f'numbers[{name!r}] is a {type(value).__name__}, must be a numpy array'
      )
  before = of.cell.init(key_of(0), numbers)
  for name, value in numbers.items():
    moved = np.where(np.isnan(value), 3.0, value * 0.37 + 0.211)
    after = of.cell.init(key_of(0), {**numbers, name: moved})
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    if all(np.array_equal(a, b) for a, b in pairs):
      raise Broken(f'the number {name} does nothing: init does not read it')


def _one_hot(of):
  cell, lanes = of.cell, (_LANES,)
  params = jax.tree.map(jnp.asarray, weights_of(cell, lanes))
  carry = cell.initial_carry(lanes, np.float64)
  index = jnp.arange(_LANES) % cell.num_inputs
  one_hot = OneHot(index, cell.num_inputs)
  dense = jnp.asarray(np.eye(cell.num_inputs)[:, np.asarray(index)])
  require_same(
    'a step of one-hot inputs (types.OneHot) is not that of the same inputs '
    'written out',
    cell.step(params, carry, one_hot),
    cell.step(params, carry, dense),
  )


def _static(of):
  if of.again is None:
    hash(of.cell)
    return
  if hash(of.cell) != hash(of.again) or of.cell != of.again:
    raise Broken(
      'made anew with the same arguments it is another cell to JAX, which '
      'compiles it again at every call; decorate the factory with '
      'lstm_jax.cell_factory'
    )


def _equations(of):
  """The parts of a step are the step, an internal state is what it is said."""
  cell = of.cell
  if cell.equations is None:
    return
  if not cell.equations.products:
    return
  random = np.random.default_rng(3)
  carry = jax.tree.map(
    lambda c: random.uniform(0.1, 0.9, c.shape),
    cell.initial_carry((), np.float64),
  )
  params = jax.tree.map(jnp.asarray, weights_of(cell))
  x_t = jnp.asarray(_inputs(cell)[0])
  composed = step_lib.step_of(cell.equations, cell.num_outputs)
  require_same(
    'equations give another step than step',
    composed(params, carry, x_t),
    cell.step(params, carry, x_t),
  )


def _internal(of):
  cell = of.cell
  if cell.internal is None or cell.equations is None:
    return
  name = cell.internal.field
  random = np.random.default_rng(3)
  carry = jax.tree.map(
    lambda c: random.uniform(0.1, 0.9, c.shape),
    cell.initial_carry((), np.float64),
  )
  params = jax.tree.map(jnp.asarray, weights_of(cell))
  x_t = jnp.asarray(_inputs(cell)[0])
  w, b = step_lib.hidden_weights(cell.equations, params)
  z = step_lib.hidden_sources(cell.equations, carry, x_t)
  net = step_lib.net_input((w, b), z)

  def internal(state, net):
    before = carry._replace(**{name: state})
    return getattr(step_lib.advance(cell.equations, before, net), name)

  by_state, by_net = jax.jacobian(internal, (0, 1))(getattr(carry, name), net)
  diagonal = np.diag(by_state)
  if np.any(by_state != np.diag(diagonal)):
    raise Broken(
      f'internal.field {name} is not elementwise: an entry of it acts on '
      'another one step later'
    )
  if np.all(diagonal == 1) != cell.internal.carousel:
    raise Broken(
      f'internal.carousel is {cell.internal.carousel}, and {name} hands on '
      f'{diagonal.min():.3g} to {diagonal.max():.3g} of itself'
    )
  serving = np.zeros(by_net.shape, bool)
  for rows in cell.internal.unit_of_cell.values():
    serving[np.arange(len(by_state)), rows] = True
  if np.any((np.asarray(by_net) != 0) != serving):
    raise Broken(
      f'internal.unit_of_cell does not name the rows of the net input that act '
      f'on {name}'
    )


CELL_PROMISES: tuple[Promise[_Subject], ...] = (
  Promise('shapes', 'see lstm_jax.types.Cell', _shapes),
  Promise('dtypes', 'see Cell.step, Cell.initial_carry', _dtypes),
  Promise('purity', 'a function keeps nothing between calls', _purity),
  Promise('alone', 'see Cell.step: lanes last, jax.lax in loops', _alone),
  Promise('lanes', 'see Cell.step: nothing sums over trailing axes', _lanes),
  Promise(
    'gradient', 'see Cell.step: custom derivatives, stop_gradient', _gradient
  ),
  Promise('finite', 'see Cell.step: exp, division, sqrt', _finite),
  Promise('weights', 'see Cell.mask, Cell.step', _weights),
  Promise('init', 'see Cell.init, Cell.mask', _init),
  Promise('numbers', 'see Cell.numbers, Cell.init', _hparams),
  Promise('one_hot', 'see lstm_jax.ops.arrays.affine', _one_hot),
  Promise('static', 'see Cell.__hash__', _static),
  Promise('equations', 'see lstm_jax.types.Equations', _equations),
  Promise('internal', 'see lstm_jax.types.InternalState', _internal),
)
