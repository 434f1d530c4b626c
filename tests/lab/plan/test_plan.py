"""A plan is refused or runs; the names of its trials never change."""

import collections
import dataclasses
import hashlib
import itertools
import json
import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_jax.lab.plan import (
  catalog,
  estimate,
  flags,
  grid,
  grid_check,
  listing,
  plan,
  selection,
  values,
)
from lstm_jax.lab.plan.programs import (
  length_is_static,
  program_key,
  programs,
  steps,
)
from lstm_jax.lab.report import commands
from lstm_jax.lab.store import machine
from lstm_jax.lab.store.setting import (
  Setting,
  by_id,
  resolved,
  trial_id,
  with_seed,
)

SETTING = Setting(
  grid='table7',
  row='T100-linear',
  task='adding',
  cell='lstm1997',
  learner='truncated1997',
  length=100,
  task_options=(('output', 'linear'),),
  cell_options=(('block_size', 2), ('blocks', 2)),
  learner_options=(('form', 'streaming'),),
  numbers=(
    ('init_range', 0.1),
    ('input_gate_bias', (-3.0, -6.0)),
    ('learning_rate', 0.5),
    ('output_gate_bias', None),
  ),
  seed=3,
  budget=222_000,
)


def made(line):
  request = flags.parse(['sweep', *line.split()], {})
  return plan.expand(request)


def refused(line):
  with pytest.raises(values.Refused) as caught:
    made(line)
  return '\n'.join(caught.value.args)


# Identity.


def test_ids_are_what_they_were():
  # A changed id makes every older run folder foreign: raise the schema instead.
  canonical = (
    '{"budget":222000,"cell":"lstm1997",'
    '"cell_options":{"block_size":2,"blocks":2},"learner":"truncated1997",'
    '"learner_options":{"form":"streaming"},"length":100,'
    '"numbers":{"init_range":0.1,"input_gate_bias":[-3.0,-6.0],'
    '"learning_rate":0.5,"output_gate_bias":null},"schema":1,"seed":3,'
    '"task":"adding","task_options":{"output":"linear"}}'
  )
  digest = hashlib.sha256(canonical.encode()).hexdigest()
  assert trial_id(SETTING) == digest[:12] == '68e92bf3f2f8'
  assert trial_id(dataclasses.replace(SETTING, seed=4)) == '8e895de03f11'
  assert program_key(SETTING) == '794cc3a4311f'


def test_an_id_is_the_hash_of_what_decides_the_result():
  same = {
    'grid': 'other',
    'row': 'other',
    'line': 'other',
    'source': 'other',
    'reading': 'other',
    'axes': ('length=10',),
    'tried': 3,
    'published': (('wrong', 1),),
    'expected_sequences': 5.0,
    'expected_trial_seconds': 5.0,
    'tuned': (('settings', 16),),
    'outside': {'cell': 'other'},
  }
  other = {
    'task': 'temporal_order',
    'cell': 'lstm',
    'learner': 'bptt',
    'length': 101,
    'task_options': (('output', 'logistic'),),
    'cell_options': (('block_size', 1), ('blocks', 2)),
    'learner_options': (('form', 'batched'),),
    'numbers': (('learning_rate', 0.25),),
    'seed': 4,
    'budget': 1,
  }
  names = {field.name for field in dataclasses.fields(Setting) if field.init}
  assert same.keys() | other.keys() == names
  for name, value in same.items():
    changed = dataclasses.replace(SETTING, **{name: value})
    assert trial_id(changed) == trial_id(SETTING), name
  for name, value in other.items():
    changed = dataclasses.replace(SETTING, **{name: value})
    assert trial_id(changed) != trial_id(SETTING), name
  assert json.loads(json.dumps(resolved(SETTING)))['numbers'][
    'input_gate_bias'
  ] == [-3, -6]


