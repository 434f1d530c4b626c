"""Cells against the equations of their papers, in loops over numbers.

Nothing of a cell is used but the names of its weights: each reference is read
from the paper, one unit at a time, in double precision.
"""

import cmath
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.ops.unroll import unroll

I, K, C, T = 3, 2, 4, 30


def logistic(x):
  return 1 / (1 + math.exp(-x))


def dot(row, xs):
  return sum(float(w) * x for w, x in zip(row, xs, strict=True))


def rows_of(array, *names):
  """Name -> rows of an array that has the same number of each."""
  return dict(zip(names, np.split(array, len(names)), strict=True))


class Result(NamedTuple):
  """Outputs of every step, and the fields of the last state."""

  outputs: list
  state: dict


def readout(p, y):
  return [dot(w, y) + b for w, b in zip(p.w_out, p.b_out, strict=True)]


def lem(p, xs, dt=1.0):
  """Rusch et al. (2022), eq. (3)."""
  v, b = (rows_of(a, '1', '2', 'z', 'y') for a in (p.w_x, p.b))
  w = rows_of(p.w_h, '1', '2', 'z') | {'y': p.w_y}
  y, z, outputs = [0.0] * C, [0.0] * C, []
  for x in xs:
    net = lambda name, i, heard, x=x: (
      dot(w[name][i], heard) + dot(v[name][i], x) + b[name][i]
    )
    z_n, y_n = [], []
    for i in range(C):
      dt_n = dt * logistic(net('1', i, y))
      z_n.append((1 - dt_n) * z[i] + dt_n * math.tanh(net('z', i, y)))
    for i in range(C):
      dt_bar_n = dt * logistic(net('2', i, y))
      y_n.append((1 - dt_bar_n) * y[i] + dt_bar_n * math.tanh(net('y', i, z_n)))
    y, z = y_n, z_n
    outputs.append(readout(p, y))
  return Result(outputs, {'y': y, 'z': z})


def cornn(p, xs, dt=0.1, gamma=0.2, epsilon=6.4):
  """Rusch & Mishra (2021), eq. (3), with n - 1 for the n-bar."""
  y, z, outputs = [0.0] * C, [0.0] * C, []
  for x in xs:
    z_n, y_n = [], []
    for i in range(C):
      net = dot(p.w_y[i], y) + dot(p.w_z[i], z) + dot(p.w_x[i], x) + p.b[i]
      force = dt * math.tanh(net) - dt * gamma * y[i] - dt * epsilon * z[i]
      z_n.append(z[i] + force)
      y_n.append(y[i] + dt * z_n[i])
    y, z = y_n, z_n
    outputs.append(readout(p, y))
  return Result(outputs, {'y': y, 'z': z})


def slstm(p, xs, forget_gate='logistic'):
  """Beck et al. (2024), eqs. (8)-(14); of the last state (15) as well."""
  w, r, b = (rows_of(a, *'ifzo') for a in (p.w_x, p.w_h, p.b))
  c, n, h = [0.0] * C, [0.0] * C, [0.0] * C
  m, outputs = [-math.inf] * C, []
  for x in xs:
    h_n = []
    for j in range(C):
      net_i, net_f, net_z, net_o = (
        dot(w[k][j], x) + dot(r[k][j], h) + b[k][j] for k in 'ifzo'
      )
      f = logistic(net_f) if forget_gate == 'logistic' else math.exp(net_f)
      c[j] = f * c[j] + math.exp(net_i) * math.tanh(net_z)
      n[j] = f * n[j] + math.exp(net_i)
      m[j] = max(math.log(f) + m[j], net_i)
      h_n.append(logistic(net_o) * c[j] / n[j])
    h = h_n
    outputs.append(readout(p, h))
  c, n = (
    [s / math.exp(m) for s, m in zip(of, m, strict=True)] for of in (c, n)
  )
  return Result(outputs, {'c': c, 'n': n, 'm': m, 'h': h})


def gelu(x):
  return x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def lru(p, xs, activation='identity'):
  """Orvieto et al. (2023), sections 3.3 and 3.4, in complex numbers."""
  b_re, b_im, d = np.split(p.w_x, 3)
  state, outputs = [0j] * C, []
  for x in xs:
    for i in range(C):
      factor = cmath.exp(
        complex(-math.exp(p.nu_log[i]), math.exp(p.theta_log[i]))
      )
      b_x = complex(dot(b_re[i], x), dot(b_im[i], x))
      state[i] = factor * state[i] + math.exp(p.gamma_log[i]) * b_x
    y = []
    for i in range(C):
      rows = zip(p.c_re[i], p.c_im[i], state, strict=True)
      y.append(
        sum((re + 1j * im) * s for re, im, s in rows).real + dot(d[i], x)
      )
    if activation == 'gelu':
      y = [gelu(unit) for unit in y]
    outputs.append(readout(p, y))
  x_re, x_im = [s.real for s in state], [s.imag for s in state]
  return Result(outputs, {'x_re': x_re, 'x_im': x_im, 'y': y})


REFERENCES = {'lem': lem, 'cornn': cornn, 'slstm': slstm, 'lru': lru}
CASES = [
  ('lem', {}),
  ('lem', {'dt': 0.1}),
  ('lru', {}),
  ('lru', {'activation': 'gelu'}),
  ('slstm', {}),
  ('slstm', {'forget_gate': 'exponential'}),
  ('cornn', {}),
  ('cornn', {'dt': 0.3, 'gamma': 2.0, 'epsilon': 1.5}),
]


