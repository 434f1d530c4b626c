"""What a command does about results of other code and about failed trials."""

import types

import jax
import pytest

from lstm_jax.lab.run import jax_options, renewal, verifying
from lstm_jax.lab.store import faults, reruns, results_table, trial_records
from lstm_jax.lab.store.folder import create_or_open
from tests.fake_sweep import make_plan, record
from tests.older_records import as_files

THEN = {'lstm_jax/cells/a.py': '1', 'lstm_jax/training/online.py': '2'}
NOW = {**THEN, 'lstm_jax/cells/a.py': '9'}
OTHER = {'lstm_jax/cells/b.py': '7', 'lstm_jax/training/online.py': '2'}


def how(**flags):
  usual = dict.fromkeys(('rerun_changed', 'allow_drift', 'retry_failed'), False)
  return types.SimpleNamespace(**usual | flags)


@pytest.fixture
def made(tmp_path):
  """(folder, names): cells a, a, a (failed) and b, in the code of then."""
  plan = make_plan(trials=4)
  names = [trial['id'] for trial in plan['trials']]
  sources = dict.fromkeys(names[:3], THEN) | {names[3]: OTHER}
  folder = create_or_open(tmp_path / 'run', plan, sources=sources)
  for i, status in enumerate(('solved', 'budget', 'failed', 'failed')):
    why = None if i < 2 else 'ValueError: a cell\nTraceback'
    seen = 12 if status == 'solved' else None
    trial_records.write_record(
      folder,
      record(folder, i, status=status, reason=why, sequences_to_success=seen),
    )
  return folder, names


def now_of(names, a=NOW, b=OTHER):
  return dict.fromkeys(names[:3], a) | {names[3]: b}


def planned(folder, now, begun=(), **flags):
  records, _ = trial_records.read_records(folder)
  return renewal.plan(folder, how(**flags), records, dict(begun), now)


def test_the_same_code_is_left_alone(made):
  folder, names = made
  assert planned(folder, now_of(names, a=THEN)) == ({}, {}, ())


def test_results_of_other_code_are_refused_by_the_file(made):
  folder, names = made
  with pytest.raises(faults.Refused) as caught:
    planned(folder, now_of(names))
  text = str(caught.value)
  assert '  lstm_jax/cells/a.py (2 trials)\n' in text and 'b.py' not in text
  assert '--rerun_changed' in text and '--allow_drift' in text
  assert caught.value.exit_code == 2


def test_changed_trials_run_again_or_drift(made):
  folder, names = made
  again = planned(folder, now_of(names), rerun_changed=True)
  assert set(again.trials) == set(names[:3]) and again.drifted == {}
  kept = planned(folder, now_of(names), allow_drift=True)
  # The failed one runs again all the same, and is marked.
  assert set(kept.trials) == {names[2]}
  assert set(kept.drifted) == set(names[:3])
  assert any('--allow_drift' in line for line in kept.lines)


def test_failed_trials_run_again_when_mended_or_asked_for(made):
  folder, names = made
  mended = planned(folder, now_of(names, a=THEN, b={**OTHER, 'x.py': '1'}))
  assert set(mended.trials) == {names[3]}
  assert 'x.py (1 trial)' in mended.lines[0]
  asked = planned(folder, now_of(names, a=THEN), retry_failed=True)
  assert set(asked.trials) == set(names[2:])
  records, _ = trial_records.read_records(folder)
  assert reruns.failures(records) == {'ValueError: a cell': 2}


def test_trials_under_way_count_too(made):
  folder, names = made
  code = folder.code[names[0]]
  reruns.set_aside(folder, dict.fromkeys(names[:2], 'a test'))
  with pytest.raises(faults.Refused, match='trials under way'):
    planned(folder, now_of(names), {names[1]: code})
  again = planned(folder, now_of(names), {names[1]: code}, rerun_changed=True)
  assert set(again.trials) == {names[2]}  # no record, so nothing to set aside
  meta = {'code': {names[1]: code}}
  of_other_code = types.SimpleNamespace(code={names[1]: 'x'})
  assert not renewal.is_of(of_other_code, how(), meta, names[1], names[1])
  # Its name under a larger budget, of the same code.
  renamed = types.SimpleNamespace(
    code={'new': code},
    plan={'replaced': {'new': 'between', 'between': names[1]}},
  )
  assert renewal.successors(renamed)[names[1]] == 'new'
  saved = [('spent', meta, {})]
  assert renewal.going_on(renamed, how(), saved, names[:2]) == {names[1]}


