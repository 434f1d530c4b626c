"""A tuned run ends in one table, however its rounds were run.

The same rows and settings whole, stopped, killed, in parts and dealt by Dask:
what decides are the records of a round that has ended. Small networks on a task
that some settings solve within their budget and some do not.
"""

import csv
import signal

import pytest

import lstm_jax as lj
from experiments import sweep as sweep_command
from lstm_jax.lab.plan import dealing, flags, plan
from lstm_jax.lab.run import builds, tuned
from lstm_jax.lab.store import folder, setting, trial_records
from lstm_jax.lab.tune import search
from lstm_jax.training import compilation
from tests import children

PLAN = {
  'task': 'adding',
  'cell': 'gru',
  'learner': 'elman',
  'length': 4,
  'hidden': 2,
  'set': {
    'learner.optimizer': 'adam',
    'task.output': 'linear',
    'task.streak': 30,
    'task.tolerance': 0.3,
    'task.mean_error': 0.25,
  },
  'budget': 800,
  'seeds': 2,
  'tune': 8,
  'tune_seeds': 2,
}
WORDS = [
  *(f'--{k}={v}' for k, v in PLAN.items() if k != 'set'),
  *(f'--set={k}={v}' for k, v in PLAN['set'].items()),
]
pytestmark = pytest.mark.usefixtures('all_undrawn')

# Of the clock: all else is equal bit by bit.
CLOCKS = ('seconds', 'tuning_seconds')


def run(out, **more):
  # The rounds share a program, which is compiled once.
  cache = out.parent / 'cache'
  return lj.sweep(
    **{**PLAN, **more},
    out=out,
    progress='none',
    devices=1,
    compile_cache=str(cache),
  )


def table(out):
  with open(out / 'results.csv', newline='') as file:
    rows = list(csv.DictReader(file))
  return [
    {name: row[name] for name in row if name not in CLOCKS} for row in rows
  ]


def rounds_of(out):
  return [
    folder.open_folder(path) for path in sorted(out.glob('tuning/round-*'))
  ]


@pytest.fixture(scope='module')
def whole(tmp_path_factory, all_undrawn):
  del all_undrawn
  out = tmp_path_factory.mktemp('tuned') / 'whole'
  (row,) = run(out)
  return out, row


def test_rounds_are_run_folders_and_the_winner_is_judged_on_fresh_seeds(whole):
  out, row = whole
  rounds = rounds_of(out)
  assert len(rounds) in (2, 3)  # where all was solved there is no third
  assert len(rounds[0].trials) == 6 * 2 and len(rounds[1].trials) == 2 * 2
  judged = folder.open_folder(out)
  seeds = {s.seed for of in rounds for s in of.trials.values()}
  assert seeds.isdisjoint({s.seed for s in judged.trials.values()})
  assert {s.budget for s in rounds[0].trials.values()} == {200}
  # What the table says is what the folders hold.
  (first, *_) = judged.trials.values()
  records = [
    record
    for of in rounds
    for record in trial_records.read_records(of)[0].values()
  ]
  assert first.tuning['trials'] == len(records)
  assert first.tuning['sequences'] == sum(
    record['metrics']['sequences_seen'] for record in records
  )
  assert row.settings['learning_rate'] == first.learning_rate
  assert (
    f'learner.learning_rate={first.learning_rate}' in (first.tuning['chosen'])
  )
  # It is one of those that were tried, and the others are not there.
  rates = {s.learning_rate for of in rounds for s in of.trials.values()}
  assert first.learning_rate in rates and len(rates) == 8
  assert all(line['tuning'] for line in table(out))


def test_a_program_is_built_and_compiled_once_for_all_rounds(
  tmp_path, monkeypatch
):
  built, compiled = [], []
  build, lower = builds.build, compilation.Compiled._of
  monkeypatch.setattr(
    builds, 'build', lambda *args: built.append(args[0]) or build(*args)
  )
  monkeypatch.setattr(
    compilation.Compiled,
    '_of',
    lambda self, lowered: compiled.append(lowered) or lower(self, lowered),
  )
  out = tmp_path / 'run'
  run(out, budget=200)
  trials = {}
  for opened in (*rounds_of(out), folder.open_folder(out)):
    trials |= opened.trials
  names = dealing.members_of(trials)
  assert len(built) == len(names)
  # It begins, goes on, and is tested if it solves.
  assert len(compiled) <= 3 * len(names)


