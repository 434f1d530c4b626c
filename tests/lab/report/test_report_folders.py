"""Several run folders in one report, and the command line of the report."""

import shlex
import sys

import pytest

from experiments.report import main
from lstm_jax.lab.plan import flags, plan
from lstm_jax.lab.report import content, trace, write
from lstm_jax.lab.report.rows import published_rows
from lstm_jax.lab.run import ending
from lstm_jax.lab.store import faults, folder, nets
from lstm_jax.lab.store.setting import trial_id
from tests import flat
from tests.lab.report.test_report import Page
from tests.lab.report.test_report_figures import trace as made_trace
from tests.lab.report.test_report_rows import (
  SEVEN,
  facts_of,
  make,
  report_of,
  rows_of,
  trials,
  warnings_of,
)

LINE = {'line': 'T=100', 'budget': 222_000}


def reading(name, grid='paper', n=12, figures=SEVEN[100], **changes):
  """The trials of one reading of T=100, as a grid of that name has them."""
  # Names of one length: the times drawn are the same.
  row = f'{"single" if grid == "table7" else "table7"}.{name}-T100'
  changes = LINE | {'reading': name, 'grid': grid} | changes
  return trials(row, 74_000, n, figures, **changes)


def without_record(pairs, seeds):
  return [(one, None if one['seed'] in seeds else k) for one, k in pairs]


@pytest.fixture
def no_figures(monkeypatch):
  """Drawing takes most of the time of a report."""
  monkeypatch.setitem(sys.modules, 'matplotlib', None)


def run(*arguments):
  return main(['report', *map(str, arguments)])


def refused(capsys, code, words, *arguments):
  assert run(*arguments) == code, arguments
  output = capsys.readouterr()
  assert output.out == '' and words in output.err, output.err
  assert output.err.startswith('report: ') and output.err.count('\n') == 1


def test_readings_of_one_row_meet(tmp_path):
  pairs = reading('linear') + reading('logistic', 'paper_b', failures=12)
  alone = rows_of(make(tmp_path / 'a', pairs[:12]))
  both = rows_of(
    make(tmp_path / 'b', pairs[:12]), make(tmp_path / 'c', pairs[12:])
  )
  (row,) = both
  assert [one.name for one in row.readings] == ['linear', 'logistic']
  assert row.readings[:1] == alone[0].readings
  assert row.best is row.readings[0]
  for one, grid in zip(row.readings, ('paper', 'paper_b'), strict=True):
    assert f'--grid={grid} --row=table7.{one.name}-T100 ' in one.command
  # Where one folder holds all, nothing is different.
  (same,) = rows_of(make(tmp_path / 'd', pairs))
  assert same == row


def test_a_trial_of_two_folders_counts_once(tmp_path):
  held = reading('linear', n=15)
  again = reading('linear', 'table7', n=15)
  first = make(tmp_path / 'a', without_record(held[:10], {9}))
  second = make(tmp_path / 'b', without_record(again[5:], {5, 14}))
  report = report_of(first, second)
  (row,) = report.published
  (one,) = row.readings
  # Seed 9 has ended in the second alone, seed 5 in the first alone.
  assert (one.trials, one.missing) == (14, 1)
  times = [kept['sequences_to_success'] for _, kept in held[:14]]
  assert one.sequences == tuple(sorted(times))
  assert '--grid=paper --row=table7.linear-T100 --seeds=15 ' in one.command
  (warning,) = warnings_of(report)
  assert '1 of 15 trials are still to come' in warning
  facts = facts_of(report)
  assert list(facts) == ['Run 1: grid paper', 'Run 2: grid table7']
  ours, theirs = facts.values()
  assert ours['trials'].startswith('9 of 10 ended')
  assert theirs['trials'].startswith('8 of 10 ended')
  assert 'shared' not in ours and theirs['shared'].startswith('5 of the')
  assert ours['device time'].startswith('14 s')
  # The other way round the reading is called as the other grid has it.
  ((turned,),) = (row.readings for row in rows_of(second, first))
  assert turned.sequences == one.sequences
  assert '--grid=table7 --row=single.linear-T100 --seeds=15 ' in turned.command


