"""A plan in one piece, and what a folder of it in many has to equal."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from lstm_jax.lab.store import results_table, trial_records
from lstm_jax.lab.store.folder import open_folder
from tests.cluster.slurm import ROOT

# Trials that are solved, that are not and that diverge, of four programs; a
# minute or two of a core, so that there is time to interrupt them.
PLAN = (
  '--task=adding --cell=srn,lstm1997 --learner=elman,bptt --length=20'
  ' --learning_rate=0.05,1e-7,1e30 --budget=1000000 --seeds=16'
  ' --set=task.output=linear --set=task.streak=30 --set=task.tolerance=0.25'
  ' --set=task.mean_error=0.2 --checkpoint_seconds=2'
).split()

# The plan of the page's blocks.
PAPER = ('--grid=paper1997', '--seeds=30', '--length=100')


class Piece(NamedTuple):
  """A run of a plan by one process.

  Attributes:
    digest: of its results.
    cpu_seconds: of its process.
    mb: the peak of its memory.
    trials: how many.
  """

  digest: str
  cpu_seconds: float
  mb: float
  trials: int


def in_one_piece(words, out, home):
  """Runs a plan on one core and returns its `Piece`.

  Args:
    words: of the plan.
    out: its folder.
    home: holds what is compiled; empty: everything is.
  """
  log = Path(f'{out}.log')
  with log.open('w') as file:
    process = subprocess.Popen(
      [
        *(sys.executable, '-m', 'experiments.sweep', *words),
        *(f'--out={out}', '--devices=1'),
      ],
      cwd=ROOT, env=environ_of(home), stdout=file, stderr=subprocess.STDOUT,
    )  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
  process.returncode = os.waitstatus_to_exitcode(status)
  assert process.returncode == 0, log.read_text()[-2000:]
  cpu_seconds = used.ru_utime + used.ru_stime
  num_trials = len(open_folder(Path(out)).trials)
  return Piece(digest_of(out), cpu_seconds, used.ru_maxrss / 1e3, num_trials)


def environ_of(home):
  """The environment of a run, with a home folder of its own."""
  environ = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(('XLA_', 'JAX_', 'SLURM_', 'XDG_', 'LSTM_JAX_'))
  }
  Path(home).mkdir(exist_ok=True)
  return environ | {'HOME': str(home), 'PYTHONPATH': str(ROOT)}


def digest_of(out):
  """The digest of a folder's results, of which each trial has one."""
  folder = open_folder(Path(out))
  records, problems = trial_records.read_records(folder)
  assert not problems
  assert len(records) == len(folder.trials), (len(records), len(folder.trials))
  return results_table.results_digest(folder)


def note_cost(name, one, cpu_seconds, seconds):
  """Notes what a plan has cost in parts, beside what it costs in one piece.

  Args:
    name: of the way.
    one: the `Piece`.
    cpu_seconds, seconds: of the parts.
  """
  note(
    f'{name}, {" ".join(PAPER)}',
    trials=one.trials,
    cpu_seconds_of_one_piece=round(one.cpu_seconds, 1),
    mb_of_one_piece=round(one.mb),
    cpu_seconds=round(cpu_seconds, 1),
    ratio=round(cpu_seconds / one.cpu_seconds, 3),
    seconds=round(seconds, 1),
  )


def note(name, **figures):
  """Puts figures of a case into the record that the command makes of them."""
  path = os.environ.get('LSTM_JAX_CLUSTER_RECORD')
  if path:
    cases = json.loads(Path(path).read_text()) if Path(path).exists() else {}
    cases[name] = figures
    Path(path).write_text(json.dumps(cases, indent=1) + '\n')
