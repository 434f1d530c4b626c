"""A repository of one's own, as in `examples/`, from an empty folder.

Its tests, a sweep of it beside a cell of ours that is killed and goes on, and a
report: with the command alone.
"""

import os
import shutil

import pytest

from lstm_jax.lab.store import folder, results_table, trial_records
from tests import children
from tests.children import ROOT

WORDS = (
  'sweep', '--task=own/copying.py:copying',
  '--cell=lstm1997,own/mingru.py:mingru', '--learner=own/feedback.py:rflo',
  '--length=1', '--seeds=2', '--budget=15000', '--checkpoint_seconds=0.3',
  '--progress=none',
)  # fmt: skip


def environment():
  """Of a user: none of what the tests set."""
  kept = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(('XLA_', 'JAX_', 'PYTEST_', 'SLURM_'))
  }
  return kept | {'PYTHONPATH': str(ROOT), 'JAX_PLATFORMS': 'cpu'}


@pytest.mark.slow
def test_a_repository_of_one_s_own(tmp_path):
  shutil.copytree(
    ROOT / 'examples' / 'own_repository',
    tmp_path / 'own',
    ignore=shutil.ignore_patterns('__pycache__'),
  )
  how = {'cwd': tmp_path, 'env': environment()}
  command = lambda *words: ('-m', 'lstm_jax', *words)

  done = children.python('-m', 'pytest', '-q', '-n0', 'own', **how)
  assert '3 passed' in done.stdout

  children.python(*command(*WORDS, '--out=whole'), **how)
  process = children.start(*command(*WORDS, '--out=killed'), **how)
  state = tmp_path / 'killed' / 'checkpoints'
  children.await_that(process, lambda: list(state.glob('state.*')))
  process.kill()
  process.communicate()
  assert process.returncode == -9
  done = children.python(*command(*WORDS, '--out=killed'), **how)

  whole, killed = (
    folder.open_folder(tmp_path / n) for n in ('whole', 'killed')
  )
  assert len(trial_records.read_records(killed)[0]) == 4
  digests = [results_table.results_digest(one) for one in (whole, killed)]
  assert digests[0] == digests[1]
  assert 'mingru.py:mingru' in done.stdout
  done = children.python(*command(*WORDS, '--out=killed'), **how)
  assert 'Nothing left to do' in done.stdout

  done = children.python(
    *command('report', 'whole', 'killed', '--out=both'), **how
  )
  page = (tmp_path / 'both' / 'report.md').read_text()
  assert 'lstm1997' in page and 'mingru.py:mingru' in page
