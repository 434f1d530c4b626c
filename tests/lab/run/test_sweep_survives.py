"""Real processes, really killed: the sweep ends with the same results.

A plan of two programs and sixteen trials, some solved, some not, some diverged.
What the compiler made is kept from one process to the next, as on a machine
that sets JAX_COMPILATION_CACHE_DIR; some processes get a damaged copy of it and
must compile.

What needs the whole run that nothing has disturbed is slow. Of the rest, locks
are also held by processes of `tests/lab/store/test_lock.py`, networks along the
way and a stop within one process by `test_in_python.py`, leftovers and bits by
`tests/soak.py`.
"""

import csv
import hashlib
import os
import random
import shutil
import signal
from pathlib import Path
from typing import NamedTuple

import jax
import pytest

from experiments import sweep
from lstm_jax.lab.store import (
  checkpoints,
  lock,
  nets,
  result_columns,
  results_table,
  trial_records,
)
from lstm_jax.lab.store.folder import open_folder
from tests import children
from tests.older_records import as_files, ended

PLAN = (
  '--task=adding --cell=srn --learner=elman,bptt --length=10'
  ' --learning_rate=0.05,1e30 --budget=40000'
  ' --set=task.output=linear --set=task.streak=30 --set=task.tolerance=0.25'
  ' --set=task.mean_error=0.2'
).split()
TRIALS = 16
# Long under way, and soon compiled.
LONG = (
  '--task=adding --cell=srn --learner=elman --length=10 --learning_rate=1e-9'
  ' --set=learner.optimizer=sgd --seeds=2 --budget=300000 --devices=1'
).split()
KILLS = 4