def test_ids_do_not_depend_on_order_spelling_or_grid():
  one = made(
    '--task=adding --length=20,10 --learning_rate=0.5,0.10 --seeds=2-3'
  )
  other = made(
    '--set=learner.learning_rate=1e-1,5e-1 --seeds=3,2 --length=10,20 '
    '--task=adding --cell=lstm1997 --learner=truncated1997 --blocks=2 '
    '--set=task.output=logistic'
  )
  ids = [trial_id(setting) for setting in one.trials]
  assert len(ids) == 8
  assert sorted(ids) == sorted(map(trial_id, other.trials))
  assert ids != [trial_id(setting) for setting in other.trials]
  assert one.out == other.out
  # The same trial written by flags and in a grid.
  mine = made(
    '--cell=lstm1997 --length=100 --learning_rate=0.5 --seeds=10 '
    '--set=learner.optimizer=sgd '
    '--set=task.output=linear '
    '--set=cell.input_gate_bias=-3:-6 --budget=1000'
  )
  theirs = made('--grid=table7 --row=T100-linear --seeds=10 --budget=1000')
  assert list(map(trial_id, mine.trials)) == list(map(trial_id, theirs.trials))
  assert mine.trials[0].grid == 'flags' and theirs.trials[0].grid == 'table7'


# Programs.


def test_numbers_share_a_program_and_options_do_not():
  numbers = made(
    '--task=adding --learning_rate=0.1,0.5 --length=10,100 --seeds=3 '
    '--set=cell.input_gate_bias=none,-1,-3:-6 --set=cell.init_range=0.1,0.2'
  )
  assert len(numbers.trials) == 2 * 2 * 3 * 3 * 2
  assert len(programs(numbers.trials)) == 1
  options = made(
    '--cell=lstm1997 --blocks=1,2 --set=task.output=linear,logistic --seeds=2'
  )
  shared = programs(options.trials)
  assert [len(members) for members in shared.values()] == [2] * 4
  for key, members in shared.items():
    assert {program_key(options.trials[i]) for i in members} == {key}


def test_a_bias_follows_the_lag():
  words = '--cell=lstm1997 --learner=truncated1997'
  words += ' --set=cell.input_gate_bias=lag --seeds=1'
  for task in ('adding', 'temporal_order'):
    trials = made(f'{words} --task={task} --length=100,1000').trials
    biases = [dict(one.numbers)['input_gate_bias'] for one in trials]
    assert biases == [-6.9052, -9.2078]
    assert [dict(one.numbers)['output_gate_bias'] for one in trials] == [
      None
    ] * 2
  assert refused(f'{words} --task=reber') == (
    '--set=cell.input_gate_bias=lag: task reber has no length'
  )


@pytest.mark.parametrize(
  ('line', 'static'),
  [
    ('--learner=bptt --window=5,10', True),
    ('--learner=truncated1997 --set=learner.form=batched', True),
    ('--learner=truncated1997 --set=learner.form=streaming', False),
    ('--learner=elman', False),
  ],
)
def test_the_length_is_part_of_a_program_where_the_learner_says_so(
  line, static
):
  trials = made(f'--length=20,40 --seeds=1 {line}').trials
  windows = 2 if 'window' in line else 1
  assert {length_is_static(setting) for setting in trials} == {static}
  assert len(programs(trials)) == (2 if static else 1) * windows


# Products, duplicates, selection.


def test_a_product_has_every_combination_in_order():
  line = '--task=adding,temporal_order --learner=bptt --cell=srn,gru'
  trials = made(f'{line} --length=30,20 --window=5,full --seeds=4,2').trials
  seen = [
    (t.task, t.cell, t.length, t.window, t.seed)  # seeds innermost
    for t in trials
  ]
  assert seen == list(
    itertools.product(
      ('adding', 'temporal_order'),
      ('srn', 'gru'),
      (30, 20),
      (5, 'full'),
      (4, 2),
    )
  )
  rows = collections.Counter(setting.row for setting in trials)
  assert set(rows.values()) == {2}
  assert 'flags task=adding cell=srn length=30 window=5' in rows


def test_duplicates_are_dropped_and_counted():
  plain = made('--grid=table9 --row=6a --seeds=3')
  twice = made('--grid=table9 --row=6a --seeds=3 --blocks=2,2.0')
  assert len(plain.trials) == len(twice.trials) == 3
  rows = '--row=T100-linear,T100-literal'
  line = f'--grid=table7 {rows} --set=task.output=linear'
  merged = made(f'{line} --seeds=4 --budget=10')
  assert len(merged.trials) == 4 and merged.duplicates == 4
  ids = [trial_id(setting) for setting in merged.trials]
  assert len(set(ids)) == 4


