"""Layers under JAX's transformations, on one device, on a mesh and elsewhere.

Every kernel against `lax.scan` of the cell's step, differentiated by JAX, in
float64. The tests' processes have two devices.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from lstm_jax.lab.plan import catalog
from lstm_jax.nn.dropout import Noise
from lstm_jax.nn.layer import run, which_kernel
from lstm_jax.nn.native import library
from lstm_jax.ops.arrays import select
from tests.gradients import cheap_jit

T, B, I, C = 3, 4, 2, 3
LENGTHS = np.array([3, 0, 2, 1])
# The first for each case, for some another; all of them where all is run.
LAYERS = (
  ('lstm', 'native'),
  ('lstm', 'xla'),
  ('gru', 'native'),
  ('srn', 'auto'),
  ('lstm1997', 'auto'),
  ('gru', 'xla'),
  ('srn', 'native'),
  ('lstm_layernorm', 'xla'),
)
SHARED, BATCH = PartitionSpec(), PartitionSpec(None, 'd')


@pytest.fixture(scope='module', autouse=True)
def built():
  library.build()


@functools.cache
def net(name):
  size = {'blocks': C} if name == 'lstm1997' else {'hidden': C}
  cell = catalog.build('cells', name, I, 0, **size)
  rng = np.random.default_rng(0)
  params = jax.tree.map(lambda m: 0.5 * m * rng.normal(size=m.shape), cell.mask)
  return cell, params, rng.normal(size=(T, B, I))


def scanned(cell, params, xs, lengths):
  """`ys` and the last state, by `lax.scan` of the cell's step."""
  lanes = xs.shape[1:-1]

  def body(before, inputs):
    x, t = inputs
    after, _ = cell.step(params, before, jnp.moveaxis(x, -1, 0))
    after = select(t < lengths, after, before)
    y = getattr(after, cell.equations.output)
    return after, jnp.where(t < lengths, y, 0).T

  start = cell.initial_carry(lanes, xs.dtype)
  last, ys = jax.lax.scan(body, start, (xs, jnp.arange(len(xs))))
  return ys, jax.tree.map(jnp.transpose, last)


def error(ys, last):
  """A number that everything enters; a sum over the sequences."""
  return jnp.sum(jnp.sin(ys)) + sum(
    jnp.sum(a**2) for a in jax.tree.leaves(last)
  )


class Layer:
  """A cell by one kernel, and what the cell's own scan says."""

  def __init__(self, name, kernel):
    self.cell, self.params, self.xs = net(name)
    self.kernel = kernel
    self.name = name

  def outputs(self, params, xs, lengths=LENGTHS, **how):
    made = run(
      self.cell, params, xs, lengths=lengths, kernel=self.kernel, **how
    )
    return made.ys, made.last

  def __call__(self, params, xs, lengths=LENGTHS, **how):
    return error(*self.outputs(params, xs, lengths, **how))

  @property
  def gradient(self):
    """By params and xs."""
    return expected(self.name, 'gradient')


def error_of_scan(name):
  cell, *_ = net(name)
  return lambda params, xs: error(*scanned(cell, params, xs, LENGTHS))


@functools.cache
def gradient_of_scan(name):
  return cheap_jit(jax.grad(error_of_scan(name), (0, 1)))


@functools.cache
def expected(name, what):
  _, params, xs = net(name)
  if what == 'hessian':
    by = lambda b, x: error_of_scan(name)(params._replace(b=b), x)
    made = cheap_jit(jax.hessian(by, (0, 1)))(params.b, xs)
  else:
    xs = {'gradient': xs, 'of minus xs': -xs}[what]
    made = gradient_of_scan(name)(params, xs)
  return jax.tree.map(np.asarray, made)


def near(found, wanted):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11),
    found,
    wanted,
  )


def second_derivatives(layer):
  """Along one direction, forward over both modes and back over back."""
  by = lambda b, xs: layer(layer.params._replace(b=b), xs)
  at = layer.params.b, layer.xs
  rng = np.random.default_rng(2)
  along = tuple(rng.normal(size=np.shape(a)) for a in at)

  def forward(function):
    return lambda *at: jax.jvp(function, at, along)[1]

  def back(function):
    derive = jax.grad(function, (0, 1))
    return lambda *at: sum(map(jnp.vdot, derive(*at), along))

  def derive(*at):
    numbers = [forward(one)(*at) for one in (forward(by), back(by))]
    return numbers, jax.grad(back(by), (0, 1))(*at)

  numbers, gradient = cheap_jit(derive)(*at)
  wanted = tuple(
    sum(map(lambda block, v: np.tensordot(block, v, v.ndim), row, along))
    for row in expected(layer.name, 'hessian')
  )
  near(gradient, wanted)
  near(numbers, [sum(map(np.vdot, wanted, along))] * 2)


