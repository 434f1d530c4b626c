"""A folder takes more seeds and larger budgets, and no file of it is the only
one that knows what it holds."""

import itertools
import shutil

import pytest

from lstm_jax.lab.plan import flags
from lstm_jax.lab.plan import plan as expansion
from lstm_jax.lab.store import faults, reruns, trial_records
from lstm_jax.lab.store.folder import create_or_open, open_folder
from lstm_jax.lab.store.setting import entry_of, trial_id
from tests.fake_sweep import make_plan, record, setting, stepwise, sweep, table
from tests.older_records import as_files, packs

FILES = {'lstm_jax/cells/a.py': '1', 'lstm_jax/training/online.py': '2'}


def plan_of(*seeds, **changes):
  """A plan whose ids do not depend on labels, as those of real trials."""
  trials = [setting(seed, **{'row': 'adding', **changes}) for seed in seeds]
  return {
    **make_plan(),
    'trials': trials,
    'programs': {'p': [t['id'] for t in trials]},
  }


def record_that(folder, index, status, **changes):
  """The record of a trial that ended so."""
  seen = 12 if status == 'solved' else None
  changes |= {'status': status, 'sequences_to_success': seen}
  return record(folder, index, **changes)


def sources_of(plan, files):
  return {trial['id']: files for trial in plan['trials']}


def test_more_seeds_end_as_if_asked_for_at_once(tmp_path):
  sweep(tmp_path / 'whole', plan=plan_of(0, 1, 2, 3))
  sweep(tmp_path / 'grown', plan=plan_of(2, 1))
  kept = sorted((tmp_path / 'grown' / 'records').iterdir())
  before = [path.read_bytes() for path in kept]
  grown = sweep(tmp_path / 'grown', plan=plan_of(0, 1, 2, 3))
  assert table(tmp_path / 'grown') == table(tmp_path / 'whole')
  assert [path.read_bytes() for path in kept] == before
  assert grown.plan == open_folder(grown.path).plan
  assert len(grown.plan['programs']['p']) == 4
  # What some of the seeds ask for is there, and no more is added.
  again = create_or_open(grown.path, plan_of(1))
  assert again.plan == grown.plan


def test_seeds_that_overlap_are_joined(tmp_path):
  sweep(tmp_path / 'run', plan=plan_of(0, 1))
  joined = sweep(tmp_path / 'run', plan=plan_of(1, 7))
  assert [trial['seed'] for trial in joined.plan['trials']] == [0, 1, 7]
  assert len(trial_records.read_records(joined)[0]) == 3


def test_order_and_labels_are_no_other_plan(tmp_path):
  first = create_or_open(tmp_path / 'run', plan_of(0, 1))
  again = create_or_open(tmp_path / 'run', plan_of(1, 0))
  assert again.plan == first.plan
  relabelled = create_or_open(
    tmp_path / 'run', plan_of(1, row='rate=0.50', published={'mean': 7})
  )
  assert [t['row'] for t in relabelled.plan['trials']] == ['rate=0.50'] * 2
  assert relabelled.identity == first.identity


@pytest.mark.parametrize(
  'asked, said',
  [
    (plan_of(0, 1, budget=500), 'budget: [1000] in the folder, [500] asked'),
    (plan_of(0, budget=2000), 'for all seeds of the folder at once'),
    (plan_of(2, 3, budget=2000), 'for all seeds of the folder at once'),
    (plan_of(0, 1, length=7), 'length: 100 in the folder, 7 asked'),
    (plan_of(0, 1, 2, length=7), 'length: [100] in the folder, [7] asked'),
    (plan_of(0, 1, options={}), 'task.output'),
  ],
)
def test_what_is_no_growth_is_refused(tmp_path, asked, said):
  folder = create_or_open(tmp_path / 'run', plan_of(0, 1))
  with pytest.raises(faults.Refused) as caught:
    create_or_open(folder.path, asked, allow_drift=True)
  assert said in str(caught.value)
  assert open_folder(folder.path) == folder


def test_a_larger_budget_keeps_what_it_does_not_change(tmp_path):
  folder = create_or_open(tmp_path / 'run', plan_of(0, 1, 2, 3))
  ends = ('solved', 'budget', 'diverged', 'given_up')
  for i, status in enumerate(ends):
    trial_records.write_record(folder, record_that(folder, i, status))
  for budget in (2000, 3000):  # the second before the first has run
    larger = create_or_open(folder.path, plan_of(0, 1, 2, 3, 4, budget=budget))
  taken, spent = reruns.take_over(larger)
  assert (len(taken), len(spent)) == (3, 1)
  assert reruns.take_over(larger) == ({}, [])
  records, problems = trial_records.read_records(larger)
  assert problems == []
  seeds = {larger.trials[name].seed: r['status'] for name, r in records.items()}
  assert seeds == {0: 'solved', 2: 'diverged', 3: 'given_up'}
  with pytest.raises(faults.Refused, match='it can only grow'):
    create_or_open(folder.path, plan_of(0, 1, 2, 3, budget=1000))


def test_growth_is_safe_at_every_step(tmp_path):
  """Another process adds other seeds before step k of this one."""
  for k in itertools.count(1):
    path, steps, seen = tmp_path / f'{k}', itertools.count(1), []
    create_or_open(path, plan_of(0))

    def before(*_, k=k, path=path, steps=steps, seen=seen):
      # While this one holds the plan, the other would wait.
      held = (path / 'lock-plan').exists()
      if next(steps) == k and not held:
        seen.append(create_or_open(path, plan_of(8, 9)))

    create_or_open(path, plan_of(1, 2), disk=stepwise(before))
    if next(steps) <= k:
      break
    there = {trial['seed'] for trial in open_folder(path).plan['trials']}
    assert there == ({0, 1, 2, 8, 9} if seen else {0, 1, 2})
  assert k > 10


