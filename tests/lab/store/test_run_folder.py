"""The run folder: made, continued, refused, unusable."""

import concurrent.futures
import dataclasses
import errno
import itertools
import json
import math
import os
import tempfile
from pathlib import Path

import pytest

from lstm_jax.lab.store import (
  faults,
  plan_trials,
  results_table,
  trial_records,
)
from lstm_jax.lab.store import folder as folder_of
from lstm_jax.lab.store.folder import create_or_open, open_folder
from lstm_jax.lab.store.provenance import COMPARED
from lstm_jax.lab.store.setting import by_id, entry_of, setting_of, trial_id
from tests import fake_sweep
from tests.fake_sweep import make_plan, record, stepwise, sweep


@pytest.fixture
def folder(tmp_path):
  return create_or_open(tmp_path / 'run', make_plan())


def test_a_setting_comes_back_as_it_was_stored():
  made = setting_of(fake_sweep.setting(1))
  assert setting_of(json.loads(json.dumps(entry_of(made)))) == made
  assert entry_of(made)['id'] == trial_id(made)
  # Labels are no part of the id, everything else is.
  for label in ('grid', 'row', 'line', 'source', 'reading'):
    same = dataclasses.replace(made, **{label: 'other'})
    assert trial_id(same) == trial_id(made)
    assert setting_of(entry_of(same)) == same
  others = [
    dataclasses.replace(made, length=101),
    dataclasses.replace(made, seed=2),
    dataclasses.replace(made, budget=7),
    dataclasses.replace(made, task_options=(('x', None),)),
    dataclasses.replace(made, numbers=(('input_gate_bias', (-1.0, -2.0)),)),
  ]
  assert len({trial_id(one) for one in [made, *others]}) == 6
  assert [setting_of(entry_of(one)) for one in others] == others


def test_plan_is_kept_and_continued(folder):
  plan = open_folder(folder.path).plan
  assert plan.items() > json.loads(json.dumps(make_plan())).items()
  again = create_or_open(
    folder.path, {**make_plan(), 'created': 'later', 'flags': {'quiet': True}}
  )
  assert again.plan == plan and again == folder
  assert open_folder(folder.path) == folder


@pytest.mark.parametrize(
  'broken, reason',
  [
    ({**make_plan(), 'trials': [fake_sweep.setting(0)] * 2}, 'two trials'),
    ({**make_plan(), 'trials': [{'id': '../x'}]}, 'trial id'),
    ({**make_plan(), 'created': math.nan}, 'created: nan is not finite'),
    ({**make_plan(), 'flags': {'f': {1}}}, 'flags/f: set has no JSON form'),
    ({**make_plan(), 'flags': {1: 2}}, 'keys must be strings'),
    ({'trials': []}, 'programs, provenance missing'),
  ],
)
def test_plans_that_cannot_be(tmp_path, broken, reason):
  with pytest.raises(ValueError, match=reason):
    create_or_open(tmp_path / 'run', broken)
  assert list(tmp_path.iterdir()) == []


def snapshot(path):
  return {
    p: (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else None)
    for p in path.rglob('*')
  }


@pytest.mark.parametrize(
  'changes, shown',
  [
    ({'learning_rate': 0.2}, 'learning_rate: 0.1 in the folder, 0.2'),
    ({'window': 10}, 'learner.window: null in the folder, 10 asked for'),
    (
      {'options': {'task.output': 'logistic'}},
      'task.output: "linear" in the folder, "logistic" asked',
    ),
    ({'hidden': '1x1', 'task': 'temporal_order'}, 'task: "adding" in'),
  ],
)
def test_changed_setting_is_refused(folder, changes, shown):
  before = snapshot(folder.path)
  with pytest.raises(faults.Refused) as caught:
    create_or_open(folder.path, make_plan(changes=changes), allow_drift=True)
  assert shown in str(caught.value) and 'trials.id' not in str(caught.value)
  assert caught.value.exit_code == 2
  assert snapshot(folder.path) == before


def test_changed_flag_is_shown_first(folder):
  with pytest.raises(faults.Refused) as caught:
    create_or_open(folder.path, make_plan(changes={'learning_rate': 0.5}))
  lines = str(caught.value).splitlines()
  assert (
    lines[1] == '  flags.learning_rate[0]: 0.1 in the folder, 0.5 asked for'
  )


