"""JANET: its loop, the LSTM that it is, its biases."""

import jax
import numpy as np
import pytest

from lstm_jax.cells.janet import janet
from lstm_jax.cells.lstm import lstm
from lstm_jax.ops.unroll import unroll

I, K, C, T = 3, 2, 4, 9


def drawn(cell, seed=0):
  """Weights of order one, and inputs `[T, I]`."""
  random = np.random.default_rng(seed)
  params = jax.tree.map(lambda m: m * random.normal(size=m.shape), cell.mask)
  return params, random.normal(size=(T, I))


def logistic(x):
  return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(('beta', 'shift'), [(None, 0), (0.4, 0.4), (1.0, 1)])
def test_janet_is_its_loop(beta, shift, x64):
  cell = janet(I, K, hidden=C, beta=beta)
  p, xs = drawn(cell)
  c, expected = np.zeros(C), []
  for x in xs:
    h, c = c, c.copy()
    for j in range(C):
      s = p.w_x[j] @ x + p.w_h[j] @ h + p.b[j]
      net = p.w_x[C + j] @ x + p.w_h[C + j] @ h + p.b[C + j]
      c[j] = logistic(s) * h[j] + (1 - logistic(s - shift)) * np.tanh(net)
    expected.append(p.w_out @ c + p.b_out)
  _, nets = unroll(cell, p, xs)
  np.testing.assert_allclose(nets, expected, rtol=0, atol=1e-12)


def test_where_the_state_is_small_it_is_an_lstm_with_coupled_gates(x64):
  """net_in = -net_f, an open output gate; tanh(s) is s - s^3/3 + ..."""
  cell, other = janet(I, K, hidden=C, beta=None), lstm(I, K, hidden=C)
  p, xs = drawn(cell)
  small = 1e-4
  scale = np.repeat([1, small], C)
  p = p._replace(w_x=p.w_x * scale[:, None], b=p.b * scale, w_h=p.w_h * 0)
  in_order = lambda w: np.concatenate([-w[:C], w[:C], w[C:], 0 * w[:C]])
  b = in_order(p.b)
  b[3 * C :] = 50
  q = other.mask._replace(
    w_x=in_order(p.w_x), w_h=in_order(p.w_h), b=b, w_out=p.w_out,
    b_out=p.b_out, w_peep_in=np.zeros(C), w_peep_f=np.zeros(C),
    w_peep_out=np.zeros(C),
  )  # fmt: skip
  (ours, _), (theirs, _) = unroll(cell, p, xs), unroll(other, q, xs)
  np.testing.assert_allclose(ours.s_c, theirs.s_c, rtol=1e-12)
  np.testing.assert_allclose(ours.y_c, theirs.y_c, rtol=0, atol=small**3)


@pytest.mark.parametrize('t_max', [3.0, 100.0, 10_000.0])
def test_time_scales_are_uniform_up_to_the_longest(t_max):
  """b_f ~ log U(1, t_max - 1)."""
  cell = janet(1, 1, hidden=400)
  b = cell.init(jax.random.key(0), {'t_max': t_max}).b
  places = np.sort((np.exp(np.asarray(b[:400], float)) - 1) / (t_max - 2))
  assert np.all(np.abs(places - np.linspace(0, 1, 400)) < 0.1)
  assert np.all(np.abs(b[400:]) <= 0.1) and np.std(b[400:]) > 0.05


def test_without_a_longest_lag_gates_start_half_open():
  """Nothing below 2 has a logarithm of a range."""
  for t_max in (2.0, 1.0, 0.0):
    b = janet(1, 1).init(jax.random.key(0), {'t_max': t_max}).b
    np.testing.assert_array_equal(b[:4], 0)


def test_a_bias_that_is_given_is_none_of_time_scales():
  b = janet(1, 1).init(jax.random.key(0), {'forget_bias': [1, np.nan, 2, 3]}).b
  np.testing.assert_array_equal(np.take(b, [0, 2, 3]), [1, 2, 3])
  assert 0 < b[1] < np.log(99)


def test_it_has_half_of_the_weights_of_an_lstm():
  count = lambda cell: sum(int(m.sum()) for m in cell.mask)
  assert 2 * count(janet(28, 0, hidden=128)) == count(lstm(28, 0, hidden=128))


@pytest.mark.parametrize('beta', [0.0, -1.0])
def test_a_beta_that_is_not_above_0_is_refused(beta):
  with pytest.raises(ValueError, match=f'beta={beta} must be above 0'):
    janet(1, 1, beta=beta)
