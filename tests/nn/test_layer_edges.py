"""Layers at the edges of sizes, and sequences of which nothing is read."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells import _build
from lstm_jax.cells.gru import gru
from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.srn import srn
from lstm_jax.nn.dropout import Noise, draw_noise, expected_noise
from lstm_jax.nn.layer import run, which_kernel
from lstm_jax.nn.stack import init_stack, make_stack, run_stack
from lstm_jax.testing import Broken, admit_cell
from lstm_jax.training.sequence_model import make_model
from lstm_jax.types import Array, Cell

T, B, I, C = 5, 4, 3, 6
WAYS = [
  {'kernel': 'xla'},
  {'kernel': 'xla', 'backward': 'autodiff'},
  {'kernel': 'xla', 'checkpoint_every': 2},
  {'kernel': 'auto'},
]
ways = pytest.mark.parametrize('how', WAYS, ids=str)


class Params(NamedTuple):
  w: Array
  v: Array


class Carry(NamedTuple):
  s: Array
  y: Array


def leaky(num_inputs, num_outputs, *, hidden=C, carry=Carry):
  """A cell by the recipe: a step for one sequence, and no `Equations`."""
  mask = Params(np.ones((hidden, num_inputs)), np.ones((num_outputs, hidden)))

  def init(key, numbers):
    return _build.draw_weights(key, mask, numbers['init_range'])

  def initial_carry(lanes, dtype):
    zeros = jnp.zeros((hidden, *lanes), dtype)
    return carry(zeros, zeros)

  def step(params, carry_tm1, x_t):
    s = 0.9 * carry_tm1[0] + params.w @ x_t
    y = jnp.tanh(s)
    return carry(s, y), params.v @ y

  return Cell(
    num_inputs, num_outputs, init, initial_carry, step, mask,
    {'init_range': np.float32(0.5)},
  )  # fmt: skip


def net(factory=lstm, shape=(T, B)):
  """`(cell, params, xs)`."""
  cell, params = initial(factory)
  xs = np.random.default_rng(1).normal(size=(*shape, I)).astype(np.float32)
  return cell, params, jax.device_put(xs)


@functools.cache
def initial(factory):
  cell = factory(I, 0, hidden=C)
  return cell, cell.init(jax.random.key(0), cell.numbers)


def close(one, other):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
    one,
    other,
  )


@pytest.mark.parametrize('shape', [(0, B), (T, 0), (0, 0), (1, 1)])
@ways
def test_nothing_to_run_is_no_error(how, shape):
  cell, params, xs = net(shape=shape)
  made = run(cell, params, xs, **how)
  assert made.ys.shape == (*shape, C)
  assert made.last.s_c.shape == (shape[1], C)
  loss = lambda p: jnp.sum(run(cell, p, xs, **how).ys)
  grads = jax.jit(jax.grad(loss))(params)
  assert all(np.isfinite(leaf).all() for leaf in grads)
  assert 0 in shape or np.any(grads.w_x)
  xs = np.asarray(xs)[:, :1].reshape(-1, I)[: shape[0]]
  alone = run(cell, params, jax.device_put(xs), **how)
  assert alone.last.s_c.shape == (C,)


def test_counts_beyond_the_sequence_are_the_whole():
  cell, params, xs = net()
  loss = lambda p, **how: jnp.sum(run(cell, p, xs, **how).ys ** 2)
  much = lambda p: loss(p, cut_every=T, checkpoint_every=3 * T)
  close(*jax.jit(lambda p: (jax.grad(much)(p), jax.grad(loss)(p)))(params))


def spoiled(cell, value):
  """`(lengths, state, noise)` of which two sequences have nothing to read."""
  lengths = np.array([0, T, 2, 0])
  unread = lengths[:, None] == 0
  zero = cell.initial_carry((), jnp.float32)
  state = type(zero)(
    *(np.where(unread, value, 0.3 * np.ones((B, len(field)))) for field in zero)
  )
  padding = np.arange(T)[:, None] >= lengths
  noise = Noise(
    inputs=np.where(unread, value, np.ones((B, I))),
    keep=np.where(padding[..., None], value, np.full((T, B, C), 0.25)),
  )
  return lengths, padding, state, noise


@pytest.mark.parametrize('factory', [lstm, gru, srn, leaky])
@ways
def test_what_is_not_read_is_in_no_gradient(how, factory):
  """Where states, masks and inputs that no step reads are nan or infinite."""
  cell, params, xs = net(factory)
  lengths, padding, clean, masks = spoiled(cell, 0.0)
  if how['kernel'] == 'auto':
    masks = masks._replace(keep=None)

  @jax.jit
  def derive(params, xs, state, noise):
    def loss(params, xs, state, initial):
      made = run(
        cell, params, xs, lengths=lengths, state=state, initial=initial,
        noise=noise, **how,
      )  # fmt: skip
      read = jax.tree.map(
        lambda a: jnp.where(lengths[:, None] == 0, 0, a), made.last
      )
      # The errors of outputs past the end are nan too.
      ys = jnp.sqrt(jnp.where(padding[..., None], made.ys, made.ys**2 + 1))
      return jnp.nansum(jnp.where(padding[..., None], 0, ys)) + sum(
        jnp.sum(leaf**2) for leaf in read
      ), made

    initial = jax.tree.map(jnp.zeros_like, cell.initial_carry((), xs.dtype))
    grads = jax.grad(loss, (0, 1, 2, 3), has_aux=True)
    return grads(params, xs, state, initial)

  want, plain = derive(params, xs, clean, masks)
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(want))
  for value in (np.nan, np.inf):
    _, _, state, noise = spoiled(cell, value)
    if how['kernel'] == 'auto':
      noise = noise._replace(keep=None)
    bad = np.where(padding[..., None], value, xs).astype(np.float32)
    grads, made = derive(params, bad, state, noise)
    jax.tree.map(np.testing.assert_array_equal, grads, want)
    np.testing.assert_array_equal(made.ys, plain.ys)
    # A sequence without steps ends with the state that it began with.
    for leaf, begun in zip(made.last, state, strict=True):
      np.testing.assert_array_equal(
        np.asarray(leaf)[lengths == 0],
        begun[lengths == 0].astype(np.float32),
      )


@pytest.mark.parametrize('backward', ['products', 'autodiff'])
def test_a_state_that_is_reset_at_once_is_in_no_gradient(backward):
  cell, params, xs = net()
  state = jax.tree.map(
    lambda a: np.full((B, C), np.nan, np.float32), cell.initial_carry()
  )
  reset = np.zeros((T, B), bool)
  reset[0] = True
  loss = lambda p, s: jnp.sum(
    run(cell, p, xs, state=s, reset=reset, backward=backward).ys ** 2
  )
  plain = lambda p: jnp.sum(run(cell, p, xs, backward=backward).ys ** 2)
  derive = lambda p, s: (jax.grad(loss, (0, 1))(p, s), jax.grad(plain)(p))
  (grads, of_state), want = jax.jit(derive)(params, state)
  close(grads, want)
  assert not any(np.any(leaf) for leaf in of_state)


def test_a_cell_of_a_step_alone_runs():
  """Values, gradients and options of a cell without `Equations`."""
  cell, params, xs = net(leaky)
  lengths = np.array([T, 0, 3, 1])

  def by_hand(params, b):
    carry, ys = cell.initial_carry((), jnp.float32), []
    for t in range(T):
      if t < lengths[b]:
        carry, _ = cell.step(params, carry, xs[t, b])
      ys.append(carry.y if t < lengths[b] else jnp.zeros(C))
    return jnp.stack(ys), carry

  def by_hands(params):
    made = [by_hand(params, b) for b in range(B)]
    ys, last = jax.tree.map(lambda *a: jnp.stack(a, -2), *made)
    return jnp.sum(ys**2), (ys, last)

  derive = lambda loss: jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
  (_, (ys, last)), want = derive(by_hands)
  for how in WAYS[:3]:  # and the last is one of these

    def go(p, how=how):
      made = run(cell, p, xs, lengths=lengths, states=True, **how)
      return jnp.sum(made.ys**2), made

    (_, made), grads = derive(go)
    close(made.ys, ys)
    close(tuple(made.last), tuple(last))
    close(grads, want)
  ends = jax.tree.map(lambda a: np.asarray(a)[-1], made.states)
  close(tuple(ends), tuple(made.last))
  assert 'is not an LSTM' in which_kernel(cell, params, xs).why_not['native']
  stack = make_stack(leaky, I, layers=2, bidirectional=True, hidden=C)
  go = jax.jit(lambda params: run_stack(stack, params, xs).ys)
  found = go(init_stack(stack, jax.random.key(0)))
  assert found.shape == (T, B, 2 * C)
  key = jax.random.key(0)
  noise = draw_noise(key, cell, T, B, inputs=0.5, zoneout=0.5)
  assert run(cell, params, xs, noise=noise).ys.shape == (T, B, C)
  assert expected_noise(cell, zoneout=0.5).keep.shape == (1, C)
  for what in ({'gates': True}, {'noise': Noise(heard=np.ones(C))}):
    with pytest.raises(ValueError, match='the cell has no Equations that'):
      run(cell, params, xs, **what)
  with pytest.raises(ValueError, match='heard=0.5: the cell has no Equations'):
    draw_noise(key, cell, T, heard=0.5)


def test_a_cell_of_a_step_alone_is_trained_on_data():
  make = lambda num_inputs: leaky(num_inputs, 0)
  admit_cell('leaky', make(I), layer=True)
  sizes = {'num_inputs': I, 'num_outputs': 2, 'initial': 'cell', 'layers': 2}
  model = make_model(make, **sizes)
  params = model.init(jax.random.key(0))
  xs = np.random.default_rng(1).normal(size=(B, T, I))
  net = jax.jit(model.apply)(params, xs, np.array([T, 0, 3, 1]))
  assert net.shape == (B, 2) and model.kernel() == 'xla'
  assert len(set(np.asarray(net)[:, 0].tolist())) == B
  with pytest.raises(
    ValueError, match='cell leaky is in no other library; write'
  ):
    make_model(make, **sizes | {'initial': 'keras'})
  with pytest.raises(Broken, match='cell leaky does not say which field'):
    admit_cell('leaky', leaky(I, 0, carry=Several), layer=True)


class Several(NamedTuple):
  a: Array
  b: Array


def test_a_cell_that_does_not_say_what_it_puts_out_is_refused():
  _, params, xs = net(leaky)
  with pytest.raises(ValueError, match=r'cell leaky does not say .*\(a, b\)'):
    run(leaky(I, 0, carry=Several), params, xs)
  with pytest.raises(
    ValueError, match='cell leaky: its carry is a tuple; must'
  ):
    run(leaky(I, 0, carry=lambda *a: a), params, xs)
