"""The grids of the paper: what they hold, and grids made of other grids."""

import os
import re

import pytest

from experiments import sweep
from lstm_jax.lab.plan import flags, grid, grid_check, plan, values
from lstm_jax.lab.run import builds
from tests.children import ROOT

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
  return builds.build(setting).weights


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
      assert builds.build(setting).weights == weights(setting)


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
    ('include = [1]', 'include has the wrong type: .1.; write a list of words'),
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


def said(tmp_path, text, name='own.toml'):
  """The lines that refuse a grid file."""
  path = tmp_path / name
  path.write_text(text, encoding='utf-8')
  with pytest.raises(values.Refused) as caught:
    asked = flags.parse(['sweep', f'--grid={path}'], {})
    plan.expand(asked)
  lines = caught.value.args
  assert all(str(path) in line or 'rows ' in line for line in lines), lines
  return lines


@pytest.mark.parametrize(
  'old, new, words',
  [
    ('seeds = 2', 'seeds = [2]', 'seeds has the wrong type'),
    ('seeds = 2', 'seeds = true', 'seeds has the wrong type'),
    ('seeds = 2', "seeds = '1,1'", 'seed 1 is listed twice'),
    ('budget = 10', 'budget = 1.5', 'budget has the wrong type'),
    ('budget = 10', 'budget = nan', 'budget has the wrong type'),
    ("name = 'a'", f"name = '{'a' * 300}'", '300 characters, at most 80'),
    ("name = 'a'", r'name = "a\u001b[31m"', 'cannot be printed'),
    ("name = 'a'", 'name = ["a"]', 'name has the wrong type'),
    ("line = 'A'", 'line = 3', 'line has the wrong type: 3; write text'),
    ("roles = ['one']", 'roles = [1]', 'roles has the wrong type'),
    ("line = 'A'", "published = 'x'", 'published has the wrong type'),
    ("line = 'A'", 'published.success_after = nan', 'success_after has the'),
    ("line = 'A'", 'published.success_after = "7"', 'success_after has the'),
    ("line = 'A'", 'published.trials = [1]', 'trials has the wrong type'),
    ("line = 'A'", 'published.sucess_after = 7', 'mean success_after'),
    ("line = 'A'", 'length = [10, 10]', '10 is listed twice'),
    ("line = 'A'", 'length = [nan]', 'must be a value or a list'),
    ("line = 'A'", 'length = {a = 1}', 'must be a value or a list'),
    ("line = 'A'", 'length = 2020-01-01', 'must be a value or a list'),
    ("line = 'A'", 'set.net.x = 3', 'set.net: write set.KIND.NAME'),
    ("line = 'A'", 'set.cell.x = []', 'set.cell.x: must be a value'),
    ('expected_seconds = 0', 'expected_seconds = -1', 'expected_seconds has'),
    ('expected_seconds = 0', 'expected_seconds = inf', 'expected_seconds has'),
    ('expected_seconds = 0', 'expected_seconds = 0\ntry = [1]', 'try has the'),
    ('[defaults]', 'defaults = 3\n[x]', 'defaults has the wrong type: 3'),
    ('expected_seconds = 0', 'seeds = ' + '[' * 3000, 'nested too deeply'),
    ('budget = 10', f'budget = {"1" * 5000}', 'own.toml: '),
    ("title = 't'", 'title = "\udcff"', 'own.toml: '),
  ],
)
def test_a_mistake_is_a_line_with_file_and_key(tmp_path, old, new, words):
  assert old in ROWS
  text = ROWS.replace(old, new, 1)
  if '\udcff' in text:
    (tmp_path / 'own.toml').write_bytes(text.encode('utf-8', 'surrogateescape'))
    with pytest.raises(values.Refused, match='not UTF-8'):
      grid.load(str(tmp_path / 'own.toml'))
    return
  lines = said(tmp_path, text)
  assert any(words in line for line in lines), lines