def test_a_trial_with_two_results_is_named(tmp_path):
  held, again = reading('linear'), reading('linear', 'table7')
  for i, changes in (
    (3, {'sequences_to_success': 7, 'sequences_seen': 7}),
    (4, {'seconds': 99.0, 'device': 'tpu'}),  # no results
  ):
    again[i][1].update(changes)
  report = report_of(make(tmp_path / 'a', held), make(tmp_path / 'b', again))
  (warning,) = warnings_of(report)
  one, kept = held[3]
  seen = kept['sequences_seen']
  assert warning.startswith('A later run has other results of 1 trial; the')
  assert f'{one["trial"]}: sequences_to_success {seen} and 7, seq' in warning
  assert 7 not in report.published[0].readings[0].sequences
  for _, kept in again:
    kept['test_wrong'] += 1
  many = report_of(make(tmp_path / 'c', held), make(tmp_path / 'd', again))
  (warning,) = warnings_of(many)
  assert 'other results of 12 trials; ' in warning
  assert warning.count('test_wrong') == 3 and warning.endswith('; ....')


def test_readings_of_one_name_say_what_differs(tmp_path):
  pairs = reading('linear')
  more = reading('linear', 'table7', budget=500)
  other = reading('linear', 'table7', options={'task.output': 'linear'})
  opened = [
    make(tmp_path / f'{i}', held) for i, held in enumerate((pairs, more, other))
  ]
  names = lambda *which: [
    one.name for one in rows_of(*(opened[i] for i in which))[0].readings
  ]
  assert names(0, 1) == ['linear (budget=222000)', 'linear (budget=500)']
  assert names(0, 2) == [
    'linear (task.streak=2000)',
    'linear (no task.streak)',
  ]
  assert len(set(names(0, 1, 2))) == 3


def test_trials_without_figures_join_their_setting(tmp_path):
  plain = {'line': 'flags', 'source': '', 'grid': 'flags', 'figures': {}}
  alone = reading('linear', n=20, **plain)[12:]
  other = reading('logistic', **plain)
  opened = make(tmp_path / 'a', alone + other)
  published, flagged = rows_of(opened, make(tmp_path / 'b', reading('linear')))
  assert published.name == 'T=100' and published.source == 'Table 7'
  (one,) = published.readings
  assert one.name == 'linear' and one.trials == 20
  assert '--grid=paper ' in one.command
  assert flagged.figures == {} and len(flagged.readings) == 1
  # Without the published row both are settings from flags.
  (row,) = rows_of(opened)
  assert row.figures == {} and len(row.readings) == 2


def test_tables_stand_in_their_order(tmp_path):
  made = [
    reading('linear', n=1, source=source, line=line)
    for source, line in (
      *(('Table 10', 'a'), ('Table 9', 'b'), ('Table 10', 'c')),
      *(('Table 2', 'd'), ('Table 9', 'a')),
    )
  ]
  # One setting may belong to two tables only if its trials differ.
  pairs = [
    ({**one, 'id': f'{i}', 'trial': f'{i}', 'seed': i}, None)
    for i, ((one, _),) in enumerate(made)
  ]
  rows = published_rows(flat.settings([one for one, _ in pairs]), {})
  assert [(row.source, row.name) for row in rows] == [
    *(('Table 2', 'd'), ('Table 9', 'b'), ('Table 9', 'a')),
    *(('Table 10', 'a'), ('Table 10', 'c')),
  ]


def test_plans_that_disagree_on_what_was_published(tmp_path):
  newer = {**SEVEN[100], 'success_after': 7}
  report = report_of(
    make(tmp_path / 'a', reading('linear')),
    make(tmp_path / 'b', reading('logistic', figures=newer)),
  )
  (warning,) = warnings_of(report)
  assert warning.startswith('Table 7, T=100: the plans give different')
  (row,) = report.published
  assert row.figures == SEVEN[100]
  ratios = [one.verdict.ratio for one in row.readings]
  assert all(0.5 < ratio < 2 for ratio in ratios)


