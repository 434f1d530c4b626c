"""Messages on values of another kind and names not known are English."""

import ast

import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments import sweep
from lstm_jax import choices
from tests.test_layering import library


@pytest.mark.parametrize(
  'noun, article',
  [
    ('int', 'an'), ('list', 'a'), ('ndarray', 'an'), ('OneHot', 'a'),
    ('Equations', 'an'), ('LSTM', 'an'), ('GRU', 'a'), ('unit', 'a'),
    ('update', 'an'), ('unknown', 'an'), ('error_at_end', 'an'), ('_Odd', 'an'),
    ('UserDict', 'a'), ('StopRule', 'a'), ('X', 'an'),
  ],
)  # fmt: skip
def test_an_article(noun, article):
  assert choices.with_article(noun) == f'{article} {noun}'


@pytest.mark.parametrize(
  'value, words',
  [
    (3, 'an int'), (None, 'None'), ([], 'a list'), (lj.lstm, 'a function'),
    (len, 'a function'), (int, 'a class'), (jnp.ones(2), 'a jax.Array'),
    (np.ones(2), 'an ndarray'),
  ],
)  # fmt: skip
def test_the_type_of_a_value(value, words):
  assert choices.type_words(value) == words


def test_lists_of_choices():
  assert choices.unknown('lsmt', ('srn', 'lstm')) == (
    'choose from srn, lstm; did you mean lstm?'
  )
  assert choices.unknown('x', ()) == 'there is nothing to choose from'
  assert choices.choose([], 'row') == 'there is no row to choose from'
  assert choices.choose('abc', most=2) == 'choose from a, b and 1 more'
  assert choices.one_of(('a', 'b')) == 'must be one of a, b'
  assert choices.one_of(('an integer from 1',)) == 'must be an integer from 1'
  assert choices.listed(()) == 'none'


def faults(source):
  """Lines of text that is put together without the helpers."""
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Constant) and node.value in ('(none)', ' (none)'):
      yield node.lineno, '(none)'
    if not isinstance(node, ast.JoinedStr):
      continue
    for text, value in zip(node.values, node.values[1:], strict=False):
      if not isinstance(text, ast.Constant) or isinstance(value, ast.Constant):
        continue
      before, content = str(text.value), ast.unparse(value)
      if before.endswith((' a ', ' an ')) and '__name__' in content:
        yield node.lineno, f'{before}{content}'
      if before.endswith(('choose from ', 'must be one of ')):
        yield node.lineno, f'{before}{content}'


def test_one_thing_is_in_the_singular():
  assert choices.count_of(1, 'trial') == '1 trial'
  assert choices.count_of(0, 'trial') == '0 trials'
  assert choices.count_of(2000, 'program') == '2,000 programs'


def test_no_message_is_put_together_without_them():
  found = [
    f'{module}:{line}: {text}'
    for module, source in library().items()
    if module != 'choices'
    for line, text in faults(source)
  ]
  assert not found


@pytest.mark.parametrize(
  'source',
  [
    "f'f is a {type(f).__name__}'",
    'f\'choose from {", ".join(names)}\'',
    "f'{x} must be one of ' f'{words}'",
    "words or '(none)'",
  ],
)
def test_a_message_without_them_is_found(source):
  assert len(list(faults(source))) == 1


@pytest.mark.parametrize(
  'words, said',
  [
    # An option that takes one kind of value; one that no cell here has.
    ('--cell=srn --set=cell.hidden=x', '=x: must be an integer from 1'),
    ('--grid=table1 --length=77', 'there is no task.length to choose from'),
  ],
)
def test_a_command_says_what_there_is(words, said, capsys):
  assert sweep.main(['sweep', '--dry_run', *words.split()]) == 2
  line = capsys.readouterr().err
  assert said in line and 'one of an' not in line and '(none)' not in line


def test_what_python_is_told():
  with pytest.raises(ValueError, match='numbers is an int; must be a dict'):
    lj.srn(2, 1).init(None, 3)
  with pytest.raises(ValueError, match='cell is an int; must be a Cell, or a'):
    lj.train(lj.adding(), 3, lj.bptt, length=5)
