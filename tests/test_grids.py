"""The grids of the paper: what they hold, and grids made of other grids."""

import pytest

from experiments import engine, flags, grid, plan, values

# Lines of each table that are LSTM's, and their trials (section 5, Tables 1-9).
LINES = {
  'table1': (5, 30),
  'table2': (2, 18),
  'table3': (9, 20),
  'table4': (3, 10),
  'table5': (3, 10),
  'table6': (2, 10),
  'table7': (3, 10),
  'table8': (2, 10),
  'table9': (2, None),
}


def trials(line):
  return plan.expand(flags.parse(['sweep', *line.split()], {})).trials


def lines_of(settings):
  return [(setting.source, setting.line) for setting in settings]


@pytest.mark.parametrize('name', LINES)
def test_every_line_of_a_table_has_its_literal_reading(name):
  lines, of = LINES[name]
  rows = [row for row in grid.load(name).rows if 'others' not in row.roles]
  assert len({row.line for row in rows}) == lines
  literal = [row for row in rows if 'literal' in row.roles]
  assert len(literal) == lines and {r.reading for r in literal} == {'literal'}
  for row in rows:
    published = dict(row.published)
    assert row.budget == 3 * published['success_after']
    assert of is None or published['trials'] == of
    assert len(row.seeds) == 30
    # A line is the same line under every reading.
    one = next(other for other in literal if other.line == row.line)
    assert row.published == one.published


def test_the_rows_of_the_other_algorithms_are_there():
  """Table 1: 4 rows; Table 2: p = 4, 10, 100, with rates 1 to 10, and CH."""
  for name, count, learners in (
    ('table1', 4, {'rtrl', 'elman', 'cascade'}),
    ('table2', 11, {'rtrl', 'bptt', 'chunker'}),
  ):
    rows = [
      r for r in trials(f'--grid={name} --seeds=1') if r.cell != 'lstm1997'
    ]
    assert len(rows) == count and {row.learner for row in rows} == learners
    for row in rows:
      published = dict(row.published)
      held = weights(row)
      # A cascade's is the largest it may grow to.
      if row.learner != 'cascade':
        assert held == published['weights'], row.row


def test_a_published_weight_count_is_that_of_the_literal_net():
  fewer = set()
  for setting in trials('--grid=paper1997_literal --seeds=1'):
    published = dict(setting.published)['weights']
    assert weights(setting) == published, setting.row
  for setting in trials('--grid=paper1997_inputs --seeds=1'):
    published = dict(setting.published)['weights']
    assert weights(setting) <= published, setting.row
    if weights(setting) < published:
      fewer.add(setting.source)
  # In Experiment 2a nothing recurs that could be left out.
  assert len(fewer) == 8 and 'Table 2' not in fewer


def weights(setting):
  return engine.build(setting).weights


@pytest.mark.parametrize(
  'name', ['paper1997', 'paper1997_literal', 'paper1997_inputs']
)
def test_the_paper_is_every_line_once(name):
  whole = trials(f'--grid={name} --seeds=1')
  lines = lines_of(whole)
  assert len(lines) == len(set(lines)) == sum(n for n, _ in LINES.values())
  assert {source for source, _ in lines} == {f'Table {i}' for i in range(1, 10)}


def test_readings_are_tried_on_seeds_of_their_own():
  tried = trials('--grid=readings')
  verdicts = {s.seed for s in trials('--grid=paper1997')}
  assert not {s.seed for s in tried} & verdicts
  # Each change is made once to each line that it is meant for.
  rows = {(s.source, s.line, s.reading) for s in tried}
  assert len(rows) == len({s.row for s in tried})
  assert {source for source, *_ in rows} == {f'Table {i}' for i in range(1, 10)}


def test_what_a_grid_asks_for_can_be_built():
  for name in ('table1', 'table2'):
    for setting in trials(f'--grid={name} --seeds=1'):
      assert engine.build(setting).weights == weights(setting)


BASE = """title = 't'
source = 'Table 0'
command = 'c'
expected_seconds = 0
"""
ROWS = (
  BASE
  + """[defaults]
task = 'adding'
cell = 'lstm1997'
learner = 'truncated1997'
seeds = 2
budget = 10
[[row]]
name = 'a'
line = 'A'
roles = ['one']
set.cell.bias = 'all'
[[row]]
name = 'b'
source = 'Table 9'
"""
)


def made(tmp_path, **texts):
  for name, text in texts.items():
    (tmp_path / f'{name}.toml').write_text(text)
  return lambda name: grid.load(name, tmp_path)


def test_a_grid_includes_the_rows_of_others(tmp_path):
  load = made(
    tmp_path,
    base=ROWS,
    all=BASE + "include = ['base']",
    one=BASE + "include = ['base']\ninclude_role = 'one'",
    tried=BASE
    + "include = ['base']\nseeds = '7-9'\n[[try]]\nname = 'x'\n"
    + "reading = 'no bias'\nset.cell.bias = 'none'\n[[try]]\nname = 'y'\n"
    + "reading = 'linear'\nsources = ['Table 9']\nset.task.output = 'linear'\n",
  )
  a, b = load('all').rows
  assert (a.name, a.line, a.source) == ('base.a', 'A', 'Table 0')
  assert (b.name, b.line, b.source) == ('base.b', 'b', 'Table 9')
  assert [row.name for row in load('one').rows] == ['base.a']
  rows = load('tried').rows
  assert [r.name for r in rows] == ['base.a+x', 'base.b+x', 'base.b+y']
  assert [r.seeds for r in rows] == [(7, 8, 9)] * 3
  assert {axis.name: axis.values for axis in rows[0].axes}['cell.bias'] == (
    'none',
  )
  assert [r.reading for r in rows] == ['no bias', 'no bias', 'linear']


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ("include = ['nothing']", 'include=nothing: choose from bad, base'),
    ('include = [1]', 'include has the wrong type: 1'),
    ("include = ['bad']", 'include=bad: it includes others'),
    ('', 'write either rows or include'),
    (
      "include = ['base']\n[[try]]\nname = 'x'\nreading = 'r'",
      'try x: the key set is missing',
    ),
    (
      "include = ['base']\n[[try]]\nname = 'x'\nsest.cell.g = 1",
      'try x: key sest: .*did you mean set',
    ),
  ],
)
def test_what_a_grid_of_grids_cannot_be(tmp_path, text, message):
  load = made(tmp_path, base=ROWS, bad=BASE + text)
  with pytest.raises(values.Refused, match=message):
    load('bad')
