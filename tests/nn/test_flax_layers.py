"""The layer inside flax: the same outputs, and it trains with optax.

The training is the adding problem in small, as people write such a loop today.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import linen, nnx, serialization

from lstm_jax.cells.lstm import lstm
from lstm_jax.nn.dropout import Noise
from lstm_jax.nn.flax_modules import LinenRecurrent, NnxRecurrent
from lstm_jax.nn.layer import run
from tests.children import ROOT

T, B, I, C = 12, 32, 2, 8


def adding(rng):
  """`(xs [T, B, 2], targets [B])`: the sum of two marked values."""
  values = rng.uniform(size=(T, B))
  markers = np.zeros((T, B))
  places = np.stack([rng.permutation(T)[:2] for _ in range(B)])
  for b, both in enumerate(places):
    markers[both, b] = 1
  xs = np.stack([values, markers], axis=-1).astype(np.float32)
  return xs, np.sum(values * markers, axis=0).astype(np.float32)


def cell_of(num_inputs):
  return lstm(num_inputs, 0, hidden=C)


class Linen(linen.Module):
  @linen.compact
  def __call__(self, xs):
    found = LinenRecurrent(cell_of, {'init_range': 0.4})(xs)
    return linen.Dense(1)(found.last.y_c)[:, 0]


class Nnx(nnx.Module):
  def __init__(self, rngs):
    self.layer = NnxRecurrent(
      cell_of(I), rngs=rngs, numbers={'init_range': 0.4}
    )
    self.readout = nnx.Linear(C, 1, rngs=rngs)

  def __call__(self, xs):
    return self.readout(self.layer(xs).last.y_c)[:, 0]


def worth(outputs, targets):
  return jnp.mean((outputs - targets) ** 2)


@pytest.mark.slow
def test_linen_trains():
  """Else the gradient says that it can."""
  rng = np.random.default_rng(0)
  model = Linen()
  params = jax.jit(model.init)(jax.random.key(0), adding(rng)[0])
  optimizer = optax.adam(0.02)
  state = optimizer.init(params)

  @jax.jit
  def step(params, state, xs, targets):
    error, grads = jax.value_and_grad(
      lambda p: worth(model.apply(p, xs), targets)
    )(params)
    updates, state = optimizer.update(grads, state)
    return optax.apply_updates(params, updates), state, error

  errors = []
  for _ in range(300):
    params, state, error = step(params, state, *adding(rng))
    errors.append(float(error))
  # A constant is worth 1/6; so is a network that has learned nothing.
  assert np.mean(errors[:10]) > 0.12
  assert np.mean(errors[-10:]) < 0.06
  again = serialization.from_bytes(params, serialization.to_bytes(params))
  for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(params), strict=True):
    np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_nnx_trains():
  """Else the gradient says that it can."""
  rng = np.random.default_rng(0)
  model = Nnx(nnx.Rngs(0))
  optimizer = nnx.Optimizer(model, optax.adam(0.02), wrt=nnx.Param)

  @nnx.jit
  def step(model, optimizer, xs, targets):
    error, grads = nnx.value_and_grad(lambda m: worth(m(xs), targets))(model)
    optimizer.update(model, grads)
    return error

  errors = [float(step(model, optimizer, *adding(rng))) for _ in range(300)]
  assert np.mean(errors[:10]) > 0.12
  assert np.mean(errors[-10:]) < 0.06


def test_modules_give_what_the_layer_gives():
  xs = adding(np.random.default_rng(1))[0]
  lengths = np.arange(B) % (T + 1)
  noise = Noise(inputs=np.array([1.0, 0.0]))
  how = {'lengths': lengths, 'noise': noise, 'reverse': True}
  layer = LinenRecurrent(cell_of)
  held = jax.jit(layer.init)(jax.random.key(0), xs)
  cell = cell_of(I)
  empty = {name: np.zeros(m.shape) for name, m in cell.mask._asdict().items()}
  params = type(cell.mask)(**{**empty, **held['params']['cell']})
  module = NnxRecurrent(cell, rngs=nnx.Rngs(0))
  for name, value in held['params']['cell'].items():
    getattr(module, name)[...] = value

  def derive(grad, go):
    def loss(params):
      ys = go(params).ys
      return jnp.sum(jnp.sin(ys)), ys

    return grad(loss, has_aux=True)

  of_layer = derive(jax.grad, lambda params: run(cell, params, xs, **how))
  of_linen = derive(jax.grad, lambda held: layer.apply(held, xs, **how))
  of_nnx = derive(nnx.grad, lambda module: module(xs, **how))
  grads, ys = jax.jit(of_layer)(params)
  by_linen, ys_linen = jax.jit(of_linen)(held)
  by_nnx, ys_nnx = nnx.jit(of_nnx)(module)
  for found, more in (
    (ys_linen, by_linen['params']['cell']),
    (ys_nnx, nnx.to_pure_dict(by_nnx)),
  ):
    np.testing.assert_array_equal(found, ys)
    assert set(more) == set(held['params']['cell'])
    for name, grad in more.items():
      np.testing.assert_allclose(grad, getattr(grads, name), rtol=1e-5)
    assert np.any(more['w_x']) and np.any(more['w_h'])


def blocks(page, most=None):
  """The first blocks of Python of a page, run: the names they leave."""
  text = (ROOT / page).read_text(encoding='utf-8')
  names = {'__name__': page}
  codes = re.findall(r'```python\n(.*?)```', text, flags=re.DOTALL)
  for code in codes[:most]:
    exec(compile(code, page, 'exec'), names)
  return names


def test_the_examples_of_the_page_run():
  names = blocks('docs/layers.md')
  assert names['ys'].shape == (50, 16, 8)
  assert names['last'].s_c.shape == (16, 8)
  assert names['errors'][-1] < 0.5 * names['errors'][0]


def test_the_example_of_the_readme_runs():
  names = blocks('README.md', 1)
  assert names['ys'].shape == names['more'].shape == (50, 16, 8)
  assert not np.any(names['ys'][40:])


@pytest.mark.parametrize('module', [False, True])
def test_orbax_takes_the_parameters(tmp_path, module):
  cell = lstm(I, 1, hidden=C)
  params = cell.init(jax.random.key(0), cell.numbers)
  if module:
    # It holds nothing of the output units that there are not: orbax takes no
    # array without elements.
    xs = adding(np.random.default_rng(1))[0]
    params = jax.jit(LinenRecurrent(cell_of).init)(jax.random.key(0), xs)
  with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(tmp_path / 'net', params)
    checkpointer.wait_until_finished()
    again = checkpointer.restore(tmp_path / 'net', params)
  assert type(again) is type(params)
  jax.tree.map(np.testing.assert_array_equal, again, params)