@pytest.mark.parametrize(('name', 'options'), CASES)
def test_a_sequence_is_that_of_the_paper(x64, name, options):
  cell = catalog.build('cells', name, I, K, hidden=C, **options)
  random = np.random.default_rng(0)
  params = jax.tree.map(lambda m: m * random.normal(size=m.shape), cell.mask)
  xs = random.normal(size=(T, I))
  expected = REFERENCES[name](params, xs, **options)
  carry, nets = unroll(cell, params, jnp.asarray(xs))
  np.testing.assert_allclose(nets, expected.outputs, rtol=1e-11, atol=1e-12)
  assert carry._asdict().keys() == expected.state.keys()
  for field, values in expected.state.items():
    found = getattr(carry, field)
    np.testing.assert_allclose(found, values, rtol=1e-11, atol=1e-12)


# Thousands of weights of the networks for sequential MNIST, as the papers'
# tables have them: one pixel a step, ten digits.
SIZES = [('lem', 128, 68), ('cornn', 128, 34), ('cornn', 256, 134)]


@pytest.mark.parametrize(('name', 'hidden', 'thousands'), SIZES)
def test_the_number_of_weights_is_the_published_one(name, hidden, thousands):
  cell = catalog.build('cells', name, 1, 10, hidden=hidden)
  assert round(sum(m.sum() for m in cell.mask) / 1000) == thousands


def eigenvalues(dt, gamma, epsilon):
  """Of a step of an oscillator without input, by its definition."""
  z = np.array([-dt * gamma, 1 - dt * epsilon])
  return np.linalg.eigvals(np.array([[1, 0] + dt * z, z]))


@pytest.mark.parametrize('gamma', [0.3, 5.0, 60.0])
@pytest.mark.parametrize('epsilon', [0.01, 2.0, 20.0])
def test_an_oscillator_that_grows_without_bound_is_refused(gamma, epsilon):
  limit = (math.sqrt(epsilon**2 + 4 * gamma) - epsilon) / gamma
  make = functools.partial(
    catalog.build, 'cells', 'cornn', I, K, gamma=gamma, epsilon=epsilon
  )
  make(dt=0.999 * limit)
  assert max(abs(eigenvalues(0.999 * limit, gamma, epsilon))) < 1
  assert max(abs(eigenvalues(1.001 * limit, gamma, epsilon))) > 1
  with pytest.raises(ValueError, match='must be below 4') as refusal:
    make(dt=1.001 * limit)
  assert '\n' not in str(refusal.value)


@pytest.mark.parametrize('forget_gate', ['logistic', 'exponential'])
def test_an_exponential_gate_may_be_of_any_size(forget_gate):
  """In float32, whose exp(90) is infinite: the largest gate wins."""
  cell = catalog.build(
    'cells', 'slstm', 2, 1, hidden=1, forget_gate=forget_gate
  )
  zeros = jax.tree.map(np.zeros_like, cell.mask)
  # Input 0 opens the input gate, input 1 is what is stored.
  w_x = np.array([[1, 0], [0, 0], [0, 1], [0, 0]], np.float32)
  params = zeros._replace(w_x=w_x, w_out=np.ones((1, 1), np.float32))
  xs = np.array([[-500, 1], [500, 0.5], [-500, -1], [300, -1]], np.float32)

  def last(xs):
    return unroll(cell, params, xs)[1][-1, 0]

  output, slopes = jax.value_and_grad(last)(jnp.asarray(xs))
  np.testing.assert_allclose(output, 0.5 * math.tanh(0.5), rtol=1e-6)
  expected = np.zeros((4, 2))
  expected[1, 1] = 0.5 * (1 - math.tanh(0.5) ** 2)
  np.testing.assert_allclose(slopes, expected, rtol=1e-6)


def test_the_first_states_turn_and_fade_as_on_the_ring_asked_for(x64):
  """Uniform on its area, within the sector; gamma makes up for what is kept."""
  hidden, r_min, r_max, max_phase = 4000, 0.6, 0.9, 0.5
  cell = catalog.build(
    'cells', 'lru', 1, 0, hidden=hidden, r_min=r_min, r_max=r_max,
    max_phase=max_phase,
  )  # fmt: skip
  params = jax.jit(cell.init)(jax.random.key(0), cell.numbers)
  size, phase = np.exp(-np.exp(params.nu_log)), np.exp(params.theta_log)
  assert r_min <= size.min() and size.max() <= r_max
  assert 0 < phase.min() and phase.max() <= max_phase
  for uniform in (
    (size**2 - r_min**2) / (r_max**2 - r_min**2),
    phase / max_phase,
  ):
    shares = np.histogram(uniform, 5, (0, 1))[0] / hidden
    np.testing.assert_allclose(shares, 0.2, atol=0.03)
  assert abs(np.corrcoef(size, phase)[0, 1]) < 0.1
  np.testing.assert_allclose(
    np.exp(params.gamma_log), np.sqrt(1 - size**2), rtol=1e-5
  )


@pytest.mark.parametrize('init_range', [0.0, 0.3])
def test_the_ring_may_begin_at_0_and_end_at_1(init_range):
  cell = catalog.build('cells', 'lru', 1, 1, hidden=2000)
  params = cell.init(jax.random.key(0), {'init_range': init_range})
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
  ('r_min', 'r_max'), [(0.9, 0.9), (0.9, 0.5), (0.0, 1.1), (0.0, math.nan)]
)
def test_a_ring_that_is_none_is_refused(r_min, r_max):
  with pytest.raises(ValueError, match=f'r_min={r_min}.*r_max={r_max}|above 0'):
    catalog.build('cells', 'lru', I, K, r_min=r_min, r_max=r_max)