def test_other_programs_are_refused(folder):
  regrouped = make_plan()
  regrouped['programs']['p0']['lanes'] = 4
  with pytest.raises(
    faults.Refused, match=r'programs\.p0\.lanes: 2 in the fol'
  ):
    create_or_open(folder.path, regrouped)


def test_many_differences_are_counted(folder):
  changes = {'options': {f'o{i}': i for i in range(30)}}
  with pytest.raises(faults.Refused, match='22 more') as caught:
    create_or_open(folder.path, make_plan(changes=changes))
  assert len(str(caught.value).splitlines()) == 13


@pytest.mark.parametrize('key', COMPARED)
def test_other_provenance_is_refused_or_tagged(tmp_path, key):
  made = {name: 'then' for name in COMPARED}
  folder = create_or_open(tmp_path / 'run', make_plan(**made))
  trial_records.write_record(folder, record(folder))
  for other in (make_plan(**{**made, key: 'now'}), make_plan(**made)):
    if key not in other['provenance'] or other['provenance'][key] == 'then':
      del other['provenance'][key]
    with pytest.raises(faults.Refused, match=f'provenance.{key}: "then" in'):
      create_or_open(folder.path, other)
    drifted = create_or_open(folder.path, other, allow_drift=True)
    assert list(drifted.drift) == [key]
  trial_records.write_record(drifted, record(folder, 1))
  found, problems = trial_records.read_records(open_folder(folder.path))
  assert [row['drift'] for row in results_table.rows(folder, found)] == [
    None,
    f'{key}=None',
  ]
  assert problems == []


def test_uncompared_provenance_may_differ(folder):
  again = create_or_open(folder.path, make_plan(python='4.0', cores=64))
  assert again.drift == {}


def test_two_plans_at_once(tmp_path):
  plans = [make_plan(), make_plan(changes={'length': 7})]
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    for i in range(20):

      def attempt(plan, path=tmp_path / f'{i}'):
        try:
          return create_or_open(path, plan).plan
        except faults.Refused as error:
          return error

      won = list(pool.map(attempt, plans))
      refused = [isinstance(one, faults.Refused) for one in won]
      assert sorted(refused) == [False, True]
      there = open_folder(tmp_path / f'{i}').plan
      assert there == won[refused.index(False)]


def test_two_plans_at_every_step(tmp_path):
  """The second plan comes as a whole before step k of the first."""
  plans = [make_plan(), make_plan(changes={'length': 7})]
  winners = []
  for k in itertools.count(1):
    path, steps = tmp_path / f'{k}', itertools.count(1)
    winner = []

    def before(*_, k=k, path=path, steps=steps, winner=winner):
      if next(steps) == k:
        try:
          winner.append(create_or_open(path, plans[1]))
        except faults.Refused:
          winner.append(None)

    try:
      mine = create_or_open(path, plans[0], disk=stepwise(before))
    except faults.Refused:
      mine = None
    if not winner:
      break
    assert (mine is None) != (winner[0] is None)
    winners.append((mine or winner[0]).plan == open_folder(path).plan)
    assert not list(path.rglob('.*'))
  assert all(winners) and len(winners) > 15


@pytest.fixture
def places():
  """A directory of places that a run cannot live in."""
  with tempfile.TemporaryDirectory() as name:
    at = Path(name)
    at.chmod(0o755)
    (at / 'file').write_text('')
    (at / 'dangling').symlink_to(at / 'nowhere')
    (at / 'loop').symlink_to(at / 'loop')
    for place, mode in [('unwritable', 0o555), ('closed', 0), ('full', 0o777)]:
      (at / place).mkdir()
      (at / place).chmod(mode)
    (at / 'full' / 'thesis.tex').write_text('')
    yield at
    (at / 'closed').chmod(0o755)


@pytest.fixture
def as_ordinary_user(places):
  """Root may do anything: become somebody who may not."""
  user = os.geteuid()
  if user == 0:
    os.seteuid(65534)
  yield
  os.seteuid(user)