def hessians(layer):
  # By few of the weights: the cost is that of the table.
  by = lambda b, xs: layer(layer.params._replace(b=b), xs)
  forward, back = jax.jacfwd, jax.jacrev

  def all_orders(*at):
    return [
      outer(inner(by, (0, 1)), (0, 1))(*at)
      for inner in (forward, back)
      for outer in (forward, back)
    ]

  for found in cheap_jit(all_orders)(layer.params.b, layer.xs):
    near(found, expected(layer.name, 'hessian'))


def directions(layer):
  """Forward mode alone, linearised, and turned round."""
  at = layer.params, layer.xs
  along = jax.tree.map(np.ones_like, at)

  def derive(at, along):
    _, pushed = jax.jvp(layer, at, along)
    _, linear = jax.linearize(layer, *at)
    turned = jax.linear_transpose(linear, *at)(1.0)
    return pushed, linear(*along), turned

  pushed, linear, turned = cheap_jit(derive)(at, along)
  by_hand = sum(np.sum(g) for g in jax.tree.leaves(layer.gradient))
  near((pushed, linear), (by_hand, by_hand))
  near(turned, layer.gradient)


def mesh(kind):
  return jax.make_mesh((2,), ('d',), axis_types=(kind,))


def under_shard_map(layer):
  """Weights of all, sequences of each; also with the gradient outside."""
  ways = [
    derive
    for check in (True, False)
    for derive in derivatives_under_shard_map(layer, check)
  ]
  all_ways = cheap_jit(lambda *at: [derive(*at) for derive in ways])
  for found in all_ways(layer.params, layer.xs, LENGTHS):
    near(found, layer.gradient)


def derivatives_under_shard_map(layer, check):
  own = PartitionSpec('d')
  on = functools.partial(
    jax.shard_map, mesh=mesh(AxisType.Auto), in_specs=(SHARED, BATCH, own),
    check_vma=check,
  )  # fmt: skip

  def inside(params, xs, lengths):
    by_params, by_xs = jax.grad(layer, (0, 1))(params, xs, lengths)
    if not check:  # Then JAX leaves the sum over devices to its user.
      by_params = jax.lax.psum(by_params, 'd')
    return by_params, by_xs

  def outside(params, xs, lengths):
    made = on(layer.outputs, out_specs=(BATCH, own))
    some = lambda params, xs: error(*made(params, xs, lengths))
    return jax.grad(some, (0, 1))(params, xs)

  return on(inside, out_specs=(SHARED, BATCH)), outside


def on_explicit_axes(layer):
  explicit = mesh(AxisType.Explicit)
  with jax.set_mesh(explicit):
    xs = jax.device_put(layer.xs, NamedSharding(explicit, BATCH))
    derive = jax.grad(layer, (0, 1))
    near(cheap_jit(derive)(layer.params, xs), layer.gradient)
    made = layer.outputs(layer.params, xs)[0]
    assert jax.typeof(made).sharding.spec[1] == 'd'


def sharded_batch(layer):
  """Each device has its own sequences; no one is handed those of others."""
  auto = mesh(AxisType.Auto)
  xs = jax.device_put(layer.xs, NamedSharding(auto, BATCH))
  lengths = jax.device_put(LENGTHS, NamedSharding(auto, PartitionSpec('d')))
  program = cheap_jit(jax.grad(layer, (0, 1))).lower(layer.params, xs, lengths)
  program = program.compile()
  text = program.as_text()
  assert 'all-gather' not in text and 'custom_call_target="lstm_jax' not in text
  found = program(layer.params, xs, lengths)
  assert found[1].sharding.is_equivalent_to(xs.sharding, 3)
  near(found, layer.gradient)
  choice = which_kernel(layer.cell, layer.params, xs)
  assert choice.kernel == 'xla'
  if choice.why_not['native'].startswith('xs'):
    assert 'xs is spread over devices' in choice.why_not['native']


def on_each_device(layer):
  both = np.stack([layer.xs, -layer.xs])
  derive = jax.pmap(jax.grad(layer, 1), in_axes=(None, 0))
  wanted = layer.gradient[1], expected(layer.name, 'of minus xs')[1]
  near(derive(layer.params, both), np.stack(wanted))


