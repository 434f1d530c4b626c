"""The site is built without a warning and needs nothing from elsewhere."""

import importlib.util
import re
import subprocess
import sys
from urllib.parse import unquote

import pytest

import lstm_jax
from tests.children import ROOT

DOCS = ROOT / 'docs'
PAGES = [
  *(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md')),
  *sorted(DOCS.rglob('*.md')),
]


def loaded(path):
  """A file of docs/ that is no part of a package."""
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.mark.parametrize('page', PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files(page):
  text = re.sub(r'```.*?```', '', page.read_text('utf-8'), flags=re.DOTALL)
  links = re.findall(r'\]\(([^)\s]+)\)', text)
  places = [unquote(link.partition('#')[0]) for link in links]
  missing = [
    place
    for place in places
    if place and '://' not in place and not (page.parent / place).exists()
  ]
  assert not missing


def test_the_picture_of_the_readme_is_made_from_the_kept_results(monkeypatch):
  monkeypatch.syspath_prepend(DOCS / '_figures')  # as where it is the program
  maker = loaded(DOCS / '_figures' / 'quickstart.py')
  picture = DOCS / 'quickstart.svg'
  assert picture.read_text('utf-8') == maker.picture(maker.kept_rows())
  assert 'LSTM, the rule of 1997: 36 of 36 trials solved' in maker.summary(
    maker.kept_rows()
  )


def test_docstrings_are_read_as_they_are_written():
  translate = loaded(DOCS / '_extensions' / 'plain_docstrings.py').translate
  lines = [
    'Adds `a * b` to |c|_.',
    '',
    '  y = a * b',
    '',
    'Args:',
    '  size: I.',
    '  x: `[C, *]`, in two',
    '      lines.',
    '',
    'Example:',
    '  >>> f(1) * 2',
  ]
  translate(None, '', '', None, None, lines)
  assert lines == [
    r'Adds ``a * b`` to \|c\|\_.',
    '',
    '::',
    '',
    '  y = a * b',
    '',
    'Args:',
    r'  size: \I.',
    '  x: ``[C, *]``, in two',
    '    lines.',
    '',
    'Example:',
    '  >>> f(1) * 2',
  ]


def test_every_public_name_has_a_page():
  rooms = {
    word
    for page in (DOCS / 'api').glob('*.md')
    for block in re.findall(
      r'```\{public-names\} (.*)', page.read_text('utf-8')
    )
    for word in block.split()
  }
  room_of = loaded(DOCS / '_extensions' / 'public_names.py').room_of
  assert {room_of(*entry) for entry in lstm_jax.NAMES.items()} <= rooms


def test_what_a_page_would_load_from_elsewhere_is_named():
  elsewhere = loaded(DOCS / '_extensions' / 'offline.py').from_elsewhere
  text = (
    '<a href="https://a.org/">read</a> <img src="_images/b.svg">'
    '<script async src="https://c.org/d.js"></script>'
    '<link rel="stylesheet" href="//e.org/f.css"> @import url(https://g.org/h)'
  )
  assert elsewhere(text)[:2] == ['https://c.org/d.js', '//e.org/f.css']
  assert 'https://g.org/h' in elsewhere(text)


@pytest.mark.slow
def test_it_is_built_without_a_warning(tmp_path):
  command = [sys.executable, '-m', 'sphinx', '-q', '-W', '--keep-going']
  done = subprocess.run(
    [*command, '-d', str(tmp_path / 'cache'), 'docs', str(tmp_path / 'site')],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert (tmp_path / 'site' / 'tutorials' / 'layer.html').is_file()
