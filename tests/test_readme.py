"""README and CONTRIBUTING: kept results, and what they show can be run."""

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

import lstm_jax as lj
from experiments import readme
from lstm_jax.lab.commands import readme as command
from lstm_jax.lab.plan import flags, plan
from lstm_jax.lab.store import faults
from lstm_jax.ops.unroll import unroll
from tests.children import ROOT

PAGES = [
  ROOT / 'README.md',
  ROOT / 'CONTRIBUTING.md',
  *sorted((ROOT / 'docs').glob('*.md')),
]
README, CONTRIBUTING = (page.read_text('utf-8') for page in PAGES[:2])


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
    # Recipes and files of one's own have tests of their own.
    aside = {'--help', '--list', '--grid=vanishing', '--cell=leaky,srn'}
    own = any('path/to/' in word for word in words)
    if not own and not aside & set(words):
      assert planned((module, *words)).trials
    return
  assert importlib.util.find_spec(module) or module == 'venv', module


def test_the_readme_is_short():
  assert len(README.splitlines()) <= 150
  first_screen = README.split('<!-- from: ')[0]
  assert '](docs/quickstart.svg)' in first_screen
  assert '<!-- ci: install -->' in first_screen
  assert len(first_screen.splitlines()) < 35


def test_the_layer_of_the_readme():
  (block,) = (b for b in blocks(README, 'python') if 'lj.layer(' in b)
  names = {}
  exec(block, names)
  assert names['ys'].shape == names['more'].shape == (50, 16, 8)


@pytest.mark.slow
def test_the_training_of_the_readme_solves_its_task():
  block = README.split('<!-- test: trained -->\n```python\n')[1]
  code = block.split('```')[0].replace('lj.set_xla_flags()', 'pass')
  names = {}
  exec(code, names)
  assert names['result'].solved >= 7
  assert 30_000 < names['result'].median < 150_000


RECIPES = {
  'cell': ('cells', 'leaky'),
  'task': ('tasks', 'recall'),
  'learner': ('learners', 'signs'),
}


def recipe(kind):
  """The text of the file that CONTRIBUTING.md adds."""
  _, _, text = CONTRIBUTING.partition(f'<!-- test: a {kind} -->\n```python\n')
  return text.split('```')[0]


def factory(kind, tmp_path):
  folder, name = RECIPES[kind]
  assert recipe(kind).startswith(f'# lstm_jax/{folder}/{name}.py\n')
  path = tmp_path / f'{name}.py'
  path.write_text(recipe(kind), 'utf-8')
  spec = importlib.util.spec_from_file_location(name, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return getattr(module, name)


def test_the_cell_of_contributing(tmp_path):
  cell = factory('cell', tmp_path)(2, 1, hidden=3)
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
def test_the_task_of_contributing(tmp_path):
  """Its parts are run by the test of the learner, too."""
  task = factory('task', tmp_path)(tolerance=0.2)
  lj.testing.check_task(task, length=3, name='recall')


def test_the_learner_of_contributing_and_its_task(tmp_path):
  task = factory('task', tmp_path)(tolerance=0.2)
  cell = lj.srn(1, 1, hidden=2)
  learner = factory('learner', tmp_path)(cell, task, length=3)
  numbers = cell.numbers | {'learning_rate': jnp.float32(0.01)}
  state = learner.init(jax.random.key(0), numbers)
  episode = task.draw(jnp.asarray([0, 1], jnp.uint32), 3)
  after, judgement = jax.jit(learner.update)(state, episode)
  moved = jax.tree.map(jnp.subtract, after.params, state.params)
  sizes = np.abs(np.concatenate([w.ravel() for w in jax.tree.leaves(moved)]))
  # Each weight by the rate, or not at all where it has no gradient.
  assert np.all(np.isclose(sizes, 0.01, atol=1e-6) | (sizes == 0))
  assert np.any(sizes) and np.isfinite(judgement.squared)


@pytest.mark.slow
def test_the_recipes_of_contributing_are_swept(tmp_path):
  for name in ('lstm_jax', 'experiments'):
    shutil.copytree(ROOT / name, tmp_path / name)
  for kind, (folder, name) in RECIPES.items():
    path = tmp_path / 'lstm_jax' / folder / f'{name}.py'
    path.write_text(recipe(kind), 'utf-8')
  swept = [w for w in commands(CONTRIBUTING) if '--cell=leaky,srn' in w]
  assert len(swept) == 2
  for number, words in enumerate(swept):
    out = f'run{number}'
    done = subprocess.run(
      [
        *(sys.executable, '-m', *words),
        *('--seeds=2', '--budget=20', f'--out={out}'),
      ],
      cwd=tmp_path,
      env=os.environ,
      capture_output=True,
      text=True,
      check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 'leaky' in done.stdout
    assert list((tmp_path / out / 'figures').glob('*.png'))


def test_contributing_says_where_things_are():
  text = CONTRIBUTING
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
