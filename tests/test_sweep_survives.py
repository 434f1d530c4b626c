"""Real processes, really killed: the sweep ends with the same results.

A plan of two programs and sixteen trials, some solved, some not, some diverged.
What the compiler made is kept from one process to the next, as on a machine
that sets JAX_COMPILATION_CACHE_DIR; some processes get a damaged copy of it and
must compile.
"""

import csv
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from lstm_jax import results
from lstm_jax.store import checkpoints
from lstm_jax.store.folder import open_folder
from lstm_jax.trial import RUNNING

ROOT = Path(__file__).parent.parent
PLAN = (
  '--task=adding --cell=srn --learner=elman,bptt --length=10,30'
  ' --learning_rate=0.05,1e30 --budget=80000'
  ' --set=task.output=linear --set=task.streak=40 --set=task.tolerance=0.25'
  ' --set=task.mean_error=0.2'
).split()
TRIALS = 16
# Stopped, done, or stopped while the interpreter was leaving.
OVER = (143, 0, -signal.SIGTERM)
KILLS = 4
# Longer than anything here takes, so that nothing waits for ever.
PATIENCE = 600


class Place(NamedTuple):
  """Where the processes of this file work."""

  root: Path
  caches: tuple  # compilation caches: whole, damaged

  def command(self, out, *extra, seeds=2):
    return [
      sys.executable,
      *('-m', 'experiments.sweep', *PLAN, f'--seeds={seeds}', f'--out={out}'),
      *('--checkpoint_seconds=0.3', '--progress=none', *extra),
    ]

  def environ(self, damaged=False):
    """The environment of a process: nobody's flags, one of the caches."""
    kept = {
      name: value
      for name, value in os.environ.items()
      if not name.startswith(('XLA_', 'JAX_', 'SLURM_'))
    }
    return kept | {
      # Without matplotlib: figures are drawn in tests of their own.
      'PYTHONPATH': str(self.root / 'hidden'),
      'JAX_COMPILATION_CACHE_DIR': str(self.caches[damaged]),
      'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
      'JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES': '-1',
    }

  def start(self, out, *extra, damaged=False):
    return subprocess.Popen(
      self.command(out, *extra),
      cwd=ROOT,
      env=self.environ(damaged),
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )

  def run(self, out, *extra, seeds=2, **environ):
    return subprocess.run(
      self.command(out, *extra, seeds=seeds),
      cwd=ROOT,
      env=self.environ() | environ,
      capture_output=True,
      text=True,
      timeout=PATIENCE,
    )


@pytest.fixture(scope='module')
def place(tmp_path_factory):
  root = tmp_path_factory.mktemp('sweep')
  (root / 'hidden').mkdir()
  (root / 'hidden' / 'matplotlib.py').write_text('raise ImportError')
  return Place(root, (root / 'cache', root / 'damaged'))


