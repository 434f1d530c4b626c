"""Two derivations of the truncated rule's gradient must agree, in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.gru import gru
from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.lstm1997 import lstm1997
from lstm_jax.cells.srn import srn
from lstm_jax.learners.bptt import through_time
from lstm_jax.learners.truncated1997 import (
  batched_gradient,
  streaming_gradient,
  truncated1997,
)
from lstm_jax.ops.unroll import unroll
from tests.array_task import array_task, random_arrays
from tests.gradients import cheap_jit, distance, existing, largest, random_net

NUM_STEPS = 12


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def equations_19_to_28(params, sequence, blocks, size):
  """The paper's appendix A.1 in loops, for one network and one sequence.

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


NETS = {
  'experiment 4': lstm1997(3, 2, blocks=2, block_size=2),
  'cells of one': lstm1997(3, 2, blocks=3, block_size=1, bias='hidden'),
  'no output gates': lstm1997(3, 2, blocks=1, block_size=1, output_gates=False),
  'no input gates': lstm1997(3, 2, blocks=2, block_size=2, input_gates=False),
  'experiment 2a': lstm1997(
    3,
    2,
    blocks=1,
    block_size=1,
    output_gates=False,
    cells_hear='nothing',
    gates_hear='nothing',
    bias='none',
    g='[0,1]',
    h='identity',
    outputs_see_inputs=True,
  ),
  'forget gates': lstm(3, 2, hidden=3),
  'cells only': lstm1997(
    3, 2, cells_hear='cells', gates_hear='cells', bias='gates'
  ),
  'half': lstm1997(3, 2, reset_gates_to='half'),
  'compensated': lstm1997(3, 2, state_sum='compensated'),
}


def cut_of(cell):
  """The fields that pass no error back: all but the internal state."""
  names = cell.initial_carry((), np.float64)._fields
  return tuple(name for name in names if name != cell.internal.field)


@functools.cache
def programs(net, lanes):
  """The forms of the gradient, compiled: name -> `(params, episode) -> ...`.

  Automatic differentiation takes an error at the end as any other.
  """
  cell = NETS[net]
  every, end = (array_task(3, 2, error_at_end=e) for e in (False, True))
  forms = {
    'autodiff': lambda p, e: through_time(
      cell, every, p, e, NUM_STEPS, cut=cut_of(cell)
    )
  }
  for name, task in (('every step', every), ('end', end)):
    forms[f'streaming {name}'] = lambda p, e, task=task: streaming_gradient(
      cell, task, p, e
    )
    forms[f'batched {name}'] = lambda p, e, task=task: batched_gradient(
      cell, task, p, e, NUM_STEPS
    )
  del lanes  # one set for each shape: what compiles once is used again
  return {name: cheap_jit(form) for name, form in forms.items()}


@pytest.mark.parametrize('when', ['every step', 'end'])
@pytest.mark.parametrize(
  ('net', 'lanes'), [*((net, (5,)) for net in NETS), ('experiment 4', ())]
)
def test_streaming_is_batched_is_autodiff_with_the_cut(x64, net, lanes, when):
  cell, forms = NETS[net], programs(net, lanes)
  params = random_net(cell, 0, lanes)
  episode = random_arrays(1, NUM_STEPS, 3, 2, lanes, end=when == 'end')
  if lanes:
    assert len(set(np.asarray(episode.length))) > 2
  auto, judged = forms['autodiff'](params, episode)
  auto = existing(cell, auto)
  for form in ('streaming', 'batched'):
    grads, judged_too = forms[f'{form} {when}'](params, episode)
    assert distance(existing(cell, grads), auto) < 1e-12
    assert distance(judged, judged_too) < 1e-12
  assert largest(auto) > 1e-2


def test_what_lies_past_the_end_is_never_read(x64):
  net, lanes = 'experiment 4', (5,)
  params = random_net(NETS[net], 0, lanes)
  for when in ('every step', 'end'):
    episode = random_arrays(1, NUM_STEPS, 3, 2, lanes, end=when == 'end')
    past = np.arange(NUM_STEPS)[:, None] >= np.asarray(episode.length)
    assert past.any() and not past.all()
    other = episode._replace(
      inputs=np.where(past[:, None], -1e3, episode.inputs),
      targets=np.where(past[:, None], 1e3, episode.targets),
    )
    for form in ('autodiff', f'streaming {when}', f'batched {when}'):
      gradient = programs(net, lanes)[form]
      a, b = gradient(params, episode), gradient(params, other)
      assert distance(a, b) == 0


@pytest.mark.parametrize('end', [True, False])
def test_streaming_is_the_papers_equations(x64, end):
  cell = NETS['experiment 4']
  form = f'streaming {"end" if end else "every step"}'
  gradient = programs('experiment 4', ())[form]
  for seed in range(5):
    params = random_net(cell, seed)
    episode = random_arrays(seed, 30, 3, 2, end=end)
    ours, _ = gradient(params, episode)
    theirs = equations_19_to_28(params, episode, blocks=2, size=2)
    assert distance(ours, theirs) < 1e-12
    assert largest(theirs) > 1e-3


def test_the_cut_gradient_differs_from_the_full_one(x64):
  cell, task = NETS['experiment 4'], array_task(3, 2, error_at_end=False)
  params = random_net(cell, 3, (5,))
  episode = random_arrays(3, NUM_STEPS, 3, 2, (5,), end=True)
  full, _ = cheap_jit(lambda p, e: through_time(cell, task, p, e, NUM_STEPS))(
    params, episode
  )
  cut, _ = programs('experiment 4', (5,))['streaming end'](params, episode)
  assert distance(full, cut) > 1e-3


def test_the_carousel_multiplies_the_error_by_exactly_one(x64):
  cell = NETS['experiment 4']
  params = random_net(cell, 0)
  inputs = random_arrays(0, 100, 3, 2, end=True).inputs

  def last_state(s_0):
    carry = cell.initial_carry((), jnp.float64)._replace(s_c=s_0)
    carry, _ = unroll(cell, params, inputs, carry=carry, cut=cut_of(cell))
    return carry.s_c

  jacobian = cheap_jit(jax.jacrev(last_state))(np.zeros(4))
  np.testing.assert_array_equal(jacobian, np.eye(4))


@pytest.mark.parametrize('factory', [srn, gru])
def test_a_cell_without_an_internal_state_is_refused(factory):
  cell, task = factory(3, 2), array_task(3, 2, error_at_end=True)
  with pytest.raises(ValueError, match='inside an internal state.* has none'):
    truncated1997(cell, task)


def test_a_form_is_checked():
  cell, task = NETS['experiment 4'], array_task(3, 2, error_at_end=True)
  with pytest.raises(ValueError, match="form='rowed' .* streaming, batched"):
    truncated1997(cell, task, form='rowed')
  with pytest.raises(ValueError, match='form=batched needs length'):
    truncated1997(cell, task, form='batched')
  with pytest.raises(ValueError, match="optimizer='lion' .* sgd, adam, rms"):
    truncated1997(cell, task, optimizer='lion')
