"""What every cell of the catalog promises, for every option it has.

Compiling is what these tests spend their time on: promises about values share
one compiled function a case.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import testing
from lstm_jax.lab.plan import catalog
from lstm_jax.ops import conditions, step
from tests.starts import SPANS, STARTS

I, K, T = 3, 2, 200
NAMES = catalog.names('cells')
LANES = [(), (3,), (2, 3)]


def variants(name):
  """The default and each option moved alone to each other value it has."""
  entry = catalog.describe('cells', name)
  default = {o.name: o.default for o in entry.options.values()} | entry.numbers
  yield {}
  for option in entry.options.values():
    values = option.choices
    if 'bool' in option.types:
      values += (False, True)
    if 'int' in option.types:
      values += (1,)
    for value in values:
      moved = default | {option.name: value}
      refused = any(conditions.refused(entry.refuses, moved))
      if value != option.default and not refused:
        yield {option.name: value}


def label(case):
  name, options = case
  return '-'.join([name, *(f'{k}={v}' for k, v in options.items())])


def is_of_one(case):
  """Whether an option of the case is the integer 1 (True is none)."""
  return any(v is not True and v == 1 for v in case[1].values())


CASES = [(name, options) for name in NAMES for options in variants(name)]
# Without the networks of one unit or cell, which are plain cases of the same
# code.
SEVERAL = [case for case in CASES if not is_of_one(case)]
every_name = pytest.mark.parametrize('name', NAMES)
every_case = pytest.mark.parametrize('case', CASES, ids=label)


def build(case, num_inputs=I, num_outputs=K):
  name, options = case
  return catalog.build('cells', name, num_inputs, num_outputs, **options)


def weights_of(cell, lanes=(), size=0.1):
  """Weights where the mask has one, lanes last, without the cell's `init`."""
  random = np.random.default_rng(0)

  def draw(exists):
    w = random.uniform(-size, size, (*exists.shape, *lanes))
    return w * exists.reshape(*exists.shape, *(1,) * len(lanes))

  return jax.tree.map(draw, cell.mask)


def to_numpy(tree):
  return jax.tree.map(np.asarray, tree)


def lane(tree, index):
  return jax.tree.map(lambda a: np.asarray(a)[(..., *index)], tree)


def assert_close(a, b, tolerance=1e-12):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    assert x.dtype == y.dtype
    np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def test_the_catalog_has_the_four_cells():
  assert set(NAMES) >= {'gru', 'lstm', 'lstm1997', 'srn'}


# Of a network of one unit only what follows from shapes; of an option what a
# step is; of the cell as it is everything.
_OF_SHAPES = {'shapes', 'dtypes', 'equations', 'internal'}
_OF_STEPS = _OF_SHAPES | {'alone', 'lanes', 'gradient', 'finite', 'weights'}


@every_case
def test_it_keeps_its_promises(case):
  name, options = case
  looked_at = _OF_SHAPES if is_of_one(case) else _OF_STEPS
  names = {promise.name for promise in testing.CELL_PROMISES}
  testing.check_cell(
    partial(catalog.build, 'cells', name),
    num_inputs=I,
    num_outputs=K,
    options=options,
    name=name,
    without=names - looked_at if options else (),
  )


def initial(cell):
  """Compiled `init` in which every bias is left to the draw (nan) or set.

  Its keys are of the generator that XLA has built in: the default one takes a
  second to compile for each cell.
  """
  init = jax.jit(cell.init)
  drawn = {
    k: np.full(v.shape, np.nan) if k.endswith('_bias') else np.float64(v)
    for k, v in cell.numbers.items()
  }

  def of_key(seed, **numbers):
    numbers = {**drawn, 'init_range': np.array(0.3), **numbers}
    return to_numpy(init(jax.random.key(seed, impl='unsafe_rbg'), numbers))

  return of_key


def of_different_masks():
  """Cases that leave out different connections, one of each."""
  masks = {}
  for case in SEVERAL:
    bits = b''.join(exists.tobytes() for exists in build(case).mask)
    masks.setdefault((case[0], bits), case)
  return list(masks.values())


def drawn_of(name, params):
  """The arrays of weights that are drawn in the range of most."""
  others = {*STARTS.get(name, {}), *SPANS.get(name, {})}
  return [w for field, w in params._asdict().items() if field not in others]


@pytest.mark.parametrize('case', of_different_masks(), ids=label)
def test_initial_weights(case, x64):
  cell = build(case, num_inputs=40)
  init = initial(cell)
  params, again, other = init(3), init(3), init(4)
  assert jax.tree.structure(params) == jax.tree.structure(cell.mask)
  starts = STARTS.get(case[0], {})
  assert starts.keys() <= set(params._fields)
  for name, array, exists in zip(
    params._fields, params, cell.mask, strict=True
  ):
    assert isinstance(exists, np.ndarray)
    assert array.shape == exists.shape
    assert set(np.unique(exists)) <= {0, 1}
    if name in starts:
      np.testing.assert_array_equal(array, starts[name] * exists)
    else:
      np.testing.assert_array_equal(array != 0, exists == 1)

  assert_close(params, again, tolerance=0)
  drawn, anew = (
    np.concatenate([np.ravel(a) for a in drawn_of(case[0], tree)])
    for tree in (params, other)
  )
  np.testing.assert_array_equal(drawn == anew, drawn == 0)
  drawn = drawn[drawn != 0]
  assert len(drawn) == sum(int(m.sum()) for m in drawn_of(case[0], cell.mask))
  assert len(np.unique(drawn)) == len(drawn), 'two weights share a draw'
  # 40 weights and more: each end misses the outer fifth of its half with
  # p < 0.9^40 = 0.015 for a key, and this key is fixed.
  assert -0.3 <= drawn.min() < -0.24
  assert 0.24 < drawn.max() <= 0.3