def test_axis_flags_select_from_a_grid():
  whole = made('--grid=quickstart').trials
  some = made('--grid=quickstart --task=adding --length=20 --window=3').trials
  assert some == tuple(
    setting
    for setting in whole
    if setting.task == 'adding' and setting.length == 20 and setting.window == 3
  )
  assert {setting.cell for setting in some} == {'lstm1997', 'srn'}
  full = made('--grid=quickstart --window=full').trials
  assert full and all(
    setting.window == 'full' and setting.learner == 'bptt' for setting in full
  )
  of_6a = [s for s in made('--grid=table9').trials if s.line == '6a']
  assert list(made('--grid=table9 --learning_rate=0.50').trials) == of_6a
  assert len(made('--grid=table9 --row=6b,6a').trials) == 60


def test_set_overrides_a_grid_and_says_so():
  trials = made('--grid=table9 --row=6a --set=task.output=linear').trials
  assert {setting.row for setting in trials} == {'6a task.output=linear'}
  assert {dict(s.task_options)['output'] for s in trials} == {'linear'}
  assert 'task.output=linear' in trials[0].reading
  assert dict(trials[0].published)['success_after'] == 31_390
  variants = made('--grid=table9 --row=6a --set=cell.g=[-2,2],[0,1]').trials
  assert {dict(s.cell_options)['g'] for s in variants} == {'[-2,2]', '[0,1]'}


def test_seeds_and_budget_override_a_grid():
  trials = made('--grid=table9 --row=6a --seeds=5-6 --budget=77').trials
  assert [(s.seed, s.budget) for s in trials] == [(5, 77), (6, 77)]


def test_the_run_folder_is_the_grid_s_own_unless_flags_change_the_plan():
  outs = [
    made(line).out
    for line in (
      '--grid=table7',
      '--grid=table7 --devices=1 --progress=none',
      '--grid=table7 --seeds=3',
      '--grid=table7 --length=100',
      '--length=100',
      '--length=101',
    )
  ]
  assert outs[0] == outs[1] == 'runs/table7'
  assert len(set(outs)) == 5
  assert all(out.startswith('runs/') for out in outs)


@pytest.mark.parametrize(
  ('name', 'line'),
  [
    ('paper1997', '--seeds=30'),
    ('paper1997', '--seeds=0-29'),
    ('paper1997', '--seeds=29,0-28'),
    ('table7', '--length=100,500,1000'),
    ('table7', '--task=adding --cell=lstm1997 --learner=truncated1997'),
    ('table7', '--set=learner.learning_rate=0.50'),
    ('table9', '--row=6b-inputs,6b,6a-inputs,6a'),
    ('quickstart', '--budget=30000 --set=task.streak=200 --seeds=6'),
    (None, '--seeds=6'),
    (None, '--budget=30000 --set=task.streak=200'),
    ('sine', '--task=noisy_sine'),
  ],
)
def test_flags_that_say_what_the_grid_says_make_its_plan(name, line):
  own = made(f'--grid={name or "quickstart"}')
  same = made(f'--grid={name} {line}' if name else line)
  assert same == own
  assert same.out == f'runs/{own.grid}'


def test_a_repeated_value_leaves_the_row_s_name():
  one = made('--grid=table7 --row=T100-linear --seeds=2')
  again = '--set=task.output=linear --set=cell.input_gate_bias=-3:-6'
  assert made(f'--grid=table7 --row=T100-linear --seeds=2 {again}') == one
  both = made(f'--grid=table7 --length=100 --seeds=2 {again}')
  rows = {setting.row for setting in both.trials}
  assert 'T100-linear' in rows and len(both.trials) == 6
  assert both.duplicates == 2  # T100-literal is now T100-linear


