"""Workers: devices, widths, refills, stops and failures change no outcome."""

import functools
import gc
import threading
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.lab.run import scheduler
from lstm_jax.lab.run.scheduler import Hooks
from lstm_jax.lab.store import faults
from lstm_jax.training import lanes, online
from lstm_jax.training.compilation import CPU_WIDTH, widths_of
from lstm_jax.training.loop import Job, OtherSnapshot
from lstm_jax.training.trial_columns import columns_of, stack
from tests import scripted

TESTED = 64


@functools.cache
def scripted_program():
  """The program of all tests here, which is traced and compiled once."""
  return online.program(scripted.task(), scripted.learner())


def build(name, most=2**30):
  """The scripted program, at most so many sequences a call of `advance`."""
  del name
  program = scripted_program()

  def advance(trials, num_sequences):
    return program.advance(trials, jnp.minimum(num_sequences, most))

  return lanes.Build(
    program._replace(advance=advance),
    {key: np.float32(value) for key, value in scripted.SCRIPT.items()},
  )


def slow_build(name):
  """A trial then takes as many calls as sequences: seconds, on any machine."""
  return build(name, most=1)


def job(i, program='one', length=5, budget=10**6, **numbers):
  return Job(f'{program}{i}', program, i, numbers, length, budget)


def make_jobs():
  """Two lengths, more trials than lanes, every kind of end."""
  starts = np.random.default_rng(3).integers(0, 6000, 22).tolist()
  return [
    *(job(i, right_from=n) for i, n in enumerate(starts)),
    job(90, right_from=800, length=7),
    job(91, right_from=800, length=7, nan=300),
    job(92, right_from=scripted.NEVER, length=7, budget=700),
    job(93, right_from=20, length=7, slip=21, burst=22),
  ]


JOBS = make_jobs()


class Record:
  """Hooks that remember; stops when `stop` says so of the progress."""

  def __init__(self, stop=lambda progress: False):
    self.outcomes, self.saved, self.shown = {}, [], []
    self.threads = set()
    self._stop = stop
    self.hooks = Hooks(
      self._outcome, self._progress, self._save, self._stopping
    )

  def _outcome(self, outcome):
    assert outcome.id not in self.outcomes, 'once a trial'
    self.outcomes[outcome.id] = outcome
    self.threads.add(threading.get_ident())

  def _progress(self, progress):
    self.shown.append(progress)

  def _save(self, columns):
    assert not set(columns) & set(self.outcomes), 'only what has not ended'
    self.saved.append(columns)
    self.threads.add(threading.get_ident())

  def _stopping(self):
    return self._stop(self.shown[-1])


def run(jobs, devices=1, stop=lambda progress: False, build=build, **options):
  record = Record(stop)
  ended = scheduler.run(
    jobs,
    build,
    [(device,) for device in jax.devices()[:devices]],
    record.hooks,
    test_sequences=TESTED,
    **options,
  )
  assert record.threads <= {threading.get_ident()}
  return ended, record


def results(record):
  """The outcomes but for what depends on the clock, nan-proof."""

  def without_seconds(outcome):
    spent = outcome.final_state and outcome.final_state._replace(seconds=0.0)
    return repr(outcome._replace(seconds=0.0, final_state=spent))

  return {
    key: without_seconds(outcome) for key, outcome in record.outcomes.items()
  }


@pytest.fixture(scope='module')
def alone():
  """Every trial by itself, one after another."""
  ended, record = run(JOBS, widths=(1,))
  assert ended
  return results(record)


def test_outcomes_say_how_trials_ended(alone):
  ended, record = run(JOBS, widths=(4,))
  assert ended and set(record.outcomes) == {job.id for job in JOBS}
  for one in JOBS:
    outcome = record.outcomes[one.id]
    assert outcome.seconds >= 0 and outcome.reason == ''
    if one.seed < 91:
      want = 'solved', one.numbers['right_from'] + 3
    else:
      want = {
        91: ('diverged', 301), 92: ('budget', 700), 93: ('diverged', 24)
      }[one.seed]  # fmt: skip
    assert (outcome.status, outcome.seen) == want
    metrics = outcome.metrics
    assert ('test_total' in metrics) == (outcome.status == 'solved')
    if outcome.status == 'solved':
      assert metrics['test_total'] == TESTED
      assert 0 <= metrics['test_wrong'] <= TESTED
      assert 0.3 < metrics['test_absolute'] < 0.7
    assert 0 < metrics['train_absolute'] <= scripted.WRONG
  assert results(record) == alone
  last = record.shown[-1]
  assert last.sequences == sum(o.seen for o in record.outcomes.values())
  assert 0 < last.useful <= last.executed and last.compiling == 0
  assert last.seen == {}


@pytest.mark.parametrize(
  'devices, widths, narrow_after',
  [(1, (1, 4, 16), 0.0), (2, (4,), 15.0), (2, (1, 4), 0.0)],
)
def test_outcomes_depend_on_no_lane(
  alone, monkeypatch, devices, widths, narrow_after
):
  monkeypatch.setattr(lanes, 'NARROW_AFTER_SECONDS', narrow_after)
  ended, record = run(JOBS, devices, widths=widths)
  assert ended and results(record) == alone


