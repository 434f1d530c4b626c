"""The console command: help, version and wrong names at once, then a main."""

import importlib

import pytest

import lstm_jax
from experiments import report
from lstm_jax.lab import console
from lstm_jax.lab.store import faults
from tests import children


@pytest.mark.parametrize('words', [[], ['--help'], ['-h']])
def test_help_names_every_subcommand(words, capsys):
  assert console.main(['lstm-jax', *words]) == 0
  lines = capsys.readouterr().out.splitlines()
  for name in console.SUBCOMMANDS:
    assert any(line.startswith(f'  {name} ') for line in lines)
  assert max(map(len, lines)) <= 80


def test_the_version_is_that_of_the_package(capsys):
  assert console.main(['lstm-jax', '--version']) == 0
  assert capsys.readouterr().out == f'lstm-jax {lstm_jax.__version__}\n'


@pytest.mark.parametrize(
  'word, line',
  [
    ('swep', 'swep: no such subcommand; choose from .* did you mean sweep?'),
    ('--hlep', '--hlep: no such flag; choose from .* did you mean --help?'),
  ],
)
def test_a_wrong_name_has_one_line_with_the_nearest(word, line, capsys):
  assert console.main(['lstm-jax', word]) == faults.Exit.USAGE
  said = capsys.readouterr().err
  first, last = line.split(' .* ')
  assert said.startswith(f'lstm-jax: {first}') and said.endswith(f'{last}\n')
  assert said.count('\n') == 1


@pytest.mark.parametrize('name', console.SUBCOMMANDS)
def test_a_subcommand_is_the_main_of_a_checkout(name, capsys):
  assert console.main(['lstm-jax', name, '--help']) == 0
  said = capsys.readouterr().out
  assert (
    importlib.import_module(f'experiments.{name}').main(['', '--help']) == 0
  )
  assert capsys.readouterr().out == said


def test_words_and_the_exit_code_go_through(tmp_path, capsys):
  words = [str(tmp_path), '--out=gs://x']
  assert console.main(['lstm-jax', 'report', *words]) == 2
  assert report.main(['report', *words]) == 2
  first, second = capsys.readouterr().err.splitlines()
  assert first == second and first.startswith('report: --out')


def test_nothing_slow_is_imported_before_the_answer():
  code = (
    'import sys\n'
    'from lstm_jax.lab import console\n'
    'for words in ([], ["--version"], ["swep"]):\n'
    '  console.main(["lstm-jax", *words])\n'
    'slow = {"jax", "numpy", "scipy", "absl", "optax", "matplotlib"}\n'
    'assert not slow & {name.partition(".")[0] for name in sys.modules}\n'
  )
  children.python('-c', code)


def test_the_entry_point_ends_its_process_with_the_code():
  code = (
    'import sys\n'
    'from lstm_jax.lab import console\n'
    'sys.argv = ["lstm-jax", "data", "--no-such"]\n'
    'console.run()\n'
  )
  done = children.python('-c', code, returns=2)
  assert done.stderr.startswith('data: ') and not done.stdout