@pytest.mark.parametrize(
  ('line', 'rows'),
  [
    ('--length=80', 6),
    ('--length=30,60', 6),
    ('--window=5', 4),
    ('--window=full', 4),
    ('--hidden=16', 2),
    ('--learning_rate=0.2', 6),
    ('--set=cell.init_range=0.2', 6),
    ('--set=task.output=logistic', 6),
    ('--set=cell.cells_hear=nothing', 4),
  ],
)
def test_a_flag_alone_changes_the_quick_start_and_nothing_else(line, rows):
  own, changed_ = made('').trials, made(line)
  assert changed_.grid == 'quickstart' and line in changed_.title
  assert changed_.out.startswith('runs/quickstart-')
  (axis,) = (request := flags.parse(['sweep', line], {})).axes + request.sets
  name = axis.name

  def without(setting):
    held = selection.values_of(setting)
    held.pop(name, None)
    # A window means the same where it stands in a data set.
    return tuple(sorted(held.items())), setting.seed, setting.budget

  assert {*map(without, changed_.trials)} == {*map(without, own)}
  got = {selection.values_of(s).get(name) for s in changed_.trials} - {None}
  assert got == set(axis.values)
  told = f'in {rows} of 6 rows' in changed_.title
  assert told == (rows < 6)
  # The report's command for a row makes the same trials again.
  setting = changed_.trials[-1]
  words = [
    f'--{word}'
    if word.partition('=')[0] in grid_check.AXES
    else f'--set={word}'
    for word in setting.row.split()[1:]
  ]
  again = made(
    ' '.join(['--grid=quickstart', f'--row={setting.row.split()[0]}', *words])
  )
  ids = {trial_id(s) for s in changed_.trials}
  assert {trial_id(s) for s in again.trials} <= ids


@pytest.mark.parametrize(
  'line', ['--cell=srn', '--task=reber', '--learner=elman', '--cell=gru,lstm']
)
def test_a_plan_of_flags_says_that_it_is_not_the_quick_start(line):
  expanded = made(line)
  assert expanded.grid == 'flags'
  assert 'not the quick start' in expanded.title
  for flag in ('--task', '--cell', '--learner', '--seeds', '--budget'):
    assert (f'{flag}=' in expanded.title) == (flag not in line)


def test_the_default_learner_is_one_that_can_train_the_cell():
  assert made('--cell=lstm1997').trials[0].learner == 'truncated1997'
  assert made('--cell=srn').trials[0].learner == 'bptt'
  assert made('--cell=lstm --window=3').trials[0].learner == 'bptt'


# Refusals.


def test_every_illegal_combination_is_listed_before_anything_runs():
  text = refused('--learner=bptt --length=2,10 --window=5,20 --blocks=0')
  assert text.splitlines() == ['--blocks=0: must be an integer from 1 to 4096']
  text = refused('--learner=bptt --length=2,10 --window=5,20')
  assert text.splitlines() == [
    '--length=2: task adding needs at least 4',
    '--window=5: is more than --length=2; for the whole sequence write full',
    '--window=20: is more than --length=2; for the whole sequence write full',
    '--window=20: is more than --length=10; for the whole sequence write full',
  ]


def test_what_a_cell_provides_can_hang_on_its_options(monkeypatch):
  describe = catalog.describe

  def conditional(kind, name):
    entry = describe(kind, name)
    if name == 'lstm':
      entry = entry._replace(provides={'internal_state': {'peepholes': False}})
    return entry

  monkeypatch.setattr(catalog, 'describe', conditional)
  line = '--cell=lstm --learner=truncated1997'
  assert len(made(line).trials) == 10
  text = refused(f'{line} --set=cell.peepholes=true')
  assert 'cannot train cell lstm' in text and 'peepholes=false' in text


def test_a_task_can_lack_what_a_learner_needs():
  text = refused('--learner=chunker --task=adding')
  assert text == (
    '--learner=chunker: cannot learn task adding: it predicts the next symbol '
    'of a sequence at every step, and this task does not ask for that; '
    'tasks with next symbol: first_symbol, reber'
  )
  line = '--learner=chunker --task=first_symbol'
  assert len(made(line).trials) == 10
  text = refused(f'{line} --set=task.scored=end')
  assert text.endswith(
    'task first_symbol has next symbol with scored=every_step'
  )
  # Every reason at once, the cell's and the task's.
  text = refused('--learner=chunker,truncated1997 --task=adding --cell=srn')
  assert len(text.splitlines()) == 2
  assert 'cannot learn task adding' in text and 'cannot train cell srn' in text


