"""Tests how the recurrent weights of a simple network start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.srn import srn
from lstm_jax.ops.unroll import unroll


def first_weights(seed, **options):
  cell = srn(2, 1, hidden=9, **options)
  return cell.init(jax.random.key(seed), {'init_range': 0.3})


@pytest.mark.parametrize('recurrence', ['full', 'self'])
def test_the_identity(recurrence):
  how = {'recurrent_init': 'identity', 'recurrence': recurrence}
  params = first_weights(0, **how)
  np.testing.assert_array_equal(params.w_h, np.eye(9))
  plain = first_weights(0, recurrence=recurrence)
  for name in ('w_x', 'b', 'w_out', 'b_out'):
    np.testing.assert_array_equal(getattr(params, name), getattr(plain, name))


def test_rectified_units_that_start_so_pass_their_errors_on_unchanged():
  """Le, Jaitly & Hinton (2015), section 2: the property that they are for."""
  cell = srn(2, 1, hidden=9, activation='relu', recurrent_init='identity')
  params = cell.init(jax.random.key(0), {'init_range': 0.3})
  params = params._replace(b=jnp.abs(params.b), w_x=jnp.abs(params.w_x))
  xs = jax.random.uniform(jax.random.key(1), (50, 2))

  def last_output(start):
    carry, _ = unroll(cell, params, xs[1:], carry=start)
    return cell.step(params, carry, xs[0])[1][0]

  start = cell.initial_carry()._replace(h=jnp.ones(9))
  error = jax.grad(last_output)(start).h
  np.testing.assert_array_equal(error, params.w_out[0])


def test_orthogonal_ones_are_random_rotations():
  draw = lambda seed: first_weights(seed, recurrent_init='orthogonal').w_h
  w = np.asarray(jax.vmap(lambda i: draw(i))(jnp.arange(400)), float)
  assert np.all(np.abs(w @ w.transpose(0, 2, 1) - np.eye(9)) < 1e-6)
  # Entries of mean 0 and mean square 1/C, as many reflections as rotations.
  assert np.all(np.abs(w.mean(0)) < 5 / np.sqrt(9 * 400))
  np.testing.assert_allclose((w**2).mean(0), 1 / 9, rtol=0.35)
  assert 0.4 < np.mean(np.linalg.det(w) > 0) < 0.6


def test_what_hears_nothing_has_none():
  with pytest.raises(ValueError, match='identity needs units that hear them'):
    srn(2, 1, recurrence='none', recurrent_init='identity')
  for recurrence in ('none', 'self'):
    with pytest.raises(ValueError, match='hear each other'):
      srn(2, 1, recurrence=recurrence, recurrent_init='orthogonal')
