"""One step at a time, and the batch first: the layer in other hands.

One promise a test, over every cell of the catalog.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.lab.plan import catalog

T, B, I, C = 5, 3, 2, 4
CELLS = catalog.names('cells')
LENGTHS = np.array([5, 0, 3])


def net(name):
  """`(cell, params)` with weights of order one that exist."""
  size = {'blocks': 2, 'block_size': 2} if name == 'lstm1997' else {'hidden': C}
  cell = getattr(lj, name)(I, 1, **size)
  rng = np.random.default_rng(0)
  draw = lambda mask: (mask * rng.normal(size=mask.shape)).astype(np.float32)
  return cell, jax.tree.map(draw, cell.mask)


def drawn(seed=1):
  """`(xs [T, B, I], reset [T, B])`."""
  rng = np.random.default_rng(seed)
  return rng.normal(size=(T, B, I)).astype(np.float32), rng.random((T, B)) < 0.3


@pytest.mark.parametrize('name', CELLS)
def test_steps_one_by_one_are_the_layer(name):
  cell, params = net(name)
  xs, reset = drawn()

  def by_steps(params, xs):
    def body(state, step):
      y, state, gates = lj.layer_step(
        cell, params, step[0], state, reset=step[1], gates=True
      )
      return state, (y, gates)

    start = lj.initial_state(cell, batch=B)
    last, (ys, gates) = jax.lax.scan(body, start, (xs, reset))
    return jnp.sum(ys**2), (ys, last, gates)

  def at_once(params, xs):
    ran = lj.layer(cell, params, xs, reset=reset, gates=True)
    return jnp.sum(ran.ys**2), (ran.ys, ran.last, ran.gates)

  ours, theirs = (
    jax.jit(jax.value_and_grad(f, argnums=(0, 1), has_aux=True))(params, xs)
    for f in (by_steps, at_once)
  )
  for a, b in zip(*map(jax.tree.leaves, (ours, theirs)), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_state_is_carried_from_call_to_call():
  cell, params = net('lstm')
  xs, _ = drawn()
  state = None  # the start
  for x in xs[:, 0]:
    y, state, gates = lj.layer_step(cell, params, x, state)
  ran = lj.layer(cell, params, xs[:, 0])
  np.testing.assert_allclose(y, ran.ys[-1], rtol=1e-5, atol=1e-6)
  assert gates is None and type(state) is type(ran.last)


@pytest.mark.parametrize(
  'given, said',
  [
    ({'x': np.ones((1, B, I))}, r'x has shape \(1, 3, 2\); must be \[B, 2\]'),
    ({'x': np.ones(I + 1)}, r'x has shape \(3,\)'),
    ({'x': 'x'}, r'x is a str'),
    ({'reset': np.ones(B + 1, bool)}, r'reset has shape \(4,\); .* \(3,\)'),
    ({'reset': np.ones(B, np.float32)}, r'reset has dtype float32'),
    ({'state': (np.ones(C),)}, r'state has 1 fields'),
  ],
)  # fmt: skip
def test_refusals(given, said):
  cell, params = net('lstm')
  how = {'x': np.ones((B, I)), **given}
  with pytest.raises(ValueError, match=said):
    lj.layer_step(cell, params, **how)


def test_initial_states_are_for_as_many_as_asked():
  cell, _ = net('lstm')
  assert lj.initial_state(cell).s_c.shape == (C,)
  assert lj.initial_state(cell, 2, jnp.bfloat16).s_c.dtype == jnp.bfloat16
  with pytest.raises(ValueError, match='batch=0 must be at least 1'):
    lj.initial_state(cell, batch=0)


OPTIONS = {
  'plain': {},
  'all': {'states': True, 'gates': True, 'cut_every': 2, 'reset': True},
  'backwards': {'reverse': True, 'states': True},
}


@pytest.mark.parametrize('how', OPTIONS)
@pytest.mark.parametrize('name', CELLS)
def test_batch_first_is_the_same_with_axes_turned(name, how):
  """Values and gradients, of unequal lengths, from a state, with resets."""
  cell, params = net(name)
  xs, reset = drawn()
  state = jax.tree.map(lambda f: f + 0.1, lj.initial_state(cell, batch=B))
  options = dict(OPTIONS[how])
  resets = options.pop('reset', False)

  def loss(params, xs, state, reset, batch_first):
    ran = lj.layer(
      cell, params, xs, lengths=LENGTHS, state=state,
      reset=reset if resets else None, batch_first=batch_first, **options,
    )  # fmt: skip
    return jnp.sum(ran.ys**2) + jnp.sum(jax.tree.leaves(ran.last)[0]), ran

  both = jax.jit(
    jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True),
    static_argnums=4,
  )
  turn = lambda tree: jax.tree.map(lambda a: np.swapaxes(a, 0, 1), tree)
  (_, want), (d_params, d_xs, d_state) = both(params, xs, state, reset, False)
  (_, made), grads = both(params, turn(xs), state, turn(reset), True)
  want = want._replace(
    ys=turn(want.ys), states=turn(want.states), gates=turn(want.gates)
  )
  wanted = want, (d_params, turn(d_xs), d_state)
  for a, b in zip(*map(jax.tree.leaves, (wanted, (made, grads))), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_batch_first_of_a_stack_and_of_one_sequence():
  stack = lj.make_stack(lj.gru, I, layers=1, bidirectional=True, hidden=C)
  params = lj.init_stack(stack, jax.random.key(0))
  xs, _ = drawn()
  want = lj.run_stack(stack, params, xs, lengths=LENGTHS)
  made = lj.run_stack(
    stack, params, xs.swapaxes(0, 1), lengths=LENGTHS, batch_first=True
  )
  np.testing.assert_allclose(made.ys, np.swapaxes(want.ys, 0, 1), rtol=1e-6)
  cell, params = net('gru')
  one = xs[:, 0]
  np.testing.assert_array_equal(
    lj.layer(cell, params, one, batch_first=True).ys,
    lj.layer(cell, params, one).ys,
  )


def test_shapes_are_said_in_the_order_that_was_asked_for():
  cell, params = net('gru')
  xs, reset = drawn()
  with pytest.raises(ValueError, match=r'must be \[B, T, 2\] or \[T, 2\]'):
    lj.layer(cell, params, xs[..., :1], batch_first=True)
  with pytest.raises(
    ValueError, match=r'reset has shape \(5, 3\); .* \(3, 5\)'
  ):
    lj.layer(cell, params, xs.swapaxes(0, 1), reset=reset, batch_first=True)
  with pytest.raises(ValueError, match='batch_first=1 must be True or False'):
    lj.layer(cell, params, xs, batch_first=1)
  choice = lj.which_kernel(
    cell, params, xs.swapaxes(0, 1), reset=reset.T, batch_first=True
  )
  assert choice.why_not['native'] == 'it has no reset'
