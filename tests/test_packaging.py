"""An installed copy is whole, light, and runs where there is no checkout."""

import configparser
import os
import re
import shutil
import subprocess
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import lstm_jax
from lstm_jax import extras
from lstm_jax.lab import console
from tests import children

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / 'lstm_jax'
# Of a checkout, what a wheel is made from, and what must not be in it.
PARTS = ('lstm_jax', 'experiments', 'tests', 'docs')
SUFFIXES = ('.py', '.toml', '.csv', '.cc', '.h', '.typed')
PAGES = ('setup.cfg', 'pyproject.toml', 'README.md', 'LICENSE')
# What the layer alone must do without.
OTHERS = (*extras.EXTRAS, 'keras', 'torch', 'haiku', 'equinox')


def options():
  setup = configparser.ConfigParser()
  setup.read(ROOT / 'setup.cfg', encoding='utf-8')
  return setup


def packages(text):
  """Names of the distributions in a list of requirements, without extras."""
  return {
    re.split(r'[ \[<>=!]', line)[0].lower().replace('_', '-')
    for line in text.splitlines()
    if line.strip()
  }


def test_every_file_without_code_is_said_to_belong_to_its_package():
  data = options()['options.package_data']
  said = {
    file
    for package, patterns in data.items()
    for pattern in patterns.split()
    for file in ROOT.joinpath(*package.split('.')).glob(pattern)
  }
  files = {
    file
    for file in LIBRARY.rglob('*')
    if file.is_file() and file.suffix not in ('.py', '.pyc')
  }
  assert LIBRARY / 'py.typed' in files  # it says that the types are there
  assert files == said


def test_the_layer_needs_jax_and_numpy():
  required = packages(options()['options']['install_requires'])
  assert required == {'jax', 'jaxlib', 'numpy'}
  code = (
    'import sys\n'
    f'sys.modules.update(dict.fromkeys({OTHERS!r}))\n'
    'import lstm_jax as lj\n'
    'import jax, jax.numpy as jnp\n'
    'for name, where in lj.NAMES.items():\n'
    '  try:\n'
    '    getattr(lj, name)\n'
    '  except ModuleNotFoundError as error:\n'
    '    needs = ("learners.", "training.", "lab.", "nn.flax_modules")\n'
    '    assert where.startswith(needs), name\n'
    '    assert "pip install \'lstm_jax[" in str(error), error\n'
    'cell = lj.lstm(num_inputs=3, num_outputs=0, hidden=4)\n'
    'params = cell.init(jax.random.key(0), cell.numbers)\n'
    'ys = lj.layer(cell, params, jnp.ones((5, 2, 3))).ys\n'
    'assert ys.shape == (5, 2, 4)\n'
  )
  children.python('-c', code)


def test_every_extra_that_a_line_names_is_one():
  named = options()['options.extras_require']
  distributions = {'absl': 'absl-py', 'dash': 'dash'}
  for module, extra in extras.EXTRAS.items():
    package = distributions.get(module, module.replace('_', '-'))
    if extra in named:  # not there before the branch that fills it
      assert package in packages(named[extra]), module
  # Whoever tests has all that a command can ask for.
  assert {'audio', 'data', 'flax', 'lab', 'plot'} <= {
    name
    for line in named['test'].splitlines()
    if line.startswith('lstm_jax[')
    for name in line[len('lstm_jax[') : -1].split(',')
  }


@pytest.mark.parametrize(
  'name, words',
  [
    ('absl', ['sweep', '--list']),
    # Said in the same way, once JAX is there.
    pytest.param(
      *('optax', ['sweep', '--cell=srn', '--seeds=1', '--budget=1']),
      marks=pytest.mark.slow,
    ),
    ('tensorflow_datasets', ['data', 'imdb']),
  ],
)
def test_a_missing_package_is_one_line_with_what_brings_it(
  name, words, tmp_path
):
  """In a process of its own, as others may have imported what needs it."""
  code = (
    'import sys\n'
    f'sys.modules[{name!r}] = None\n'
    'from lstm_jax.lab import console\n'
    'sys.argv[0] = "lstm-jax"\n'
    'console.run()\n'
  )
  environ = dict(os.environ, PYTHONPATH=str(ROOT), LSTM_JAX_DATA=str(tmp_path))
  done = children.python(
    '-c', code, *words, returns=2, cwd=tmp_path, env=environ
  )
  assert done.stderr == (
    f'{words[0]}: this needs {name}: '
    f"pip install 'lstm_jax[{extras.EXTRAS[name]}]'\n"
  )


