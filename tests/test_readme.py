"""README.md says what the kept results say, and what it shows can be run."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import readme
from lstm_jax.lab.commands import readme as command
from lstm_jax.lab.plan import flags, plan
from lstm_jax.lab.store import faults
from lstm_jax.ops.unroll import unroll
from tests.children import ROOT

PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
README = PAGES[0].read_text('utf-8')


def blocks(text, language):
  return re.findall(rf'```{language}\n(.*?)```', text, re.DOTALL)


def commands(text):
  """Every `python -m ...` of the shell blocks, as words."""
  for block in blocks(text, 'sh'):
    for line in block.replace('\\\n', ' ').splitlines():
      for part in line.split('#')[0].split('&&'):
        words = shlex.split(part)
        if words[:2] == ['python', '-m']:
          yield words[2:]


COMMANDS = sorted(
  {
    (page.name, *words)
    for page in PAGES
    for words in commands(page.read_text('utf-8'))
  }
)


def test_figures_are_those_of_the_kept_results():
  for page, makers in command.PAGES.items():
    text = (ROOT / page).read_text('utf-8')
    made = command.filled(text, ROOT, makers)
    assert made == text, 'run python -m experiments.readme'
    assert text.count('<!-- from: ') == len(makers)


def test_a_figure_written_by_hand_is_found(tmp_path, monkeypatch, capsys):
  (tmp_path / 'docs').mkdir()
  for name in (*command.PAGES, 'docs/quickstart.csv', 'docs/paper1997.csv'):
    shutil.copy(ROOT / name, tmp_path / name)
  monkeypatch.setattr(command, 'ROOT', tmp_path)
  assert readme.main(['readme', '--check']) == 0
  path = tmp_path / 'README.md'
  path.write_text(README.replace('30/30', '29/30', 1), 'utf-8')
  assert readme.main(['readme', '--check']) == int(faults.Exit.FAILED)
  assert 'not those of docs/' in capsys.readouterr().err
  assert readme.main(['readme']) == 0
  assert path.read_text('utf-8') == README
  assert readme.main(['readme', '--runs=x']) == 2
  path.write_text('<!-- from: docs/other.csv -->\n<!-- end -->', 'utf-8')
  assert readme.main(['readme']) != 0


def test_the_first_command_for_the_paper_is_reproduced():
  first = next(w for w in commands(README) if '--grid=table3' in w)
  (setting,) = {s.line for s in planned(first).trials}
  line = f'Table 3, {setting} |'
  assert re.search(rf'\| {re.escape(line)}.*\| reproduced \|', README), line


def planned(words):
  argv = ['sweep', *words[1:]]
  return plan.expand(flags.parse(argv, {}))


@pytest.mark.parametrize('command', COMMANDS, ids=' '.join)
def test_every_command_is_one(command):
  _, module, *words = command
  if module == 'experiments.sweep':
    # The recipe's cell is not in the catalog: it has a test of its own.
    aside = {'--help', '--list', '--grid=vanishing', '--cell=leaky,srn'}
    if not aside & set(words):
      assert planned((module, *words)).trials
    return
  assert importlib.util.find_spec(module) or module == 'venv', module


def test_the_layer_of_the_readme():
  (block,) = (b for b in blocks(README, 'python') if 'lstm_jax.nn.layer' in b)
  names = {}
  exec(block, names)
  assert names['ys'].shape == names['more'].shape == (50, 16, 8)


def recipe():
  return README.split('<!-- test: a cell -->\n```python\n')[1].split('```')[0]


def test_the_cell_of_the_readme(tmp_path):
  path = tmp_path / 'leaky.py'
  path.write_text(recipe(), 'utf-8')
  spec = importlib.util.spec_from_file_location('leaky', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  cell = module.leaky(2, 1, hidden=3)
  params = cell.init(jax.random.key(0), cell.numbers)
  assert jax.tree.map(jnp.shape, params) == jax.tree.map(np.shape, cell.mask)
  xs = jnp.ones((4, 2))
  carry, ys = unroll(cell, params, xs)
  s = sum(0.9**t for t in range(4)) * jnp.tanh(params.w_x @ xs[0] + params.b)
  np.testing.assert_allclose(carry.s, s, rtol=1e-5)
  np.testing.assert_allclose(
    ys[-1] if ys.ndim > 1 else ys, params.w_out @ s + params.b_out, rtol=1e-5
  )


@pytest.mark.slow
def test_the_cell_of_the_readme_is_swept(tmp_path):
  for name in ('lstm_jax', 'experiments'):
    shutil.copytree(ROOT / name, tmp_path / name)
  (tmp_path / 'lstm_jax' / 'cells' / 'leaky.py').write_text(recipe(), 'utf-8')
  command = next(w for w in commands(README) if '--cell=leaky,srn' in w)
  done = subprocess.run(
    [sys.executable, '-m', *command, '--seeds=2', '--budget=20', '--out=run'],
    cwd=tmp_path,
    env=os.environ,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert 'leaky' in done.stdout
  assert (tmp_path / 'run' / 'figures' / 'success_over_window.png').is_file()


def test_contributing_says_where_things_are():
  text = (ROOT / 'CONTRIBUTING.md').read_text('utf-8')
  table = text[text.index('## Where is') : text.index('## Rules')]
  paths = [
    p
    for line in table.splitlines()
    for p in re.findall(r'`([^`]+/[^`]*)`', line)
  ]
  assert len(paths) > 35
  folder = None
  for path in paths:
    here = ROOT / path
    if not here.exists() and folder is not None:
      here = folder.parent / path  # of a row that names some beside the first
    assert here.exists(), path
    folder = here
