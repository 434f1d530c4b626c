"""Stacks and both directions: equal to layers joined by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.gru import gru
from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.srn import srn
from lstm_jax.nn.dropout import Noise, draw_noise, expected_noise
from lstm_jax.nn.layer import run
from lstm_jax.nn.stack import (
  Stack,
  StackParams,
  init_stack,
  make_stack,
  run_stack,
)
from tests.gradients import random_net

T, B, I, C = 6, 4, 3, 5
LENGTHS = np.array([6, 0, 4, 1])


@pytest.fixture(autouse=True)
def float64():
  with jax.enable_x64(True):
    yield


def inputs(seed=0):
  return np.random.default_rng(seed).normal(size=(T, B, I))


def made(factory=lstm, **how):
  stack = make_stack(factory, I, hidden=C, **how)
  params = init_stack(stack, jax.random.key(1), {'init_range': np.float64(1.0)})
  return stack, params


def flipped(xs):
  """Each sequence from its end, by an index."""
  index = np.tile(np.arange(T)[:, None], B)
  for b, n in enumerate(LENGTHS):
    index[:n, b] = index[:n, b][::-1]
  return jnp.take_along_axis(xs, index[..., None], axis=0)


def close(one, other):
  for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
  'factory', [lstm, srn, pytest.param(gru, marks=pytest.mark.slow)]
)
def test_layers_one_above_the_other(factory):
  stack, params = made(factory, layers=3)

  @jax.jit
  def both(params, ys):
    found, last = run_stack(stack, params, ys, lengths=LENGTHS), []
    for cell, own in zip(stack.forward, params.forward, strict=True):
      one = run(cell, own, ys, lengths=LENGTHS)
      ys = one.ys
      last.append(one.last)
    return found, (ys, StackParams(tuple(last), ()))

  found, (ys, last) = both(params, inputs())
  close(found.ys, ys)
  close(found.last, last)
  # Layers have weights of their own.
  assert not np.allclose(params.forward[1].w_h, params.forward[2].w_h)


@pytest.mark.parametrize('wiring', ['each_layer', 'independent'])
def test_both_directions_respect_lengths(wiring):
  stack, params = made(layers=2, bidirectional=True, wiring=wiring)

  @jax.jit
  def both(params, xs):
    go = lambda i, way, xs: (
      run(
        getattr(stack, way)[i], getattr(params, way)[i], xs, lengths=LENGTHS
      ).ys
    )  # fmt: skip
    # The other way: sequences turned by hand, one direction only.
    back = lambda i, xs: flipped(go(i, 'backward', flipped(xs)))
    there, again = go(0, 'forward', xs), back(0, xs)
    if wiring == 'each_layer':
      joined = jnp.concatenate([there, again], axis=-1)
      there, again = go(1, 'forward', joined), back(1, joined)
    else:
      there, again = go(1, 'forward', there), back(1, again)
    found = run_stack(stack, params, xs, lengths=LENGTHS)
    return found, jnp.concatenate([there, again], axis=-1)

  found, by_hand = jax.tree.map(np.asarray, both(params, inputs()))
  close(found.ys, by_hand)
  assert found.ys.shape == (T, B, 2 * C)
  # What the way back ends with is what its first step put out.
  close(found.last.backward[1].y_c[0], found.ys[0, 0, C:])


def test_stacks_go_on_from_their_states():
  stack, params = made(layers=2)

  @jax.jit
  def both(params, xs):
    first = run_stack(stack, params, xs[:2])
    second = run_stack(stack, params, xs[2:], state=first.last)
    ys = jnp.concatenate([first.ys, second.ys])
    return run_stack(stack, params, xs), ys, second.last

  whole, ys, last = both(params, inputs())
  close(ys, whole.ys)
  close(last, whole.last)


def test_dropout_between_layers_is_a_mask_on_the_layer_above():
  stack, params = made(layers=2)
  mask = np.array([1.0, 0, 1, 0, 1])
  noise = StackParams((None, Noise(inputs=mask)))

  @jax.jit
  def both(params, xs):
    below = run(stack.forward[0], params.forward[0], xs).ys
    above = run(stack.forward[1], params.forward[1], below * mask[None, None])
    return run_stack(stack, params, xs, noise=noise).ys, above.ys

  close(*both(params, inputs()))


def test_drawn_masks():
  cell = lstm(I, 0, hidden=400)
  noise = draw_noise(
    jax.random.key(0), cell, 50, 20, inputs=0.5, heard=0.25, zoneout=0.1,
    dtype=jnp.float64,
  )  # fmt: skip
  assert noise.inputs.shape == (20, I)
  assert noise.heard.shape == (20, 400)
  assert noise.keep.shape == (50, 20, 400)
  assert set(np.unique(noise.inputs)) == {0, 2}
  assert set(np.unique(noise.heard)) == {0, 1 / 0.75}
  # 8,000 and 400,000 draws: within five standard errors.
  assert abs(np.mean(noise.heard) - 1) < 5 * np.sqrt(1 / 3 / 8000)
  assert abs(np.mean(noise.keep) - 0.1) < 5 * np.sqrt(0.09 / 400_000)
  assert len(np.unique(noise.heard, axis=0)) == 20
  none = draw_noise(jax.random.key(0), cell, 50)
  assert none == Noise()
  alone = draw_noise(jax.random.key(0), cell, 50, heard=0.5)
  assert alone.heard.shape == (400,)
  for name in ('inputs', 'heard', 'zoneout'):
    with pytest.raises(ValueError, match=f'{name}=1.0 must be at least 0'):
      draw_noise(jax.random.key(0), cell, 50, **{name: 1.0})


def test_zoneout_in_use_is_the_mean_of_the_step():
  cell = lstm(I, 0, hidden=C)
  params = random_net(cell, 0)
  xs = inputs()[:1]
  step = jax.jit(lambda noise: run(cell, params, xs, noise=noise).last.s_c)
  kept = expected_noise(cell, zoneout=0.25, dtype=jnp.float64)
  # From zero: three quarters of the new state.
  close(step(kept), 0.75 * step(None))


def test_stacks_train_several_models_at_once():
  stack, _ = made(layers=1, bidirectional=True)
  keys = jax.random.split(jax.random.key(0), 3)
  models = jax.jit(jax.vmap(lambda key: init_stack(stack, key)))(keys)
  loss = lambda params: jnp.sum(run_stack(stack, params, inputs()).ys ** 2)

  @jax.jit
  def both(models):
    one = jax.tree.map(lambda a: a[2], models)
    return jax.vmap(jax.grad(loss))(models), jax.grad(loss)(one)

  for a, b in zip(*map(jax.tree.leaves, both(models)), strict=True):
    np.testing.assert_allclose(np.asarray(a)[2], b, rtol=1e-5, atol=1e-7)


def test_refusals():
  with pytest.raises(ValueError, match='layers=0 must be at least 1'):
    make_stack(lstm, I, layers=0)
  with pytest.raises(ValueError, match="wiring='both' must be one of each_la"):
    make_stack(lstm, I, layers=1, wiring='both')
  stack, params = made(layers=2)
  with pytest.raises(ValueError, match=r'params.forward has 1 layers; must be'):
    run_stack(stack, StackParams(params.forward[:1]), inputs())
  with pytest.raises(ValueError, match='noise.forward has 0 layers; must be 2'):
    run_stack(stack, params, inputs(), noise=StackParams(()))
  lame = Stack(stack.forward, stack.forward[:1])
  with pytest.raises(ValueError, match='2 layers forward has 1 backward'):
    run_stack(lame, params, inputs())
  with pytest.raises(ValueError, match='needs at least one layer'):
    run_stack(Stack(()), StackParams(()), inputs())