def test_a_module_can_refuse_combinations(monkeypatch):
  describe = catalog.describe
  rule = ({'input_gates': False, 'input_gate_bias': ...}, 'no gate to bias')

  def with_rule(kind, name):
    entry = describe(kind, name)
    return entry._replace(refuses=(rule,) if name == 'lstm1997' else ())

  monkeypatch.setattr(catalog, 'describe', with_rule)
  line = '--cell=lstm1997 --set=cell.input_gate'
  assert made(f'{line}s=false').trials
  assert made(f'{line}_bias=-3').trials
  text = refused(f'{line}s=false --set=cell.input_gate_bias=-3')
  assert text == (
    '--set=cell.input_gates=false with --set=cell.input_gate_bias=-3: '
    'cell lstm1997: no gate to bias'
  )


def test_very_large_plans_need_a_yes():
  line = '--task=adding --seeds=60000 --length=10,20 --budget=1'
  assert 'give --yes' in refused(line)
  assert '120000 trials' in refused(line)
  assert made('--task=adding --seeds=50 --length=10,20 --yes').trials


_NAMES = {
  'task': [*catalog.names('tasks'), 'foo'],
  'cell': [*catalog.names('cells'), ''],
  'learner': [*catalog.names('learners'), 'foo'],
}
_TEXT = st.sampled_from(
  ['0', '-1', '1', '2', '7', '30', '1e30', 'nan', 'full', 'none', 'x', '-3:-6']
)
_OPTIONS = sorted(
  {
    f'{kind[:-1]}.{name}={value}'
    for kind in catalog.KINDS
    for entry in (catalog.describe(kind, n) for n in catalog.names(kind))
    for name, option in entry.options.items()
    for value in (*option.choices, 'true', '2', '0.5', '0')
  }
  | {
    f'{kind[:-1]}.{name}={value}'
    for kind in catalog.KINDS
    for entry in (catalog.describe(kind, n) for n in catalog.names(kind))
    for name in entry.numbers
    for value in ('30', '0.5', '-1:-2', 'none')
  }
)


@settings(max_examples=200, deadline=None)
@given(
  names=st.fixed_dictionaries(
    {},
    optional={
      name: st.lists(st.sampled_from(known), min_size=1, max_size=2)
      for name, known in _NAMES.items()
    },
  ),
  figures=st.dictionaries(
    st.sampled_from(sorted(set(grid_check.AXES) - set(_NAMES))),
    st.lists(_TEXT, min_size=1, max_size=2),
    max_size=3,
  ),
  sets=st.lists(st.sampled_from(_OPTIONS), max_size=3),
)
def test_flags_give_a_plan_or_reasons(names, figures, sets):
  argv = [f'--{n}={",".join(v)}' for n, v in {**names, **figures}.items()]
  argv += [f'--set={text}' for text in sets]
  try:
    made_plan = plan.expand(flags.parse(['sweep', '--seeds=2', *argv], {}))
  except values.Refused as error:
    assert error.args
    for reason in error.args:
      assert reason.strip() and '\n' not in reason
    return
  listing.plan(made_plan)
  assert len({trial_id(setting) for setting in made_plan.trials}) == len(
    made_plan.trials
  )
  for setting in made_plan.trials:
    # What was resolved can be built: names, options, window, needs.
    for role in catalog.ROLES:
      entry = catalog.find(role, getattr(setting, role))
      options = dict(getattr(setting, f'{role}_options'))
      assert options.keys() | {*entry.later} == entry.options.keys()
      for name, value in options.items():
        assert_fits(entry.options[name], value)
      for name in entry.numbers:
        assert name == 'length' or name in dict(setting.numbers)
    window = dict(setting.learner_options).get('window')
    assert window is None or 1 <= window <= setting.length
    # The report writes flags that make the same trial again.
    flagged = dataclasses.replace(setting, grid='flags')
    words = shlex.split(commands.command(flagged, [setting.seed]))[2:]
    again = plan.expand(flags.parse(['sweep', *words], {}))
    assert [trial_id(s) for s in again.trials] == [trial_id(setting)]


