"""Cells against loops written from the equations, and against flax."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.fully_recurrent import fully_recurrent
from lstm_jax.cells.gru import gru
from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.lstm1997 import lstm1997
from lstm_jax.cells.srn import srn
from lstm_jax.ops.unroll import unroll

I, K, C, T = 3, 2, 4, 6


def weights_of(cell, seed=0):
  random = np.random.default_rng(seed)
  return jax.tree.map(
    lambda exists: random.uniform(-1, 1, exists.shape) * exists, cell.mask
  )


def inputs_of(num_steps=T):
  return np.random.default_rng(7).normal(size=(num_steps, I))


def logistic(x):
  return 1 / (1 + math.exp(-x))


def dot(row, values):
  return sum(float(w) * float(v) for w, v in zip(row, values, strict=True))


def srn_loop(p, inputs, f, hears, outputs_see_inputs, leak=1.0):
  """Unit by unit; `hears(i, j)`: does unit i hear unit j."""
  h, nets = [0.0] * C, []
  for x in inputs:
    before, h = h, []
    for i in range(C):
      net = dot(p.w_x[i], x) + p.b[i]
      for j in range(C):
        if hears(i, j):
          net += p.w_h[i, j] * before[j]
      h.append((1 - leak) * before[i] + leak * f(net))
    nets.append([])
    for k in range(K):
      net = dot(p.w_out[k], h) + p.b_out[k]
      if outputs_see_inputs:
        net += dot(p.w_out_x[k], x)
      nets[-1].append(net)
  return nets


HEARS = {
  'full': lambda i, j: True,
  'self': lambda i, j: i == j,
  'none': lambda i, j: False,
}
ACTIVATIONS = {
  'tanh': math.tanh,
  'logistic': logistic,
  'relu': lambda x: max(x, 0.0),
}


@pytest.mark.parametrize('activation', ACTIVATIONS)
@pytest.mark.parametrize('recurrence', HEARS)
def test_srn_is_its_loop(activation, recurrence, x64):
  direct = recurrence == 'self'
  cell = srn(
    I, K, hidden=C, activation=activation, recurrence=recurrence,
    outputs_see_inputs=direct,
  )  # fmt: skip
  p = weights_of(cell)
  _, nets = unroll(cell, p, inputs_of())
  expected = srn_loop(
    p, inputs_of(), ACTIVATIONS[activation], HEARS[recurrence], direct
  )
  np.testing.assert_allclose(nets, expected, rtol=0, atol=1e-12)


def test_a_leaky_srn_is_its_loop(x64):
  cell = srn(I, K, hidden=C, leak=0.2)
  p = weights_of(cell)
  _, nets = unroll(cell, p, inputs_of())
  expected = srn_loop(p, inputs_of(), math.tanh, HEARS['full'], False, 0.2)
  np.testing.assert_allclose(nets, expected, rtol=0, atol=1e-12)


def test_srn_without_biases_has_none(x64):
  cell = srn(I, K, hidden=C, hidden_bias=False, output_bias=False)
  _, nets = unroll(cell, weights_of(cell), np.zeros((T, I)))
  np.testing.assert_array_equal(nets, np.zeros((T, K)))


@pytest.mark.parametrize('bias', [False, True])
def test_fully_recurrent_is_its_loop(bias, x64):
  cell = fully_recurrent(I, K, hidden=C, bias=bias)
  p = weights_of(cell)
  y, expected = [0.0] * (K + C), []
  for x in inputs_of():
    net = [
      dot(p.w_x[i], x) + dot(p.w_y[i], y) + p.b[i] * bias for i in range(K + C)
    ]
    y = [logistic(one) for one in net]
    expected.append(net[:K])
  _, nets = unroll(cell, p, inputs_of())
  np.testing.assert_allclose(nets, expected, rtol=0, atol=1e-12)


def lstm_loop(p, inputs):
  """Cell by cell, with peepholes (zero where there are none)."""
  s, y, nets = [0.0] * C, [0.0] * C, []
  for x in inputs:
    s_tm1, y_tm1 = list(s), list(y)
    for c in range(C):
      i, f, g, o = (
        dot(p.w_x[row], x) + dot(p.w_h[row], y_tm1) + p.b[row]
        for row in (c, C + c, 2 * C + c, 3 * C + c)
      )
      y_in = logistic(i + p.w_peep_in[c] * s_tm1[c])
      y_f = logistic(f + p.w_peep_f[c] * s_tm1[c])
      s[c] = y_f * s_tm1[c] + y_in * math.tanh(g)
      y_out = logistic(o + p.w_peep_out[c] * s[c])
      y[c] = y_out * math.tanh(s[c])
    nets.append([dot(p.w_out[k], y) + p.b_out[k] for k in range(K)])
  return nets


def lstm1997_loop(p, inputs, blocks, g, h, gates_at_rest):
  """Cell by cell, two to a block: equations (4) to (9)."""
  cells, gates = 2 * blocks, 2 * blocks
  s, y, nets = [0.0] * cells, [0.0] * cells, []
  y_gates = [gates_at_rest] * gates
  for x in inputs:
    net = [
      dot(p.w_x[row], x)
      + dot(p.w_gates[row], y_gates)
      + dot(p.w_cells[row], y)
      + p.b[row]
      for row in range(gates + cells)
    ]
    y_gates = [logistic(value) for value in net[:gates]]
    for c in range(cells):
      s[c] += y_gates[c // 2] * g(net[gates + c])
      y[c] = y_gates[blocks + c // 2] * h(s[c])
    nets.append([dot(p.w_out[k], y) + p.b_out[k] for k in range(K)])
  return nets


G = {
  '[-2,2]': lambda x: 4 * logistic(x) - 2,
  '[-1,1]': lambda x: 2 * logistic(x) - 1,
  '[0,1]': logistic,
}
H = {
  '[-1,1]': lambda x: 2 * logistic(x) - 1,
  '[-2,2]': lambda x: 4 * logistic(x) - 2,
  'identity': lambda x: x,
}


def test_lstm1997_is_its_loop(x64):
  """Every range of g and of h, gates at 0 and at a half before the first."""
  rests = {'zero': 0.0, 'half': 0.5}
  for g, h, rest in zip(G, H, ('zero', 'half', 'zero'), strict=True):
    cell = lstm1997(I, K, blocks=2, block_size=2, g=g, h=h, reset_gates_to=rest)
    p = weights_of(cell)
    _, nets = unroll(cell, p, inputs_of())
    expected = lstm1997_loop(p, inputs_of(), 2, G[g], H[h], rests[rest])
    np.testing.assert_allclose(nets, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize('peepholes', [False, True])
def test_lstm_is_its_loop(peepholes, x64):
  cell = lstm(I, K, hidden=C, peepholes=peepholes)
  p = weights_of(cell)
  assert np.all((p.w_peep_out != 0) == peepholes)
  _, nets = unroll(cell, p, inputs_of())
  expected = lstm_loop(p, inputs_of())
  np.testing.assert_allclose(nets, expected, rtol=0, atol=1e-12)


def gru_loop(p, inputs, reset):
  h, nets = [0.0] * C, []
  for x in inputs:
    before, h = h, []
    net_x = [dot(p.w_x[row], x) + p.b[row] for row in range(3 * C)]
    r = [logistic(net_x[c] + dot(p.w_h[c], before)) for c in range(C)]
    for c in range(C):
      z = logistic(net_x[C + c] + dot(p.w_h[C + c], before))
      row = p.w_h[2 * C + c]
      if reset == 'after':
        recurrent = r[c] * (dot(row, before) + p.b_hn[c])
      else:
        recurrent = dot(row, [r[j] * before[j] for j in range(C)])
      n = math.tanh(net_x[2 * C + c] + recurrent)
      h.append((1 - z) * n + z * before[c])
    nets.append([dot(p.w_out[k], h) + p.b_out[k] for k in range(K)])
  return nets


@pytest.mark.parametrize('reset', ['after', 'before'])
def test_gru_is_its_loop(reset, x64):
  cell = gru(I, K, hidden=C, reset=reset)
  p = weights_of(cell)
  _, nets = unroll(cell, p, inputs_of())
  expected = gru_loop(p, inputs_of(), reset)
  np.testing.assert_allclose(nets, expected, rtol=0, atol=1e-12)


def dense(kernel, bias=None):
  """flax's `Dense` has the transposed matrix."""
  if bias is None:
    return {'kernel': kernel.T}
  return {'kernel': kernel.T, 'bias': bias}


