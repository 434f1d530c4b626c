"""The soak sees what it is there to see: faults planted on purpose."""

import json
import subprocess
import sys

import pytest

from tests.children import ROOT

# What a checkpoint holds comes back a little wrong.
CHECKPOINTS = """
from lstm_jax.lab.store import checkpoints
load = checkpoints.load
def wrong(folder):
  found, problems = load(folder)
  for _, _, arrays in found:
    for name, array in arrays.items():
      if array.dtype.kind == 'f' and array.ndim:
        arrays[name] = array * 1.25
  return found, problems
checkpoints.load = wrong
"""
# The seal of a record is not looked at.
SEALS = """
import json
from lstm_jax.lab.store import seal
seal.unseal_json = lambda kind, data, *more: json.loads(data)['content']
"""


def soak(tmp_path, planted, *argv):
  """Runs the soak in a process of its own; returns its code and figures."""
  record = tmp_path / 'soak.json'
  code = f'{planted}\nimport sys\nfrom tests import soak\n'
  code += 'sys.exit(soak.main(sys.argv[1:]))'
  done = subprocess.run(
    [sys.executable, '-c', code, f'--record={record}', *argv],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert record.exists(), done.stderr
  return done, json.loads(record.read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
  ('planted', 'faults'),
  [(CHECKPOINTS, 'kill,term'), (SEALS, 'flip_records')],
)
def test_a_planted_fault_is_seen(tmp_path, planted, faults):
  argv = ['--minutes=4', '--plans=rtrl', '--seed=3', f'--faults={faults}']
  done, figures = soak(tmp_path, planted, *argv)
  assert done.returncode == 1, done.stdout + done.stderr
  assert figures['wrong']
  assert f'--seed=3 --folder={figures["folders"]}' in done.stdout


@pytest.mark.slow
def test_without_one_a_folder_is_like_the_undisturbed_one(tmp_path):
  argv = ['--folder=0', '--plans=rtrl', '--seed=0']
  done, figures = soak(tmp_path, '', *argv)
  assert done.returncode == 0, done.stdout + done.stderr
  assert figures['folders'] == 1 and not figures['wrong']
  assert figures['faults'] and figures['runs'] > 2