def assert_fits(option, value):
  if value is None:
    assert option.optional
  elif value in option.choices:
    pass
  else:
    assert type(value).__name__ in option.types


@pytest.mark.parametrize('cell', catalog.names('cells'))
@pytest.mark.parametrize('learner', catalog.names('learners'))
def test_what_is_planned_can_be_built_and_the_rest_is_refused(cell, learner):
  line = f'--cell={cell} --learner={learner} --seeds=1 --length=20'
  try:
    setting = made(line).trials[0]
  except values.Refused:
    setting = None
  task = catalog.build('tasks', 'adding')
  net = catalog.build('cells', cell, task.num_inputs, task.num_outputs)
  keywords = {}
  if setting is None or length_is_static(setting):
    keywords['length'] = 20
  try:
    catalog.build('learners', learner, net, task, **keywords)
  except (ValueError, TypeError):
    assert setting is None
  else:
    assert setting is not None


# Grids.


@pytest.mark.parametrize('name', grid.names())
def test_every_grid_expands(name):
  table = grid.load(name)
  expanded = made(f'--grid={name}')
  assert expanded.trials and not expanded.duplicates
  assert {setting.row.split(' ')[0] for setting in expanded.trials} == {
    row.name for row in table.rows
  }
  # Behind it stands what is tuned.
  assert expanded.title.partition('; ')[0] == table.title
  assert expanded.out == f'runs/{name}'


def test_the_published_rows_stand_beside_their_settings():
  rows = {s.row: s for s in made('--grid=table7').trials}
  for reading in ('linear', 'literal'):
    for length, after, wrong in (
      (100, 74_000, 1),
      (500, 209_000, 0),
      (1000, 853_000, 1),
    ):
      setting = rows[f'T{length}-{reading}']
      published = dict(setting.published)
      assert setting.length == length
      assert published['success_after'] == after
      assert published['wrong'] == wrong and published['of'] == 2560
      assert published['weights'] == 93
      assert dict(setting.numbers)['input_gate_bias'] == (-3.0, -6.0)
      assert setting.budget >= 3 * after
  rows = {s.row: s for s in made('--grid=table9').trials}
  for name, after, blocks, rate, symbols in (
    ('6a', 31_390, 2, 0.5, 2),
    ('6b', 571_100, 3, 0.1, 3),
  ):
    setting = rows[name]
    assert dict(setting.published)['success_after'] == after
    assert dict(setting.cell_options)['blocks'] == blocks
    assert dict(setting.task_options)['symbols'] == symbols
    assert dict(setting.numbers)['learning_rate'] == rate
    assert setting.budget >= 3 * after


GRID = """
title = 'A title'
source = 'Table 0'
command = 'python -m experiments.sweep --grid=own'
expected_seconds = 0
[defaults]
task = 'adding'
set.cell.init_range = 0.2
[[row]]
name = 'one'
cell = 'srn'
learner = 'bptt'
length = [10, 20]
window = [5, 'full']
seeds = '3,5-6'
budget = 100
set.cell.activation = 'relu'
"""


GROUPED = (
  GRID
  + """
[groups.rival]
task = 'temporal_order'
[[row]]
name = 'two'
group = 'rival'
cell = 'gru'
learner = 'elman'
seeds = 1
budget = 7
"""
)


def own(tmp_path, text):
  (tmp_path / 'own.toml').write_text(text)
  return grid.load('own', tmp_path)


def test_a_grid_file_is_read(tmp_path):
  (row,) = own(tmp_path, GRID).rows
  assert row.seeds == (3, 5, 6) and row.budget == 100
  axes = {axis.name: axis.values for axis in row.axes}
  assert axes == {
    'task': ('adding',),
    'cell': ('srn',),
    'learner': ('bptt',),
    'task.length': (10, 20),
    'learner.window': (5, 'full'),
    'cell.init_range': (0.2,),
    'cell.activation': ('relu',),
  }


