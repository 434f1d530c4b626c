"""Processes of one JAX program share a plan and a folder."""

import os
import socket

import jax
import pytest

from lstm_jax.lab.run import distributed
from lstm_jax.lab.store import folder, trial_records
from tests import children

WORDS = (
  '-m', 'experiments.sweep', '--task=adding', '--cell=srn', '--length=4',
  '--learner=elman', '--seeds=5', '--budget=200', '--progress=none',
)  # fmt: skip


def environ(**more):
  clean = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(('XLA_', 'JAX_', 'SLURM_'))
  }
  return clean | {'JAX_PLATFORMS': 'cpu'} | more


@pytest.mark.slow
def test_two_processes_are_one_run(tmp_path):
  """Both end well, and the results are those of a run in one piece."""
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    address = f'127.0.0.1:{free.getsockname()[1]}'
  both, whole = tmp_path / 'both', tmp_path / 'whole'
  processes = [
    children.start(
      *WORDS,
      '--distributed',
      f'--out={both}',
      env=environ(
        JAX_COORDINATOR_ADDRESS=address,
        JAX_NUM_PROCESSES='2',
        JAX_PROCESS_ID=str(i),
      ),
    )
    for i in (0, 1)
  ]
  for i, process in enumerate(processes):
    done = children.ended(process)
    first_line = done.stdout.splitlines()[0]
    assert first_line.startswith(f'--shard={i}/2 (process {i} of 2 of JAX) on ')
  children.python(*WORDS, f'--out={whole}', env=environ())
  records, others = (
    {
      name: (record['status'], record['metrics'], record['curves'])
      for name, record in trial_records.read_records(folder.open_folder(out))[
        0
      ].items()
    }
    for out in (both, whole)
  )
  assert records == others and len(records) == 5


def test_a_program_of_nobody_is_a_line():
  done = children.python(
    *WORDS, '--distributed', '--out=never', env=environ(), returns=2
  )
  (line,) = done.stderr.splitlines()
  assert line.startswith('sweep: --distributed: JAX does not find its ')
  assert 'JAX_COORDINATOR_ADDRESS=HOST:PORT' in line


@pytest.mark.parametrize(
  'shard, reason, expected',
  [
    ((0, 1), '', (2, 3)),
    ((1, 2), 'SLURM_ARRAY_TASK_ID=1 of 0-1', (5, 6)),
    ((0, 2), '--shard', (0, 2)),
  ],
)
def test_the_part_of_a_process(shard, reason, expected, monkeypatch):
  """Each array task may be a program; what the user says is the last word."""
  monkeypatch.setattr(jax, 'process_count', lambda: 3)
  monkeypatch.setattr(jax, 'process_index', lambda: 2)
  found, said = distributed.part_of_process(shard, reason)
  assert found == expected
  assert said.startswith(reason)
  assert ('process 2 of 3 of JAX' in said) == (reason != '--shard')
