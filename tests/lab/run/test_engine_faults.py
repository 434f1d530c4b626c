"""The disk fails at every step of the real command: nothing is lost or wrong.

Trials are arithmetic in place of training; plan, records, checkpoints, nets,
tables and report are those of the engine.
"""

import errno
import itertools
import os
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

from experiments import sweep
from lstm_jax.lab.report import publishing
from lstm_jax.lab.report.figures import of_run
from lstm_jax.lab.run import builds, scheduler
from lstm_jax.lab.store import files, folder, provenance, trial_records
from lstm_jax.training.loop import Outcome, TrialState
from tests.children import ROOT
from tests.fake_sweep import QUICK, hidden, stepwise
from tests.older_records import ended, packs

PLAN = '--task=adding --cell=srn --learner=bptt --length=5,6 --seeds=2'.split()
CODES = {
  errno.ENOSPC: 74,
  errno.EDQUOT: 74,
  errno.EFBIG: 74,
  errno.EIO: 74,
  errno.EROFS: 73,
}


def trained(jobs, build, devices, hooks, *, columns, **others):
  """In place of `workers.run`: two chunks a trial, saved in between."""
  del build, devices, others
  for job in jobs:
    column = columns.get(job.id)
    if column is None:
      x = np.arange(3.0) + job.seed
      column = TrialState({'seen': np.int64(1), 'x': np.sin(x)}, 0.5)
      hooks.save({job.id: column})
    x = np.sin(column.leaves['x'] * 1.7)
    net = {'w': x.astype(np.float32)}
    metrics = {
      'sequences_to_success': 12,
      'sequences_seen': 12,
      'test_wrong': 1,
      'test_total': 2560,
      'test_absolute': float(x[0]),
      'test_squared': float(x[1]),
      'train_absolute': 0.1,
      'weights': 3,
    }
    hooks.outcome(Outcome(job.id, 'solved', 12, 0.5, metrics, net=net))


@pytest.fixture
def command(monkeypatch):
  """(folder, disk) -> exit code of the sweep on that disk."""
  create = folder.create_or_open
  made_by = provenance.provenance('cpu', 1)
  monkeypatch.setattr(scheduler, 'run', trained)
  monkeypatch.setattr(
    builds, 'build', lambda *a: types.SimpleNamespace(carried=8)
  )
  monkeypatch.setattr(provenance, 'provenance', lambda *a, **more: made_by)
  monkeypatch.setattr(publishing, 'can_draw', lambda: False)
  monkeypatch.setattr(of_run, 'draw_all', lambda *a, **more: [])

  def run(out, disk=QUICK, *words):
    def on_disk(path, plan, allow_drift=False, **more):
      return create(path, plan, allow_drift, **more, disk=disk)

    monkeypatch.setattr(folder, 'create_or_open', on_disk)
    return sweep.main(
      ['sweep', *PLAN, f'--out={out}', '--progress=none', *words]
    )

  return run


def test_a_part_ends_by_what_its_own_trials_did(command, tmp_path, monkeypatch):
  """A trial that has failed in another part is not its failure."""

  def one_of_length_5_fails(jobs, build, devices, hooks, **others):
    # Trials of a length stay together: the other part has those of length 6.
    is_bad = lambda job: (job.seed, job.length) == (1, 5)
    for job in filter(is_bad, jobs):
      hooks.outcome(Outcome(job.id, 'failed', 0, 0.0, reason='ValueError: x'))
    good = list(itertools.filterfalse(is_bad, jobs))
    trained(good, build, devices, hooks, **others)

  monkeypatch.setattr(scheduler, 'run', one_of_length_5_fails)
  for _ in ('they run', 'nothing is left to do'):
    assert command(tmp_path, QUICK, '--shard=1/2') == 3
    assert command(tmp_path, QUICK, '--shard=0/2') == 0
  assert command(tmp_path) == 3
  monkeypatch.setattr(scheduler, 'run', trained)
  # Nor is it this part's to run again: its record goes on to count.
  assert command(tmp_path, QUICK, '--shard=0/2', '--retry_failed') == 0
  assert command(tmp_path) == 3
  assert command(tmp_path, QUICK, '--shard=1/2', '--retry_failed') == 0
  assert command(tmp_path) == 0