def test_rows_of_a_group_take_nothing_from_the_defaults(tmp_path):
  one, two = own(tmp_path, GROUPED).rows
  assert one == own(tmp_path, GRID).rows[0]
  assert {axis.name: axis.values for axis in two.axes} == {
    'task': ('temporal_order',),
    'cell': ('gru',),
    'learner': ('elman',),
  }


@pytest.mark.parametrize(
  ('old', 'new', 'message'),
  [
    (
      "group = 'rival'",
      "group = 'rivals'",
      'row two: group=rivals.*mean rival',
    ),
    ("task = 'temporal_order'", 'tusk = 1', 'groups.rival: key tusk'),
    ('[groups.rival]\ntask', 'groups.rival', 'groups.rival must be a table'),
  ],
)
def test_a_bad_group_is_named(tmp_path, old, new, message):
  text = GROUPED.replace(old, new)
  if 'must be a table' in message:
    text = GRID.replace('[defaults]', "groups.rival = 'x'\n[defaults]")
  with pytest.raises(values.Refused, match=message):
    own(tmp_path, text)


@pytest.mark.parametrize(
  ('old', 'new', 'message'),
  [
    ('length =', 'lenght =', 'own.toml, row one: key lenght.*mean length'),
    ('title =', 'titel =', 'own.toml: key titel.*mean title'),
    ("title = 'A title'", '', 'own.toml: the key title is missing'),
    ('budget = 100', '', 'row one: the key budget is missing'),
    ('budget = 100', 'budget = 0', 'row one: budget=0: must be an integer'),
    ('budget = 100', "budget = '100'", 'budget has the wrong type'),
    ("'3,5-6'", "'5-3'", 'row one: seeds=5-3'),
    ('[10, 20]', '[]', 'row one: length: must be a value or a list'),
    ('[10, 20]', '[[10], 20]', 'row one: length: must be a value or a list'),
    ("name = 'one'", "name = 'o n e'", 'no comma and no space'),
    ("name = 'one'", '', 'row 1: the key name is missing'),
    ('set.cell.init', 'set.net.init', 'set.net: write set.KIND.NAME'),
    ('set.cell.init_range', 'set.cell', 'set.cell: write set.KIND.NAME'),
    ('[[row]]', '[row]', 'row has the wrong type'),
    ('title', '[', 'own.toml: '),
  ],
)
def test_a_bad_grid_file_is_named_with_its_row_and_key(
  tmp_path, old, new, message
):
  assert old in GRID
  with pytest.raises(values.Refused, match=message):
    own(tmp_path, GRID.replace(old, new, 1))


def test_rows_have_names_of_their_own(tmp_path):
  with pytest.raises(values.Refused, match='names of their own'):
    own(tmp_path, GRID + GRID[GRID.index('[[row]]') :])


# The estimate.


def test_the_steps_to_come_follow_what_the_row_shows():
  words = '--grid=table7 --row=T100-literal --seeds=4 --budget=5000000'
  asked = flags.parse(['sweep', *words.split()], {})
  trials = plan.expand(asked).trials
  named = dict(zip('abcd', trials, strict=True))
  one = trials[0]
  expected, budget = estimate.sequences(one), one.budget
  assert expected < budget
  to_come = lambda ended, running: (
    estimate.steps_to_come(named, ended, running) / steps(one)
  )
  assert to_come({}, {}) == 4 * expected
  assert to_come({}, {'a': 1000}) == pytest.approx(4 * expected - 1000)
  # One that takes longer than expected: the row is taken to fail.
  late = expected + 1000
  assert to_come({}, {'a': late}) == pytest.approx(4 * budget - late)
  # One that has ended says what the others take.
  assert to_come({'a': 5000}, {'b': 2000}) == pytest.approx(3 * 5000 - 2000)
  # A straggler is never expected to be done.
  assert to_come({'a': 5000}, {'b': 9000}) == pytest.approx(2 * 5000 + 500)
  # Two of them: the one that has ended was a quick one.
  each = (5000 + 9000 + 8000 + expected) / 2
  assert to_come({'a': 5000}, {'b': 9000, 'c': 8000}) == pytest.approx(
    3 * each - 17_000
  )
  assert to_come(dict.fromkeys('abcd', 7), {}) == 0
  # One that failed before its first sequence says nothing.
  assert to_come({'a': 0}, {}) == 3 * expected