def mapped(layer):
  """Over weights, inputs on any axis, lengths and states, and nested."""
  xs = np.stack([layer.xs, -layer.xs], axis=2)
  lengths = np.stack([LENGTHS, LENGTHS], axis=1)
  wanted = layer.gradient, expected(layer.name, 'of minus xs')
  stacked = jax.tree.map(lambda *g: np.stack(g), *wanted)
  nets = jax.tree.map(lambda w: np.stack([w, w, w]), layer.params)

  def derive(params, xs, lengths, nets):
    each = jax.grad(layer, (0, 1))
    by_map = jax.vmap(each, (None, 2, 1))(params, xs, lengths)
    table = jax.vmap(jax.vmap(each, (None, 2, None)), (0, None, None))
    summed = lambda params: jnp.sum(
      jax.vmap(layer, (None, 2, None))(params, xs, LENGTHS)
    )
    return by_map, table(nets, xs, LENGTHS), jax.grad(summed)(params)

  by_map, table, summed = cheap_jit(derive)(layer.params, xs, lengths, nets)
  near(by_map, stacked)
  near(jax.tree.map(lambda a: a[1], table), stacked)
  near(summed, jax.tree.map(lambda g: g.sum(0), stacked[0]))
  states = layer.outputs(layer.params, layer.xs)[1]
  goes_on = lambda state: layer.outputs(layer.params, layer.xs, state=state)[0]

  def both(state):
    zero = jax.tree.map(jnp.zeros_like, state)
    twice = jax.tree.map(lambda *a: jnp.stack(a), state, zero)
    return jax.vmap(goes_on)(twice), jnp.stack([goes_on(state), goes_on(zero)])

  near(*cheap_jit(both)(states))


def exported(layer):
  """A program for elsewhere holds nothing of this machine."""
  derive = cheap_jit(jax.grad(layer, (0, 1)))
  for platforms in (None, ['cuda'], ['cpu', 'cuda']):
    held = jax.export.export(derive, platforms=platforms)(
      layer.params, layer.xs
    )
    assert 'custom_call @lstm_jax' not in held.mlir_module()
  near(held.call(layer.params, layer.xs), layer.gradient)


def inside_others(layer):
  """What is differentiated around it: checkpoints, loops, rules of others."""

  @jax.custom_jvp
  def doubled(x):
    return 2 * x

  doubled.defjvp(lambda x, dx: (2 * x[0], 2 * dx[0]))

  def derive(params, xs):
    again = jax.grad(jax.checkpoint(layer), (0, 1))(params, xs)

    def looped(params, xs):
      body = lambda total, sign: (total + layer(params, sign * xs), None)
      return jax.lax.scan(body, 0.0, jnp.array([1.0, -1.0]))[0]

    ruled = jax.grad(lambda p: doubled(layer(p, xs)))(params)
    return again, jax.grad(looped)(params, xs), ruled

  again, looped, ruled = cheap_jit(derive)(layer.params, layer.xs)
  near(again, layer.gradient)
  other, _ = expected(layer.name, 'of minus xs')
  near(looped, jax.tree.map(np.add, layer.gradient[0], other))
  near(ruled, jax.tree.map(lambda g: 2 * g, layer.gradient[0]))


CASES = (
  second_derivatives, directions, under_shard_map, on_explicit_axes,
  sharded_batch, on_each_device, mapped, exported, inside_others,
)  # fmt: skip
# Of those that make something else of a layer than a function of one device,
# another layer too.
ALSO = {directions: LAYERS[2], inside_others: LAYERS[3]}


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.__name__)
def test_as_the_scan_of_the_cell(case, x64):
  for name, kernel in filter(None, (LAYERS[0], ALSO.get(case))):
    case(Layer(name, kernel))


@pytest.mark.slow
@pytest.mark.parametrize('name, kernel', LAYERS)
@pytest.mark.parametrize(
  'case', (hessians, *CASES), ids=lambda case: case.__name__
)
def test_every_layer_as_the_scan_of_its_cell(case, name, kernel, x64):
  case(Layer(name, kernel))


def test_every_option_on_a_mesh(x64):
  """What belongs to a sequence lies with it, wherever it was given."""
  cell, params, xs = net('lstm')
  rng = np.random.default_rng(1)
  initial = jax.tree.map(
    lambda a: jnp.asarray(rng.normal(size=a.shape)), cell.initial_carry()
  )
  noise = Noise(
    inputs=rng.random(I), heard=rng.random(C), keep=rng.random((T, C))
  )
  state = type(initial)(*(jnp.asarray(rng.normal(size=(2, B, C)))))

  def some(params, xs, initial, state, reset):
    made = run(
      cell, params, xs, state=state, initial=initial, reset=reset, noise=noise,
      cut_every=2, checkpoint_every=2, states=True,
    )  # fmt: skip
    return error(made.ys, made.states)

  at = params, xs, initial, state, rng.random((T, B)) < 0.3
  derive = jax.grad(some, (0, 1, 2, 3))
  wanted = cheap_jit(derive)(*at)
  own = PartitionSpec('d')
  whole = jax.shard_map(
    derive, mesh=mesh(AxisType.Auto),
    in_specs=(SHARED, BATCH, SHARED, own, BATCH),
    out_specs=(SHARED, BATCH, SHARED, own),
  )  # fmt: skip
  near(cheap_jit(whole)(*at), wanted)
  explicit = mesh(AxisType.Explicit)
  with jax.set_mesh(explicit):
    there = jax.device_put(xs, NamedSharding(explicit, BATCH))
    near(cheap_jit(derive)(params, there, *at[2:]), wanted)
