"""Cells that nobody has thought of: the recipe, and a bare one."""

import functools
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import testing
from lstm_jax.lab.plan import catalog
from lstm_jax.learners import truncated1997
from lstm_jax.nn.layer import run, which_kernel
from tests.array_task import array_task, random_arrays
from tests.children import ROOT
from tests.gradients import cheap_jit, distance, random_net

T, B, I, K = 6, 3, 2, 2
NAMES = ('bare', 'leaky')
every_name = pytest.mark.parametrize('name', NAMES)
# Those that can train any cell; `cascade` and `chunker` need parts of it,
# `truncated1997` an internal state, and `eprop` and `rflo` units with states
# of their own.
LEARNERS = ('bptt', 'elman', 'guess', 'kf', 'rtrl', 'snap1', 'uoro')


def source(name):
  """The text of a cell's file."""
  if name != 'leaky':
    return (ROOT / 'tests' / 'cells' / 'new' / f'{name}.py').read_text('utf-8')
  text = (ROOT / 'CONTRIBUTING.md').read_text('utf-8')
  return text.split('<!-- test: a cell -->\n```python\n')[1].split('```')[0]


@functools.cache
def factory(name):
  if name in catalog.names('cells'):
    return functools.partial(catalog.build, 'cells', name)
  spec = importlib.util.spec_from_loader(f'new_{name}', loader=None)
  module = importlib.util.module_from_spec(spec)
  exec(compile(source(name), f'{name}.py', 'exec'), vars(module))
  return getattr(module, name)


def drawn(name, num_outputs=K):
  cell = factory(name)(I, num_outputs)
  params = random_net(cell, 0)
  xs = np.random.default_rng(1).normal(size=(T, B, I))
  return cell, params, xs


@every_name
def test_it_keeps_its_promises(name):
  cell = factory(name)(I, K)
  testing.admit_cell(name, cell)
  testing.admit_cell(name, factory(name)(I, 0), layer=True)
  assert hash(cell) == hash(cell._replace(numbers=dict(cell.numbers)))
  params = cell.init(jax.random.key(0))
  assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, cell.mask)


@every_name
@pytest.mark.parametrize(
  'how', [{}, {'backward': 'autodiff'}, {'checkpoint_every': 4}], ids=str
)
def test_a_layer_is_a_plain_scan(name, how, x64):
  cell, params, xs = drawn(name, 0)
  lengths = np.array([T, 2, 0])
  output = cell.equations.output if cell.equations else 's'

  def layer(params, xs):
    made = run(cell, params, xs, lengths=lengths, **how)
    return jnp.sum(made.ys**2), made.ys

  def scan(params, xs):
    def body(carry, x_t):
      carry, _ = cell.step(params, carry, x_t)
      return carry, getattr(carry, output)

    start = cell.initial_carry((B,), jnp.float64)
    _, ys = jax.lax.scan(body, start, jnp.swapaxes(xs, 1, 2))
    ys = jnp.swapaxes(ys, 1, 2)
    ys = jnp.where(np.arange(T)[:, None, None] < lengths[:, None], ys, 0)
    return jnp.sum(ys**2), ys

  derive = lambda f: cheap_jit(jax.value_and_grad(f, (0, 1), has_aux=True))
  (_, ours), ours_back = derive(layer)(params, xs)
  (_, theirs), theirs_back = derive(scan)(params, xs)
  np.testing.assert_allclose(ours, theirs, atol=1e-12)
  for a, b in zip(*map(jax.tree.leaves, (ours_back, theirs_back)), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-12)
  assert np.any(ours_back[0].w_x) and np.any(ours_back[1])


@every_name
def test_no_compiled_loop_is_taken_for_it(name):
  cell, params, xs = drawn(name, 0)
  params = jax.tree.map(np.float32, params)
  assert which_kernel(cell, params, np.float32(xs)).kernel == 'xla'


def learned(name, learner, **how):
  """Weights after one sequence with an error at every step, and before it."""
  cell, params, _ = drawn(name)
  task = array_task(I, K, error_at_end=False)
  if 'length' in catalog.describe('learners', learner).static:
    how['length'] = T
  made = catalog.build('learners', learner, cell, task, **how)
  numbers = dict(cell.numbers, learning_rate=0.5, init_range=0.5)
  numbers |= catalog.describe('learners', learner).numbers
  numbers = {n: np.asarray(v, float) for n, v in numbers.items()}
  state = made.init(jax.random.key(0), numbers)
  if hasattr(state, 'inner'):
    state = state._replace(inner=state.inner._replace(params=params))
  else:
    state = state._replace(params=params)
  episode = random_arrays(2, T, I, K, end=False)
  state, judged = cheap_jit(made.update)(state, episode)
  return params, state.params, judged


@every_name
@pytest.mark.parametrize('learner', LEARNERS)
def test_every_learner_trains_it(name, learner, x64):
  before, after, judged = learned(name, learner)
  for leaf in jax.tree.leaves((after, judged)):
    assert np.all(np.isfinite(leaf))
  moved = [np.any(a != b) for a, b in zip(before, after, strict=True)]
  assert all(moved)


@pytest.mark.slow
@every_name
def test_forwards_in_time_it_learns_the_same(name, x64):
  """Else `test_rtrl` says it of the cells of the catalog."""
  _, backwards, _ = learned(name, 'bptt')
  _, forwards, _ = learned(name, 'rtrl', update='sequence')
  assert distance(backwards, forwards) < 1e-12


def test_where_no_weight_is_recurrent_the_truncated_rule_is_exact(x64):
  """The only link between steps is the state that the rule keeps."""
  _, whole, _ = learned('mingru', 'bptt')
  _, truncated, _ = learned('mingru', 'truncated1997')
  _, cut, _ = learned('mingru', 'rtrl', update='sequence', cut='activations')
  assert distance(whole, truncated) < 1e-12
  assert distance(whole, cut) < 1e-12
  with pytest.raises(ValueError, match='this cell has none'):
    truncated1997.truncated1997(factory('lru')(I, K), None)


@pytest.mark.slow
def test_in_the_catalog_they_pass_its_tests(tmp_path):
  """Each is a file in the folder of cells, and the tests of all cells run."""
  for name in ('lstm_jax', 'experiments', 'tests'):
    shutil.copytree(ROOT / name, tmp_path / name)
  for name in ('setup.cfg', 'pyproject.toml', 'README.md', 'CONTRIBUTING.md'):
    shutil.copy(ROOT / name, tmp_path / name)
  for name in NAMES:
    path = tmp_path / 'lstm_jax' / 'cells' / f'{name}.py'
    path.write_text(source(name), 'utf-8')
  files = (
    'cells/test_cells.py', 'learners/test_learner_catalog.py',
    'nn/test_layer.py', 'testing/test_promises.py', 'ops/test_checked.py',
    'lab/plan/test_catalog.py', 'test_layering.py',
  )  # fmt: skip
  # A bare cell names no products, for which half of the layer's tests ask.
  words = f'({" or ".join(NAMES)}) and not (bare and test_layer)'
  done = subprocess.run(
    [
      *(sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider'),
      *('-n', '0', '-k', words),
      *(f'tests/{file}' for file in files),
    ],
    cwd=tmp_path,
    env=os.environ | {'PYTHONPATH': str(tmp_path)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stdout[-3000:]
  assert ' passed' in done.stdout