def test_a_drifted_record_says_so(made):
  folder, names = made
  reruns.set_aside(folder, {names[0]: 'a test'})
  drifted = create_or_open(
    folder.path, make_plan(trials=4), sources=now_of(names)
  )
  object.__setattr__(drifted, 'drifted', {names[0]: ('a.py', 'b.py')})
  trial_records.write_record(drifted, record(drifted, 0))
  rows = results_table.rows(drifted, trial_records.read_records(drifted)[0])
  assert [row['drift'] for row in rows] == ['code=a.py b.py', None, None, None]


def test_older_records_are_taken_with_a_word(tmp_path):
  folder = create_or_open(tmp_path / 'run', make_plan())
  trial_records.write_record(folder, record(folder))
  (name, *_) = folder.trials
  kept = planned(folder, {name: NOW})
  assert kept.trials == {} and 'do not say by which code' in kept.lines[0]


def test_what_acts_on_results_is_pinned_or_recorded():
  """Whether an option is set by the environment or by a call is the same."""
  pins = ('jax_default_prng_impl', 'jax_threefry_partitionable')
  pins += ('jax_random_seed_offset',)
  before = {name: jax.config.values[name] for name in pins}
  held = jax_options.recorded({})
  try:
    jax.config.update('jax_default_prng_impl', 'rbg')
    jax.config.update('jax_threefry_partitionable', False)
    jax.config.update('jax_random_seed_offset', 7)
    jax_options.pin()
    assert jax.random.key_impl(jax.random.key(0)) == 'threefry2x32'
    assert jax.config.jax_threefry_partitionable
    assert jax.config.jax_random_seed_offset == 0
    assert jax_options.recorded({}) == held
  finally:
    for name, value in before.items():
      jax.config.update(name, value)


TURNED = object()  # the other of two values


@pytest.mark.parametrize(
  'name, value',
  [
    ('jax_enable_x64', TURNED),
    ('jax_disable_jit', TURNED),
    ('jax_numpy_dtype_promotion', 'strict'),
    ('jax_default_matmul_precision', 'bfloat16'),
    ('jax_debug_nans', TURNED),
    ('jax_softmax_custom_jvp', TURNED),
    ('jax_disable_most_optimizations', TURNED),
    ('jax_use_direct_linearize', TURNED),
  ],
)
def test_other_options_make_another_run(tmp_path, name, value):
  plan = make_plan(jax_config=jax_options.recorded({}))
  create_or_open(tmp_path / 'run', plan)
  before = jax.config.values[name]
  if value is TURNED:
    value = not before
  try:
    jax.config.update(name, value)
    other = make_plan(jax_config=jax_options.recorded({}))
  finally:
    jax.config.update(name, before)
  with pytest.raises(faults.Refused, match=name.removeprefix('jax_')):
    create_or_open(tmp_path / 'run', other)
  told = jax_options.recorded({'NVIDIA_TF32_OVERRIDE': '0'})
  assert told['NVIDIA_TF32_OVERRIDE'] == '0'


def test_verify_says_what_there_is_and_changes_nothing(made, capsys):
  folder, names = made
  as_files(folder.path)

  def verify(now, path=folder.path):
    before = {p: p.read_bytes() for p in path.rglob('*') if p.is_file()}
    stored = make_plan(trials=4)['trials']
    code = verifying.verify(path, how(), names, stored, now)
    assert before == {p: p.read_bytes() for p in path.rglob('*') if p.is_file()}
    return code, ''.join(capsys.readouterr())

  code, said = verify(now_of(names, a=THEN))
  assert code == 0 and '4 of 4 trials have ended' in said
  assert '2 trials failed: ValueError: a cell' in said
  code, said = verify(now_of(names))
  assert code == 2 and 'lstm_jax/cells/a.py (2 trials)' in said
  (folder.path / 'records' / f'{names[0]}.json').write_text('{')
  code, said = verify(now_of(names, a=THEN))
  assert code == 3 and f'{names[0]}.json' in said and 'runs again' in said
  (folder.path / 'plan.json').unlink()
  code, said = verify(now_of(names))
  assert code == 3 and 'its 3 records are of this command' in said