def test_a_run_that_has_ended_has_nothing_left_to_do(whole, capsys):
  out, _ = whole
  words = ['sweep', *WORDS, f'--out={out}', '--progress=none']
  before = table(out)
  assert sweep_command.main(words) == 0
  printed = capsys.readouterr().out
  assert printed.count('Nothing left to do') == 1 + len(rounds_of(out))
  assert table(out) == before
  assert sweep_command.main([*words, '--verify']) == 0
  assert sweep_command.main([*words, '--only_check_args']) == 0


@pytest.mark.parametrize(
  'changes, line',
  [
    ({'tune': 4}, 'is tuned by 8 on 2 seeds, not by 4 on 2'),
    ({'tune_seeds': 3}, 'is tuned by 8 on 2 seeds, not by 8 on 3'),
    ({'budget': 900}, 'is tuned for other budgets'),
  ],
)
def test_a_folder_that_is_tuned_otherwise_is_refused(whole, changes, line):
  out, _ = whole
  with pytest.raises(ValueError, match=line):
    run(out, **changes)


def test_a_run_that_is_not_tuned_is_not_tuned_later(tmp_path):
  out = tmp_path / 'plain'
  run(out, tune=False, tune_seeds=None, budget=30, seeds=1)
  with pytest.raises(ValueError, match='plain holds a run that is not tuned'):
    run(out, budget=30, seeds=1)
  assert not (out / 'tuning').exists()


def test_more_seeds_are_added_to_what_was_chosen(whole):
  out, _ = whole
  before = table(out)
  (row,) = run(out, seeds=3)
  assert row.trials == 3
  assert table(out)[:2] == before


def test_a_row_that_solves_no_tuning_seed_has_fewer_fresh_ones(tmp_path, whole):
  futile = {'tune': 4, 'seeds': 3, 'futility': 1}
  # Eight sequences are no streak of thirty.
  (row,) = run(tmp_path / 'hopeless', **futile, budget=8)
  assert (row.trials, row.solved) == (1, 0)
  assert (row.tuning['solving'], row.tuning['futility']) == (0, 1)
  # Few are not fewer than few.
  (row,) = run(tmp_path / 'few', **futile | {'seeds': 1}, budget=8)
  assert row.trials == 1 and 'futility' not in row.tuning
  # The row that solves some has all of its seeds.
  out, _ = whole
  before = table(out)
  (row,) = run(out, futility=1, seeds=len(before))
  assert row.trials == len(before) and 'futility' not in row.tuning


def test_a_round_waits_for_its_other_parts_with_a_line_and_75(whole):
  out, _ = whole
  opened = rounds_of(out)[0]
  sweep_plan = plan.expand(flags.parse(['sweep', *WORDS], {}))
  options = flags.Run(out=str(out))
  one = search.begun(sweep_plan.tuned_rows[0], sweep_plan.search_size)
  trials = [trial for of in search.trials_of(one, 1).values() for trial in of]
  round_plan = sweep_plan._replace(trials=tuple(trials))
  path = options._replace(out=str(opened.path))
  assert tuned._records(round_plan, path).keys() == opened.trials.keys()
  # One trial more, as if another part had not run it yet.
  missing = setting.with_seed(trials[0], 5)
  round_plan = sweep_plan._replace(trials=(*trials, missing))
  with pytest.raises(tuned.Unfinished, match='1 trial of other parts') as error:
    tuned._records(round_plan, path)
  assert error.value.exit_code == 75