def test_the_width_follows_from_the_program():
  """The last trial left runs as wide as when there were many, or one alone."""
  cpu = jax.devices('cpu')[0]
  assert widths_of(cpu) == widths_of(cpu, 10) == (CPU_WIDTH,)
  assert widths_of(cpu, 100) == (1,)
  widths = []

  def noted(name):
    made = build(name)

    def advance(trials, num_sequences):
      widths.append(trials.status.shape)
      return made.program.advance(trials, num_sequences)

    return made._replace(program=made.program._replace(advance=advance))

  for chosen in ((), {'one': (2,)}, {'other': (2,)}):
    ended, _ = run([job(0, budget=5)], build=noted, widths=chosen)
    assert ended
  assert widths == [(CPU_WIDTH,), (2,), (CPU_WIDTH,)]


def test_stopped_and_continued_ends_the_same(alone):
  """Stopped twice as soon as trials have moved, with what was saved kept."""
  outcomes, columns = {}, {}
  moved = lambda progress: progress.sequences > 0
  for _ in range(2):
    before = sum(int(c.leaves['seen']) for c in columns.values())
    left = [job for job in JOBS if job.id not in outcomes]
    ended, record = run(
      left, 2, moved, build=slow_build, widths=(4,), columns=columns
    )
    assert not ended
    outcomes |= results(record)
    (columns,) = record.saved
    assert set(columns) <= {job.id for job in left} - set(record.outcomes)
    seen = [int(c.leaves['seen']) for c in columns.values()]
    assert all(n > 0 for n in seen)
    # What was shown is in an outcome or a column: nothing is lost.
    shown = sum(seen) + sum(o.seen for o in record.outcomes.values())
    assert shown == before + record.shown[-1].sequences
  left = [job for job in JOBS if job.id not in outcomes]
  ended, record = run(left, 2, widths=(4,), columns=columns)
  assert ended and not record.saved
  assert outcomes | results(record) == alone


def endless(count):
  return [job(i, right_from=scripted.NEVER, budget=2**30) for i in range(count)]


def test_what_was_saved_is_kept_for_those_that_wait():
  """A stop before a trial has its lane again must not lose its column."""
  jobs = endless(6)
  begun = lambda progress: len(progress.seen) == 4
  ended, first = run(jobs, stop=begun, widths=(4,))
  assert not ended and set(first.saved[-1]) == {job.id for job in jobs[:4]}
  waiting = jobs[0]
  column = first.saved[-1][waiting.id]
  _, second = run(
    [*jobs[1:], waiting], stop=begun, widths=(4,), columns=first.saved[-1]
  )
  assert set(second.saved[-1]) == {job.id for job in jobs[:5]}
  for name, leaf in second.saved[-1][waiting.id].leaves.items():
    np.testing.assert_array_equal(leaf, column.leaves[name])


def test_a_trial_that_has_ended_is_not_saved_again():
  jobs = [*endless(1), job(9, right_from=500)]
  _, first = run(
    jobs, stop=lambda p: p.sequences > 0, build=slow_build, widths=(4,)
  )
  assert set(first.saved[-1]) == {job.id for job in jobs}
  second = Record()
  scheduler.run(
    jobs,
    build,
    [jax.devices()[:1]],
    second.hooks._replace(stopping=lambda: bool(second.outcomes)),
    widths=(4,),
    columns=first.saved[-1],
  )
  assert set(second.outcomes) == {jobs[1].id}
  assert set(second.saved[-1]) == {jobs[0].id}


def test_columns_are_saved_while_trials_run():
  jobs = [*endless(3), job(9, right_from=5)]
  record = Record()
  scheduler.run(
    jobs,
    build,
    [jax.devices()[:1]],
    record.hooks._replace(stopping=lambda: len(record.saved) == 4),
    widths=(4,),
    save_seconds=0.0,
  )
  assert len(record.saved) == 5  # and once more at the end
  seen = [
    {key: int(c.leaves['seen']) for key, c in columns.items()}
    for columns in record.saved
  ]
  assert set(seen[-1]) == {job.id for job in jobs[:3]}
  for earlier, later in zip(seen, seen[1:], strict=False):
    assert all(n >= earlier.get(key, 0) for key, n in later.items())
  assert min(seen[-1].values()) > 0


def fails_to_build(name):
  if name == 'one':
    raise ValueError('no such cell today')
  return build(name)


def fails_to_run(name):
  built = build(name)

  def advance(trials, num_sequences):
    raise RuntimeError('no memory for this net')

  if name == 'one':
    return built._replace(program=built.program._replace(advance=advance))
  return built


