"""The report: what it says of a run, that it is one sound page, its edges."""

import html.parser
import itertools
import re
import sys

import pytest

from lstm_jax.lab.report import content, trace, write
from lstm_jax.lab.report import levels as levels_lib
from lstm_jax.lab.store import folder, nets, trial_records
from lstm_jax.lab.store.setting import trial_id
from tests import flat
from tests.lab.report.test_report_figures import trace as made_trace
from tests.lab.report.test_report_rows import (
  SEVEN,
  facts_of,
  make,
  record,
  report_of,
  rows_of,
  table7,
  trials,
)


@pytest.fixture(scope='module')
def opened(tmp_path_factory):
  return make(tmp_path_factory.mktemp('run') / 'seven', table7())


VOID = {'meta', 'br', 'hr', 'img', 'link', 'input'}


class Page(html.parser.HTMLParser):
  """Raises where tags are not balanced; gathers ids, links and text."""

  def __init__(self, text):
    super().__init__()
    self.open, self.ids, self.links, self.text = [], [], [], []
    self.tables = []
    self.feed(text)
    self.close()
    assert self.open == []

  def handle_starttag(self, tag, attributes):
    if tag not in VOID:
      self.open.append(tag)
    found = dict(attributes)
    assert len(found) == len(attributes), (tag, attributes)
    if 'id' in found:
      self.ids.append(found['id'])
    self.links += [
      found[name] for name in ('href', 'src', 'xlink:href') if name in found
    ]
    self.links += re.findall(
      r'url\(([^)]*)\)', ' '.join(map(str, found.items()))
    )
    if tag == 'table':
      self.tables.append([])
    if tag == 'tr':
      self.tables[-1].append([])
    if tag in ('td', 'th'):
      self.tables[-1][-1].append('')

  def handle_startendtag(self, tag, attributes):
    self.handle_starttag(tag, attributes)
    if tag not in VOID:
      self.handle_endtag(tag)

  def handle_endtag(self, tag):
    assert self.open and self.open[-1] == tag, (tag, self.open[-3:])
    self.open.pop()

  def handle_data(self, data):
    if 'style' not in self.open:
      self.text.append(data)
    if {'td', 'th'} & set(self.open):
      self.tables[-1][-1][-1] += data


def test_the_page_is_well_formed(page):
  found = Page(page)
  assert page.startswith('<!DOCTYPE html>')
  assert len(set(found.ids)) == len(found.ids)
  # Every line of a table has as many cells as its head.
  assert found.tables
  for table in found.tables:
    assert len({len(line) for line in table}) == 1, table


def test_nothing_is_fetched_from_outside(page):
  found = Page(page)
  assert found.links
  for link in found.links:
    assert link.startswith('#'), link
    assert link[1:] in found.ids, link
  for word in ('http:', 'https:', '//', '@import', '<script', '<link'):
    assert word not in page, word


def test_light_dark_and_narrow(page):
  assert 'prefers-color-scheme:dark' in page
  assert 'name="viewport"' in page
  assert page.count('<div class="scroll" tabindex="0"') == page.count('<table')
  # What is drawn takes its colours from the page.
  drawing = page[page.index('<svg') :]
  assert 'currentColor' in drawing and '#010203' not in page
  for i in range(2):
    assert f'--c{i}:' in page and f'var(--c{i})' in drawing


def test_verdicts_of_the_rows(page):
  table = Page(page).tables[0]
  assert [line[:3] for line in table[1:]] == [
    ['T=100: adding', '✓ reproduced', '74,000'],
    ['T=500: adding', '✗ not reproduced', '209,000'],
    ['T=1000: adding', '✓ reproduced', '853,000'],
  ]
  assert table[3][-1] == '21 reproduced, 1 under-powered'  # readings tried
  text = ' '.join(' '.join(Page(page).text).split())
  assert '3 published rows: 2 reproduced, 1 not reproduced' in text
  assert '4 of 120 trials are still to come' in text
  assert 'No reading reproduces this row.' in text
  assert 'leaves out the 3 of 30 trials' in text
  assert 'Fisher’s exact test' in text  # the rule in full


