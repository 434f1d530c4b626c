"""What the source says of an entry is what importing it says."""

import errno
import importlib
import inspect
import itertools
import os
import shutil
import types
import typing
from pathlib import Path

import pytest

import lstm_jax
from experiments import sweep
from lstm_jax.lab.plan import catalog, factory_source
from lstm_jax.ops.conditions import Need, needs_of

ENTRIES = [(k, n) for k in catalog.KINDS for n in catalog.names(k)]
PACKAGE = Path(lstm_jax.__file__).parent
PLAIN = {bool: 'bool', int: 'int', float: 'float'}


def imported(kind, name):
  module = importlib.import_module(catalog.module_of(kind, name))
  return module, getattr(module, name)


def parts(hint):
  """An annotation as `(types, choices, optional)`, None if text cannot say it.

  Read from the imported object, not from the source.
  """
  if hint in PLAIN:
    return {PLAIN[hint]}, set(), False
  if hint is types.NoneType:
    return set(), set(), True
  if typing.get_origin(hint) is typing.Literal:
    words = set(typing.get_args(hint))
    return set(), words - {None}, None in words
  if typing.get_origin(hint) in (types.UnionType, typing.Union):
    # What text cannot say may stand beside what it can.
    inner = [found for h in typing.get_args(hint) if (found := parts(h))]
    kinds, words, optional = zip(*inner, strict=True)
    kinds, words = set().union(*kinds), set().union(*words)
    return (kinds, words, any(optional)) if kinds or words else None
  return None


@pytest.mark.parametrize(('kind', 'name'), ENTRIES)
def test_a_description_agrees_with_the_imported_factory(kind, name):
  module, factory = imported(kind, name)
  entry = catalog.describe(kind, name)
  hints = typing.get_type_hints(factory)
  expected = {}
  for parameter in inspect.signature(factory).parameters.values():
    if parameter.kind is parameter.KEYWORD_ONLY:
      if parameter.name not in entry.static:
        if found := parts(hints.get(parameter.name)):
          expected[parameter.name] = (parameter.default, *found)
  assert entry.options.keys() == expected.keys()
  for option in entry.options.values():
    default, plain, choices, optional = expected[option.name]
    assert option.default == default
    assert type(option.default) is type(default)
    assert set(option.types) == plain and len(option.types) == len(plain)
    assert set(option.choices) == choices
    assert option.optional == optional

  assert entry.summary == inspect.getdoc(factory).splitlines()[0]
  assert entry.summary.endswith('.')
  assert entry.numbers == getattr(module, 'NUMBERS', {})
  assert entry.shortest == getattr(module, 'SHORTEST', 1)
  for title, mine in (
    ('PROVIDES', entry.provides),
    ('STATIC', entry.static),
  ):
    assert list(mine) == list(getattr(module, title, ()))
  assert entry.needs == needs_of(getattr(module, 'NEEDS', ()))
  assert entry.task_needs == needs_of(getattr(module, 'TASK_NEEDS', ()))


@pytest.mark.parametrize(('kind', 'name'), ENTRIES)
def test_conditions_and_numbers_name_what_exists(kind, name):
  entry = catalog.describe(kind, name)
  own = {**entry.options, **entry.numbers}
  conditions = [*entry.provides.values(), *entry.static.values()]
  conditions += [condition for condition, _ in entry.refuses]
  for condition in conditions:
    assert condition.keys() <= own.keys()
  assert not entry.options.keys() & entry.numbers.keys()
  keywords = inspect.signature(imported(kind, name)[1]).parameters
  assert entry.static.keys() <= keywords.keys()


def test_numbers_of_cells_and_learners_never_collide():
  # They reach a trial in one mapping.
  def numbers(kinds):
    entries = (catalog.describe(k, n) for k in kinds for n in catalog.names(k))
    return set().union(*(entry.numbers for entry in entries))

  taken = [numbers(kinds) for kinds in catalog.ROLES.values()]
  for one, other in itertools.combinations(taken, 2):
    assert not one & other


@pytest.mark.parametrize('name', catalog.names('cells'))
def test_a_cell_has_the_numbers_that_its_module_names(name):
  entry = catalog.describe('cells', name)
  for option in entry.options.values():
    words = option.choices or (option.default,)
    if 'bool' in option.types:
      words = (True, False)
    for word in words:
      cell = catalog.build('cells', name, 2, 1, **{option.name: word})
      assert cell.numbers.keys() == entry.numbers.keys()