def test_commands_of_rows_that_met():
  trials, names = {}, {}
  for words in (
    '--grid=table3 --row=q50-p50-literal,q100-p100-literal --seeds=3',
    '--grid=paper1997_literal --row=table3.q50-p50-literal --seeds=2-5',
    '--grid=paper1997 --row=table3.q50-p50-inputs --seeds=2',
  ):
    for setting in plan.expand(flags.parse(['', *words.split()])).trials:
      name = trial_id(setting)
      trials.setdefault(name, setting)
      names.setdefault(
        (setting.length, dict(setting.cell_options)['cells_hear']), set()
      ).add(name)
  first, second = published_rows(trials, {})
  assert [one.name for one in first.readings] == [
    *('literal', 'cells hear inputs only'),
  ]
  assert [one.missing for one in first.readings] == [6, 2]
  assert [one.missing for one in second.readings] == [3]
  for row in (first, second):
    for one in row.readings:
      _, line = one.command.split('lstm-jax ')
      made = plan.expand(flags.parse(shlex.split(line)))
      hear = dict(one.setting.cell_options)['cells_hear']
      assert set(map(trial_id, made.trials)) == names[row.length, hear]


def test_a_net_of_any_folder_is_shown(tmp_path, monkeypatch):
  first = make(tmp_path / 'a', reading('linear', n=13)[:12])
  second = make(tmp_path / 'b', reading('linear', 'table7', n=13)[5:])
  kept = list(second.trials)[-1]
  monkeypatch.setattr(
    nets, 'load', lambda opened: {kept: 'net'} if opened is second else {}
  )
  seen = []

  def traced(setting, params):
    seen.append((setting.seed, params))
    return made_trace(105, 2, 1, s_c=4, y_c=4)

  monkeypatch.setattr(trace, 'trace', traced)
  page, *_ = write.write([first, second], tmp_path / 'out')
  assert seen == [(12, 'net')]
  assert 'T=100: adding, linear: one fresh' in page.read_text('utf-8')


def test_command_line(tmp_path, capsys, no_figures):
  a, b = (tmp_path / name for name in 'ab')
  make(a, reading('linear'))
  make(b, reading('logistic', 'paper_b'))
  out = tmp_path / 'new' / 'out'
  assert run(a, b, f'--out={out}') == 0
  files = [out / name for name in ('report.html', 'report.md')]
  files.append(out / 'results.csv')
  assert capsys.readouterr().out.split() == list(map(str, files))
  assert sorted(out.iterdir()) == files
  page, document, _ = (file.read_text('utf-8') for file in files)
  assert Page(page).text
  for text in (page, document.replace('\\', '')):
    assert 'Run 1: grid paper' in text and 'Run 2: grid paper_b' in text
    assert str(tmp_path) not in text
  assert not (a / 'report.md').exists() and not (b / 'report.md').exists()
  # Found again, and not made again.
  before = [file.stat().st_mtime_ns for file in files]
  assert run(a, '--out', out, b) == 0
  assert [file.stat().st_mtime_ns for file in files] == before
  # Another order is another report.
  assert run(b, a, f'--out={out}') == 0
  assert files[1].read_text('utf-8') != document
  capsys.readouterr()
  assert run('--help') == 0
  output = capsys.readouterr().out
  assert '--out=DIR' in output and max(map(len, output.split('\n'))) <= 80


def test_a_folder_s_name_reaches_no_terminal_as_it_is(
  tmp_path, capsys, no_figures
):
  """Neither by the report nor by the run that ends in it."""
  opened = make(tmp_path / 'a\x1b[31m b', reading('linear'))
  assert run(opened.path) == 0
  assert ending.show(opened, opened.trials) == 0
  output = ''.join(capsys.readouterr())
  assert '\x1b' not in output and output.count(r'a\x1b[31m b') >= 5


def test_one_folder_listed_twice_is_one(tmp_path, no_figures):
  a, link, out = (tmp_path / name for name in ('a', 'link', 'out'))
  make(a, reading('linear'))
  link.symlink_to(a)
  assert run(a, f'{a}/', link) == 0
  document = (a / 'report.md').read_bytes()
  assert b'## The run' in document and b'Run 2' not in document
  # One folder may have its report elsewhere, or be named as the place.
  assert run(a, link, f'--out={out}') == 0
  assert (out / 'report.md').read_bytes() == document
  assert run(a, f'--out={link}') == 0


