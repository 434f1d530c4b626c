"""Output units: the error signal is the one that a name promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.outputs import CHOICES, output_unit


@pytest.mark.parametrize('name', CHOICES)
def test_the_error_signal_of_an_output_unit(name, x64):
  unit = output_unit(name)
  net = jax.random.normal(jax.random.key(0), (3, 5)) * 3
  target = jax.random.uniform(jax.random.key(1), (3, 5))
  f = 1 / (1 + np.exp(-np.asarray(net)))
  y = {'linear': np.asarray(net), 'wide_logistic': 4 * f - 2}.get(name, f)
  signal = np.asarray(target) - y
  slope = {'logistic': f * (1 - f), 'wide_logistic': 4 * f * (1 - f)}
  signal = signal * slope.get(name, 1.0)
  np.testing.assert_allclose(unit.output(net), y, rtol=1e-12)
  loss, pull = jax.vjp(lambda n: unit.loss(n, target), net)
  assert loss.shape == (5,)
  np.testing.assert_allclose(-pull(jnp.ones(5))[0], signal, atol=1e-12)
  if name == 'logistic_without_derivative':
    expected = -np.sum(target * np.log(f) + (1 - target) * np.log(1 - f), 0)
  else:
    expected = 0.5 * np.sum((target - y) ** 2, 0)
  np.testing.assert_allclose(loss, expected, rtol=1e-12)


@pytest.mark.parametrize('name', CHOICES)
def test_error_signals_stay_finite_far_out(name):
  unit = output_unit(name)
  net = jnp.array([[-1e4, -200.0, 200.0, 1e4]])
  loss, pull = jax.vjp(lambda n: unit.loss(n, jnp.full_like(net, 0.5)), net)
  assert jnp.all(jnp.isfinite(loss))
  assert jnp.all(jnp.isfinite(pull(jnp.ones(4))[0]))


def test_an_unknown_name_is_refused_with_the_choices():
  with pytest.raises(ValueError, match="output='softmax'.*logistic, linear"):
    output_unit('softmax')