def kept(out):
  """What a finished folder holds that must have the same bytes in each."""
  made = [out / 'results.csv', *(out / 'nets').iterdir(), out / 'report.md']
  records, problems = trial_records.read_records(folder.open_folder(out))
  assert problems == []
  return records | {path.relative_to(out): path.read_bytes() for path in made}


@pytest.mark.slow
def test_a_disk_that_fails_at_any_step(command, tmp_path, capsys, request):
  steps = []
  reference = tmp_path / 'reference'
  counting = stepwise(lambda name, _: steps.append(name), QUICK)
  assert command(reference, counting) == 0
  want = kept(reference)
  every = range(1, len(steps) + 1)
  if not request.config.getoption('--all'):
    every = every[:: max(1, len(steps) // 10)]
  numbers = list(CODES)
  for at in every:
    number = numbers[at % len(numbers)]
    left = [at]

    def fail(name, arguments, left=left, number=number):
      left[0] -= 1
      if left[0] <= 0:  # a full disk stays full
        raise OSError(number, os.strerror(number))

    out = tmp_path / f'at-{at}'
    code = command(out, stepwise(fail, QUICK))
    said = capsys.readouterr()
    assert code == CODES[number], (at, steps[at - 1], said.err)
    assert said.err.count('\n') == 1 and os.strerror(number) in said.err
    sealed = {p: p.read_bytes() for p in packs(out)}
    assert command(out) == 0, (at, steps[at - 1])
    assert all(p.read_bytes() == data for p, data in sealed.items())
    assert kept(out) == want, at
    assert not hidden(out), at


@pytest.mark.slow
@pytest.mark.parametrize('blocks', [4, 12, 60])
def test_files_too_large_in_a_real_supervised_run(tmp_path, blocks):
  """Threads are inside compiled code as the process leaves: no abort."""
  out = tmp_path / 'out'
  command = (
    f'ulimit -f {blocks}; exec "$0" -m experiments.sweep'
    ' --grid=sine --row=taught --seeds=1 --budget=300'
    ' --checkpoint_seconds=0.3 --out="$1"'
  )
  done = subprocess.run(
    ['bash', '-c', command, sys.executable, str(out)],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 74, done.stderr
  last = done.stderr.splitlines()[-1]
  assert last.startswith('sweep: ') and 'File too large' in last
  assert 'terminate' not in done.stderr and files.names(out) != []


@pytest.mark.parametrize('part', ['', 'records', 'checkpoints', 'nets'])
def test_a_folder_that_goes_while_it_runs(command, tmp_path, capsys, part):
  out = tmp_path / 'out'
  gone = out / part

  def remove(name, arguments):
    if name == 'link' and (out / 'nets').exists():
      shutil.rmtree(gone, ignore_errors=True)

  code = command(out, stepwise(remove, QUICK))
  said = capsys.readouterr().err
  assert code in (0, 73) and 'Traceback' not in said and said.count('\n') <= 1
  assert command(out) == 0
  assert len(ended(out)) == 4


@pytest.mark.parametrize('part', ['records', 'checkpoints', 'nets', 'lock'])
def test_a_part_that_is_something_else(command, tmp_path, capsys, part):
  out = tmp_path / 'out'
  assert command(out) == 0
  for path in (out / part, out / 'plan.json', out / 'report.html'):
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
  if part == 'lock':
    (out / part).mkdir()
  else:
    (out / part).write_bytes(b'x')
  capsys.readouterr()
  code = command(out)
  said = capsys.readouterr().err
  assert code in (0, 2, 73) and 'Traceback' not in said
  assert code == 0 or f'{part}: ' in said or 'no plan.json' in said, said