def test_all_mistakes_are_said_at_once(tmp_path):
  text = ROWS.replace('budget = 10', "budget = 'x'\nlenght = 3")
  text = text.replace("line = 'A'", 'published.trials = nan\ntried = -1')
  assert len(said(tmp_path, text)) == 4


def test_a_grid_of_ones_own(tmp_path, capsys):
  (tmp_path / 'base.toml').write_text(RIGHT)
  (tmp_path / 'deep').mkdir()
  both = "include = ['../base.toml', 'table8']\nseeds = 3\n"
  (tmp_path / 'deep' / 'both.toml').write_text(BASE + both)
  table = grid.load(str(tmp_path / 'deep' / 'both.toml'))
  names = [row.name for row in table.rows]
  assert table.name == 'both' and names[:2] == ['base.a', 'base.b']
  assert {row.name.split('.')[0] for row in table.rows} == {'base', 'table8'}
  argv = ['sweep', f'--grid={tmp_path / "base.toml"}', '--dry_run']
  assert sweep.main(argv) == 0
  assert 'Run folder: runs/base.' in capsys.readouterr().out
  for name, words in (
    ('quickstart.toml', 'called by its file'),
    ('a b.toml', 'called by its file'),
  ):
    assert words in said_of(tmp_path, ROWS, name)
  for include, words in (
    ("['loop.toml']", 'it includes others'),
    ("['absent.toml']", 'no such file'),
    ("['../..']", 'directory'),
    ("['tabel7']", 'mean|choose from'),
  ):
    text = BASE + f'include = {include}\n'
    assert re.search(words, said_of(tmp_path, text, 'loop.toml'))
  fifo = tmp_path / 'fifo.toml'
  os.mkfifo(fifo)
  with pytest.raises(values.Refused, match='a FIFO, not a regular file'):
    grid.load(str(fifo))


# ROWS with values that the cell has.
RIGHT = ROWS.replace("'all'", "'gates'")


def said_of(tmp_path, text, name):
  (tmp_path / name).write_text(text)
  with pytest.raises(values.Refused) as caught:
    grid.load(str(tmp_path / name))
  return caught.value.args[0]


def test_two_rows_are_two_settings(tmp_path):
  row = RIGHT[RIGHT.index('[[row]]') :].partition("[[row]]\nname = 'b'")[0]
  twice = RIGHT + row.replace("name = 'a'", "name = 'c'")
  (line,) = said(tmp_path, twice)
  assert line.startswith('rows a and c: one setting')
  other_seeds = twice + "seeds = '7-9'\n"
  path = tmp_path / 'own.toml'
  path.write_text(other_seeds)
  asked = flags.parse(['sweep', f'--grid={path}'], {})
  assert {trial.row for trial in plan.expand(asked).trials} == {'a', 'b', 'c'}
  # Flags may make rows one; the title says which are left out.
  path.write_text(RIGHT)
  asked = flags.parse(['sweep', f'--grid={path}', '--set=cell.bias=gates'], {})
  made = plan.expand(asked)
  assert (
    made.duplicates == 2 and 'have their settings: b cell.bias' in made.title
  )


def test_what_editors_leave_is_no_grid(tmp_path):
  (tmp_path / 'own.toml').write_text(RIGHT)
  for name in ('.#own.toml', '._own.toml', 'own copy.toml', '#own#.toml'):
    (tmp_path / name).write_bytes(b'\0')
  (tmp_path / 'link.toml').symlink_to('absent')
  (tmp_path / 'folder.toml').mkdir()
  assert grid.names(tmp_path) == ('own',)


def test_the_page_on_grids_names_every_key():
  text = (ROOT / 'docs' / 'grids.md').read_text()
  kinds = (grid_check._GRID, grid_check._ROW, grid_check._TRY)
  for key in {key for table in kinds for key in table}:
    assert f'`{key}' in text or key == 'set', key
  for key in grid_check._PUBLISHED_KEYS:
    assert f'`{key}`' in text, key