def tables(document):
  """The tables of a Markdown document, as lists of lines of cells."""
  found = []
  for is_table, lines in itertools.groupby(
    document.split('\n'), lambda line: line.startswith('|')
  ):
    if is_table:
      found.append(
        [
          [cell.strip() for cell in re.split(r'(?<!\\)\|', line)[1:-1]]
          for line in lines
        ]
      )
  return found


def test_the_document_says_the_same(page, document):
  in_page, in_document = Page(page).tables, tables(document)
  assert len(in_page) == len(in_document)
  plain = lambda cell: re.sub(r'[^\w%–×÷✓✗?∞.,/ ]', '', cell)
  for one, other in zip(in_page, in_document, strict=True):
    rule = other.pop(1)
    assert all(re.fullmatch(r'---:?', cell) for cell in rule)
    assert {len(line) for line in other} == {len(rule)}
    assert len(one) == len(other)
    for line, again in zip(one, other, strict=True):
      for cell, same in zip(line, again, strict=True):
        same = re.sub(r'\]\(#[^)]*\)|\\', '', same)
        pack = lambda text: plain(text).replace(' ', '')
        assert pack(cell) == pack(same)
  for line in document.split('\n'):
    if line.startswith('!['):
      assert re.fullmatch(r'!\[.*\]\(figures/[\w.-]+\.svg\)', line), line


def test_pictures_of_the_document_are_there(written, document):
  names = re.findall(r'\]\(figures/(.*?)\)', document)
  assert names and set(names) <= written.keys()
  for name in names:
    svg = written[name].read_text('utf-8')
    assert svg.startswith('<svg') and 'var(' not in svg
    assert svg.count('xmlns="') == 1


def test_twice_the_same_bytes_and_nothing_touched(opened, written):
  before = {path: path.stat().st_mtime_ns for path in written.values()}
  for path in write.write([opened]):
    assert path.stat().st_mtime_ns == before[path]
  # Made again, and not only found to be there.
  again = {path: path.read_bytes() for path in written.values()}
  written['report.md'].unlink()
  for path in write.write([opened]):
    assert path.read_bytes() == again[path]


def test_a_finished_report_costs_nothing_until_something_changes(
  tmp_path, monkeypatch
):
  pairs = trials('a', 100, 12, SEVEN[100], missing=1)
  opened = make(tmp_path / 'run', pairs)
  written = write.write([opened])
  whole_report = content.report_of
  monkeypatch.setattr(content, 'report_of', None)
  assert sorted(write.write([opened])) == sorted(written)
  monkeypatch.setattr(content, 'report_of', whole_report)
  kept = flat.record(record(pairs[-1][0], 90))
  trial_records.write_record(opened, kept)
  write.write([opened])
  assert 'still to come' not in written[0].read_text('utf-8').split('<h2')[0]


def test_a_solved_net_of_each_task_is_shown(tmp_path, monkeypatch):
  pairs = trials('a', 100, 12, SEVEN[100])
  opened = make(tmp_path / 'run', pairs)
  seen = []

  def traced(setting, params):
    seen.append((trial_id(setting), params))
    if params == 'old':
      raise ValueError('no such option')
    return made_trace(105, 2, 1, s_c=4, y_c=4)

  ids = [one['trial'] for one, _ in pairs]
  monkeypatch.setattr(trace, 'trace', traced)
  monkeypatch.setattr(
    nets, 'load', lambda _: {ids[3]: 'old', ids[5]: 'new', ids[6]: 'new'}
  )
  write.write([opened])
  page = (tmp_path / 'run' / 'report.html').read_text('utf-8')
  assert seen == [(ids[3], 'old'), (ids[5], 'new')]
  assert page.count('one fresh sequence') >= 2  # caption, label and title
  assert 'Inside a solved net' in page
  assert 'No picture' not in page
  monkeypatch.setattr(nets, 'load', lambda _: {ids[3]: 'old'})
  (tmp_path / 'run' / 'report.md').unlink()
  write.write([opened])
  page = (tmp_path / 'run' / 'report.html').read_text('utf-8')
  assert 'No picture of a net of adding: no such option.' in page