@pytest.mark.parametrize('how', ['gone', 'flipped', 'empty', 'cut'])
def test_a_lost_plan_is_made_again(tmp_path, how):
  path = tmp_path / 'run'
  sweep(path, plan=plan_of(0, 1, 2))
  (path / 'report.html').write_text('a page')
  before, rows = open_folder(path).plan, table(path)
  data = (path / 'plan.json').read_bytes()
  (path / 'plan.json').unlink()
  lost = {
    'flipped': data[:200] + bytes([data[200] ^ 1]) + data[201:],
    'empty': b'',
    'cut': data[: len(data) // 2],
  }
  if how in lost:
    (path / 'plan.json').write_bytes(lost[how])
  folder = create_or_open(path, plan_of(0, 1, 2))
  assert folder.plan == before and open_folder(path).plan == before
  (said,) = folder.notes
  assert 'made again from the command' in said
  assert (path / 'plan.json.bad').exists() == (how != 'gone')
  assert sweep(path, plan=plan_of(0, 1, 2)).notes == () and table(path) == rows
  assert trial_records.read_records(folder)[1] == []


def test_a_lost_plan_is_not_made_of_another(tmp_path):
  path = tmp_path / 'run'
  sweep(path, plan=plan_of(0, 1, 2))
  (path / 'plan.json').unlink()
  with pytest.raises(faults.Unusable, match='command that made this folder'):
    open_folder(path)
  for asked in (plan_of(0, 1), plan_of(0, 1, 2, length=7)):
    with pytest.raises(faults.Refused, match='does not ask for'):
      create_or_open(path, asked)
  other = {**plan_of(0, 1, 2), 'provenance': {'jax': '0.11'}}
  with pytest.raises(faults.Refused, match='allow_drift'):
    create_or_open(path, other)
  assert not (path / 'plan.json').exists()
  drifted = create_or_open(path, other, allow_drift=True)
  assert drifted.drift == {'jax': '0.11'}
  assert len(trial_records.read_records(drifted)[0]) == 3
  # With more seeds it is the same folder.
  (path / 'plan.json').unlink()
  assert len(create_or_open(path, plan_of(0, 1, 2, 3)).trials) == 4


def test_results_of_other_code_are_found(tmp_path):
  plan = plan_of(0, 1, 2)
  folder = create_or_open(
    tmp_path / 'run', plan, sources=sources_of(plan, FILES)
  )
  for i, status in enumerate(('solved', 'failed')):
    trial_records.write_record(
      folder, record_that(folder, i, status, reason='E: x\nat')
    )
  records, _ = trial_records.read_records(folder)
  made = {name: one['code'] for name, one in records.items()}
  now = sources_of(plan, FILES)
  assert reruns.changed_trials(folder, made, now) == {}
  edited = sources_of(
    plan, {**FILES, 'lstm_jax/cells/a.py': '3', 'new.py': '4'}
  )
  changes = reruns.changed_trials(open_folder(folder.path), made, edited)
  assert set(changes.values()) == {('lstm_jax/cells/a.py', 'new.py')}
  assert reruns.lines_of(changes) == [
    'lstm_jax/cells/a.py (2 trials)',
    'new.py (2 trials)',
  ]
  assert reruns.failures(records) == {'E: x': 1}
  again = create_or_open(folder.path, plan, sources=edited)
  assert len(again.plan['sources']) == 2
  # Where its table is lost, a code is still known to be another.
  (folder.path / 'plan.json').unlink()
  lost = create_or_open(folder.path, plan, sources=edited)
  changes = reruns.changed_trials(lost, made, edited)
  assert reruns.lines_of(changes) == [
    'files that are not known any more (2 trials)'
  ]
  first, second, *_ = plan_ids(plan)
  (pack,) = packs(folder.path)
  reruns.set_aside(lost, {second: 'a reason'})
  assert list(trial_records.read_records(lost)[0]) == [first]
  assert second in pack.read_text()
  shutil.rmtree(pack.parent)
  pack.parent.mkdir()
  for one in records.values():
    trial_records.write_record(open_folder(lost.path), one)
  reruns.set_aside(open_folder(as_files(lost.path)), {second: 'a reason'})
  assert list(trial_records.read_records(lost)[0]) == [first]
  assert len(list((folder.path / 'records').glob('*.json.old'))) == 1


def plan_ids(plan):
  return [trial['id'] for trial in plan['trials']]


def test_one_set_of_settings_has_one_folder(tmp_path):
  """Order and spelling on the command line are no other plan."""
  base = '--task=adding --learner=bptt --length=10 --budget=300'
  spelled = (
    '--cell=srn,gru --learning_rate=0.5,0.1 --seeds=2',
    '--cell=gru,srn --learning_rate=0.10,0.50 --seeds=1,0',
    '--learning_rate=5e-1,1e-1 --cell=gru,srn --seeds=0-1',
  )
  plans = []
  for words in spelled:
    made = expansion.expand(flags.parse(['x', *base.split(), *words.split()]))
    trials = {trial_id(s): s for s in made.trials}
    stored = [entry_of(s) for s in trials.values()]
    plans.append((made.out, {**make_plan(), 'trials': stored, 'programs': {}}))
  assert len({out for out, _ in plans}) == 1
  first = create_or_open(tmp_path / 'run', plans[0][1])
  for _, other in plans[1:]:
    again = create_or_open(tmp_path / 'run', other)
    assert list(again.trials) == list(first.trials)
    assert again.identity == first.identity