def test_bad_arguments(tmp_path, capsys, monkeypatch):
  a, b = (make(tmp_path / n, reading('linear', n=1)).path for n in 'ab')
  monkeypatch.setattr(content, 'report_of', None)  # never comes to that
  (tmp_path / 'file').write_text('mine')
  out = f'--out={tmp_path / "out"}'
  place = int(faults.Exit.UNUSABLE)
  for arguments, code, words in (
    ((), 2, 'no folder: give one run folder or more, or --help'),
    ((out,), 2, 'no folder'),
    ((a, b), 2, '2 folders: say where their report goes, --out=DIR'),
    ((a, b, '--out'), 2, 'Missing value for flag --out'),
    ((a, b, '--out='), 2, '--out=: is empty'),
    ((a, b, out, out), 2, '--out is given 2 times'),
    (('--fast', a), 2, '--fast: no such flag; see --help'),
    ((a, b, f'--out={b}'), 2, f'{b}: holds a run'),
    ((a, f'--out={b}'), 2, f'{b}: holds a run'),
    ((a, b, f'--out={tmp_path / "file"}'), place, 'file: not a directory'),
    ((a, b, f'--out={tmp_path / "file" / "x"}'), place, 'file: not a dir'),
  ):
    refused(capsys, code, words, *arguments)
  assert not (tmp_path / 'out').exists()
  assert not list(tmp_path.glob('*/report.*'))
  with pytest.raises(ValueError, match='out must be given for 2 folders'):
    write.write([folder.open_folder(path) for path in (a, b)])


def test_a_bad_folder_among_good_ones(tmp_path, capsys):
  good, damaged, newer = (
    make(tmp_path / name, reading('linear', n=1)).path
    for name in ('good', 'damaged', 'newer')
  )
  file = damaged / 'plan.json'
  file.write_bytes(file.read_bytes()[:-9])
  file = newer / 'plan.json'
  content = folder.seal.unseal_json('plan', file.read_bytes(), file)
  file.write_bytes(folder.seal.seal_json('plan', content, 4))
  (tmp_path / 'foreign').mkdir()
  (tmp_path / 'foreign' / 'notes.txt').write_text('mine')
  out = f'--out={tmp_path / "out"}'
  for name, code in (
    ('damaged', faults.Exit.BAD_DATA),
    ('newer', faults.Exit.USAGE),
    ('foreign', faults.Exit.USAGE),
    ('none', faults.Exit.USAGE),
  ):
    words = str(tmp_path / name)
    refused(capsys, int(code), words, good, tmp_path / name, out)
    refused(capsys, int(code), words, tmp_path / name)
  assert not (tmp_path / 'out').exists()


def test_a_folder_that_cannot_be_written(tmp_path, capsys, no_figures):
  make(tmp_path / 'run', reading('linear', n=1))
  (tmp_path / 'run' / 'report.html').mkdir()
  refused(capsys, 73, 'report.html', tmp_path / 'run')


def test_one_table_of_several_folders(tmp_path, no_figures, capsys):
  """Also of a run that was killed, which has written none."""
  held = reading('linear', n=4, failures=1)
  held[3][1].update(status='failed', reason='ValueError: /home/me/a.py: x')
  make(tmp_path / 'a', without_record(held, {1}))
  make(tmp_path / 'b', reading('logistic', 'paper_b', n=2))
  assert run(tmp_path / 'a') == 0
  table = tmp_path / 'a' / 'results.csv'
  assert str(table) in capsys.readouterr().out
  assert len(table.read_text().splitlines()) == 1 + 3
  page = (tmp_path / 'a' / 'report.md').read_text().replace('\\', '')
  assert '1 failed by ValueError: ' in page and '/home' not in page
  both = (tmp_path / 'a', tmp_path / 'b', f'--out={tmp_path / "ab"}')
  assert run(*both) == 0
  joined = (tmp_path / 'ab' / 'results.csv').read_text().splitlines()
  assert joined[:4] == table.read_text().splitlines()
  assert len(joined) == 1 + 3 + 2
  assert run(*both, tmp_path / 'a') == 0
  assert (tmp_path / 'ab' / 'results.csv').read_text().splitlines() == joined