@every_name
def test_the_range_gives_the_weights_their_dtype(name, x64):
  cell = build((name, {}))
  for dtype in (np.float32, np.float64):
    numbers = {**cell.numbers, 'init_range': np.asarray(0.1, dtype)}
    params = jax.eval_shape(cell.init, jax.random.key(0), numbers)
    assert {p.dtype for p in params} == {np.dtype(dtype)}
  for exists in cell.mask:
    # A gradient times the mask keeps its dtype.
    assert jnp.promote_types(np.float32, exists.dtype) == np.float32


@every_name
def test_numbers_are_those_of_the_source(name):
  entry = catalog.describe('cells', name)
  cell = build((name, {}))
  assert set(cell.numbers) == set(entry.numbers)
  for key, default in entry.numbers.items():
    value = np.nan if default is None else default
    np.testing.assert_array_equal(
      cell.numbers[key], np.full_like(cell.numbers[key], value)
    )
  assert ('internal_state' in entry.provides) == (cell.internal is not None)


@every_name
def test_a_bias_set_by_a_number_is_that_number(name, x64):
  cell = build((name, {}))
  biases = [k for k in cell.numbers if k.endswith('_bias')]
  spans = {n for of in SPANS.get(name, {}).values() for n in of}
  assert {*cell.numbers} == {*biases, *spans, 'init_range'}
  init = initial(cell)
  before = init(0)
  places = []
  for bias in biases:
    staggered = -3.0 - np.arange(cell.numbers[bias].size)
    after = init(0, **{bias: staggered})
    for old, new, field in zip(before, after, before._fields, strict=True):
      moved = old != new
      expected = staggered if field == 'b' else []
      np.testing.assert_array_equal(new[moved], expected)
    places.append(np.flatnonzero(before.b != after.b))
  places = [tuple(p) for p in places]
  assert len(set(places)) == len(biases), 'two numbers set the same biases'


@every_name
def test_numbers_may_differ_from_lane_to_lane(name, x64):
  cell = build((name, {}))
  # The same key and half of every number; another key.
  numbers = {
    k: np.stack([np.asarray(v, float) * by for by in (1, 0.5, 1)])
    for k, v in cell.numbers.items()
  }
  keys = jax.vmap(jax.random.key)(np.array([0, 0, 1]))
  params = to_numpy(jax.jit(jax.vmap(cell.init, out_axes=-1))(keys, numbers))
  whole, half = (drawn_of(name, lane(params, (i,))) for i in (0, 1))
  assert_close(half, [w / 2 for w in whole], 0)
  assert np.all(params.w_x[..., 2] != params.w_x[..., 0])
  for array, exists in zip(params, cell.mask, strict=True):
    assert array.shape == (*exists.shape, 3)


INTERNAL = [case for case in CASES if build(case).internal is not None]


@pytest.mark.parametrize('case', INTERNAL, ids=label)
@pytest.mark.parametrize('lanes', LANES)
def test_gather_puts_back_what_weights_took(case, lanes, x64):
  cell = build(case)
  params = weights_of(cell, lanes)

  def take(params):
    return (
      step.hidden_weights(cell.equations, params),
      step.output_weights(cell.equations, params),
    )

  taken = take(params)
  gathered = to_numpy(step.gather(cell.equations, params, *taken))
  assert_close(take(gathered), taken, tolerance=0)
  for a, full in zip(gathered, params, strict=True):
    assert (a.shape, a.dtype) == (full.shape, full.dtype)
    assert np.all((a == full) | (a == 0))
  count = lambda tree: sum(np.count_nonzero(a) for a in jax.tree.leaves(tree))
  assert count(gathered) == count(taken)


@every_name
def test_a_size_below_one_is_refused(name):
  with pytest.raises(ValueError, match='num_inputs=0 must be at least 1'):
    build((name, {}), num_inputs=0)
  with pytest.raises(ValueError, match='num_outputs=-1 must be at least 0'):
    build((name, {}), num_outputs=-1)
  for option in catalog.describe('cells', name).options.values():
    if 'int' in option.types:
      with pytest.raises(ValueError, match=f'{option.name}=0 must be at least'):
        build((name, {option.name: 0}))


@every_name
def test_an_unknown_word_is_refused_with_the_choices(name):
  for option in catalog.describe('cells', name).options.values():
    if option.choices:
      with pytest.raises(ValueError) as error:
        build((name, {option.name: 'often'}))
      assert f"{option.name}='often'" in str(error.value)
      assert ', '.join(option.choices) in str(error.value)


@every_name
def test_a_cell_is_a_static_argument(name):
  """Made anew it is the same; with other functions, mask or numbers not."""
  cell, again = build((name, {})), build((name, {}))
  assert cell == again and not cell != again and hash(cell) == hash(again)
  longer = build((name, {}), num_inputs=I + 1)
  numbers = {n: np.asarray(v) + 1 for n, v in cell.numbers.items()}
  mask = jax.tree.map(np.zeros_like, cell.mask)
  for other in (
    longer,
    cell._replace(numbers=numbers),
    cell._replace(mask=mask),
    cell._replace(step=lambda *inputs: cell.step(*inputs)),
    cell[:2],
    None,
  ):
    assert cell != other and not cell == other
  traced = []

  def counted(cell, params):
    traced.append(name)
    return cell.num_outputs * jnp.sum(jax.tree.leaves(params)[0])

  run = jax.jit(counted, static_argnums=0)
  params = cell.init(jax.random.key(0))
  for same in (cell, again):
    run(same, params)
  assert traced == [name]
