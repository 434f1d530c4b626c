"""The files of launch/: what they run is right, and what they do at its end.

Each is run as it stands, with programs of its cluster replaced by ones that
write down what they are asked; what it asks lstm-jax for passes the real
command's --only_check_args. That they work on a real Slurm is in tests/cluster.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests import children

LAUNCH = Path(__file__).parents[2] / 'launch'
SWEEP = ('--grid=paper1997', '--seeds=30', '--length=100')
# A program that notes its name and words, and ends as it is told to.
_STUB = """\
#!/usr/bin/env python3
import json, os, signal, sys, time
name = os.path.basename(sys.argv[0])
def note(*words):
  with open(os.environ['NOTES'], 'a') as file:
    file.write(json.dumps(words) + '\\n')
def stopped(number, frame):
  note('signal', number)
  sys.exit(128 + number)
for number in (signal.SIGTERM, signal.SIGUSR1):
  signal.signal(number, stopped)
note(name, *sys.argv[1:])
if name == 'lstm-jax':
  time.sleep(float(os.environ.get('SLEEP', '0')))
  sys.exit(int(os.environ.get('CODE', '0')))
"""


@pytest.fixture
def stubs(tmp_path):
  """(environment in which a cluster's programs only take notes, the notes)."""
  (tmp_path / 'bin').mkdir()
  for name in ('lstm-jax', 'scontrol', 'xpk', 'dask', 'srun'):
    path = tmp_path / 'bin' / name
    path.write_text(_STUB)
    path.chmod(0o755)
  activate = tmp_path / 'lstm_jax' / 'bin' / 'activate'
  activate.parent.mkdir(parents=True)
  activate.write_text('')
  notes = tmp_path / 'notes'
  environ = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith('SLURM_')
  } | {
    'PATH': f'{tmp_path}/bin:{os.environ["PATH"]}',
    'NOTES': str(notes),
    'HOME': str(tmp_path),
  }
  return environ, notes


def noted(notes):
  return [json.loads(line) for line in notes.read_text().splitlines()]


def run(path, *words, environ):
  return subprocess.run(
    ['bash', str(path), *words], env=environ, capture_output=True, text=True,
    timeout=60,
  )  # fmt: skip


def check(words, out, **environ):
  """Has the real sweep look at words of a launch file."""
  kind, *words = words
  assert kind == 'sweep'
  words = [re.sub(r'--out=.*', f'--out={out}', word) for word in words]
  without_slurm = {
    k: v for k, v in os.environ.items() if not k.startswith('SLURM_')
  }
  children.python(
    '-m',
    'experiments.sweep',
    *words,
    '--only_check_args',
    env=without_slurm | environ,
  )


def containers(document):
  """Each container of a manifest, wherever it stands."""
  if isinstance(document, dict):
    yield from document.get('containers', [])
    for value in document.values():
      yield from containers(value)
  elif isinstance(document, list):
    for value in document:
      yield from containers(value)


ARRAY = {
  'SLURM_JOB_ID': '17', 'SLURM_ARRAY_JOB_ID': '16', 'SLURM_ARRAY_TASK_ID': '3',
  'SLURM_ARRAY_TASK_COUNT': '8', 'SLURM_ARRAY_TASK_MIN': '0',
  'SLURM_ARRAY_TASK_MAX': '7',
}  # fmt: skip


@pytest.mark.parametrize('code', [0, 2, 3, 74, 75, 143])
def test_a_task_of_an_array(stubs, code, tmp_path):
  environ, notes = stubs
  environ |= ARRAY | {'CODE': str(code)}
  words = [*SWEEP, f'--out={tmp_path}/a run']
  done = run(LAUNCH / 'slurm_array.sbatch', *words, environ=environ)
  assert done.returncode == code
  first, *then = noted(notes)
  assert first == ['lstm-jax', 'sweep', *words]
  is_to_come_back = code in (74, 75, 143)
  assert then == [['scontrol', 'requeue', '16_3']] * is_to_come_back
  check(first[1:], tmp_path / 'run', **ARRAY)


def test_a_task_alone_and_one_that_came_back_too_often(stubs):
  environ, notes = stubs
  environ |= {'CODE': '75', 'SLURM_JOB_ID': '17'}
  run(LAUNCH / 'slurm_array.sbatch', environ=environ)
  assert noted(notes)[-1] == ['scontrol', 'requeue', '17']
  notes.unlink()
  environ |= {'SLURM_RESTART_COUNT': '20'}
  run(LAUNCH / 'slurm_array.sbatch', environ=environ)
  assert len(noted(notes)) == 1


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_goes_on_to_the_command(stubs, number):
  environ, notes = stubs
  environ |= ARRAY | {'SLEEP': '60'}
  process = subprocess.Popen(
    ['bash', LAUNCH / 'slurm_array.sbatch', *SWEEP],
    env=environ, stdout=subprocess.DEVNULL,
  )  # fmt: skip
  until = time.monotonic() + 60
  while not notes.exists() or not notes.read_text().endswith('\n'):
    assert time.monotonic() < until
    time.sleep(0.05)
  process.send_signal(number)
  assert process.wait(60) == 128 + number
  assert ['signal', number] in noted(notes)
  came_back = ['scontrol', 'requeue', '16_3'] in noted(notes)
  assert came_back == (number == signal.SIGTERM)


