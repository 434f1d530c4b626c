"""Output units: the error signal is the one that a name promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.tasks._outputs import CHOICES, output_unit


def of_unit(unit, net, target):
  """Outputs, losses, and the gradient of the losses by the net inputs."""

  @jax.jit
  def derive(net, target):
    loss, pull = jax.vjp(lambda n: unit.loss(n, target), net)
    return unit.output(net), loss, pull(jnp.ones_like(loss))[0]

  return derive(net, target)


@pytest.mark.parametrize('name', CHOICES)
def test_the_error_signal_of_an_output_unit(name, x64):
  unit = output_unit(name)
  rng = np.random.default_rng(0)
  net, target = rng.normal(size=(3, 5)) * 3, rng.uniform(size=(3, 5))
  f = 1 / (1 + np.exp(-net))
  shares = np.exp(net) / np.sum(np.exp(net), axis=0)
  target /= np.sum(target, axis=0)
  y = {'linear': net, 'wide_logistic': 4 * f - 2, 'softmax': shares}
  y = y.get(name, f)
  signal = target - y
  slope = {'logistic': f * (1 - f), 'wide_logistic': 4 * f * (1 - f)}
  signal = signal * slope.get(name, 1.0)
  output, loss, gradient = of_unit(unit, net, target)
  np.testing.assert_allclose(output, y, rtol=1e-12)
  assert loss.shape == (5,)
  np.testing.assert_allclose(-gradient, signal, atol=1e-12)
  if name == 'logistic_without_derivative':
    expected = -np.sum(target * np.log(f) + (1 - target) * np.log(1 - f), 0)
  elif name == 'softmax':
    expected = -np.sum(target * np.log(shares), 0)
  else:
    expected = 0.5 * np.sum((target - y) ** 2, 0)
  np.testing.assert_allclose(loss, expected, rtol=1e-12)


@pytest.mark.parametrize('name', CHOICES)
def test_error_signals_stay_finite_far_out(name):
  unit = output_unit(name)
  net = np.float32([[-1e4, -200.0, 200.0, 1e4]])
  _, loss, gradient = of_unit(unit, net, np.full_like(net, 0.5))
  assert np.all(np.isfinite(loss))
  assert np.all(np.isfinite(gradient))


def test_an_unknown_name_is_refused_with_the_choices():
  with pytest.raises(ValueError, match="output='tanh'.*logistic, linear"):
    output_unit('tanh')
