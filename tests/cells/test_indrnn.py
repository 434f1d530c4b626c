"""IndRNN: its loop, its gradient through time, the range and bound of u."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import testing
from lstm_jax.cells.indrnn import indrnn
from lstm_jax.cells.srn import srn
from lstm_jax.ops.step import constant_leak, local_fields
from lstm_jax.ops.unroll import unroll

I, K, C, T = 3, 2, 4, 9
F = {'relu': lambda x: max(x, 0.0), 'tanh': np.tanh}


def drawn(cell, seed=0):
  """Weights of order one, and inputs `[T, I]`."""
  random = np.random.default_rng(seed)
  params = jax.tree.map(lambda m: m * random.normal(size=m.shape), cell.mask)
  return params, random.normal(size=(T, I))


def held(u, bound):
  """A point that moves along a line between two mirrors, step by step."""
  while abs(u) > bound:
    u = np.sign(u) * 2 * bound - u
  return u


def loop(p, inputs, f, u):
  """The outputs `[T, K]`, unit by unit."""
  h, nets = np.zeros(C), []
  for x in inputs:
    for c in range(C):
      h[c] = f(p.w_x[c] @ x + u[c] * h[c] + p.b[c])
    nets.append(p.w_out @ h + p.b_out)
  return nets


@pytest.mark.parametrize('activation', F)
@pytest.mark.parametrize('bound', [None, 0.5, 1.2])
def test_indrnn_is_its_loop(activation, bound, x64):
  cell = indrnn(I, K, hidden=C, activation=activation, recurrent_bound=bound)
  p, xs = drawn(cell)
  p = p._replace(u=np.array([-2.9, 0.4, 1.7, -0.6]))
  u = p.u if bound is None else [held(one, bound) for one in p.u]
  _, nets = unroll(cell, p, xs)
  expected = loop(p, xs, F[activation], u)
  np.testing.assert_allclose(nets, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('activation', F)
def test_it_is_a_simple_network_whose_units_hear_themselves(activation, x64):
  cell = indrnn(I, K, hidden=C, activation=activation)
  other = srn(I, K, hidden=C, activation=activation, recurrence='self')
  p, xs = drawn(cell)
  q = other.mask._replace(
    w_x=p.w_x, w_h=np.diag(p.u), b=p.b, w_out=p.w_out, b_out=p.b_out
  )
  _, ours = unroll(cell, p, xs)
  _, theirs = unroll(other, q, xs)
  np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_its_error_is_a_power_of_u(x64):
  """Eq. (4), of a unit that is never at 0: all derivatives of relu are 1."""
  cell = indrnn(1, 1, hidden=1)
  p = cell.mask._replace(u=np.array([0.9]), b_out=np.zeros(1))
  error = jax.grad(lambda xs: unroll(cell, p, xs)[1][-1, 0])
  powers = 0.9 ** np.arange(T)[::-1, None]
  np.testing.assert_allclose(error(jnp.ones((T, 1))), powers, rtol=1e-12)


def test_a_weight_beyond_the_bound_is_sent_back(x64):
  """More of it is less of what acts; on the bound it still counts whole."""
  cell = indrnn(1, 1, hidden=1, recurrent_bound=1.0)
  carry = cell.initial_carry((), np.float64)._replace(h=np.ones(1))

  def after(u):
    p = cell.mask._replace(u=jnp.array([u]), w_x=np.zeros((1, 1)))
    return cell.step(p, carry, np.zeros(1))[0].h[0] - 1

  for u, acts, slope in ((0.7, 0.7, 1), (1.0, 1.0, 1), (1.25, 0.75, -1)):
    value, derivative = jax.value_and_grad(after)(u)
    np.testing.assert_allclose((value, derivative), (acts, slope), atol=1e-12)


@pytest.mark.parametrize(('inputs', 'units'), [(2, 1), (8, 1), (8, 3)])
def test_its_state_is_found_whatever_units_are_at_0(inputs, units):
  cell = indrnn(inputs, 1, hidden=units)
  assert local_fields(cell) == ('h',) and constant_leak(cell) is None


@pytest.mark.slow
def test_a_bound_keeps_all_promises():
  """Slow: its loop, and the catalog without a bound, hold nearly all of it."""
  testing.check_cell(
    indrnn, options={'hidden': 3, 'recurrent_bound': 0.05}, without=('init',)
  )


@pytest.mark.parametrize('bound', [0, -1.0])
def test_a_bound_that_is_not_above_0_is_refused(bound):
  with pytest.raises(ValueError, match='recurrent_bound=.* must be above 0'):
    indrnn(1, 1, recurrent_bound=bound)


@pytest.mark.parametrize(('low', 'high'), [(0, 1), (0.993, 1.007), (-1, 1)])
def test_u_is_uniform_in_its_range(low, high):
  cell = indrnn(1, 1, hidden=4000)
  numbers = {'recurrent_low': low, 'recurrent_high': high, 'init_range': 0.01}
  u = np.asarray(cell.init(jax.random.key(0), numbers).u, float)
  places = np.sort((u - low) / (high - low))
  assert np.all(np.abs(places - np.linspace(0, 1, 4000)) < 0.03)


def test_without_a_range_of_the_others_u_is_in_the_middle_of_its_own():
  params = indrnn(2, 1).init(jax.random.key(0), {'init_range': 0.0})
  np.testing.assert_array_equal(params.u, 0.5)
  np.testing.assert_array_equal(params.w_x, 0)


def weights(cell):
  """Of the hidden layer, without biases."""
  names = ('w_x', 'u', 'w_h')
  return sum(int(np.sum(getattr(cell.mask, n, 0))) for n in names)


def test_the_published_numbers_of_weights():
  """Section 4: M N + N of one layer, M N + N N + 2 N of two; N = 128.

  Section 5.1, adding: 16K of a simple network of 128 units and 17K of two such
  layers, there with biases and output weights.
  """
  first, second = indrnn(2, 0, hidden=128), indrnn(128, 0, hidden=128)
  assert weights(first) == 2 * 128 + 128
  assert weights(first) + weights(second) == 2 * 128 + 128**2 + 2 * 128
  count = lambda *cells: sum(int(m.sum()) for cell in cells for m in cell.mask)
  assert count(srn(2, 1, hidden=128)) // 1000 == 16
  assert count(first, indrnn(128, 1, hidden=128)) // 1000 == 17
