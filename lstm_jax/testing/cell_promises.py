"""Checks of a cell, thoroughly: all that the cells of the catalog promise."""

import functools
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.unroll import unroll
from lstm_jax.testing.broken import Broken, leaves, same
from lstm_jax.testing.cell_equations import check_equations, check_internal
from lstm_jax.testing.cell_weights import check_init, check_numbers
from lstm_jax.testing.cells import admit_cell
from lstm_jax.testing.numeric import (
  key_of,
  lane,
  require_finite,
  require_same,
  require_slope,
  structs,
  weights_of,
)
from lstm_jax.testing.promises import Failure, Promise, build, hold
from lstm_jax.types import Array, Cell, OneHot, Params

_STEPS = 200
_LANES = 3
_EAGER_STEPS = 4  # steps that are taken one by one


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
  cell, again = (
    build(
      factory, Cell, f'cell {name}', num_inputs, num_outputs, **options or {}
    )
    for _ in range(2)
  )

  def loss(params, inputs):
    carry, nets = unroll(cell, params, inputs)
    error = 0.5 * jnp.mean(nets**2 + nets, axis=(0, 1))
    return jnp.sum(error), (error, carry, nets)

  learn = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
  subject = _Subject(name, cell, None if again is factory else again, learn)
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
    carry_t, net = jax.eval_shape(cell.step, params, carry, x_t)
    same(f'step {words}', 'carry after it', carry_t, 'initial_carry', carry)
    same(
      f'step {words}', 'outputs', net, 'it',
      jax.ShapeDtypeStruct((cell.num_outputs, *lanes), dtype),
    )  # fmt: skip


def _purity(of):
  cell = of.cell
  params, x_t = weights_of(cell), _inputs(cell)[0]
  start = lambda: cell.initial_carry((), np.float64)
  init = lambda: cell.init(key_of(0), dict(cell.numbers))
  for call_words, call in (
    ('init', init),
    ('initial_carry', start),
    ('step', lambda: cell.step(params, start(), x_t)),
  ):
    require_same(
      f'{call_words} is not pure: called twice with the same', call(), call(), 0
    )


def _check_alone(of):
  """The compiled scan of lanes against steps of one network, one by one."""
  cell, lanes = of.cell, (_LANES,)
  params, inputs = weights_of(cell, lanes), _inputs(cell, lanes)
  (_, (_, _, nets)), _ = of.learn(params, inputs)
  for i in range(_LANES):
    carry, params_i = cell.initial_carry((), np.float64), lane(params, i)
    params_i = jax.tree.map(jnp.asarray, params_i)
    for t in range(_EAGER_STEPS):
      carry, net = cell.step(params_i, carry, jnp.asarray(inputs[t, :, i]))
      require_same(
        f'step {t} of lane {i} of a compiled scan is not that of the network '
        'alone: outputs',
        nets[t, ..., i],
        net,
      )
  first_step = jax.jit(functools.partial(_first_step, cell))
  for lanes, shared in (((2, 2), False), ((2,), True)):
    params = weights_of(cell, () if shared else lanes)
    x_t = _inputs(cell, lanes)[0]
    outputs = first_step(params, x_t)
    for at in np.ndindex(*lanes):
      params_i = params if shared else lane(params, *at)
      require_same(
        f'a step of lanes {list(lanes)}'
        + ' that share their weights' * shared
        + f' is not that of lane {list(at)} alone',
        lane(outputs, *at),
        first_step(params_i, x_t[..., *at]),
      )


def _first_step(cell, params, x_t):
  """The step of inputs [I, *] from the initial carry."""
  return cell.step(params, cell.initial_carry(x_t.shape[1:], x_t.dtype), x_t)


def _lanes(of):
  """Nothing in lane 1 changes lanes 0 and 2, to the bit."""
  lanes = (_LANES,)
  arguments = weights_of(of.cell, lanes), _inputs(of.cell, lanes)
  other = jax.tree.map(
    lambda a: np.stack([a[..., 0], -a[..., 2], a[..., 2]], axis=-1), arguments
  )
  result, other_result = of.learn(*arguments), of.learn(*other)
  for i in (0, 2):
    (_, aux), grads = result
    (_, their_aux), their_grads = other_result
    require_same(
      f'lanes meet: what is in lane 1 changes lane {i}',
      lane((aux, grads), i),
      lane((their_aux, their_grads), i),
      0,
    )


