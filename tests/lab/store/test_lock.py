"""Who works on a run folder, and what the dead leave behind."""

import os
import subprocess

import pytest

from lstm_jax.lab.store import faults, files, trial_records
from lstm_jax.lab.store.folder import create_or_open, note, open_folder
from lstm_jax.lab.store.lock import lock
from tests import children
from tests.fake_sweep import make_plan, sweep


@pytest.fixture
def folder(tmp_path):
  return create_or_open(tmp_path / 'run', make_plan())


def holder(path, shard=None):
  """A process that holds the folder until it is killed."""
  code = (
    'import sys; from lstm_jax.lab.store import folder, lock\n'
    f'with lock.lock(folder.open_folder({str(path)!r}), {shard}):\n'
    '  print(flush=True); sys.stdin.read()'
  )
  process = children.start('-c', code, stdin=subprocess.PIPE)
  assert process.stdout.readline(), process.communicate()
  return process


@pytest.mark.parametrize(
  'theirs, ours, shares',
  [
    (None, None, False),
    (None, (1, 2), False),
    ((1, 2), None, False),
    ((1, 2), (1, 2), False),
    ((1, 2), (2, 2), True),
  ],
)
def test_lock_is_held_and_freed_by_death(folder, theirs, ours, shares):
  with holder(folder.path, theirs) as process:
    if shares:
      with lock(folder, ours):
        pass
    else:
      with pytest.raises(faults.Busy) as caught, lock(folder, ours):
        pass
      message = str(caught.value)
      assert f'process {process.pid} on ' in message and 'since 20' in message
      assert ('shard 1 of 2' in message) == (theirs is not None)
      assert '--shard=i/n' in message and caught.value.exit_code == 75
    process.kill()
  with lock(folder, ours):
    pass


@pytest.mark.slow  # what each of them may do is above
def test_shards_make_one_table(tmp_path):
  command = '-m', 'tests.fake_sweep', tmp_path / 'run'
  shards = [children.start(*command, i, 4) for i in range(1, 5)]
  for shard in shards:
    children.ended(shard)
  sweep(tmp_path / 'alone', plan=make_plan(trials=40))
  tables = [tmp_path / name / 'results.csv' for name in ('run', 'alone')]
  assert tables[0].read_bytes() == tables[1].read_bytes()
  folder = open_folder(tmp_path / 'run')
  assert trial_records.read_records(folder)[1] == []
  assert list((folder.path / 'checkpoints').iterdir()) == []


def test_leftovers_of_the_dead_alone_are_removed(folder):
  place = folder.path / 'records'
  (place / '.x.json.123.tmp').write_text('half a rec')
  fd, alive = files.write_temporary(place / 'y.json', b'half')
  create_or_open(folder.path, make_plan())
  assert list(place.iterdir()) == [alive]
  os.close(fd)
  create_or_open(folder.path, make_plan())
  assert list(place.iterdir()) == []


def test_a_writer_whose_file_is_cleaned_away_begins_again(tmp_path):
  """`clean` may come between the making of a temporary file and its lock."""
  opened = []

  def open_then_clean(path, flags, mode):
    fd = os.open(path, flags, mode)
    if not opened:
      files.remove_temporary(tmp_path)
    opened.append(path)
    return fd

  disk = files.DISK._replace(open=open_then_clean)
  files.publish(tmp_path / 'x', b'whole', disk=disk)
  assert [p.name for p in tmp_path.iterdir()] == ['x'] and len(opened) == 2
  assert (tmp_path / 'x').read_bytes() == b'whole'


def test_log_is_for_reading_only(folder):
  note(folder, 'one')
  with open(folder.path / 'log', 'ab') as log:
    log.write(b'half a li')
  note(folder, 'two')
  assert 'one\nhalf a li20' in (folder.path / 'log').read_text()
  (folder.path / 'log').unlink()
  (folder.path / 'log').mkdir()
  note(folder, 'nowhere to go, no harm')
  assert create_or_open(folder.path, make_plan()) == folder