def test_the_estimate_counts_what_an_epoch_costs_beside_its_steps():
  """Calls are most of an epoch of a tiny net: steps alone say seconds."""
  few, many = (
    made(f'--grid=sine --row=taught --budget={epochs}').seconds
    for epochs in (5, 505)
  )
  assert many - few > 40 * 500 * 4e-3 / estimate.REFERENCE_CORES


def test_the_estimate_grows_with_the_work_and_shrinks_with_cores():
  def seconds(line):
    return made(f'--task=adding --devices=1 --budget=1000000 {line}').seconds

  base = seconds('--seeds=32 --length=100')
  assert seconds('--seeds=64 --length=100') > 1.5 * base
  assert seconds('--seeds=32 --length=200') > 1.5 * base
  assert seconds('--seeds=32 --length=100 --blocks=4') > 2 * base
  trials = made('--seeds=32').trials
  assert estimate.seconds([(trials[0], 32)], 1, 2) < estimate.seconds(
    [(trials[0], 32)], 1, 1
  )


def test_a_measured_grid_scales_its_own_seconds(monkeypatch):
  load = grid.load

  def measured(name, size):
    return load(name, size=size)._replace(expected_seconds=1000.0)

  monkeypatch.setattr(grid, 'load', measured)
  monkeypatch.setattr(machine, 'cores', lambda: estimate.REFERENCE_CORES)
  assert made('--grid=table7').seconds == pytest.approx(1000)
  assert made('--grid=table7 --length=100').seconds < 250
  assert made('--grid=table7 --seeds=60').seconds > 1500


def test_a_slower_processor_is_told_a_longer_time(monkeypatch):
  one = made('--grid=table7 --length=100')._replace(seconds=30.0)
  for slowness, words in ((0.5, '15 s'), (1.0, '30 s'), (40.0, '20 min')):
    monkeypatch.setattr(estimate, 'slowness', lambda by=slowness: by)
    assert f'Estimated time: {words} on' in listing.plan(one)


def test_slowness_is_that_of_the_processor(monkeypatch):
  """The best of its turns, in those of the processor of the figures."""
  times = itertools.accumulate(itertools.cycle((0.5, 0.004, 0.5, 0.003)))
  monkeypatch.setattr(estimate.time, 'perf_counter', lambda: next(times))
  turn = 10 * estimate._REFERENCE_LOOP
  assert estimate.slowness() == pytest.approx(0.003 / turn)


def test_seconds_are_said_as_people_say_them():
  assert [estimate.words(s) for s in (4.2, 99, 600, 7200)] == [
    '4 s',
    '99 s',
    '10 min',
    '2.0 h',
  ]


@pytest.mark.parametrize(
  'cell, option, other',
  [
    ('srn', 'recurrent_init', 'identity'),
    ('lstm1997', 'state_sum', 'compensated'),
  ],
)
def test_a_later_option_is_left_out_at_its_default(cell, option, other):
  # An option that is there changes the ids of all trials of a cell.
  entry = catalog.describe('cells', cell)
  assert option in entry.later and set(entry.later) <= set(entry.options)
  default = entry.options[option].default
  line = f'--task=adding --cell={cell} --set=cell.{option}'
  for value, there in ((default, {}), (other, {option: other})):
    (setting,) = made(f'{line}={value} --length=10 --seeds=1').trials
    options = dict(setting.cell_options)
    assert {name: options[name] for name in {option} & {*options}} == there


def test_another_seed_is_of_the_same_family_and_any_other_change_of_none():
  other = with_seed(SETTING, 4)
  assert other == dataclasses.replace(SETTING, seed=4)
  assert other.family is SETTING.family and vars(SETTING)['seed'] == 3
  longer = dataclasses.replace(SETTING, budget=10**9)
  assert longer.family is not SETTING.family
  settings = [SETTING, other, longer, with_seed(longer, 4)]
  assert list(by_id(settings)) == [*map(trial_id, settings)]
  assert programs(settings) == programs(map(dataclasses.replace, settings))