def test_a_part_waits_as_long_as_others_write(whole, monkeypatch):
  out, _ = whole
  sweep_plan = plan.expand(flags.parse(['sweep', *WORDS], {}))
  missing = setting.with_seed(sweep_plan.trials[0], 7)
  round_plan = sweep_plan._replace(trials=(missing,))
  options = flags.Run(out=str(rounds_of(out)[0].path))
  looks, clock = [], [0.0]

  def sleep(seconds):
    clock[0] += seconds
    looks.append(clock[0])

  monkeypatch.setattr(tuned, 'PATIENCE', 20.0)
  monkeypatch.setattr(tuned.time, 'sleep', sleep)
  monkeypatch.setattr(tuned.time, 'monotonic', lambda: clock[0])
  tuned._await_others(round_plan, options)
  assert not looks  # nobody is at work
  monkeypatch.setattr(tuned.lock, 'holders', lambda opened: ['somebody'])
  # One that writes nothing any more was killed on another machine.
  tuned._await_others(round_plan, options)
  assert tuned.PATIENCE < clock[0] < tuned.PATIENCE + 10
  # One that writes is waited for, and one that has left is not.
  written = iter(range(10**6))
  monkeypatch.setattr(tuned, '_signatures', lambda opened: next(written))
  busy = [['somebody']] * 50 + [[]]
  monkeypatch.setattr(tuned.lock, 'holders', lambda opened: busy.pop(0))
  looks.clear()
  tuned._await_others(round_plan, options)
  assert len(looks) == 50
  # What has ended needs no wait.
  looks.clear()
  (trial, *_) = rounds_of(out)[0].trials.values()
  tuned._await_others(sweep_plan._replace(trials=(trial,)), options)
  assert not looks


# Of two programs, so that two parts have one each.
CELLS = {'cell': ['gru', 'lstm']}


@pytest.fixture(scope='module')
def whole_of_two(tmp_path_factory, all_undrawn):
  del all_undrawn
  out = tmp_path_factory.mktemp('two') / 'whole'
  run(out, **CELLS)
  return out


def passes_of_parts(out):
  """Runs two parts in turn until both have ended; how often each has run."""
  counts = [0, 0]
  for turn in range(20):
    part = turn % 2
    counts[part] += 1
    try:
      run(out, shard=(part, 2), **CELLS)
    except tuned.Unfinished as error:
      assert 'run the same command again' in str(error)
      continue
    if trial_records.all_ended(folder.open_folder(out)):
      return counts
  raise AssertionError('the parts never end')


# Each part compiles its programs anew in each round.
@pytest.mark.slow
def test_two_parts_end_in_the_table_of_one(whole_of_two, tmp_path):
  out = tmp_path / 'parts'
  counts = passes_of_parts(out)
  assert min(counts) > 1  # each has been sent away
  assert table(out) == table(whole_of_two)


# Processes that import JAX, killed again and again.
@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_table(tmp_path):
  out, reference = tmp_path / 'killed', tmp_path / 'reference'
  words = [
    *('-m', 'experiments.sweep', *WORDS, '--progress=none', '--devices=1'),
    f'--compile_cache={tmp_path / "cache"}',
  ]
  children.python(*words, f'--out={reference}')

  def num_ended():
    plans = [*out.glob('tuning/*/plan.json'), *out.glob('plan.json')]
    opened = [folder.open_folder(path.parent) for path in plans]
    return sum(len(trial_records.ended(one)) for one in opened)

  kills = 0
  for _ in range(20):
    before = num_ended()
    process = children.start(*words, f'--out={out}')
    children.await_that(process, lambda least=before: num_ended() > least)
    process.send_signal(signal.SIGKILL)
    code = children.ended(process, returns=None).returncode
    assert code in (0, -signal.SIGKILL)
    kills += code != 0
    if code == 0 or kills > 4:
      break
  children.python(*words, f'--out={out}')
  assert kills > 2
  assert table(out) == table(reference)


# A cluster of Dask's on this machine.
@pytest.mark.slow
def test_dealt_by_dask_it_is_the_same_table(tmp_path):
  words = [
    *('-m', 'experiments.sweep', *WORDS, '--progress=none', '--devices=1'),
    f'--compile_cache={tmp_path / "cache"}',
  ]
  out, reference = tmp_path / 'dealt', tmp_path / 'reference'
  children.python(*words, f'--out={reference}')
  children.python(*words, '--engine=dask', f'--out={out}')
  assert table(out) == table(reference)


def test_studies_are_written_from_python_too(whole, tmp_path):
  out, row = whole
  path = tmp_path / 'studies.db'
  run(out, seeds=row.trials, export_study=path)
  assert path.stat().st_size > 0
  with pytest.raises(ValueError, match='nothing is tuned; needs --tune=N'):
    run(tmp_path / 'plain', tune=False, tune_seeds=None, export_study=path)