class Place(NamedTuple):
  """Where the processes of this file work."""

  root: Path
  caches: tuple  # compilation caches: whole, damaged

  def words(self, out, *extra, seeds=4):
    return self.words_of((*PLAN, f'--seeds={seeds}', *extra), out)

  def words_of(self, plan, out):
    return [
      *('-m', 'experiments.sweep', *plan, f'--out={out}'),
      *('--checkpoint_seconds=0.3', '--progress=none'),
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
    return children.start(*self.words(out, *extra), env=self.environ(damaged))

  def start_long(self, out):
    # As in this process, which goes on with it.
    is_quick = jax.config.values['jax_disable_most_optimizations']
    environ = self.environ() | {
      'JAX_DISABLE_MOST_OPTIMIZATIONS': str(is_quick).lower()
    }
    return children.start(*self.words_of(LONG, out), env=environ)

  def run(self, out, *extra, seeds=4, returns=0, **environ):
    words = self.words(out, *extra, seeds=seeds)
    return children.python(
      *words, env=self.environ() | environ, returns=returns
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
  place.run(place.root / 'reference', PYTHONPATH='')  # with figures
  shutil.copytree(*place.caches)
  flipped, cut = list(place.caches[1].glob('jit_advance*-cache'))[:2]
  missing = next(place.caches[1].glob('jit_[!a]*-cache'))
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
    children.await_that(process, lambda: under_way(out))
    process.send_signal(signal.SIGTERM)
    children.ended(process, returns=143)
  return out


def under_way(out):
  """The trials that the folder's checkpoints hold."""
  if not any(out.glob('checkpoints/state.*')):  # soon said, and often asked
    return set()
  held, _ = checkpoints.load(open_folder(out))
  programs = [
    trials for _, meta, _ in held for trials in meta['programs'].values()
  ]
  return {name for trials in programs for name, _ in trials}


def loads_jax(process):
  return children.has_loaded(process, 'jaxlib')


def holds_lock(process, out):
  lock = out / 'lock'
  return lock.exists() and f'"pid": {process.pid},' in lock.read_text()


def table(out):
  """The result columns of results.csv, as text."""
  with open(out / 'results.csv', newline='') as file:
    return [
      [row[name] for name in result_columns.RESULT_COLUMNS]
      for row in csv.DictReader(file)
    ]


def assert_same_results(out, reference):
  assert len(table(out)) == TRIALS
  assert table(out) == table(reference)
  folders = [open_folder(path) for path in (out, reference)]
  assert results_table.results_digest(
    folders[0]
  ) == results_table.results_digest(folders[1])
  left = [p for p in out.rglob('*') if '.tmp' in p.name or '.bad' in p.name]
  assert left == []
  # Of trials that a larger budget would go on with, and of nothing else.
  states = [path.name for path in (out / 'checkpoints').iterdir()]
  assert all(name.startswith('spent') for name in states)


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
  saved = out / 'checkpoints'
  states = [*saved.iterdir()] if saved.is_dir() else []
  return {*ended(out), *(path.name for path in states)}


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
  records, problems = trial_records.read_records(folder)
  assert problems == []
  return seen | {
    name: r['metrics']['sequences_seen'] for name, r in records.items()
  }


def await_change(process, out, before=frozenset(), number=1):
  """Waits until so much is new in the folder, or the process ends."""
  children.await_that(process, lambda: len(progress(out) - before) >= number)


def stopped(process, *returns):
  """What a process printed that ends with one of these exit codes."""
  done = children.ended(process, returns=None)
  said = done.stdout + done.stderr
  assert done.returncode in returns, said
  return said


@pytest.mark.slow
def test_the_plan_has_every_kind_of_end(reference):
  status = result_columns.RESULT_COLUMNS.index('status')
  ends = [row[status] for row in table(reference)]
  assert set(ends) == {'solved', 'budget', 'diverged'}
  assert ends.count('diverged') == 8


@pytest.mark.slow
def test_trials_keep_curves_and_the_first_of_a_row_its_networks(reference):
  opened = open_folder(reference)
  records, _ = trial_records.read_records(opened)
  first = {}
  for name, setting in opened.trials.items():
    curves = records[name]['curves']
    seen = curves['sequences']
    shown = records[name]['metrics']['sequences_seen']
    # The sequence at which a trial diverged has no finite error.
    diverged = records[name]['status'] == 'diverged'
    assert shown - diverged <= seen[-1] <= shown
    assert len(seen) == len(curves['train_right']) <= 200
    way = [n for n, _ in nets.load_way(opened, name)]
    if first.setdefault(setting.row, name) == name:
      assert way[0] == 0 and way[-1] == shown and 2 <= len(way) <= 10
    else:
      assert way == []
  lines = (reference / 'curves.csv').read_text().splitlines()
  assert lines[0] == 'trial,epoch,sequences,train_error,train_right'
  points = [len(one['curves']['sequences']) for one in records.values()]
  assert len(lines) == 1 + sum(points)


@pytest.mark.slow
def test_killed_again_and_again(place, reference):
  """SIGKILL while starting, compiling, training and saving."""
  rng = random.Random(1)
  out = place.root / 'killed'
  kills, states, safe = 0, [], {}
  for attempt in range(KILLS):
    there, sealed = progress(out), contents(out / 'records')
    process = place.start(out, damaged=attempt in (1, 4))
    if attempt == 0:  # while it imports
      children.await_that(process, lambda p=process: loads_jax(p))
    elif attempt == 1:  # as its work begins
      children.await_that(process, lambda p=process: holds_lock(p, out))
    else:
      await_change(process, out, there, number=rng.choice([1, 2, 3]))
    process.kill()
    _, errors = process.communicate()
    kills += process.returncode == -signal.SIGKILL
    assert 'Traceback' not in errors
    now = contents(out / 'records')
    assert {name: now[name] for name in sealed} == sealed
    states.append(frozenset(progress(out)))
    before, safe = safe, shown(out)
    assert all(safe[name] >= count for name, count in before.items())
  assert kills >= KILLS - 2 and len(set(states)) >= 2, states
  sealed = contents(out / 'records')
  place.run(out)
  now = contents(out / 'records')
  assert {name: now[name] for name in sealed} == sealed
  assert_same_results(out, reference)


@pytest.mark.slow
def test_signals_stop_and_save(place, reference):
  out = place.root / 'signalled'
  # Again and again, while JAX is being imported: it leaves where it stands, if
  # need be while the interpreter does.
  process = place.start(out)
  assert process.stdout.readline() and process.stdout.readline()
  children.await_that(process, lambda: process.send_signal(signal.SIGINT))
  said = stopped(process, 130, -signal.SIGINT)
  assert 'Traceback' not in said
  assert not out.exists()
  # Once, before anything has begun.
  process = place.start(out)
  assert process.stdout.readline() and process.stdout.readline()
  process.send_signal(signal.SIGTERM)
  said = stopped(process, 143)
  assert f'Stopped with {TRIALS} trials to go' in said
  # As its work begins, which is to compile: this one has a damaged cache.
  process = place.start(out, damaged=True)
  children.await_that(process, lambda: holds_lock(process, out))
  process.send_signal(signal.SIGUSR1)
  said = stopped(process, 75)
  assert 'Stopped with' in said and 'Traceback' not in said
  # While it trains.
  for number, want in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
    before = progress(out)
    process = place.start(out)
    await_change(process, out, before)
    process.send_signal(number)
    said = stopped(process, want)
    assert 'The same command continues' in said and 'Traceback' not in said
    # What had begun may just have ended, and then leaves no checkpoint.
    assert f'Stopped with {TRIALS - len(ended(out))} trials to go' in said
  place.run(out)
  assert_same_results(out, reference)


@pytest.mark.slow
def test_a_finished_run_is_only_shown(place, reference):
  before = contents(reference)
  drawn = {name: before.pop(name) for name in list(before) if 'figures' in name}
  code = (
    'import sys\n'
    'from experiments import sweep\n'
    f'code = sweep.main({["sweep", *place.words(reference)[2:]]!r})\n'
    'assert "jax" not in sys.modules and "optax" not in sys.modules\n'
    'sys.exit(code)'
  )
  done = children.python('-c', code)
  assert 'Nothing left to do' in done.stdout
  now = contents(reference)
  assert drawn and all(now.pop(name)[2] == drawn[name][2] for name in drawn)
  assert now == before


@pytest.mark.slow
def test_a_kill_after_the_last_record_leaves_nothing(place, reference, begun):
  out = place.root / 'ended'
  shutil.copytree(reference, out)
  shutil.copytree(
    begun / 'checkpoints', out / 'checkpoints', dirs_exist_ok=True
  )
  assert list((out / 'checkpoints').iterdir())
  assert 'Nothing left to do' in place.run(out).stdout
  assert_same_results(out, reference)


@pytest.mark.slow
def test_a_stop_as_the_last_trial_ends_leaves_nothing(place, reference):
  """The signal comes when all is recorded, before the run looks for it."""
  out = place.root / 'late'
  shutil.copytree(reference, out)
  # One trial is left to do, of one program.
  status = result_columns.RESULT_COLUMNS.index('status')
  *_, last = (row for row in table(reference) if row[status] == 'diverged')
  (as_files(out) / 'records' / f'{last[0]}.json').unlink()
  code = (
    'import os, signal, sys\n'
    'from experiments import sweep\n'
    'from lstm_jax.lab.run import recorder\n'
    'say_work = recorder.RunState.say_work\n'
    'def late(state):\n'
    '  say_work(state)\n'
    '  os.kill(os.getpid(), signal.SIGTERM)\n'
    'recorder.RunState.say_work = late\n'
    f'sys.exit(sweep.main({["sweep", *place.words(out)[2:]]!r}))'
  )
  done = children.python('-c', code, env=place.environ(), returns=143)
  assert 'Stopped with 0 trials to go' in done.stdout
  assert_same_results(out, reference)


@pytest.mark.slow
def test_shards_share_a_folder(place, reference):
  out = place.root / 'shards'
  processes = [place.start(out, f'--shard={i}/2') for i in range(2)]
  for process in processes:
    children.ended(process)
  assert_same_results(out, reference)


@pytest.mark.slow
def test_a_changed_setting_is_refused(place, begun):
  before = contents(begun)
  done = place.run(begun, '--hidden=3', returns=2)
  assert 'cell.hidden: ' in done.stderr
  assert ' in the folder, 3 asked for' in done.stderr
  flags = '--xla_cpu_prefer_vector_width=128'
  done = place.run(begun, XLA_FLAGS=flags, returns=2)
  assert 'xla_flags' in done.stderr
  assert contents(begun) == before


@pytest.mark.usefixtures('undrawn')
def test_a_run_goes_on_from_its_checkpoint(place):
  """A checkpoint that says "one more sequence" is taken at its word."""
  out = place.root / 'long'
  process = place.start_long(out)
  children.await_that(process, lambda: under_way(out))
  process.send_signal(signal.SIGTERM)
  said = stopped(process, 143)
  assert 'Stopped with 2 trials to go' in said and 'Traceback' not in said
  assert 'The same command continues' in said
  folder = open_folder(out)
  ((name, meta, arrays),), problems = checkpoints.load(folder)
  assert problems == []
  want = {}
  for program, trials in meta['programs'].items():
    seen = arrays[f'{program}/seen']
    assert (seen > 0).all()
    arrays[f'{program}/budget'] = seen + 1
    want |= {one: n + 1 for (one, _), n in zip(trials, seen, strict=True)}
  checkpoints.save(folder, name, arrays, meta)
  # By this process, which has loaded all that it takes.
  assert sweep.main(place.words_of(LONG, out)[1:]) == 0
  assert len(want) == 2 and shown(out) == want


@pytest.mark.slow
def test_a_second_process_says_who_is_there(place, begun):
  out = place.root / 'taken'
  shutil.copytree(begun, out)
  with lock.lock(open_folder(out)):
    second = place.run(out, returns=75)
  assert f'in use by process {os.getpid()} on ' in second.stderr
  assert 'Traceback' not in second.stderr