@pytest.fixture(scope='module')
def reference(place):
  """The folder of a run that nothing has disturbed."""
  done = place.run(place.root / 'reference', PYTHONPATH='')  # with figures
  assert done.returncode == 0, done.stderr
  shutil.copytree(*place.caches)
  flipped, cut, missing = list(place.caches[1].glob('jit_advance*-cache'))[:3]
  data = bytearray(flipped.read_bytes())
  data[len(data) // 2] ^= 0x10
  flipped.write_bytes(data)
  cut.write_bytes(cut.read_bytes()[:-1000])
  missing.unlink()
  return place.root / 'reference'


@pytest.fixture(scope='module')
def begun(place, reference):
  """The folder of a run that was stopped with trials under way."""
  del reference  # the caches are full
  out = place.root / 'begun'
  # A stop that comes while all that has begun has ended leaves none.
  while not under_way(out):
    process = place.start(out)
    await_that(lambda p=process: p.poll() is not None or under_way(out))
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 143
    process.communicate()
  return out


def under_way(out):
  """The trials that the folder's checkpoints hold."""
  if not (out / 'plan.json').exists():
    return set()
  held, _ = checkpoints.load(open_folder(out))
  programs = [
    trials for _, meta, _ in held for trials in meta['programs'].values()
  ]
  return {name for trials in programs for name, _ in trials}


def table(out):
  """The result columns of results.csv, as text."""
  with open(out / 'results.csv', newline='') as file:
    return [
      [row[name] for name in results.RESULT_COLUMNS]
      for row in csv.DictReader(file)
    ]


def assert_same_results(out, reference):
  assert len(table(out)) == TRIALS
  assert table(out) == table(reference)
  folders = [open_folder(path) for path in (out, reference)]
  assert results.results_digest(folders[0]) == results.results_digest(
    folders[1]
  )
  left = [p for p in out.rglob('*') if '.tmp' in p.name or '.bad' in p.name]
  assert left == [] and list((out / 'checkpoints').iterdir()) == []


def contents(path):
  """Name -> (inode, time of change, hash) of the files below a folder."""
  return {
    str(file.relative_to(path)): (
      file.stat().st_ino,
      file.stat().st_mtime_ns,
      hashlib.sha256(file.read_bytes()).hexdigest(),
    )
    for file in path.rglob('[!.]*')
    if file.is_file()
  }


def progress(out):
  """Names of what a run has sealed so far."""
  return {
    path.name
    for place in ('records', 'checkpoints')
    if (out / place).is_dir()
    for path in (out / place).iterdir()
  }


def shown(out):
  """Trial -> training sequences that are safe in a record or checkpoint."""
  if not (out / 'plan.json').exists():
    return {}
  folder = open_folder(out)
  found, problems = checkpoints.load(folder)
  assert problems == []
  seen = {}
  for _, meta, arrays in found:
    for program, trials in meta['programs'].items():
      names = [name for name, _ in trials]
      counts = arrays[f'{program}/seen'].tolist()
      seen |= dict(zip(names, counts, strict=True))
  records, problems = results.read_records(folder)
  assert problems == []
  return seen | {name: r['sequences_seen'] for name, r in records.items()}


def await_change(process, out, before=frozenset(), at_most=float('inf')):
  """Waits until something new stands in the folder, or the process ends.

  `at_most` seconds from now on it does not matter any more.
  """
  end = time.monotonic() + at_most
  await_that(
    lambda: (
      process.poll() is not None
      or progress(out) - before
      or time.monotonic() > end
    )
  )


def await_that(holds):
  end = time.monotonic() + PATIENCE
  while not holds():
    assert time.monotonic() < end, 'nothing happens'
    time.sleep(0.002)


def stopped(process):
  """`(exit code, what it printed)`, which must come within ten seconds."""
  out, err = process.communicate(timeout=10)
  return process.returncode, out + err


def test_the_plan_has_every_kind_of_end(reference):
  status = results.RESULT_COLUMNS.index('status')
  ends = [row[status] for row in table(reference)]
  assert set(ends) == {'solved', 'budget', 'diverged'}
  assert ends.count('diverged') == 8


def test_killed_again_and_again(place, reference):
  """SIGKILL while starting, compiling, training and saving."""
  seed = random.SystemRandom().randrange(10**6)
  print('seed', seed)
  rng = random.Random(seed)
  out = place.root / 'killed'
  kills, states, safe = 0, [], {}
  for attempt in range(KILLS):
    there, sealed = progress(out), contents(out / 'records')
    process = place.start(out, damaged=attempt in (1, 4))
    if attempt < 2:  # wherever it is by then: imports, plan, compiler
      # A fast machine has sealed something, or has ended, before that.
      await_change(process, out, there, rng.uniform(0.3, 4))
    else:
      await_change(process, out, there)
      time.sleep(rng.choice([0, rng.uniform(0, 0.5)]))
    process.kill()
    _, errors = process.communicate()
    kills += process.returncode == -signal.SIGKILL
    assert 'Traceback' not in errors
    now = contents(out / 'records')
    assert {name: now[name] for name in sealed} == sealed
    states.append(frozenset(progress(out)))
    before, safe = safe, shown(out)
    assert all(safe[name] >= count for name, count in before.items())
  assert kills >= KILLS - 2 and len(set(states)) >= 3, states
  sealed = contents(out / 'records')
  done = place.run(out)
  assert done.returncode == 0, done.stderr
  now = contents(out / 'records')
  assert {name: now[name] for name in sealed} == sealed
  assert_same_results(out, reference)


def test_signals_stop_and_save(place, reference):
  out = place.root / 'signalled'
  # Twice at once, while JAX is being imported: it leaves where it stands.
  process = place.start(out)
  assert process.stdout.readline() and process.stdout.readline()
  process.send_signal(signal.SIGINT)
  time.sleep(0.1)
  process.send_signal(signal.SIGINT)
  code, said = stopped(process)
  assert code == 130 and 'Stopped' not in said and 'Traceback' not in said
  assert not out.exists()
  # Once, before anything has begun.
  process = place.start(out)
  assert process.stdout.readline() and process.stdout.readline()
  process.send_signal(signal.SIGTERM)
  code, said = stopped(process)
  assert code == 143 and f'Stopped with {TRIALS} trials to go' in said
  # While it compiles: this process has a damaged cache.
  process = place.start(out, damaged=True)
  assert process.stdout.readline() and process.stdout.readline()
  time.sleep(2.5)
  process.send_signal(signal.SIGUSR1)
  code, said = stopped(process)
  assert code == 75 and 'Stopped with' in said and 'Traceback' not in said
  # While it trains.
  for number, want in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
    before = progress(out)
    process = place.start(out)
    await_change(process, out, before)
    process.send_signal(number)
    code, said = stopped(process)
    assert code == want, said
    assert 'The same command continues' in said and 'Traceback' not in said
    assert list((out / 'checkpoints').iterdir())
  done = place.run(out)
  assert done.returncode == 0, done.stderr
  assert_same_results(out, reference)


def test_a_finished_run_is_only_shown(place, reference):
  before = contents(reference)
  drawn = {name: before.pop(name) for name in list(before) if 'figures' in name}
  code = (
    'import sys\n'
    'from experiments import sweep\n'
    f'code = sweep.main({["sweep", *place.command(reference)[3:]]!r})\n'
    'assert "jax" not in sys.modules and "optax" not in sys.modules\n'
    'sys.exit(code)'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  assert 'Nothing left to do' in done.stdout
  now = contents(reference)
  assert drawn and all(now.pop(name)[2] == drawn[name][2] for name in drawn)
  assert now == before


def test_a_kill_after_the_last_record_leaves_nothing(place, reference, begun):
  out = place.root / 'ended'
  shutil.copytree(reference, out)
  shutil.copytree(
    begun / 'checkpoints', out / 'checkpoints', dirs_exist_ok=True
  )
  assert list((out / 'checkpoints').iterdir())
  done = place.run(out)
  assert done.returncode == 0 and 'Nothing left to do' in done.stdout
  assert_same_results(out, reference)


def test_a_stop_as_the_last_trial_ends_leaves_nothing(place, reference, begun):
  """The signal comes when all is recorded, before the run looks for it."""
  out = place.root / 'late'
  shutil.copytree(begun, out)
  code = (
    'import os, signal, sys\n'
    'from experiments import run_state, sweep\n'
    'say_work = run_state.RunState.say_work\n'
    'def late(state):\n'
    '  say_work(state)\n'
    '  os.kill(os.getpid(), signal.SIGTERM)\n'
    'run_state.RunState.say_work = late\n'
    f'sys.exit(sweep.main({["sweep", *place.command(out)[3:]]!r}))'
  )
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=ROOT,
    env=place.environ(),
    capture_output=True,
    text=True,
  )
  assert done.returncode == 143, done.stderr
  assert 'Stopped with 0 trials to go' in done.stdout
  assert_same_results(out, reference)


def test_shards_share_a_folder(place, reference):
  out = place.root / 'shards'
  processes = [place.start(out, f'--shard={i}/2') for i in range(2)]
  for process in processes:
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
  assert_same_results(out, reference)


def test_a_changed_setting_is_refused(place, begun):
  before = contents(begun)
  done = place.run(begun, seeds=3)
  assert done.returncode == 2
  assert 'seed: [0,1] in the folder, [0,1,2] asked for' in done.stderr
  done = place.run(begun, XLA_FLAGS='--xla_cpu_prefer_vector_width=128')
  assert done.returncode == 2 and 'xla_flags' in done.stderr
  assert contents(begun) == before


def test_a_run_goes_on_from_its_checkpoint(place, begun):
  """A checkpoint that says "one more sequence" is taken at its word."""
  out = place.root / 'edited'
  shutil.copytree(begun, out)
  folder = open_folder(out)
  ((name, meta, arrays),), problems = checkpoints.load(folder)
  assert problems == []
  want = {}
  for program, trials in meta['programs'].items():
    seen = arrays[f'{program}/seen']
    assert (seen > 0).all()
    arrays[f'{program}/budget'] = seen + 1
    # A trial that had just ended has its end in the checkpoint.
    more = seen + (arrays[f'{program}/status'] == RUNNING)
    want |= {one: n for (one, _), n in zip(trials, more, strict=True)}
  checkpoints.save(folder, name, arrays, meta)
  process = place.start(out)
  await_that(lambda: process.poll() is not None or want.keys() <= ended(out))
  process.send_signal(signal.SIGTERM)
  assert stopped(process)[0] in OVER
  assert want and {one: shown(out)[one] for one in want} == want


def ended(out):
  return {path.stem for path in (out / 'records').glob('[!.]*.json')}


def test_a_second_process_says_who_is_there(place, begun):
  out = place.root / 'taken'
  shutil.copytree(begun, out)
  first = place.start(out)
  await_that(lambda: f'"pid": {first.pid},' in (out / 'lock').read_text())
  second = place.run(out)
  assert second.returncode == 75
  assert f'in use by process {first.pid} on ' in second.stderr
  assert 'Traceback' not in second.stderr
  first.send_signal(signal.SIGTERM)
  assert stopped(first)[0] in OVER