def test_what_a_learner_needs_somebody_has():
  for name in catalog.names('learners'):
    entry = catalog.describe('learners', name)
    for kind, needs in (('cells', entry.needs), ('tasks', entry.task_needs)):
      others = [catalog.describe(kind, other) for other in catalog.names(kind)]
      for part, _, when in needs:
        having = [other.name for other in others if part in other.provides]
        assert having, (name, part)
        assert when.keys() <= entry.options.keys()


def test_build_calls_the_factory_with_its_options():
  cell = catalog.build('cells', 'srn', 3, 2, hidden=5)
  assert (cell.num_inputs, cell.num_outputs) == (3, 2)
  assert cell.initial_carry()[0].shape == (5,)


@pytest.mark.parametrize('function', [catalog.describe, catalog.build])
def test_an_unknown_name_is_answered_with_the_nearest(function):
  with pytest.raises(ValueError, match="cell 'ltsm'.*did you mean lstm"):
    function('cells', 'ltsm')
  with pytest.raises(ValueError, match='choose from adding, '):
    function('tasks', '_private')
  with pytest.raises(ValueError, match='must be one of tasks, datasets'):
    function('cell', 'srn')


SOURCE = '''
"""A module."""
import typing
from typing import Literal
Word = Literal['up', 'down']
NUMBERS = {'init_range': 0.1}
NEEDS = ('split', 'mask')
REASON = ('why', {'word': 'up'})
TASK_NEEDS = {'next_symbol': [REASON, ('or', {'word': 'down'})]}
STATIC = ('length',)
PROVIDES = {'split': {'word': 'up'}}
REFUSES = (({'word': 'up', 'size': ...}, 'no room'),)
MEAN_STEPS = (1.05, 2)
TRIVIAL = (({'word': 'up'}, {'predictor': 'one half', 'absolute': 0.5}),)

def helper(*, not_an_option: int = 1):
  pass

def made(a, b, *, length: int, word: Word = 'up', size: int | None = None,
         other: typing.Literal[1, None] = 1, rule: typing.Callable = helper,
         rate: float = -1.5):
  """What it is.

  More.
  """
'''


def written(tmp_path, source, name='made'):
  for kind in catalog.KINDS:
    (tmp_path / kind).mkdir()
  (tmp_path / 'cells' / f'{name}.py').write_text(source)
  (tmp_path / 'cells' / '_private.py').write_text('')
  (tmp_path / 'cells' / 'notes.txt').write_text('')
  return tmp_path


def test_source_is_read_without_running_it(tmp_path):
  root = written(tmp_path, SOURCE + '\nraise SystemExit')
  assert catalog.names('cells', root) == ('made',)
  entry = catalog.describe('cells', 'made', root)
  assert entry == catalog.Entry(
    kind='cells',
    name='made',
    summary='What it is.',
    options={
      'word': catalog.Option('word', 'up', (), ('up', 'down'), False),
      'size': catalog.Option('size', None, ('int',), (), True),
      'other': catalog.Option('other', 1, (), (1,), True),
      'rate': catalog.Option('rate', -1.5, ('float',), (), False),
    },
    numbers={'init_range': 0.1},
    provides={'split': {'word': 'up'}},
    needs=(Need('split'), Need('mask')),
    task_needs=(
      Need('next_symbol', 'why', {'word': 'up'}),
      Need('next_symbol', 'or', {'word': 'down'}),
    ),
    static={'length': {}},
    shortest=1,
    mean_steps=(1.05, 2),
    trivial=(({'word': 'up'}, {'predictor': 'one half', 'absolute': 0.5}),),
    refuses=(({'word': 'up', 'size': ...}, 'no room'),),
  )


@pytest.mark.parametrize(
  ('source', 'message'),
  [
    ('x = 1', 'cells/made.py has no function made'),
    ('def made(*, size: int): pass', 'option size has no default'),
    ('def made(*, size: int = n): pass', 'size must be a literal, not n'),
    ('NUMBERS = f()\ndef made(): pass', 'NUMBERS must be a literal'),
  ],
)
def test_source_that_cannot_be_read_is_named(tmp_path, source, message):
  root = written(tmp_path, source)
  with pytest.raises(ValueError, match=message):
    catalog.describe('cells', 'made', root)


GOOD = 'def {}(*, hidden: int = 3):\n  """A cell."""\n'


