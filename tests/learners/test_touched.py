"""Which weights reach which entries of the carry, and what shares a pass."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.srn import srn
from lstm_jax.lab.plan import catalog
from lstm_jax.learners._forward import influence_matrix, sparsity
from tests.gradients import by_cost, cheap_jit, random_net

LANES = (3,)


def by_definition(cell, past, params, carry, x_t):
  """D and I by forward differentiation of the step itself, one lane each."""

  def move(s_tm1, w):
    ends = np.cumsum([len(getattr(carry, f)) for f in past.fields])[:-1]
    fields = zip(past.fields, jnp.split(s_tm1, ends), strict=True)
    full = jax.tree.map(
      lambda p, v, m: jnp.where(m != 0, v, p),
      params, past.weights.tree(w), mask,
    )  # fmt: skip
    carry_t, _ = cell.step(full, carry._replace(**dict(fields)), x_t)
    return influence_matrix.pack(past.fields, carry_t)

  mask = past.weights.tree(jnp.ones(past.weights.size))
  at = influence_matrix.pack(past.fields, carry), past.weights.flat(params)
  return jax.jacfwd(move, (0, 1))(*at)


@pytest.mark.parametrize('name', by_cost(catalog.names('cells')))
def test_the_jacobians_are_those_of_the_step(x64, name):
  cell = catalog.build('cells', name, 2, 1)
  past = influence_matrix.past(cell)
  rng = np.random.default_rng(0)
  params = random_net(cell, 1, LANES)
  carry = jax.tree.map(
    lambda c: rng.normal(size=(*c.shape, *LANES)), cell.initial_carry()
  )
  x_t = rng.normal(size=(2, *LANES))
  _, by_carry, by_weights = cheap_jit(
    lambda *at: influence_matrix.jacobians(past, *at)
  )(params, carry, x_t)
  want = cheap_jit(
    jax.vmap(
      lambda *at: by_definition(cell, past, *at), in_axes=-1, out_axes=-1
    )
  )(params, carry, x_t)
  np.testing.assert_allclose(by_carry, want[0], atol=1e-12)
  np.testing.assert_allclose(by_weights, want[1], atol=1e-12)
  assert np.any(by_weights != 0)
  # Nothing that has a derivative is taken for untouched.
  touches = past.touches()
  assert np.all(touches | np.all(np.asarray(by_weights) == 0, axis=-1))


def test_a_plain_net_needs_one_pass_and_links_within_a_step_more():
  past = influence_matrix.past(srn(2, 1, hidden=5))
  touches = past.touches()
  assert np.all(np.sum(touches, axis=0) == 1)
  assert set(sparsity.groups(touches)) == {0}
  cascade = catalog.build('cells', 'cascaded', 2, 1, hidden=4)
  touches = influence_matrix.past(cascade).touches()
  # The first unit's weights reach every later one.
  assert np.max(np.sum(touches, axis=0)) == 4
  assert sorted(sparsity.groups(touches)) == [0, 1, 2, 3]


def test_a_cell_that_carries_no_weights_is_refused():
  """A fixed memory with a readout that learns."""

  def step(params, carry, x_t):
    h_t = 0.9 * carry.h + x_t
    return carry._replace(h=h_t), jnp.einsum('ku...,u...', params.w_out, h_t)

  cell = srn(3, 1, hidden=3)._replace(step=step)
  with pytest.raises(ValueError, match='no weight .* bptt and elman train'):
    influence_matrix.past(cell)


@jax.custom_jvp
def spike(net):
  return (net > 0).astype(net.dtype)


@spike.defjvp
def spike_jvp(primals, tangents):
  """A surrogate: the value is flat wherever it is."""
  return spike(*primals), tangents[0] / (1 + jnp.abs(primals[0])) ** 2


@jax.custom_vjp
def straight_through(net):
  return jnp.where(net > 0, 1.0, -1.0).astype(net.dtype)


straight_through.defvjp(
  lambda net: (straight_through(net), None), lambda _, e: (e,)
)


def settled(net):
  """Steps within a step, each of which chooses."""

  def step(h, _):
    return jnp.where(net > 1e6, h + net, 0.5 * h), None

  return jax.lax.scan(step, jnp.zeros_like(net), None, length=3)[0]


def of_a_branch(net):
  return jax.lax.cond(jnp.sum(net) > 1e9, jnp.tanh, jnp.zeros_like, net)


def picked(net):
  """By a whole number, which a nan would make another one."""
  at = (net > 0).astype(int)
  cases = jnp.stack([jnp.zeros_like(net), net])
  return jnp.take_along_axis(cases, at[None], axis=0)[0]


def multiplied(net):
  """A compiler makes a choice of it, which hides what is not taken."""
  return net * (net > 1e6)


def repeated(net):
  """As often as the values say: in no draw."""
  count = jnp.sum(net > 1e6)
  step = lambda state: (state[0] + 1, state[1] * net)
  start = count * 0, jnp.ones_like(net)
  return jax.lax.while_loop(lambda state: state[0] < count, step, start)[1]


def largest_times(net):
  """Every unit times the largest, which is taken out."""
  at = jnp.argmax(net, axis=0)
  return net * jnp.take_along_axis(net, at[None], axis=0)


def ordered(net):
  return jnp.take_along_axis(net, jnp.argsort(net, axis=0), axis=0)


def at_the_largest(net):
  """A lane after another: its first unit, put where its largest is."""
  if net.ndim > 1:
    return jax.vmap(at_the_largest, -1, -1)(net)
  return jnp.zeros_like(net).at[jnp.argmax(net)].add(net[0])


def without_the_largest(net):
  if net.ndim > 1:
    return jax.vmap(without_the_largest, -1, -1)(net)
  return net.at[jnp.argmax(net)].set(0.0)


def pushed_in(net):
  """The same by another operation."""
  if net.ndim > 1:
    return jax.vmap(pushed_in, -1, -1)(net)
  start = (jnp.argmax(net),)
  return jax.lax.dynamic_update_slice(jnp.zeros_like(net), net[:1], start)


def counted(net):
  """Unit by unit, by a count which no value chooses."""

  def step(i, done):
    row = jax.lax.dynamic_slice_in_dim(net, i, 1)
    return jax.lax.dynamic_update_slice_in_dim(done, jnp.tanh(row), i, 0)

  return jax.lax.fori_loop(0, len(net), step, jnp.zeros_like(net))


# Functions of a unit's net input that hide it, and how many units the weights
# of each of the four are told to reach.
STRANGE = {
  'relu by where': (lambda net: jnp.where(net > 0, net, 0), 1),
  'far away': (lambda net: jnp.where(net > 1e6, net, 0), 1),
  'picked': (picked, 1),
  'guarded logarithm': (
    lambda net: jnp.where(net > 0, jnp.log(jnp.where(net > 0, net, 1)), net),
    1,
  ),
  'of positive numbers': (lambda net: jnp.sqrt(net * net + net), 1),
  'near nothing alone': (lambda net: jnp.arcsin(net / 50), 1),
  'compiled within': (
    jax.jit(lambda net: jnp.where(net < 1e9, 0, net)), 1,
  ),
  'spike': (spike, 1),
  'straight through': (straight_through, 1),
  'remade': (jax.checkpoint(lambda net: jnp.where(net > 1e6, net, 0)), 1),
  'settled': (settled, 1),
  'branch': (of_a_branch, 1),
  'relu': (jax.nn.relu, 1),
  'in order': (lambda net: jnp.sort(net, axis=0), 4),
  'never a number': (lambda net: net + jnp.nan, 4),
  'multiplied': (multiplied, 1),
  'repeated': (repeated, 4),
  'times the largest': (largest_times, 4),
  'ordered': (ordered, 4),
  'at the largest': (at_the_largest, [4, 0, 0, 0]),
  'pushed in': (pushed_in, [4, 0, 0, 0]),
  'without the largest': (without_the_largest, 1),
  'counted': (counted, 1),
}  # fmt: skip


@pytest.mark.parametrize('name', STRANGE)
def test_what_a_step_chooses_hides_no_weight(name):
  """Gradients of rules that go forwards would be 0 in silence."""
  function, reached = STRANGE[name]
  plain = srn(3, 1, hidden=4)

  def step(params, carry, x_t):
    pull = jnp.einsum('ui...,i...->u...', params.w_x, x_t)
    back = jnp.einsum('uv...,v...->u...', params.w_h, carry.h)
    h_t = function(pull + back + params.b)
    return carry._replace(h=h_t), h_t[:1]

  past = influence_matrix.past(plain._replace(step=step))
  touches = past.touches()
  assert touches.shape == (4, 4 * (3 + 4 + 1))
  unit = jax.tree.map(lambda w: np.indices(np.shape(w))[0], plain.mask)
  np.testing.assert_array_equal(
    np.sum(touches, axis=0),
    np.broadcast_to(reached, 4)[np.asarray(past.weights.flat(unit))],
  )


@pytest.mark.parametrize('name', by_cost(catalog.names('cells')))
@pytest.mark.parametrize('at_once', [256, 3])
def test_rows_are_told_from_their_ends_as_weight_by_weight(
  monkeypatch, name, at_once
):
  """The oracle tries each weight alone, in a net of 5 units and one of 4."""
  monkeypatch.setattr(sparsity, '_AT_ONCE', at_once)
  for sizes in ({'hidden': 5}, {'hidden': 4}, {'blocks': 2, 'block_size': 2}):
    try:
      cell = catalog.build('cells', name, 3, 2, **sizes)
    except (TypeError, ValueError):  # of other sizes
      continue
    past = influence_matrix.past(cell)
    reach = sparsity._reach(
      cell, past.weights, lambda c, f=past.fields: influence_matrix.pack(f, c)
    )
    each = reach(np.arange(past.weights.size), past.weights.size)
    np.testing.assert_array_equal(past.touches(), each)


def test_weights_of_a_row_that_reach_different_entries_are_tried_alone():
  """Inputs down the rows: the weights of a row go to as many units."""

  class Carry(NamedTuple):
    h: jax.Array

  def step(params, carry, x_t):
    pull = jnp.einsum('iu...,i...->u...', params['w'], x_t)
    h_t = jnp.tanh(pull + params['b'] * carry.h)
    return Carry(h_t), h_t

  mask = {'w': np.ones((3, 4)), 'b': np.ones(4)}
  plain = srn(3, 4, hidden=4)
  cell = plain._replace(
    mask=mask,
    step=step,
    initial_carry=lambda lanes=(), dtype=np.float32: Carry(
      jnp.zeros((4, *lanes), dtype)
    ),
  )
  touches = influence_matrix.past(cell).touches()
  unit = np.concatenate([np.arange(4), *[np.arange(4)] * 3])
  np.testing.assert_array_equal(touches, unit[None] == np.arange(4)[:, None])


@pytest.mark.parametrize('seed', range(20))
def test_members_of_a_group_share_no_weight(seed):
  rng = np.random.default_rng(seed)
  touches = rng.uniform(size=(8, 30)) < rng.uniform(0, 0.4)
  group = sparsity.groups(touches)
  for g in range(max(group) + 1):
    assert np.all(np.sum(touches[group == g], axis=0) <= 1)
    assert np.any(group == g)


@pytest.mark.parametrize('platform', ['cpu', 'cuda'])
@pytest.mark.parametrize('columns', [1, 3, 700])
@pytest.mark.parametrize('lanes', [(), (16,), (2, 3)], ids=str)
def test_a_product_of_matrices_is_the_product(
  x64, monkeypatch, platform, columns, lanes
):
  """Also where the last block overlaps the one before it."""
  monkeypatch.setattr(
    jax.lax,
    'platform_dependent',
    lambda *args, default, **of: of.get(platform, default)(*args),
  )
  rng = np.random.default_rng(0)
  a = rng.normal(size=(4, 5, *lanes))
  b = rng.normal(size=(5, columns, *lanes))
  # A function of its own: what is compiled for the other one is not this.
  found = jax.jit(lambda a, b: influence_matrix.product(a, b))(a, b)
  np.testing.assert_allclose(
    found, np.einsum('mn...,nw...->mw...', a, b), atol=1e-12
  )


@pytest.mark.parametrize('platform', ['cpu', 'cuda', 'tpu'])
def test_a_product_loops_on_a_cpu_alone(platform):
  """Each iteration starts kernels on an accelerator."""
  a, b = np.ones((4, 40, 16), np.float32), np.ones((40, 50, 16), np.float32)
  traced = jax.jit(influence_matrix.product).trace(a, b)
  text = traced.lower(lowering_platforms=(platform,)).as_text()
  assert ('stablehlo.while' in text) == (platform == 'cpu')