@pytest.mark.parametrize('count', [0, 1, 5])
def test_partial_and_empty_runs(tmp_path, count):
  pairs = [
    (one, kept if i < count else None)
    for i, (one, kept) in enumerate(trials('a', 100, 12, SEVEN[100]))
  ]
  write.write([make(tmp_path / 'run', pairs)])
  page = (tmp_path / 'run' / 'report.html').read_text('utf-8')
  Page(page)
  assert f'{12 - count} of 12 trials are still to come' in page
  assert '1 published row: 1 under-powered.' in page


def test_a_plan_without_trials(tmp_path):
  write.write([make(tmp_path / 'run', [])])
  page = (tmp_path / 'run' / 'report.html').read_text('utf-8')
  assert 'The plan holds no trial.' in ''.join(Page(page).text)


def test_text_is_escaped(tmp_path):
  bad = '<b>"x" & |y| `z` *'
  word = 'task.x=' + bad.replace(' ', '')
  pairs = trials(
    *('row<1>', 100, 10, {'success_after': 100, 'note': bad}),
    reading=bad,
    options={'task.x': bad.replace(' ', '')},
    failures=10,
  )
  opened = make(tmp_path / 'run', pairs)
  write.write([opened])
  page = (tmp_path / 'run' / 'report.html').read_text('utf-8')
  found = Page(page)
  assert '<b>"x"' not in page
  assert bad in ''.join(found.text) and word in ''.join(found.text)
  document = (tmp_path / 'run' / 'report.md').read_text('utf-8')
  for table in tables(document):
    assert len({len(line) for line in table}) == 1


def test_without_matplotlib(monkeypatch, opened, tmp_path):
  monkeypatch.setitem(sys.modules, 'matplotlib', None)
  again = make(tmp_path / 'run', trials('a', 100, 12, SEVEN[100]))
  written = write.write([again])
  assert [path.name for path in written] == ['report.html', 'report.md']
  for path in written:
    text = path.read_text('utf-8')
    assert 'matplotlib is not installed' in text
    assert '<svg' not in text and '](figures' not in text
  Page(written[0].read_text('utf-8'))


def test_settings_without_published_figures(tmp_path):
  pairs = trials('srn', 100, 6, {}) + trials('lstm', 50, 6, {}, length=20)
  write.write([make(tmp_path / 'run', pairs)])
  page = (tmp_path / 'run' / 'report.html').read_text('utf-8')
  (table,) = Page(page).tables
  assert [line[0] for line in table] == ['reading', 'Asrn', 'Blstm']
  assert 'verdict' not in table[0] and 'The rule' not in page


def test_the_level_of_a_constant(tmp_path, monkeypatch):
  levels = {'predictor': 'always 1/2', 'absolute': 0.2}
  trivial = (
    ({'output': 'logistic'}, {'absolute': 9}),
    ({'output': 'linear'}, levels),
  )
  described = levels_lib.catalog.describe
  known = lambda *names: described(*names)._replace(trivial=trivial)
  monkeypatch.setattr(levels_lib.catalog, 'describe', known)
  pairs = trials('a', 100, 10, SEVEN[100], failures=4)
  for i, error in enumerate((0.25, 0.181, 0.179, None)):
    pairs[6 + i][1]['train_absolute'] = error
  pairs[0][1]['test_absolute'] = 0.3
  (row,) = rows_of(make(tmp_path / 'run', pairs))
  (reading,) = row.readings
  assert (reading.constant, reading.weak) == (2, 1)
  write.write([folder.open_folder(tmp_path / 'run')])
  text = ' '.join(Page((tmp_path / 'run/report.html').read_text()).text)
  assert (
    '2 of 4 unsolved trials at the level of a constant (always 1/2)' in text
  )


def test_problems_and_drift_are_said_without_paths(tmp_path):
  pairs = trials('a', 100, 12, SEVEN[100])
  opened = make(tmp_path / 'run', pairs)
  (tmp_path / 'run' / 'records' / 'x.json').write_text('nothing')
  write.write([opened])
  for name in ('report.html', 'report.md'):
    text = (tmp_path / 'run' / name).read_text('utf-8')
    assert '1 record in records/ not counted' in text.replace('\\', '')
    assert str(tmp_path) not in text


def test_facts_name_the_run(opened):
  facts = facts_of(report_of(opened))['The run']
  assert facts['trials'].startswith('116 of 120 ended')
  assert facts['device'] == '2 × cpu' and 'jax 0.10.2' in facts['versions']
