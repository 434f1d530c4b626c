"""Two derivations of every gradient must agree, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.lstm1997 import lstm1997
from lstm_jax.learners.bptt import through_time
from lstm_jax.learners.truncated1997 import (
  batched_gradient,
  streaming_gradient,
)
from lstm_jax.unroll import unroll
from tests.array_task import array_task, random_arrays

NUM_STEPS = 12


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def equations_19_to_28(params, sequence, blocks, size):
  """The paper's appendix A.1 in loops, for one net and one sequence.

  Errors may be injected at any step; each adds its weight changes (alpha = -1,
  so that changes are gradients of E). Written from the equations alone.
  """
  p = jax.tree.map(np.asarray, params)
  gates, cells = 2 * blocks, blocks * size
  num_k = len(p.b_out)
  s, y_c, y_gates = np.zeros(cells), np.zeros(cells), np.zeros(gates)
  num_x = sequence.inputs.shape[1]
  fan_in = num_x + gates + cells + 1
  d_in = np.zeros((cells, fan_in))  # ds_c/dw of its block's input gate
  d_c = np.zeros((cells, fan_in))  # ds_c/dw of the cell itself
  grad_hidden = np.zeros((gates + cells, fan_in))
  grad_out = np.zeros((num_k, cells + 1))
  w = np.concatenate([p.w_x, p.w_gates, p.w_cells, p.b[:, None]], axis=1)
  for t in range(int(sequence.length)):
    x = np.concatenate([sequence.inputs[t], y_gates, y_c, [1.0]])
    net = w @ x
    y_in, y_out = sigmoid(net[:blocks]), sigmoid(net[blocks:gates])
    g = 4 * sigmoid(net[gates:]) - 2
    g_prime = 4 * sigmoid(net[gates:]) * (1 - sigmoid(net[gates:]))
    for c in range(cells):
      j = c // size
      d_in[c] += g[c] * y_in[j] * (1 - y_in[j]) * x  # (25)
      d_c[c] += g_prime[c] * y_in[j] * x  # (27)
      s[c] += y_in[j] * g[c]
    h = 2 * sigmoid(s) - 1
    h_prime = 2 * sigmoid(s) * (1 - sigmoid(s))
    y_gates = np.concatenate([y_in, y_out])
    y_c = np.array([y_out[c // size] * h[c] for c in range(cells)])
    if not sequence.scored[t]:
      continue
    z = np.concatenate([y_c, [1.0]])
    y_k = sigmoid(p.w_out @ y_c + p.b_out)
    e_k = y_k * (1 - y_k) * (np.asarray(sequence.targets[t]) - y_k)  # (19)
    grad_out -= np.outer(e_k, z)  # (22)
    for j in range(blocks):
      e_out = 0.0
      for c in range(j * size, (j + 1) * size):
        back = sum(p.w_out[k, c] * e_k[k] for k in range(num_k))
        e_out += h[c] * back
        e_s = y_out[j] * h_prime[c] * back  # (23)
        grad_hidden[j] -= e_s * d_in[c]  # (26)
        grad_hidden[gates + c] -= e_s * d_c[c]  # (28)
      e_out *= y_out[j] * (1 - y_out[j])  # (21)
      grad_hidden[blocks + j] -= e_out * x  # (22)
  split = np.cumsum([num_x, gates, cells])
  w_x, w_gates, w_cells, b = np.split(grad_hidden, split, axis=1)
  return params._replace(
    w_x=w_x,
    w_gates=w_gates,
    w_cells=w_cells,
    b=b[:, 0],
    w_out=grad_out[:, :-1],
    w_out_x=np.zeros_like(p.w_out_x),
    b_out=grad_out[:, -1],
  )


def random_net(cell, seed, lanes=()):
  """Weights large enough that every derivative matters."""
  keys = jax.random.split(jax.random.key(seed), len(jax.tree.leaves(cell.mask)))
  leaves, tree = jax.tree.flatten(cell.mask)
  return jax.tree.unflatten(
    tree,
    [
      0.7
      * jax.random.normal(k, (*m.shape, *lanes))
      * m.reshape(m.shape + (1,) * len(lanes))
      for k, m in zip(keys, leaves, strict=True)
    ],
  )


def existing(cell, grads):
  """`grads` where the connectivity has a weight."""
  return jax.tree.map(
    lambda g, m: g * m.reshape(m.shape + (1,) * (g.ndim - m.ndim)),
    grads,
    cell.mask,
  )


def distance(a, b):
  pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  return max(
    float(np.max(np.abs(np.subtract(x, y, dtype=float)), initial=0))
    for x, y in pairs
  )


NETS = {
  'experiment 4': dict(blocks=2, block_size=2),
  'cells of one': dict(blocks=3, block_size=1, bias='hidden'),
  'no output gates': dict(blocks=1, block_size=1, output_gates=False),
  'no input gates': dict(blocks=2, block_size=2, input_gates=False),
  'experiment 2a': dict(
    blocks=1,
    block_size=1,
    output_gates=False,
    cells_hear='nothing',
    gates_hear='nothing',
    bias='none',
    g='[0,1]',
    h='identity',
    outputs_see_inputs=True,
  ),  # fmt: skip
  'cells only': dict(cells_hear='cells', gates_hear='cells', bias='gates'),
  'half': dict(reset_gates_to='half'),
}
CUT_1997 = ('y_c', 'y_gates')


@pytest.mark.parametrize('end', [True, False])
@pytest.mark.parametrize('net', NETS)
def test_streaming_is_batched_is_autodiff_with_the_cut(x64, net, end):
  cell = lstm1997(3, 2, **NETS[net])
  task = array_task(3, 2, error_at_end=end)
  for seed, lanes in enumerate([(), (5,)]):
    params = random_net(cell, seed, lanes)
    episode = random_arrays(seed, NUM_STEPS, 3, 2, lanes, end=end)

    @jax.jit
    def gradients(params, episode):
      auto = through_time(cell, task, params, episode, NUM_STEPS, cut=CUT_1997)
      streaming = streaming_gradient(cell, task, params, episode)
      batched = batched_gradient(cell, task, params, episode, NUM_STEPS)
      return auto, streaming, batched

    (auto, judged), *forms = gradients(params, episode)
    auto = existing(cell, auto)
    for grads, judged_too in forms:
      assert distance(existing(cell, grads), auto) < 1e-12
      assert distance(judged, judged_too) < 1e-12
    assert max(float(np.max(np.abs(g))) for g in jax.tree.leaves(auto)) > 1e-2


@pytest.mark.parametrize('end', [True, False])
def test_streaming_is_the_papers_equations(x64, end):
  cell = lstm1997(2, 1, blocks=2, block_size=2)
  task = array_task(2, 1, error_at_end=end)
  gradient = jax.jit(lambda p, e: streaming_gradient(cell, task, p, e)[0])
  for seed in range(5):
    params = random_net(cell, seed)
    episode = random_arrays(seed, 30, 2, 1, end=end)
    ours = gradient(params, episode)
    theirs = equations_19_to_28(params, episode, blocks=2, size=2)
    assert distance(ours, theirs) < 1e-12


def test_the_cut_gradient_differs_from_the_full_one(x64):
  cell = lstm1997(2, 1)
  task = array_task(2, 1, error_at_end=True)
  params = random_net(cell, 3)
  episode = random_arrays(3, NUM_STEPS, 2, 1, end=True)
  full, _ = through_time(cell, task, params, episode, NUM_STEPS)
  cut, _ = streaming_gradient(cell, task, params, episode)
  assert distance(full, cut) > 1e-3


def test_the_carousel_multiplies_the_error_by_exactly_one(x64):
  cell = lstm1997(2, 1)
  params = random_net(cell, 0)
  inputs = random_arrays(0, 100, 2, 1, end=True).inputs

  def last_state(s_0):
    carry = cell.initial_carry((), jnp.float64)._replace(s_c=s_0)
    carry, _ = unroll(cell, params, inputs, carry=carry, cut=CUT_1997)
    return carry.s_c

  jacobian = jax.jacrev(last_state)(jnp.zeros(4))
  np.testing.assert_array_equal(jacobian, np.eye(4))
