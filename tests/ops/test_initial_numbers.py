"""Numbers of initial weights: names, shapes and values that fit, or a line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_jax.cells.gru import gru
from lstm_jax.cells.lstm import lstm
from lstm_jax.lab.plan import catalog
from lstm_jax.nn.flax_modules import LinenRecurrent, NnxRecurrent
from lstm_jax.nn.stack import init_stack, make_stack
from lstm_jax.ops.initial import check_numbers

KEY = jax.random.key(0)


def built(name):
  size = {'blocks': 3} if name == 'lstm1997' else {'hidden': 3}
  return catalog.build('cells', name, 2, 1, **size)


@pytest.mark.parametrize('name', catalog.names('cells'))
def test_every_cell_checks_its_numbers(name):
  cell = built(name)
  scalars = {
    number: 0.25 for number in cell.numbers if number.endswith('_bias')
  }
  full = {number: np.full(3, 0.25, np.float32) for number in scalars}
  # Names left out have their defaults; none at all is all of them.
  whole, empty, none, *both = jax.jit(
    lambda: [
      *(cell.init(KEY, given) for given in (cell.numbers, {}, None)),
      *(cell.init(KEY, given) for given in (scalars, full)),
    ]
  )()
  for found in (empty, none):
    jax.tree.map(np.testing.assert_array_equal, found, whole)
  jax.tree.map(np.testing.assert_array_equal, *both)
  for numbers, message in (
    ({'init_rang': 0.1}, "'init_rang' is none of this cell: .*mean init_range"),
    ({'learning_rate': 0.1}, "'learning_rate' is none of this cell: choose"),
    ({'init_range': -0.1}, 'init_range has -0.1; must be finite and not below'),
    ({'init_range': np.nan}, 'init_range has nan; must be finite and not'),
    ({'init_range': np.inf}, 'init_range has inf; must be finite and not'),
    ({'init_range': [0.1, 0.2]}, r'init_range has shape \(2,\); must be a num'),
    ({'init_range': None}, 'init_range=None must be a number'),
    ({'init_range': 'wide'}, "init_range='wide' must be a number"),
    ({'init_range': 1j}, 'init_range=1j must be a number'),
    ([0.1], 'numbers is a list; must be a dictionary of init_range'),
  ):
    with pytest.raises(ValueError, match=message):
      cell.init(KEY, numbers)
  for number in scalars:
    for value, message in (
      (
        np.zeros(2),
        rf'{number} has shape \(2,\); must be a number or an array',
      ),
      (np.inf, f'{number} has inf; must be finite .nan: drawn'),
      ([0.0, -np.inf, 0.0], f'{number} has -inf; must be finite'),
    ):
      with pytest.raises(ValueError, match=message):
        cell.init(KEY, {number: value})


@pytest.mark.parametrize('name', catalog.names('cells'))
def test_every_factory_checks_its_sizes_and_flags(name):
  size = 'blocks' if name == 'lstm1997' else 'hidden'
  for wrong in (2.0, '2', True, None, 2.5):
    for what in ('num_inputs', 'num_outputs', size):
      sizes = {'num_inputs': 2, 'num_outputs': 1, size: 3, what: wrong}
      with pytest.raises(ValueError, match=f'{what}=.* must be an integer, at'):
        catalog.build('cells', name, **sizes)
  assert catalog.build('cells', name, np.int64(2), 1).num_inputs == 2
  for option in catalog.describe('cells', name).options.values():
    if option.types == ('bool',):
      with pytest.raises(
        ValueError, match=f"{option.name}='no' must be True or"
      ):
        catalog.build('cells', name, 2, 1, **{option.name: 'no'})


def test_marks_are_no_nan_that_is_found():
  cell = lstm(2, 0, hidden=3)
  with jax.debug_nans(True):
    for value in (None, np.nan, jnp.asarray([1.0, 2.0, 3.0])):
      assert np.isfinite(cell.init(KEY, {'forget_bias': value}).b).all()


def test_a_gru_has_no_forget_gate():
  message = "'forget_bias' is none of this cell: choose from init_range"
  cell = gru(2, 0, hidden=3)
  with pytest.raises(ValueError, match=message):
    cell.init(KEY, {'forget_bias': 1.0})
  with pytest.raises(ValueError, match=message):
    cell.init(KEY, {**cell.numbers, 'forget_bias': 1.0})
  stack = make_stack(gru, 2, layers=2, hidden=3)
  with pytest.raises(ValueError, match=message):
    init_stack(stack, KEY, {'forget_bias': 1.0})
  with pytest.raises(ValueError, match=message):
    NnxRecurrent(cell, rngs=nnx.Rngs(0), numbers={'forget_bias': 1.0})
  layer = LinenRecurrent(lambda n: gru(n, 0, hidden=3), {'forget_bias': 1.0})
  with pytest.raises(ValueError, match=message):
    layer.init(KEY, jnp.ones((1, 1, 2)))


def test_values_of_numbers():
  cell = lstm(2, 0, hidden=3)
  bias = lambda value: cell.init(KEY, {'forget_bias': value}).b[3:6]
  np.testing.assert_array_equal(bias(2), [2, 2, 2])
  np.testing.assert_array_equal(bias([1, 2, 3]), [1, 2, 3])
  np.testing.assert_array_equal(bias(np.int8(4)), [4, 4, 4])
  drawn = bias(None)
  assert np.all(np.abs(drawn) <= 0.1)
  np.testing.assert_array_equal(bias(np.nan), drawn)
  np.testing.assert_array_equal(bias([np.nan, 5, np.nan])[::2], drawn[::2])
  assert not np.any(cell.init(KEY, {'init_range': 0}).w_h)
  # Numbers are traced: under jit and vmap their values are not looked at.
  wide = jax.vmap(lambda r: cell.init(KEY, {'init_range': r}).w_x)(
    jnp.array([0.1, 0.2])
  )
  np.testing.assert_allclose(2 * wide[0], wide[1], rtol=1e-6)


def test_the_dtype_of_weights_is_that_of_their_range():
  cell = lstm(2, 0, hidden=3)
  for dtype in (jnp.float32, jnp.bfloat16):
    params = cell.init(KEY, {'init_range': jnp.asarray(0.1, dtype)})
    assert {w.dtype for w in jax.tree.leaves(params)} == {jnp.dtype(dtype)}
  with jax.enable_x64(True):
    params = cell.init(KEY, {'init_range': np.float64(0.1)})
    assert {w.dtype for w in jax.tree.leaves(params)} == {jnp.dtype('float64')}


def test_one_scalar_and_defaults_are_shared():
  defaults = {'init_range': np.float32(0.1), 'forget_bias': np.ones(3)}
  found = check_numbers({'forget_bias': 2.0}, defaults)
  assert found['init_range'] is defaults['init_range']
  assert found['forget_bias'].shape == (3,)