@pytest.fixture(scope='module')
def sdist(tmp_path_factory):
  """A source distribution, by the standard hook, of a copy of this tree."""
  folder = tmp_path_factory.mktemp('sdist')
  tree = folder / 'tree'
  tree.mkdir()
  skip = shutil.ignore_patterns('__pycache__', '*.so')
  for name in PARTS:
    shutil.copytree(ROOT / name, tree / name, ignore=skip)
  for name in PAGES:
    shutil.copy(ROOT / name, tree / name)
  code = (
    'import sys\n'
    'from setuptools import build_meta\n'
    'build_meta.build_sdist(sys.argv[1])\n'
  )
  children.python('-c', code, folder, cwd=tree)
  (path,) = folder.glob('*.tar.gz')
  return path


@pytest.fixture(scope='module')
def wheel(sdist, tmp_path_factory):
  """The wheel of that source distribution."""
  folder = tmp_path_factory.mktemp('wheel')
  words = '--no-deps --no-index --no-build-isolation --quiet --wheel-dir'
  children.python('-m', 'pip', 'wheel', *words.split(), folder, sdist)
  (path,) = folder.glob('*.whl')
  return path


@pytest.fixture(scope='module')
def elsewhere(wheel, tmp_path_factory):
  """`(bin, folder)`: an environment that has the wheel, and an empty folder.

  What the wheel needs is found where it is installed for the tests.
  """
  place = tmp_path_factory.mktemp('elsewhere')
  venv.create(place / 'environment', symlinks=True)
  scheme = {'base': str(place / 'environment')}
  site = Path(sysconfig.get_path('purelib', 'venv', scheme))
  found = sysconfig.get_path('purelib'), sysconfig.get_path('platlib')
  (site / 'packages.pth').write_text('\n'.join(dict.fromkeys(found)) + '\n')
  scripts = Path(sysconfig.get_path('scripts', 'venv', scheme))
  words = '--no-deps --no-index --quiet --force-reinstall'
  children.python(
    '-m',
    'pip',
    '--python',
    scripts / 'python',
    'install',
    *words.split(),
    wheel,
  )
  folder = place / 'an empty folder'
  folder.mkdir()
  return scripts, folder


def ran(elsewhere, *words, returns=0):
  """A program of the environment elsewhere, in the empty folder."""
  scripts, folder = elsewhere
  environ = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
  done = subprocess.run(
    [scripts / words[0], *words[1:]],
    cwd=folder, env=environ, capture_output=True, text=True, check=False,
  )  # fmt: skip
  assert done.returncode == returns, done.stdout + done.stderr
  return done.stdout


@pytest.mark.slow
def test_a_wheel_holds_the_package_and_nothing_else(sdist, wheel):
  held = set(zipfile.ZipFile(wheel).namelist())
  assert {name.split('/')[0].split('-')[0] for name in held} == {'lstm_jax'}
  sources = {
    path.relative_to(ROOT).as_posix()
    for path in LIBRARY.rglob('*')
    if path.is_file() and path.suffix in SUFFIXES
  }
  assert {name for name in held if '.dist-info/' not in name} == sources
  assert 'lstm_jax/lab/plan/grids/quickstart.toml' in sources
  assert 'lstm_jax/lab/standings/measured/benchmark.csv' in sources
  (scripts,) = (name for name in held if name.endswith('entry_points.txt'))
  text = zipfile.ZipFile(wheel).read(scripts).decode()
  assert 'lstm-jax = lstm_jax.__main__:main' in text
  with tarfile.open(sdist) as file:
    names = {name.partition('/')[2] for name in file.getnames()}
  assert sources <= names


@pytest.mark.slow
def test_the_wheel_runs_where_there_is_no_checkout(elsewhere):
  said = ran(elsewhere, 'lstm-jax', '--version')
  assert said == f'lstm-jax {lstm_jax.__version__}\n'
  assert all(name in ran(elsewhere, 'lstm-jax') for name in console.SUBCOMMANDS)
  where = ran(elsewhere, 'python', '-c', 'import lstm_jax; print(lstm_jax)')
  assert str(elsewhere[0].parent) in where
  assert 'quickstart' in ran(elsewhere, 'lstm-jax', 'sweep', '--list')
  words = '--cell=srn,lstm --length=4 --seeds=2 --budget=20 --out=run'
  assert 'srn' in ran(elsewhere, 'lstm-jax', 'sweep', *words.split())
  ran(elsewhere, 'lstm-jax', 'report', 'run', '--out=again')
  folder = elsewhere[1]
  assert {path.name for path in folder.iterdir()} == {'run', 'again'}
  assert (folder / 'again/report.html').stat().st_size > 10_000
  rows = (folder / 'again/results.csv').read_text('utf-8').splitlines()
  assert len(rows) == 5
  ran(elsewhere, 'lstm-jax', 'swep', returns=2)
