"""`learner.form=auto`: chosen when the plan is made, and stored in it."""

import pytest

from lstm_jax.lab.plan import flags, grid, listing, plan, values
from lstm_jax.lab.run import builds
from lstm_jax.lab.store.setting import entry_of, setting_of, trial_id
from lstm_jax.nn.native import library

AUTO = '--set=learner.form=auto'
LONG = f'--task=adding --length=1000 --seeds=1 {AUTO}'


@pytest.fixture
def has(monkeypatch, tmp_path):
  """`has(*what)`: a machine with a library, a compiler, or neither."""
  monkeypatch.setenv('JAX_PLATFORMS', 'cpu')

  def has(*what):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(
      library, '_compiler', lambda: '/c++' if 'compiler' in what else None
    )
    reason = None if 'library' in what else 'not compiled for this machine'
    monkeypatch.setattr(library, 'why_not', lambda: reason)

  return has


def expanded(line):
  return plan.expand(flags.parse(['sweep', *line.split()], {}))


def forms(line):
  return [dict(s.learner_options).get('form') for s in expanded(line).trials]


@pytest.mark.parametrize(
  ('what', 'form'),
  [(('library',), 'native'), (('compiler',), 'native'), ((), 'streaming')],
)
def test_it_is_native_where_the_machine_has_a_library_or_a_compiler(
  has, what, form
):
  has(*what)
  made = expanded(LONG)
  assert {dict(s.learner_options)['form'] for s in made.trials} == {form}
  # The plan has what it came to, under the id of that.
  plain = expanded(LONG.replace('auto', form))
  assert list(map(trial_id, made.trials)) == list(map(trial_id, plain.trials))
  for setting in made.trials:
    assert dict(setting_of(entry_of(setting)).learner_options)['form'] == form
  text = listing.plan(made)
  assert f'learner.form=auto is {form} in 1 row' in text
  assert ('learner.form=native' in text) == (form == 'native')
  assert ('no C++ compiler' in text) == (form == 'streaming')


@pytest.mark.parametrize(
  ('line', 'form'),
  [
    ('--task=adding --length=1000 --cell=lstm', 'native'),
    ('--task=temporal_order --length=500', 'native'),
    ('--task=adding --length=100', 'streaming'),
    ('--task=two_sequence --length=1000', 'native'),
    ('--task=reber', 'streaming'),
    ('--task=trigger --length=1000', 'streaming'),
    (
      '--task=first_symbol --length=1000 --set=task.middle=random',
      'streaming',
    ),
    (
      '--task=adding --length=1000 --cell=lstm1997 '
      '--set=cell.state_sum=compensated',
      'streaming',
    ),
  ],
)
def test_it_is_native_where_it_can_be_and_pays(has, line, form):
  has('library')
  assert set(forms(f'{line} --learner=truncated1997 {AUTO}')) == {form}


def test_an_accelerator_is_left_to_jax(has, monkeypatch):
  has('library')
  monkeypatch.setattr(
    'lstm_jax.lab.store.machine.may_have_accelerator', lambda *environ: True
  )
  assert forms(LONG) == ['streaming']


def test_other_flags_are_looked_at_and_no_default_moves(has):
  has('library')
  assert forms(LONG.replace(AUTO, '')) == ['streaming']
  every = f'{LONG} --set=learner.update=every_step'
  assert forms(every) == ['native']  # scored at its end: one and the same
  # Beside another value, each by its name.
  rows = [s.row for s in expanded(LONG.replace('auto', 'auto,batched')).trials]
  assert rows == ['flags learner.form=native', 'flags learner.form=batched']


def test_a_grid_says_it_too_and_flags_change_its_rows(has, tmp_path):
  text = """
    title = 't'
    source = 's'
    command = 'c'
    expected_seconds = 0
    [defaults]
    task = 'adding'
    cell = 'lstm1997'
    learner = 'truncated1997'
    set.learner.form = 'auto'
    seeds = 1
    budget = 10
    [[row]]
    name = 'long'
    length = 1000
    [[row]]
    name = 'short'
    length = 10
  """
  file = tmp_path / 'mine.toml'
  file.write_text(text)
  has('library')
  assert forms(f'--grid={file}') == ['native', 'streaming']
  # What it comes to follows from what flags change.
  changed = f'--grid={file} --set=cell.state_sum=compensated'
  assert forms(changed) == ['streaming', 'streaming']
  # A row that has the form already keeps its name.
  plain = tmp_path / 'plain.toml'
  plain.write_text(text.replace("set.learner.form = 'auto'", ''))
  rows = [s.row for s in expanded(f'--grid={plain} {AUTO}').trials]
  assert rows == ['long learner.form=native', 'short']
  has()
  assert forms(f'--grid={file}') == ['streaming', 'streaming']


def test_where_there_is_no_such_option_it_is_refused_as_others_are(has):
  has('library')
  wrong = '--task=adding --length=100 --learner=bptt'
  with pytest.raises(values.Refused) as refused:
    expanded(f'{wrong} {AUTO}')
  assert refused.value.args == (
    '--set=learner.form=auto: learner bptt has no form; learners with one: '
    'truncated1997',
  )
  # The quick start's rows of the simple recurrent net have none.
  assert 'learner.form=auto is streaming in 6 rows' in expanded(AUTO).title


def test_a_machine_without_refuses_a_stored_plan_by_name(has):
  has('library')
  stored = [setting_of(entry_of(s)) for s in expanded(LONG).trials]
  has()
  trials = {trial_id(s): s for s in stored}
  made = builds.on_line(trials, flags.Run(), _cpu())
  (reason,) = made.reasons
  assert 'form=native: no C++ compiler: none of ' in reason


def test_a_compiler_makes_the_library_when_it_runs(has, monkeypatch, capsys):
  has('compiler')
  stored = [setting_of(entry_of(s)) for s in expanded(LONG).trials]
  monkeypatch.setattr(library, 'build', lambda: has('library'))
  monkeypatch.setattr(builds, 'native_compiler', lambda: 'GCC')
  made = builds.on_line({trial_id(s): s for s in stored}, flags.Run(), _cpu())
  assert not made.reasons and made.provenance == {'compiler': 'GCC'}
  assert 'Compiling the loops in C++' in capsys.readouterr().out


def _cpu():
  import jax

  return jax.devices('cpu')[0]


def test_no_grid_of_ours_is_written_with_it():
  """Committed results stay as they are."""
  for name in grid.names():
    for row in grid.load(name).rows:
      assert all('auto' not in axis.values for axis in row.axes)