def test_dask_does_not_listen_without_a_key(stubs, tmp_path):
  environ, notes = stubs
  environ['HOME'] = str(tmp_path / 'absent')
  done = run(LAUNCH / 'slurm_dask.sbatch', *SWEEP, environ=environ)
  assert done.returncode == 73 and not notes.exists()
  environ['HOME'] = str(tmp_path)
  (tmp_path / 'bin' / 'openssl').symlink_to('/bin/false')
  done = run(LAUNCH / 'slurm_dask.sbatch', *SWEEP, environ=environ)
  assert done.returncode == 73 and 'has made no key' in done.stderr
  assert not notes.exists()
  assert not list(tmp_path.glob('.lstm_jax_dask_*'))


def test_the_report_of_an_array(stubs, tmp_path):
  environ, notes = stubs
  run(LAUNCH / 'slurm_report.sbatch', 'a run', environ=environ)
  assert noted(notes) == [
    ['lstm-jax', 'status', 'a run'], ['lstm-jax', 'report', 'a run']
  ]  # fmt: skip


def test_an_indexed_job_of_kubernetes(tmp_path):
  manifest = yaml.safe_load(
    (LAUNCH / 'kubernetes_indexed_job.yaml').read_text()
  )
  (container,) = containers(manifest)
  environ = {one['name']: one['value'] for one in container['env']}
  spec = manifest['spec']
  assert int(environ['JOB_COMPLETIONS']) == spec['completions']
  assert spec['parallelism'] == spec['completions']
  command, *words = container['command']
  assert command == 'lstm-jax'
  # No cache of this test is to be under the pod's /runs.
  environ['LSTM_JAX_COMPILE_CACHE'] = str(tmp_path / 'cache')
  check(words, tmp_path / 'run', JOB_COMPLETION_INDEX='3', **environ)


def test_slices_of_tpus_in_kubernetes(tmp_path):
  manifest = yaml.safe_load((LAUNCH / 'kubernetes_jobset_tpu.yaml').read_text())
  (job,) = manifest['spec']['replicatedJobs']
  (container,) = containers(job)
  command, *words = container['command']
  assert command == 'lstm-jax' and '--distributed' in words
  assert f'--shard=$(SLICE)/{job["replicas"]}' in words
  assert 'SLICE' in [one['name'] for one in container['env']]
  words = [word.replace('$(SLICE)', '1') for word in words]
  # The index counts processes of one program, and nobody says how many.
  check(words, tmp_path / 'run', JOB_COMPLETION_INDEX='1')


def test_dask_in_kubernetes(tmp_path):
  text = (LAUNCH / 'dask_kubernetes.yaml').read_text()
  cluster, job, _ = yaml.safe_load_all(text)
  (container,) = containers(job)
  command, *words = container['command']
  assert command == 'lstm-jax'
  name = cluster['metadata']['name']
  assert f'--scheduler=tcp://{name}-scheduler:8786' in words
  check(words, tmp_path / 'run')


def test_skypilot(stubs, tmp_path):
  environ, notes = stubs
  task = yaml.safe_load((LAUNCH / 'skypilot.yaml').read_text())
  (tmp_path / 'run.sh').write_text(task['run'])
  environ |= {'SKYPILOT_NODE_RANK': '1', 'SKYPILOT_NUM_NODES': '2'}
  done = run(tmp_path / 'run.sh', environ=environ)
  assert done.returncode == 0, done.stderr
  ((command, *words),) = noted(notes)
  assert command == 'lstm-jax' and '--shard=1/2' in words
  assert words[-1] == '--out=/runs/part-1'
  check(words, tmp_path / 'run')


def test_xpk(stubs, tmp_path):
  environ, notes = stubs
  words = [*SWEEP, "--out=/runs/a reader's paper"]
  done = run(LAUNCH / 'xpk.sh', *words, environ=environ)
  assert done.returncode and 'name of a cluster of xpk' in done.stderr
  environ |= {'CLUSTER': 'mine', 'IMAGE': 'registry/lstm-jax'}
  done = run(LAUNCH / 'xpk.sh', *words, environ=environ)
  assert done.returncode == 0, done.stderr
  ((command, *asked),) = noted(notes)
  assert [command, *asked[:2]] == ['xpk', 'workload', 'create']
  given = dict(word.removeprefix('--').split('=', 1) for word in asked[2:])
  command, *asked = shlex.split(given['command'])
  assert [command, *asked] == ['lstm-jax', 'sweep', '--distributed', *words]
  check(asked, tmp_path / 'run')


@pytest.mark.parametrize('name', ['Dockerfile', 'apptainer.def'])
def test_an_image_asks_for_extras_that_there_are(name):
  text = (LAUNCH / name).read_text()
  (names,) = re.findall(r'\[([a-z,]+)\]"', text)
  extras = (LAUNCH.parent / 'setup.cfg').read_text()
  extras = extras.partition('[options.extras_require]')[2]
  for extra in names.split(','):
    assert re.search(rf'^{extra} =$', extras, re.MULTILINE), extra
  assert 'lstm_jax-*.whl' in text


def test_all_of_them_are_in_the_page():
  """A file that nobody is told of is of no use, nor one that is missing."""
  page = (LAUNCH.parent / 'docs' / 'clusters.md').read_text()
  there = {path.name for path in LAUNCH.iterdir()}
  assert set(re.findall(r'launch/([\w.]+\w)', page)) == there
