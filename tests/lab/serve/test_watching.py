"""A run folder is looked at as it is, whatever it is, and never touched."""

import math
import os
import re
import shutil
import threading

import numpy as np
import pytest

from lstm_jax.lab.serve import board
from lstm_jax.lab.serve.watching import Watch
from lstm_jax.lab.store import (
  checkpoints,
  lock,
  record_packs,
  results_table,
  rounds,
  trial_records,
)
from lstm_jax.lab.store.folder import create_or_open, open_folder
from tests import fake_sweep
from tests.children import ROOT
from tests.fake_sweep import QUICK, make_plan, record
from tests.lab.serve.conftest import CURVES, facts_of
from tests.older_records import packs


@pytest.fixture
def copy(unfinished, tmp_path):
  """A copy of the folder that may be damaged."""
  path = tmp_path / 'run'
  shutil.copytree(unfinished.path, path)
  return path


def test_a_folder_is_seen_as_it_is(unfinished):
  before = facts_of(unfinished.path)
  watch = Watch(unfinished.path)
  look = watch.look()
  first, second, third, *rest = unfinished.trials
  assert list(look.trials) == [first, second, third, *rest]
  assert list(look.records) == [first, second]
  assert list(look.under_way) == [third]
  assert look.kept == (first,)
  assert not look.problems and not look.holders
  assert watch.curves(first) == CURVES
  assert watch.curves(third) == {
    'sequences': [20, 40],
    'train_error': [0.5, 0.25],
    'train_right': [0.0, 0.5],
  }
  assert watch.curves(rest[0]) == {}
  for trial in (first, third):
    assert [seen for seen, _ in watch.networks(trial)] == [0, 16, 60]
  assert watch.networks(second) == watch.networks('none') == ()
  assert facts_of(unfinished.path) == before


def test_rows_count_what_the_records_say(unfinished):
  look = Watch(unfinished.path).look()
  one, other = board.lines(look)
  assert one.key == board.key_of(one.setting) != other.key
  assert (one.planned, one.ended, one.solved, one.under_way) == (3, 2, 1, 1)
  # One of two was not solved: the median of all is above every budget.
  assert one.median == math.inf and not one.others
  assert other.median is None
  assert one.kept == (look.kept[0], next(iter(look.under_way)))
  assert (other.planned, other.ended, other.under_way) == (3, 0, 0)
  state = board.state(look, 'run', clock=0)
  assert (state.planned, state.ended, state.solved) == (6, 2, 1)
  assert state.under_way == 1 and not state.working
  assert state.seconds_left is None  # nobody works on it
  trials = board.trial_lines(look, one)
  assert [t.status for t in trials] == ['solved', 'budget', 'under way']
  assert [t.seen for t in trials] == [100, 100, 60]
  curves = board.curves(Watch(unfinished.path), look, one, 0)
  assert [c.status for c in curves] == ['solved', 'budget', 'under way']
  assert list(curves[0].x) == CURVES['sequences']


def test_time_to_go_follows_from_the_pace(unfinished):
  look = Watch(unfinished.path).look()
  now = max(look.ended.values()) + 100
  # 3 of 6 trials in 260 steps of work a second or so: the others take longer.
  busy = look._replace(began=now - 1000)
  many = {
    trial: {**one, 'metrics': {**one['metrics'], 'sequences_seen': 50_000}}
    for trial, one in look.records.items()
  }
  left = board.seconds_left(busy._replace(records=many), now)
  twice = board.seconds_left(busy._replace(records=many), now + 1000)
  assert left > 0 and twice == pytest.approx(2 * left)
  assert board.seconds_left(busy, now) is None  # too little work yet


def test_whoever_works_on_it_is_known_and_not_disturbed(copy):
  opened = open_folder(copy)
  watch = Watch(copy)
  with lock.lock(opened):
    held = watch.look().holders
    assert [one.pid for one in held] == [os.getpid()]
  # The reader holds nothing: a run gets the folder for itself.
  with lock.lock(opened):
    pass


def test_damage_is_said_and_nothing_is_repaired(copy):
  first, second, *_ = open_folder(copy).trials
  path = packs(copy)[0]
  lines = path.read_bytes().splitlines(True)
  path.write_bytes(lines[0] + lines[1].replace(b'metrics', b'matrics', 1))
  state = next((copy / 'checkpoints').iterdir())
  state.write_bytes(state.read_bytes()[:-1])
  before = facts_of(copy)
  look = Watch(copy).look()
  assert list(look.records) == [first] and not look.under_way
  assert any(path.name in line for line in look.problems)
  assert any(state.name in line for line in look.problems)
  assert facts_of(copy) == before


def test_folders_without_a_plan(copy, tmp_path):
  assert 'no run here' in Watch(tmp_path / 'absent').look().problems[0]
  (copy / 'plan.json').write_text('{}')
  look = Watch(copy).look()
  assert not look.trials and '2 whole records' in look.problems[1]
  state = board.state(look, 'run', 0)
  assert state.planned == 0 and len(state.problems) == 2


