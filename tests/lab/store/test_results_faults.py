"""Whatever interrupts a sweep, running it again ends in the same table."""

import errno
import os

import pytest

from lstm_jax.lab.store import faults, files, trial_records
from lstm_jax.lab.store.folder import open_folder
from tests import children, fake_sweep
from tests.fake_sweep import (
  QUICK,
  Died,
  hidden,
  make_plan,
  stepwise,
  sweep,
  table,
)


def stop_at(k, error):
  """A disk that fails from its step k on: dead, or with an OSError once."""
  count = 0

  def before(name, arguments):
    nonlocal count
    count += 1
    if count == k or (count > k and error is Died):
      raise error() if error is Died else OSError(error, os.strerror(error))

  return stepwise(before, QUICK)


def child(*arguments, prelude='pass', returns=0):
  """A sweep in a process of its own, which runs `prelude` first.

  Not by `preexec_fn`: it would fork, of which JAX warns.
  """
  code = (
    f'import resource, runpy; {prelude}; '
    'runpy.run_module("tests.fake_sweep", run_name="__main__", alter_sys=True)'
  )
  return children.python('-c', code, *arguments, returns=returns)


@pytest.fixture(scope='module')
def clean(tmp_path_factory):
  """A sweep nothing happened to: its folder and how many steps it took."""
  path = tmp_path_factory.mktemp('clean') / 'run'
  steps = []
  sweep(path, stepwise(lambda *s: steps.append(s), QUICK))
  assert {name for name, _ in steps} == set(files.Disk._fields)
  assert len(table(path).splitlines()) == 4
  return path, len(steps)


def test_death_at_every_step(clean, tmp_path, request):
  reference, steps = clean
  announced = []
  # Of the three trials, which take the same steps, other ones each.
  apart = 1 if request.config.getoption('--all') else 2
  for k in range(1, steps + 1, apart):
    path = tmp_path / f'{k}'
    announced.clear()
    try:
      sweep(path, stop_at(k, Died), announce=announced.append)
    except Died:
      pass
    done = [word for word in announced if word != 'chunk']
    if done:
      assert (
        set(done) <= trial_records.read_records(open_folder(path))[0].keys()
      )
    again = []
    sweep(path, QUICK, announce=again.append)
    assert table(path) == table(reference), k
    assert hidden(path) == [], k
    # What was announced is not done again, and one chunk at most is lost.
    assert not set(done) & set(again), k
    total = announced.count('chunk') + again.count('chunk')
    assert total <= 3 * fake_sweep.CHUNKS + 1, k


@pytest.mark.parametrize(
  'code', [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO]
)
def test_full_disk_at_every_step(clean, tmp_path, code, request):
  reference, steps = clean
  stopped = 0
  # Every code takes another path through nothing but the message: thin out.
  every = 1 if code == errno.ENOSPC else 7
  every *= 1 if request.config.getoption('--all') else 2
  for k in range(1, steps + 1, every):
    path = tmp_path / f'{k}'
    try:
      sweep(path, stop_at(k, code))
    except faults.StorageError as error:
      stopped += 1
      assert error.exit_code == 74
      assert str(tmp_path) in str(error) and os.strerror(code) in str(error)
    sweep(path, QUICK)
    assert table(path) == table(reference), k
    assert hidden(path) == [], k
  # The others were steps of the log or of a lock's text, which may fail.
  assert stopped >= len(range(1, steps + 1, every)) - 3


def test_short_writes(clean, tmp_path):
  one_byte = QUICK._replace(write=lambda fd, data: os.write(fd, data[:1]))
  sweep(tmp_path / 'run', one_byte)
  assert table(tmp_path / 'run') == table(clean[0])


def test_file_system_without_hard_links(clean, tmp_path):
  def refuse(source, target):
    raise OSError(errno.EPERM, 'no hard links here')

  disk = QUICK._replace(link=refuse)
  folder = sweep(tmp_path / 'run', disk)
  assert table(tmp_path / 'run') == table(clean[0])
  with pytest.raises(FileExistsError):
    files.publish(folder.path / 'plan.json', b'', disk=disk)


def test_file_size_limit(clean, tmp_path):
  """The kernel's own refusal, not a simulated one."""
  path = tmp_path / 'run'
  plan = (clean[0] / 'plan.json').stat().st_size
  # The module's plan has 40 trials, far over the limit.
  ended = child(
    path,
    prelude='resource.setrlimit('
    f'resource.RLIMIT_FSIZE, ({plan // 2}, {plan // 2}))',
    returns=None,
  )
  assert ended.returncode and 'StorageError' in ended.stderr
  assert not (path / 'plan.json').exists() and hidden(path) == []
  child(path)
  assert len(table(path).splitlines()) == 41


@pytest.mark.slow  # deaths at every step are above, kills in tests/soak.py
def test_kill_loop(tmp_path):
  kills, seed = 30, 20261121
  ended = child(tmp_path / 'run', '--kill', kills, seed)
  computed, needed, states = map(int, ended.stdout.split())
  print(f'seed {seed}: {computed} of {needed} chunks, {states} states')
  assert needed <= computed <= needed + kills
  assert states >= 5
  assert hidden(tmp_path) == []
  plan = make_plan(trials=2 + kills // 2)
  sweep(tmp_path / 'clean', QUICK, plan)
  assert table(tmp_path / 'run') == table(tmp_path / 'clean')


def test_finished_run_is_left_alone(clean):
  path, _ = clean
  look = lambda: {
    p: (p.stat().st_mtime_ns, p.read_bytes())
    for p in path.rglob('*')
    if p.is_file() and p.name not in ('log', 'lock')
  }
  before = look()
  chunks = []
  sweep(path, announce=chunks.append)
  assert look() == before and chunks == []