def srn_in_flax(p):
  return {'i': dense(p.w_x, p.b), 'h': dense(p.w_h)}


def lstm_in_flax(p):
  w_x, w_h, b = (jnp.split(a, 4) for a in (p.w_x, p.w_h, p.b))
  inner = {f'i{gate}': dense(w_x[n]) for n, gate in enumerate('ifgo')}
  outer = {f'h{gate}': dense(w_h[n], b[n]) for n, gate in enumerate('ifgo')}
  return {**inner, **outer}


def gru_in_flax(p):
  w_x, w_h, b = (jnp.split(a, 3) for a in (p.w_x, p.w_h, p.b))
  inner = {f'i{gate}': dense(w_x[n], b[n]) for n, gate in enumerate('rzn')}
  outer = {f'h{gate}': dense(w_h[n]) for n, gate in enumerate('rz')}
  return {**inner, **outer, 'hn': dense(w_h[2], p.b_hn)}


FLAX = {
  'srn': (srn, nn.SimpleCell, srn_in_flax),
  'lstm': (lstm, nn.LSTMCell, lstm_in_flax),
  'lstm-optimized': (lstm, nn.OptimizedLSTMCell, lstm_in_flax),
  'gru': (gru, nn.GRUCell, gru_in_flax),
}


@pytest.mark.parametrize('name', FLAX)
def test_flax_gives_the_same_outputs_and_gradients(name, x64):
  factory, flax_class, in_flax = FLAX[name]
  cell = factory(I, K, hidden=C)
  theirs = flax_class(C, dtype=jnp.float64, param_dtype=jnp.float64)
  p, inputs = weights_of(cell), inputs_of()
  targets = np.random.default_rng(8).normal(size=(T, K))

  def our_loss(p):
    _, nets = unroll(cell, p, inputs)
    return jnp.sum((targets - nets) ** 2), nets

  def their_loss(p):
    def body(carry, x_t):
      carry, y = theirs.apply({'params': in_flax(p)}, carry, x_t)
      return carry, jnp.asarray(p.w_out) @ y + p.b_out

    carry = theirs.initialize_carry(jax.random.key(0), (I,))
    _, nets = jax.lax.scan(body, carry, inputs)
    return jnp.sum((targets - nets) ** 2), nets

  (_, ours), our_grads = jax.jit(jax.value_and_grad(our_loss, has_aux=True))(p)
  (_, flax), flax_grads = jax.jit(jax.value_and_grad(their_loss, has_aux=True))(
    p
  )
  np.testing.assert_allclose(ours, flax, rtol=0, atol=1e-12)
  for ours, flax, exists in zip(our_grads, flax_grads, cell.mask, strict=True):
    np.testing.assert_allclose(
      ours * exists, flax * exists, rtol=1e-12, atol=1e-12
    )


