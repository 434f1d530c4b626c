"""What the compiler makes of a layer's loop: one kernel, and linear in T.

XLA can lose either in silence: a library call in the loop keeps it from being
compiled as one function (several times as slow for a small net), and a release
that rewrites a whole array for every step (jax-ml/jax#40101) makes a scan
quadratic. Both are looked for in what is compiled here, with this jaxlib.
"""

import re
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import catalog
from lstm_jax.layer import run

KINDS = ('lstm', 'gru', 'srn')


def programs(kind, num_steps, batch=1, hidden=4):
  """Name -> a jitted function, and its arguments."""
  cell = catalog.build('cells', kind, 2, 0, hidden=hidden)
  params = cell.init(jax.random.key(0), cell.numbers)
  xs = jnp.asarray(
    np.random.default_rng(0).normal(size=(num_steps, batch, 2)), jnp.float32
  )

  def forward(backward):
    return lambda params, xs: run(cell, params, xs, backward=backward).ys

  def gradient(backward):
    value = lambda params, xs: jnp.sum(forward(backward)(params, xs) ** 2)
    return jax.grad(value)

  return {
    'forward': jax.jit(forward('products')),
    'gradient': jax.jit(gradient('products')),
    'gradient, autodiff': jax.jit(gradient('autodiff')),
  }, (params, xs)


def loops(text):
  """`(loops compiled as one function, other loops, library calls in them)`."""
  folded = len(re.findall(r'xla_cpu_small_call="true"', text))
  others = len(re.findall(r'= [^\n]* while\(', text))
  return folded, others, text.count('ynn_fusion') + text.count('xnn_fusion')


@pytest.mark.parametrize('name', ['forward', 'gradient', 'gradient, autodiff'])
@pytest.mark.parametrize('kind', KINDS)
def test_a_small_net_is_one_kernel(kind, name):
  made, inputs = programs(kind, 100, hidden=8)
  text = made[name].lower(*inputs).compile().as_text()
  folded, others, library = loops(text)
  assert folded >= (1 if name == 'forward' else 2), text
  assert library == 0
  assert others == folded, 'a loop is called kernel by kernel'


@pytest.mark.parametrize('name', ['forward', 'gradient', 'gradient, autodiff'])
@pytest.mark.parametrize('kind', KINDS)
def test_time_is_linear_in_the_steps(kind, name):
  """4 times the steps take 4 times as long, 16 times where a step is O(T)."""
  best = {}
  calls = {}
  for num_steps in (5_000, 20_000):
    made, inputs = programs(kind, num_steps)
    calls[num_steps] = lambda f=made[name], inputs=inputs: f(*inputs)
    jax.block_until_ready(calls[num_steps]())
    best[num_steps] = np.inf
  # The best of many: a busy machine makes single ones slower, never faster. A
  # quiet moment is enough; a loop that is quadratic has none.
  for _ in range(300):
    for num_steps, call in calls.items():
      began = time.perf_counter()
      jax.block_until_ready(call())
      spent = time.perf_counter() - began
      best[num_steps] = min(best[num_steps], spent)
    if best[20_000] < 6 * best[5_000]:
      break
  ratio = best[20_000] / best[5_000]
  assert ratio < 8, f'{best[5_000]:.2e} s and {best[20_000]:.2e} s'