def _gradient(of):
  """Central differences in a random direction, of weights and of inputs."""
  cell, lanes, h = of.cell, (_LANES,), 1e-6
  arguments = weights_of(cell, lanes), _inputs(cell, lanes)
  (_, _), grads = of.learn(*arguments)
  random = np.random.default_rng(2)
  exist = cell.mask, np.ones((cell.num_inputs,))
  for words_of, place in (('the weights', 0), ('the inputs', 1)):
    direction = _direction(arguments[place], exist[place], random)
    errors = []
    for step in (h, -h):
      shifted = list(arguments)
      shifted[place] = _shift(arguments[place], direction, step)
      (_, (error, _, _)), _ = of.learn(*shifted)
      errors.append(error)
    slope = (errors[0] - errors[1]) / (2 * h)
    products = jax.tree.map(
      lambda g, d: np.reshape(g * d, (-1, _LANES)), grads[place], direction
    )
    predicted = np.concatenate(jax.tree.leaves(products)).sum(axis=0)
    require_slope(
      f'the gradient by {words_of} over {_STEPS} steps is not the slope',
      predicted,
      slope,
      1e-8,
    )


def _direction(tree, exist, random):
  """A random direction along what exists, another one in each lane."""
  return jax.tree.map(
    lambda a, m: random.normal(size=a.shape) * m[..., None], tree, exist
  )


def _shift(tree, direction, step):
  return jax.tree.map(lambda a, d: a + step * d, tree, direction)


def _finite(of):
  lanes = (_LANES,)
  params, inputs = weights_of(of.cell, lanes), _inputs(of.cell, lanes)
  for size in (1, 1e3):
    (_, (error, carry, nets)), grads = of.learn(params, size * inputs)
    occasion = f'after {_STEPS} steps of inputs of size {size:g}'
    require_finite(f'the carry {occasion}', carry)
    require_finite(f'an output {occasion}', (error, nets))
    require_finite(f'the gradient {occasion}', grads)


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


def _one_hot(of):
  cell, lanes = of.cell, (_LANES,)
  step = jax.jit(cell.step)
  params = weights_of(cell, lanes)
  carry = cell.initial_carry(lanes, np.float64)
  index = np.arange(_LANES) % cell.num_inputs
  one_hot = OneHot(index, cell.num_inputs)
  columns = np.eye(cell.num_inputs)[:, index]
  require_same(
    'a step of one-hot inputs (types.OneHot) is not that of the same inputs '
    'written out',
    step(params, carry, one_hot),
    step(params, carry, columns),
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


def _of_cell(check):
  """A check of the cell alone as one of the subject."""
  return lambda of: check(of.cell)


CELL_PROMISES: tuple[Promise[_Subject], ...] = (
  Promise('shapes', 'see lstm_jax.types.Cell', _shapes),
  Promise('dtypes', 'see Cell.step, Cell.initial_carry', _dtypes),
  Promise('purity', 'a function keeps nothing between calls', _purity),
  Promise('alone', 'see Cell.step: lanes last, jax.lax in loops', _check_alone),
  Promise('lanes', 'see Cell.step: nothing sums over trailing axes', _lanes),
  Promise(
    'gradient', 'see Cell.step: custom derivatives, stop_gradient', _gradient
  ),
  Promise('finite', 'see Cell.step: exp, division, sqrt', _finite),
  Promise('weights', 'see Cell.mask, Cell.step', _weights),
  Promise('init', 'see Cell.init, Cell.mask', _of_cell(check_init)),
  Promise('numbers', 'see Cell.numbers, Cell.init', _of_cell(check_numbers)),
  Promise('one_hot', 'see lstm_jax.ops.arrays.affine', _one_hot),
  Promise('static', 'see Cell.__hash__', _static),
  Promise(
    'equations', 'see lstm_jax.types.Equations', _of_cell(check_equations)
  ),
  Promise(
    'internal', 'see lstm_jax.types.InternalState', _of_cell(check_internal)
  ),
)
