"""What the compiler makes of a layer's loop: one kernel, and linear in T.

XLA can lose either in silence: a library call in the loop keeps it from being
compiled as one function (several times as slow for a small net), and a release
that rewrites a whole array for every step (jax-ml/jax#40101) makes a scan
quadratic. Both are looked for in what is compiled here, with this jaxlib.
"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.nn.layer import run

KINDS = ('lstm', 'gru', 'srn')


# Steps: a number that is no other dimension of these programs.
T = 101


@functools.cache
def compiled(kind, name):
  """The text of what a layer is compiled to."""
  cell = catalog.build('cells', kind, 2, 0, hidden=8)
  params = cell.init(jax.random.key(0), cell.numbers)
  xs = jnp.asarray(np.random.default_rng(0).normal(size=(T, 1, 2)), jnp.float32)
  backward = 'autodiff' if name == 'gradient, autodiff' else 'products'
  ys = lambda params, xs: run(cell, params, xs, backward=backward).ys
  value = lambda params, xs: jnp.sum(ys(params, xs) ** 2)
  call = jax.jit(ys if name == 'forward' else jax.grad(value))
  return call.lower(params, xs).compile().as_text()


def loops(text):
  """`(loops compiled as one function, other loops, library calls in them)`."""
  folded = len(re.findall(r'xla_cpu_small_call="true"', text))
  others = len(re.findall(r'= [^\n]* while\(', text))
  return folded, others, text.count('ynn_fusion') + text.count('xnn_fusion')


def whole_arrays(text):
  """What the loops of a program make at every step that is as long as T.

  An array may be read and written in place, a step of it at a time: handed on,
  sliced, or updated by a slice, on its own or as the end of a fusion.
  """
  bodies = dict(re.findall(r'^%(\S+) [^\n]*{\n(.*?)^}', text, re.M | re.S))
  handed_on = {
    'parameter', 'get-tuple-element', 'tuple', 'bitcast', 'while', 'call',
    'dynamic-slice', 'dynamic-update-slice', 'constant',
  }  # fmt: skip
  found = []
  for body in re.findall(r' while\([^\n]* body=%([^\s,]+)', text):
    for line in bodies[body].splitlines():
      shape, kind = re.search(r' = (.*?) ([a-z-]+)\(', line).groups()
      called = re.search(r'calls=%([^\s,]+)', line)
      if kind == 'fusion':
        (kind,) = re.findall(r'ROOT .*? ([a-z-]+)\(', bodies[called[1]])
      if re.search(rf'[\[,]{T}[\],]', shape) and kind not in handed_on:
        found.append(line.strip())
  return found


@pytest.mark.parametrize('name', ['forward', 'gradient', 'gradient, autodiff'])
@pytest.mark.parametrize('kind', KINDS)
def test_a_small_net_is_one_kernel(kind, name):
  text = compiled(kind, name)
  folded, others, library = loops(text)
  assert folded >= (1 if name == 'forward' else 2), text
  assert library == 0
  assert others == folded, 'a loop is called kernel by kernel'


@pytest.mark.parametrize('name', ['forward', 'gradient', 'gradient, autodiff'])
@pytest.mark.parametrize('kind', KINDS)
def test_time_is_linear_in_the_steps(kind, name):
  """No step makes or copies an array of all steps."""
  text = compiled(kind, name)
  assert f'[{T},' in text and ' while(' in text
  assert whole_arrays(text) == []


def test_a_loop_that_copies_all_of_an_array_is_seen():
  def rewrites(held, t):
    held = held.at[t].set(2 * held[t - 1])
    return jnp.where(held > 1e9, 0.0, held), held[t]

  program = jax.jit(lambda xs: jax.lax.scan(rewrites, xs, jnp.arange(T)))
  text = program.lower(jnp.ones((T, 1, 8))).compile().as_text()
  assert any('copy' in line for line in whole_arrays(text))
  assert any('select' in line for line in whole_arrays(text))