@pytest.mark.parametrize(
  'make, reason',
  [
    (lambda at: at / ('x' * 300), 'File name too long'),
    (lambda at: at / 'file', 'not a directory'),
    (lambda at: at / 'file' / 'run', 'ot a directory'),
    (lambda at: at / 'dangling', 'a link to nothing'),
    (lambda at: at / 'loop', 'a link to nothing'),
    (lambda at: at / 'unwritable', 'Permission denied'),
    (lambda at: at / 'unwritable' / 'run', 'Permission denied'),
    (lambda at: at / 'closed', 'Permission denied'),
    (lambda at: at / 'closed' / 'run', 'Permission denied'),
    (lambda at: at / 'full', 'holds thesis.tex and no plan.json'),
  ],
)
def test_unusable_folders(places, as_ordinary_user, make, reason):
  with pytest.raises(faults.Unusable, match=reason) as caught:
    create_or_open(make(places), make_plan())
  assert str(places) in str(caught.value) and caught.value.exit_code == 73


@pytest.mark.parametrize('inside', ['.', 'records', 'checkpoints'])
def test_read_only_is_found_before_any_work(folder, inside):
  place = folder.path / inside

  def refuse(name, arguments):
    if name == 'open' and Path(arguments[0]).parent == place:
      raise OSError(errno.EROFS, 'read-only')

  disk = stepwise(refuse)
  with pytest.raises(faults.Unusable, match='Read-only file system') as caught:
    create_or_open(folder.path, make_plan(), disk=disk)
  assert str(place) in str(caught.value) and 'mode 0' in str(caught.value)


@pytest.mark.parametrize(
  'name', ['with space', 'größe 長さ', 'y' * 255, 'a/b/c', "quote'[*]?"]
)
def test_legal_names_work(tmp_path, name):
  made = sweep(tmp_path / name)
  assert len(trial_records.read_records(made)[0]) == 3
  assert sweep(tmp_path / name).plan == made.plan


def test_a_link_to_a_directory_works(tmp_path):
  (tmp_path / 'there').mkdir()
  (tmp_path / 'link').symlink_to(tmp_path / 'there')
  sweep(tmp_path / 'link')
  assert (tmp_path / 'there' / 'results.csv').is_file()


def test_opening_what_is_not_there(tmp_path):
  with pytest.raises(faults.Unusable, match='no run here'):
    open_folder(tmp_path)
  assert list(tmp_path.iterdir()) == []


def test_trials_of_a_command_are_taken_where_the_plan_on_disk_has_them(
  tmp_path,
):
  trials = by_id(setting_of(fake_sweep.setting(seed)) for seed in range(3))
  plan = make_plan() | {'trials': plan_trials.entries_of(trials)}
  made = create_or_open(tmp_path, plan, trials=trials)
  known = folder_of.expected(tmp_path, plan['trials'], trials)
  again = open_folder(tmp_path, known=known)
  assert again.plan['trials'] is plan['trials'] and again.trials is trials
  read = open_folder(tmp_path)
  assert read.plan['trials'] is not plan['trials']
  assert made == again == read
  # The folder as it was is taken as it is, one of another plan is not.
  assert open_folder(tmp_path, known=read) is read
  more = create_or_open(tmp_path, make_plan(4))
  assert open_folder(tmp_path, known=read) == open_folder(tmp_path) == more


def test_a_plan_that_differs_in_a_type_alone_is_read(tmp_path):
  trials = by_id(setting_of(fake_sweep.setting(seed)) for seed in range(3))
  create_or_open(
    tmp_path, make_plan() | {'trials': plan_trials.entries_of(trials)}
  )
  labelled = by_id(
    dataclasses.replace(setting, tried=False) for setting in trials.values()
  )
  entries = plan_trials.entries_of(labelled)
  known = folder_of.expected(tmp_path, entries, labelled)
  assert labelled == trials  # as False equals 0
  opened = open_folder(tmp_path, known=known)
  assert opened.plan['trials'] is not entries
  assert {trial['tried'] is False for trial in opened.plan['trials']} == {False}


def test_no_more_records_are_looked_for_than_there_are_lines(tmp_path):
  folder = sweep(tmp_path / 'run')
  path = folder.path
  assert trial_records.most(path) == 3
  assert trial_records.all_ended(folder)
  assert not trial_records.all_ended(create_or_open(path, make_plan(4)))
  # A record that is there twice hides none that is missing.
  first = trial_records.read_records(folder)[0][next(iter(folder.trials))]
  trial_records.write_record(open_folder(path), first)
  assert trial_records.most(path) == 4
  assert not trial_records.all_ended(open_folder(path))
  assert trial_records.most(tmp_path) == 0