def count(cell):
  return sum(int(m.sum()) for m in cell.mask)


@pytest.mark.parametrize(('p', 'published'), [(4, 36), (10, 144), (100, 10404)])
def test_weights_of_experiment_2a_by_rtrl_and_bptt(p, published):
  """p + 1 symbols, one self-recurrent hidden unit, no biases."""
  cell = srn(
    p + 1, p + 1, hidden=1, activation='logistic', recurrence='self',
    outputs_see_inputs=True, hidden_bias=False, output_bias=False,
  )  # fmt: skip
  assert count(cell) == published


def test_weights_of_experiment_1_by_elman_nets():
  cell = srn(7, 7, hidden=15, hidden_bias=False, output_bias=False)
  assert count(cell) == 435


@pytest.mark.parametrize(
  ('cell', 'expected'),
  [
    (srn(I, K, hidden=C), C * (I + C + 1) + K * (C + 1)),
    (srn(I, K, hidden=C, recurrence='none'), C * (I + 1) + K * (C + 1)),
    (lstm(I, K, hidden=C), 4 * C * (I + C + 1) + K * (C + 1)),
    (lstm(I, K, hidden=C, output_bias=False), 4 * C * (I + C + 1) + K * C),
    (
      lstm(I, K, hidden=C, peepholes=True),
      4 * C * (I + C + 1) + 3 * C + K * (C + 1),
    ),
    (gru(I, K, hidden=C), 3 * C * (I + C + 1) + C + K * (C + 1)),
    (gru(I, K, hidden=C, reset='before'), 3 * C * (I + C + 1) + K * (C + 1)),
  ],
)
def test_the_number_of_weights(cell, expected):
  assert count(cell) == expected