@pytest.mark.parametrize('name', ['schema_1_task', 'schema_1_data'])
def test_folders_of_the_first_schema(name):
  path = ROOT / 'tests' / 'data' / name
  before = facts_of(path)
  watch = Watch(path)
  look = watch.look()
  records, _ = trial_records.read_records(open_folder(path))
  assert list(look.records) == list(records) and not look.problems
  for line in board.lines(look):
    assert line.ended == line.planned
    assert (line.solved is None) == (name == 'schema_1_data')
  assert facts_of(path) == before


def test_what_is_new_is_seen_and_the_rest_is_not_read_again(
  tmp_path, monkeypatch
):
  opened = create_or_open(tmp_path / 'run', make_plan(), disk=QUICK)
  watch = Watch(opened.path)
  monkeypatch.setattr('lstm_jax.lab.serve.watching._EVERY', 0)
  monkeypatch.setattr('lstm_jax.lab.serve.watching._CHECKPOINTS_EVERY', 0)
  read = []
  really = record_packs._line

  def counted(*of):
    read.append((line := really(*of)).trial)
    return line

  monkeypatch.setattr(record_packs, '_line', counted)
  stamps = [watch.look().stamp]
  first, second, _ = opened.trials
  for i in range(2):
    trial_records.write_record(opened, record(opened, i))
    stamps += [watch.look().stamp, watch.look().stamp]
  assert read == [first, second]
  meta = {'programs': {'p': [[list(opened.trials)[2], 0.0]]}}
  checkpoints.save(opened, 'state', {'p/seen': np.array([7])}, meta)
  assert [one.seen for one in watch.look().under_way.values()] == [7]
  stamps.append(watch.look().stamp)
  assert stamps[1] == stamps[2] and stamps[3] == stamps[4]
  assert len({stamps[i] for i in (0, 1, 3, 5)}) == 4


def test_ten_readers_are_one(unfinished, monkeypatch):
  looked = []
  really = Watch._now
  monkeypatch.setattr(Watch, '_now', lambda w: looked.append(w) or really(w))
  watch = Watch(unfinished.path)
  monkeypatch.setattr('time.monotonic', lambda: 1e6)
  assert len({id(watch.look()) for _ in range(10)}) == 1 == len(looked)


def test_readers_cost_a_run_nothing(tmp_path):
  alone = fake_sweep.sweep(tmp_path / 'alone', QUICK, make_plan(12))
  path, over = tmp_path / 'beside', threading.Event()
  seen = []

  def look():
    watch = Watch(path)
    while not over.is_set():
      watch._looked = watch._read_checkpoints = -1e9  # as often as can be
      seen.append(len(watch.look().records))

  readers = [threading.Thread(target=look) for _ in range(10)]
  for reader in readers:
    reader.start()
  try:
    beside = fake_sweep.sweep(path, QUICK, make_plan(12))
  finally:
    over.set()
    for reader in readers:
      reader.join()
  digest = results_table.results_digest
  assert digest(beside) == digest(alone) and seen
  names = lambda at: sorted(
    re.sub('-[0-9a-f]{12}', '', str(p.relative_to(at))) for p in at.rglob('*')
  )
  assert names(path) == names(tmp_path / 'alone')


def test_checkpoints_too_large_to_be_read_are_said(unfinished, monkeypatch):
  monkeypatch.setattr('lstm_jax.lab.serve.watching._LARGEST', 10)
  look = Watch(unfinished.path).look()
  assert not look.under_way and 'not read while' in look.problems[0]


def test_names_of_folders_are_told_apart():
  assert board.names_of(['a/run']) == ['run']
  assert board.names_of(['a/run', 'b/run', 'c']) == ['a/run', 'b/run', 'c']
  assert board.names_of(['x', 'x']) == ['x', 'x']


def test_a_run_that_is_tuned_is_looked_at_round_by_round(tmp_path, monkeypatch):
  monkeypatch.setattr('lstm_jax.lab.serve.watching._EVERY', 0)
  run = tmp_path / 'mine'
  watch = Watch(run)
  assert 'no run here' in watch.look().problems[0]
  stamps = set()
  for number in (1, 2):
    opened = create_or_open(
      rounds.path_of(run, number), make_plan(), disk=QUICK
    )
    look = watch.look()
    assert look.path == str(opened.path) and look.trials == opened.trials
    (name,) = board.names_of([look.path])
    assert name == f'mine/tuning/round-{number}'
    stamps.add(board.state(look, name, 0).path)
  assert len(stamps) == 2
  # A round that has not been planned yet is none.
  rounds.path_of(run, 3).mkdir()
  assert watch.look().path == str(rounds.path_of(run, 2))
  opened = create_or_open(run, make_plan(), disk=QUICK)
  assert watch.look().path == str(run)
  assert board.names_of([str(run)]) == ['mine']