def test_what_editors_leave_is_ignored(tmp_path):
  folder = tmp_path / 'cells'
  folder.mkdir()
  (folder / 'good.py').write_text(GOOD.format('good'))
  for name in ('.#good.py', '._good.py', '#good#.py', 'good.py~', '.x.py'):
    (folder / name).write_bytes(b'\x00\x05\x16')
  for name in ('good copy.py', '1.py', 'a-b.py', 'good (1).py', 'x.py.orig'):
    (folder / name).write_text('(')
  (folder / 'folder.py').mkdir()
  (folder / 'link.py').symlink_to('absent')
  os.mkfifo(folder / 'fifo.py')
  assert catalog.names('cells', tmp_path) == ('good',)
  assert catalog.names('tasks', tmp_path) == ()


@pytest.mark.parametrize(
  'text',
  [
    'def bad(:',
    'x = 1',
    'def bad(*, n: int = f()):\n  pass',
    GOOD.format('bad') + 'NUMBERS = g()',
    GOOD.format('bad') + 'NEEDS = {"a": 3}',
    GOOD.format('bad') + 'TRIVIAL = 7',
    'x = ' + '(' * 400 + ')' * 400,
    b'\xff\xfe\x00',
    b'def bad():\n  "\x00"',
  ],
)
def test_one_broken_file_does_not_take_the_others_along(tmp_path, text):
  (tmp_path / 'cells').mkdir()
  (tmp_path / 'cells' / 'good.py').write_text(GOOD.format('good'))
  data = text if isinstance(text, bytes) else text.encode()
  (tmp_path / 'cells' / 'bad.py').write_bytes(data)
  assert catalog.names('cells', tmp_path) == ('bad', 'good')
  with pytest.raises(catalog.Broken, match='cells/bad.py') as caught:
    catalog.describe('cells', 'bad', tmp_path)
  assert '\n' not in str(caught.value)
  assert [e.name for e in catalog.readable('cells', tmp_path)] == ['good']


@pytest.mark.parametrize(
  'error', [MemoryError(), OSError(errno.EIO, 'I/O'), OSError(errno.EMFILE, '')]
)
def test_a_sick_machine_breaks_no_source(tmp_path, monkeypatch, error):
  """No memory to parse with, a disk that fails: the file may be well."""
  root = written(tmp_path, SOURCE)

  def fails(*_):
    raise error

  monkeypatch.setattr(factory_source.files, 'read_text', fails)
  monkeypatch.setattr(factory_source, '_ENOUGH', 2**62)  # more than there is
  for read in (catalog.describe, lambda *a: [*catalog.readable(a[0], a[2])]):
    with pytest.raises(type(error)) as caught:
      read('cells', 'made', root)
    assert not isinstance(caught.value, catalog.Broken)


def test_a_source_nested_too_deeply_is_broken(tmp_path):
  """Python's parser says MemoryError of it, or SyntaxError, by its version."""
  root = written(tmp_path, 'x = ' + '-' * 100_000 + '1\n' + SOURCE)
  with pytest.raises(catalog.Broken, match='cells/made.py'):
    catalog.describe('cells', 'made', root)


def test_a_broken_file_is_named_where_it_is_asked_for(
  tmp_path, monkeypatch, capsys
):
  root = tmp_path / 'lstm_jax'
  for kind in catalog.KINDS:
    shutil.copytree(
      PACKAGE / catalog.FOLDERS[kind], root / catalog.FOLDERS[kind]
    )
  (root / 'cells' / 'bad.py').write_text('def bad(:')
  for function in ('names', 'describe', 'readable', 'kind_of'):
    call = getattr(catalog, function)
    there = lambda *a, call=call: call(*a, *[root] * (root not in a))
    monkeypatch.setattr(catalog, function, there)
  assert sweep.main(['sweep', '--list']) == 0
  listed = capsys.readouterr().out
  assert 'broken: cells/bad.py, line 1' in listed and 'lstm1997' in listed
  assert sweep.main(['sweep', '--cell=bad', '--dry_run']) == 2
  said = capsys.readouterr().err
  assert 'cells/bad.py, line 1: invalid' in said and said.count('\n') == 1
  assert sweep.main(['sweep', '--cell=srn', '--dry_run']) == 0
  # A message that looks at all others.
  assert sweep.main(['sweep', '--cell=srn', '--blocks=2', '--dry_run']) == 2


def test_a_file_that_is_added_is_found(tmp_path):
  folder = tmp_path / 'cells'
  folder.mkdir()
  (folder / 'first.py').write_text('')
  os.utime(folder, ns=(1, 1))  # clocks of folders are coarse
  assert catalog.names('cells', tmp_path) == ('first',)
  (folder / 'second.py').write_text('')
  assert catalog.names('cells', tmp_path) == ('first', 'second')
  (folder / 'first.py').unlink()
  os.utime(folder, ns=(2, 2))
  assert catalog.names('cells', tmp_path) == ('second',)