@pytest.mark.parametrize(
  'broken, error',
  [
    (fails_to_build, 'ValueError: no such cell today'),
    (fails_to_run, 'RuntimeError: no memory for this net'),
  ],
)
def test_a_program_that_fails_takes_only_its_trials(alone, broken, error):
  others = [job(i, 'two', **JOBS[i].numbers) for i in range(2)]
  ended, record = run([*JOBS, *others], 2, widths=(4,), build=broken)
  assert ended and len(record.outcomes) == len(JOBS) + 2
  for one in JOBS:
    outcome = record.outcomes[one.id]
    assert (outcome.status, outcome.seen) == ('failed', 0)
    assert outcome.metrics == {}
    first, second, *_ = outcome.reason.splitlines()
    assert (first, second) == (error, 'Traceback (most recent call last):')
  for i, other in enumerate(others):
    assert (
      results(record)[other.id].replace("'two", "'one") == alone[JOBS[i].id]
    )


def test_an_error_of_the_caller_stops_the_workers():
  def full_disk(outcome):
    raise OSError('disk full')

  before = threading.active_count()
  jobs = [job(9, right_from=5), *endless(1)]
  with pytest.raises(OSError, match='disk full'):
    scheduler.run(
      jobs, build, [jax.devices()[:1]], Hooks(full_disk), widths=(4,)
    )
  assert threading.active_count() == before


def test_no_jobs():
  ended, record = run([], 2)
  assert ended and not record.outcomes and not record.saved


def test_a_column_of_another_program_is_refused():
  trials = scripted_program().start(
    tuple(np.array([0], np.uint32) for _ in range(2)),
    {name: np.float32([value]) for name, value in scripted.SCRIPT.items()},
    np.int32([4]),
    np.int32([9]),
  )
  (column,) = columns_of(trials, [0.0])
  without = {k: v for k, v in column.leaves.items() if k != 'seen'}
  longer = column.leaves | {'seen': np.zeros(2, np.int32)}
  other_type = column.leaves | {'seen': np.float32(0)}
  for leaves in (without, longer, other_type):
    with pytest.raises(OtherSnapshot, match='arrays of this program'):
      stack([column._replace(leaves=leaves)], trials, 1)


def test_a_column_of_other_code_stops_no_other_trial_and_is_no_result():
  moved = lambda progress: len(progress.seen) == 2
  _, first = run(endless(2), stop=moved, widths=(4,))
  columns = first.saved[-1]
  of_other_code = dict(columns['one0'].leaves)
  of_other_code.pop('seen')
  columns['one0'] = columns['one0']._replace(leaves=of_other_code)
  record = Record()
  with pytest.raises(faults.Refused, match='begun by other code'):
    scheduler.run(
      [*endless(2), job(9, program='two', right_from=500)],
      build,
      [jax.devices()[:1]],
      record.hooks,
      widths=(4,),
      columns=columns,
    )
  assert {o.status for o in record.outcomes.values()} == {'solved'}
  assert set(record.outcomes) == {'two9'}
  saved = record.saved[-1]
  assert set(saved) == {'one0', 'one1'}
  assert saved['one0'].leaves.keys() == of_other_code.keys()


def test_a_chunk_takes_about_half_a_second_whoever_ends():
  chunk = 16
  for _ in range(40):  # 1 ms a sequence
    chunk = scheduler.next_chunk(chunk, 0.001 * chunk, whole=True)
  assert 400 < chunk < 600
  # Lanes that end one after another cut every chunk short.
  for _ in range(16):
    chunk = scheduler.next_chunk(chunk, 0.001, whole=False)
  assert 400 < chunk < 600
  # Slower than before, also where it was cut short: it shrinks.
  assert scheduler.next_chunk(chunk, 10.0, whole=False) < chunk / 3
  assert scheduler.next_chunk(1, 10.0, whole=True) == 1


@pytest.mark.parametrize('workers', [1, 2])
def test_a_program_is_let_go_of_when_its_trials_have_ended(workers):
  names = [f'p{i}' for i in range(6)]
  jobs = [job(i, program=name, budget=30) for i in (0, 1) for name in names]
  builds, programs, alive = {}, {}, []

  def tracked(name):
    made = build(name)
    # What a program is traced from is the last to go.
    builds[name] = weakref.ref(made.program.advance)
    return made

  def look(progress):
    del progress
    gc.collect()
    held = {key[0] for of in programs.values() for key in of.by_call}
    alive.append((held, {n for n, made in builds.items() if made()}))
    return False

  ended, record = run(
    jobs, devices=workers, build=tracked, stop=look, programs=programs
  )
  assert ended and len(record.outcomes) == len(jobs)
  # Each worker has the one it runs, and the one that it has just run.
  assert max(len(held) for held, _ in alive) <= 2 * workers
  assert max(len(built) for _, built in alive) <= 2 * workers
  look(None)
  assert alive[-1] == (set(), set())
  assert not any(of.by_code for of in programs.values())


def test_programs_that_are_kept_are_compiled_once():
  programs, traced = {}, []

  def counted(name):
    made = build(name)

    def advance(*args):
      traced.append(name)
      return made.program.advance(*args)

    return made._replace(program=made.program._replace(advance=advance))

  def once(budget):
    jobs = [job(i, program=name, budget=budget) for i, name in enumerate('ab')]
    return run(
      jobs, build=counted, programs=programs, keeps=lambda name: name == 'a'
    )

  assert once(20)[0] and once(30)[0]
  assert sorted(traced) == ['a', 'b', 'b']
