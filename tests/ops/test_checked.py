"""Choices stand in annotations, and every factory is held to them."""

import doctest
import importlib
import inspect
import re
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.ops import checked as checked_module
from lstm_jax.ops.checked import checked

ENTRIES = [(k, n) for k in catalog.KINDS for n in catalog.names(k)]


@checked
def net(
  size: int,
  g: Literal['tanh', 'relu'] = 'tanh',
  symbols: Literal[2, 3] = 2,
  bias: bool = True,
  scale: Literal['pcm'] | None = None,
  deep: bool | None = None,
  free=None,
):
  """A factory."""
  return size, g, symbols, bias, scale, deep, free


@pytest.mark.parametrize(
  'options',
  [
    {},
    {'g': 'relu', 'symbols': 3, 'bias': False, 'scale': 'pcm', 'deep': True},
    {'symbols': np.int64(3), 'bias': np.bool_(False), 'g': np.str_('relu')},
    {'scale': None, 'deep': None, 'free': object()},
  ],
)
def test_what_is_allowed_reaches_the_factory(options):
  made = net(4, **options)
  names = list(inspect.signature(net).parameters)
  for name, value in options.items():
    assert made[names.index(name)] is value


@pytest.mark.parametrize(
  ('options', 'words'),
  [
    ({'g': 'thin'}, "g='thin' must be one of tanh, relu"),
    ({'g': None}, 'g=None must be one of tanh, relu'),
    ({'g': ['tanh']}, r"g=\['tanh'\] must be one of"),
    ({'g': np.array(['tanh', 'relu'])}, 'g=array'),
    ({'symbols': 4}, 'symbols=4 must be one of 2, 3'),
    ({'symbols': '2'}, "symbols='2' must be one of 2, 3"),
    ({'symbols': True}, 'symbols=True must be one of 2, 3'),
    ({'bias': 1}, 'bias=1 must be True or False'),
    ({'bias': None}, 'bias=None must be True or False'),
    ({'deep': 0}, 'deep=0 must be True or False'),
    ({'scale': 'dB'}, "scale='dB' must be one of None, pcm"),
  ],
)
def test_what_is_not_is_refused_by_name(options, words):
  with pytest.raises(ValueError, match=words):
    net(4, **options)


def test_a_class_may_stand_beside_words():
  @checked
  def made(by: Literal['sgd'] | Path | None = 'sgd'):
    return by

  assert [made(x) for x in ('sgd', Path('a'), None)] == ['sgd', Path('a'), None]
  with pytest.raises(ValueError, match="by='a' must be .* sgd, or a Path$"):
    made('a')


def test_annotations_may_be_strings_and_several_are_not_one():
  def made(g: "Literal['tanh']", *rest: bool, **flags: bool):
    return g, rest, flags

  held = checked(made)
  assert held('tanh', 1, 2, x=3) == ('tanh', (1, 2), {'x': 3})
  with pytest.raises(ValueError, match="g='relu' must be tanh"):
    held('relu')


def test_python_says_what_python_knows():
  with pytest.raises(TypeError, match="missing 1 required positional .*'size'"):
    net()
  with pytest.raises(TypeError, match="unexpected keyword argument 'gs'"):
    net(4, gs='relu')


@pytest.mark.parametrize('kind, name', ENTRIES)
def test_every_choice_of_the_catalog_is_held_to(kind, name):
  module = importlib.import_module(catalog.module_of(kind, name))
  factory = getattr(module, name)
  # Choices are looked at first, so that nothing else need be right.
  needed = {
    p.name: None
    for p in inspect.signature(factory).parameters.values()
    if p.default is inspect.Parameter.empty
  }
  for option in catalog.describe(kind, name).options.values():
    wrong = None
    if option.choices:
      wrong = 'no such word'
    elif option.types == ('bool',):
      wrong = 2
    if wrong is not None:
      with pytest.raises(ValueError, match=f'^{option.name}={wrong!r} must be'):
        factory(**needed | {option.name: wrong})


def test_the_example_is_right():
  found = doctest.testmod(checked_module)
  assert found.attempted and not found.failed


def test_bounds_and_what_does_not_go_together():
  namespace = {'REFUSES': (({'a': 1, 'b': ...}, 'never both'),)}
  source = (
    'from lstm_jax.ops.checked import Amount, Count, Positive, Whole, checked\n'
    '@checked\n'
    'def made(a: Count = 2, b: Whole | None = None, c: Positive = 0.5,\n'
    '  d: Amount | None = 0.0):\n'
    '  return a, b, c, d\n'
  )
  exec(source, namespace)
  made = namespace['made']
  assert made(1, None, 1e-9, None) == (1, None, 1e-9, None)
  for options, said in (
    ({'a': 0}, 'a=0 must be at least 1'),
    ({'b': -1}, 'b=-1 must be at least 0'),
    ({'c': 0}, 'c=0 must be above 0'),
    ({'c': float('nan')}, 'c=nan must be above 0'),
    ({'d': float('nan')}, 'd=nan must be at least 0'),
    ({'a': 1, 'b': 3}, 'a=1 with b=3: never both'),
  ):
    with pytest.raises(ValueError) as caught:
      made(**options)
    assert str(caught.value) == said
  assert made(a=2, b=3) == (2, 3, 0.5, 0.0)


@pytest.mark.parametrize(
  'kind, name, options, reason',
  [
    (kind, name, condition, reason)
    for kind, name in ENTRIES
    for entry in [catalog.describe(kind, name)]
    for condition, reason in entry.refuses
    # Of numbers a factory is told nothing.
    if condition.keys() <= entry.options.keys()
  ],
)
def test_what_a_catalog_refuses_a_factory_refuses(kind, name, options, reason):
  """In the same words, before anything is built."""
  given = {k: 1 if v is ... else v for k, v in options.items()}
  several = {'cells': (2, 1), 'learners': (None, None)}.get(kind, ())
  with pytest.raises(ValueError, match=re.escape(reason)):
    catalog.build(kind, name, *several, **given)
