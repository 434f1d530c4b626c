"""Networks trained by code that shares nothing with lstm_jax, and the record.

What is slow here imports torch; the record says what it would.
"""

import ast
import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.ops.arrays import to_dense
from lstm_jax.ops.prng import Key
from tests.children import ROOT

SCRIPT = ROOT / 'benchmarks' / 'independent.py'
PAGE = Path(ROOT / 'docs' / 'competitors.md')
# Their weights there and here.
NAMES = {
  'w_x': 'x', 'w_h': 'h', 'b': 'b', 'b_hn': 'bn', 'w_out': 'out',
  'b_out': 'bout',
}  # fmt: skip


@pytest.fixture(scope='module')
def script():
  spec = importlib.util.spec_from_file_location('independent', SCRIPT)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def test_it_imports_nothing_of_ours():
  imports = [
    name.name if isinstance(node, ast.Import) else node.module
    for node in ast.walk(ast.parse(SCRIPT.read_text('utf-8')))
    if isinstance(node, ast.Import | ast.ImportFrom)
    for name in node.names
  ]
  assert {name.partition('.')[0] for name in imports} == {
    'argparse', 'csv', 'numpy', 'pathlib', 'scipy', 'subprocess', 'sys',
    'tempfile', 'time', 'torch', 'typing',
  }  # fmt: skip


def test_the_page_has_the_table_of_the_record(script):
  table = script.table(script.load())
  assert table in PAGE.read_text('utf-8')
  assert table.count('\n') == len(script.ROWS) + 1


def test_an_unsolved_trial_counts_as_more_than_any(script):
  row = script.ROWS[0]
  fast, slow = np.full(script.NETS, 100), np.full(script.NETS, 100)
  slow[: script.NETS // 2 + 1] = 0
  line = script.compared(row, slow, fast)
  assert line.split(' | ')[3:5] == [f'> {row.budget:,}', '100']
  assert line.endswith('differs |')
  assert script.compared(row, fast, fast).endswith('agrees |')


def arrays_of(task, length, seed, lanes):
  """Inputs `[T, N, I]`, lengths and targets `[N, K]` of a task's sequences."""
  words = np.random.default_rng(seed).integers(2**32, size=(2, lanes))
  episode = task.fresh(Key(*words.astype(np.uint32)), np.full(lanes, length))
  stream = task.stream(episode)
  times = np.broadcast_to(
    np.arange(task.longest(length))[:, None], (task.longest(length), lanes)
  )
  inputs = jax.vmap(lambda t: to_dense(stream.input_at(t)))(times)
  target = stream.target_at(stream.length - 1)
  return episode, (
    np.moveaxis(np.asarray(inputs), 1, 2),
    np.asarray(stream.length),
    np.asarray(target).T,
  )


@pytest.mark.slow
@pytest.mark.parametrize('place', range(9))
def test_ten_updates_are_those_of_lstm_jax(script, place):
  """From the same weights on the same sequences; slow: it imports torch."""
  row = script.ROWS[place]
  output = 'linear' if row.task == 'adding' else 'logistic'
  task = getattr(lj, row.task)(output=output)
  sizes = task.num_inputs, task.num_outputs
  cell = getattr(lj, row.cell)(*sizes, hidden=script.HIDDEN)
  options = {'length': row.length} if row.rule == 'bptt' else {}
  learner = getattr(lj, row.rule)(cell, task, optimizer='adam', **options)
  rng = np.random.default_rng(0)
  weights = script.first_weights(rng, row.cell, *sizes)
  weights = {name: 3 * w for name, w in weights.items()}
  lanes_last = lambda w: np.moveaxis(w, 0, -1).copy()
  numbers = {**cell.numbers, 'learning_rate': np.float32(row.rate)}
  init = jax.vmap(lambda key: learner.init(key, numbers), out_axes=-1)
  state = init(jax.random.split(jax.random.key(0), script.NETS))
  params = state.params._asdict()
  params |= {
    name: lanes_last(weights[short])
    for name, short in NAMES.items()
    if name in params and short in weights
  }
  state = state._replace(params=type(state.params)(**params))
  step = script.RULES[row.rule](row.task, row.cell, weights)
  learn = jax.jit(learner.update)
  for seed in range(10):
    episode, (inputs, steps, target) = arrays_of(
      task, row.length, seed, script.NETS
    )
    state, judged = learn(state, episode)
    y = step(inputs, steps, target, row.rate)
    absolute = np.mean(np.abs(y - target), axis=1)
    np.testing.assert_allclose(judged.absolute, absolute, rtol=0, atol=1e-4)
