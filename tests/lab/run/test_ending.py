"""The end of a run in shards: who ends last writes tables and report."""

import contextlib
import threading

from lstm_jax.lab.run import ending
from lstm_jax.lab.store import lock, trial_records
from lstm_jax.lab.store.folder import create_or_open, open_folder
from tests.fake_sweep import QUICK, make_plan, record


def test_the_shard_that_ends_last_writes_the_report(tmp_path, capsys):
  path, plan = tmp_path / 'run', make_plan(trials=4)
  shards = [create_or_open(path, plan, disk=QUICK) for _ in range(2)]
  names = list(shards[0].trials)
  for i, shard in enumerate(shards):
    for at in (i, i + 2):
      assert not (path / 'report.html').exists()
      trial_records.write_record(shard, record(shard, at))
    assert trial_records.ended(shard) == {*names[0::2], *names[1::2]} & {
      name for at in range(i + 1) for name in names[at::2]
    }
    at_work = [lock.lock(shards[1], (1, 2))] if i == 0 else []
    with contextlib.ExitStack() as stack:
      _ = [stack.enter_context(held) for held in at_work]
      assert ending.show(shard, {*names[i::2]}) == 0
    said = capsys.readouterr().out
    left = '2 of 4 trials are still to come; the part that ends last'
    assert (left in said) == (i == 0)
    assert (path / 'results.csv').exists() == (i == 1)
  assert '4 of 4 ended' in (path / 'report.md').read_text()


def test_a_failure_of_another_shard_is_not_this_one_s(tmp_path, capsys):
  folder = create_or_open(tmp_path / 'run', make_plan(trials=4), disk=QUICK)
  first, second, *_ = folder.trials
  trial_records.write_record(folder, record(folder, 0))
  failed = record(folder, 1, status='failed', reason='no luck')
  trial_records.write_record(folder, failed)
  with lock.lock(folder, (1, 2)):
    assert ending.show(folder, {first}) == 0
    assert ending.show(folder, {second}) == 3
  assert capsys.readouterr().err.count('trial failed: no luck') == 1


def test_a_part_that_meets_a_damaged_record_says_so(tmp_path, capsys):
  folder = create_or_open(tmp_path / 'run', make_plan(trials=4), disk=QUICK)
  trial_records.write_record(folder, record(folder, 0))
  (pack,) = (folder.path / 'records').iterdir()
  pack.write_bytes(pack.read_bytes() + b'no record\n')
  with lock.lock(folder, (1, 2)):
    assert ending.show(folder, {*folder.trials}) == 3
  assert 'damaged or edited' in capsys.readouterr().err


def test_tables_are_written_one_after_another(tmp_path):
  folder = create_or_open(tmp_path / 'run', make_plan(), disk=QUICK)
  order = []

  def other():
    with lock.tables(open_folder(folder.path)):
      order.append('other')

  with lock.tables(folder):
    thread = threading.Thread(target=other)
    thread.start()
    thread.join(0.2)
    order.append('this')
  thread.join()
  assert order == ['this', 'other']


def test_records_of_a_part_alone_are_looked_into(tmp_path):
  folder = create_or_open(tmp_path / 'run', make_plan(trials=4), disk=QUICK)
  names = list(folder.trials)
  for at in range(4):
    trial_records.write_record(folder, record(folder, at))
  records, problems = trial_records.read_records(folder, trials=names[:2])
  assert list(records) == names[:2] and problems == []
