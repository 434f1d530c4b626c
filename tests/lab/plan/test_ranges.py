"""Among which values tuning draws, read from sources without importing them."""

import importlib

import pytest

from lstm_jax.lab.plan import catalog, ranges
from lstm_jax.lab.store import sources
from lstm_jax.lab.store.catalog_entry import Option, Range, Reference
from lstm_jax.learners import _optimizer

OPTIONS = {
  'init': Option('init', 'a', (), ('a', 'b'), True),
  'scale': Option('scale', 1.0, ('float',), (), False),
}
NUMBERS = {'step_rate': 0.1, 'gate_bias': None}
WITH_RANGES = [
  (kind, name)
  for kind in ('cells', 'learners', 'trainers')
  for name in catalog.names(kind)
]


@pytest.mark.parametrize(('kind', 'name'), WITH_RANGES)
def test_every_entry_of_ours_says_what_its_module_says(kind, name):
  module = importlib.import_module(catalog.module_of(kind, name))
  entry = catalog.describe(kind, name)
  # Without one that of the module which the type of the optimizer comes from.
  literal = getattr(module, 'RANGES', None) or (
    _optimizer.RANGES if 'optimizer' in entry.options else {}
  )
  assert list(entry.ranges) == list(literal)
  for title, one in entry.ranges.items():
    for value in one.choices:
      assert value in entry.options[title].choices


def test_each_form_is_read():
  assert ranges.read(
    {
      'gate_bias': (-3, 0.5, 'linear'),
      'init': ['a', None],
      'step_rate': {'init': {'a': (0.1, 1, 'log'), None: [1.0, 2.0]}},
    },
    OPTIONS,
    NUMBERS,
  ) == {
    'gate_bias': Range(-3.0, 0.5, 'linear'),
    'init': Range(choices=('a', None)),
    'step_rate': Range(
      by='init',
      cases={'a': Range(0.1, 1.0, 'log'), None: Range(choices=(1.0, 2.0))},
    ),
  }


@pytest.mark.parametrize(
  'literal',
  [
    {'gate_bias': (0.5, -3, 'linear')},
    {'gate_bias': (-1, 1, 'log')},
    {'gate_bias': (0, 1, 'logarithmic')},
    {'gate_bias': (0, 1)},
    {'gate_bias': (False, True, 'linear')},
    {'gate_bias': (0, float('inf'), 'linear')},
    {'step_rate': (0, 1, 'linear')},  # a rate is above 0
    {'init': ['a']},  # nothing to choose
    {'init': ['a', 'c']},
    {'scale': [1.0, None]},
    {'step_rate': {'init': {'c': (0.1, 1, 'log')}}},
    {'step_rate': {'other': {'a': (0.1, 1, 'log')}}},
    {'init': {'init': {'a': ['a', 'b']}}},
    {'gate_bias': 3},
  ],
)
def test_what_is_no_range_is_refused_by_name(literal):
  (name,) = literal
  with pytest.raises(ValueError, match=rf'RANGES: {name}.* = .*: write \(low'):
    ranges.read(literal, OPTIONS, NUMBERS)


def test_a_name_that_there_is_not_is_refused_with_the_names_there_are():
  with pytest.raises(ValueError, match=r"'lag'.*there is init, scale, step_r"):
    ranges.read({'lag': (1, 2, 'log')}, OPTIONS, NUMBERS)
  with pytest.raises(ValueError, match='must be {name: range, ...}'):
    ranges.read([], OPTIONS, NUMBERS)


def test_a_range_follows_the_option_that_it_depends_on():
  of_bptt = catalog.describe('learners', 'bptt').ranges
  by_adam = ranges.of_values(of_bptt, {'optimizer': 'adam'})
  assert by_adam['learning_rate'] == Range(3e-4, 0.1, 'log')
  assert 'learning_rate' not in ranges.of_values(of_bptt, {'optimizer': 'own'})


CELL = """
from lstm_jax import Cell

NUMBERS = {'leak': 0.5}
RANGES = {'leak': (0.01, 1.0, 'log'), 'gate': ['soft', 'hard']}


def leaky(num_inputs, num_outputs, *, gate: Literal['soft', 'hard'] = 'soft'):
  raise AssertionError('nobody imports this')
"""


def test_a_cell_from_outside_declares_its_own(tmp_path):
  path = tmp_path / 'leaky.py'
  path.write_text(f'from typing import Literal\n{CELL}')
  entry = catalog.find('cell', Reference('leaky.py:leaky', f'{path}:leaky'))
  assert entry.ranges == {
    'leak': Range(0.01, 1.0, 'log'),
    'gate': Range(choices=('soft', 'hard')),
  }
  path.write_text(f'from typing import Literal\n{CELL}'.replace('1.0', '0.001'))
  with pytest.raises(catalog.Broken, match='leaky.py: RANGES: leak'):
    catalog.find('cell', Reference('leaky.py:leaky', f'{path}:leaky'))


def test_other_ranges_are_no_other_code(tmp_path):
  path = tmp_path / 'leaky.py'

  def digests(text):
    path.write_text(text)
    return sources.of_place(f'{path}:leaky')

  before = digests(CELL)
  assert before == digests(CELL.replace('0.01, 1.0', '0.1, 2.0'))
  assert before != digests(CELL.replace("'leak': 0.5", "'leak': 0.6"))
