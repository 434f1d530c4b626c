"""What is public says its types: every parameter, every result, and no `Any`.

By reading the source; that the types are true is the type checker's (`mypy`).
Public is every function and method without an underscore in front, in whatever
module: a helper of one learner is read as often as the learner. `Any` is named
nowhere, so that no alias brings it into a signature.
"""

import ast
import re
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parent.parent / 'lstm_jax'


def functions(body):
  """`(node, whether it is a method)` of public functions, not those inside."""
  for node in body:
    if isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
      yield from ((method, True) for method, _ in functions(node.body))
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
      if not node.name.startswith('_') or node.name.endswith('__'):
        yield node, False


def faults(source):
  """What signatures leave out, and where `Any` is named."""
  tree = ast.parse(source)
  for node, is_method in functions(tree.body):
    args, marks = node.args, map(ast.unparse, node.decorator_list)
    first = is_method and 'staticmethod' not in marks
    named = [*args.posonlyargs, *args.args][first:] + args.kwonlyargs
    for arg in (*named, args.vararg, args.kwarg):
      if arg is not None and arg.annotation is None:
        yield f'{node.name}: parameter {arg.arg} has no type'
    if node.returns is None:
      yield f'{node.name}: what it returns has no type'
  for node in ast.walk(tree):
    names = [getattr(node, field, None) for field in ('id', 'attr', 'name')]
    if 'Any' in names:
      yield f'line {node.lineno}: Any'
  for number, line in enumerate(source.splitlines(), 1):
    if re.search(r'#\s*(type: *ignore|mypy:|pyright:)', line):
      yield f'line {number}: a comment that silences the type checker'


def test_public_functions_say_their_types():
  for path in sorted(LIBRARY.rglob('*.py')):
    found = list(faults(path.read_text(encoding='utf-8')))
    assert not found, f'{path}: {", ".join(found)}'


@pytest.mark.parametrize(
  'source, told',
  [
    ('def f(a, b: int) -> int: ...', 'f: parameter a has no type'),
    ('def f(*, a) -> int: ...', 'f: parameter a has no type'),
    ('def f(*a) -> int: ...', 'f: parameter a has no type'),
    ('def f(**a) -> int: ...', 'f: parameter a has no type'),
    ('def f(a: int = 1): ...', 'f: what it returns has no type'),
    ('class A:\n  def f(self, a) -> int: ...', 'f: parameter a has no type'),
    (
      'class A:\n  @staticmethod\n  def f(a) -> int: ...',
      'f: parameter a has no type',
    ),
    (
      'x: int = None  # type: ignore[assignment]',
      'line 1: a comment that silences the type checker',
    ),
    ('from typing import Any', 'line 1: Any'),
    ('import typing\nParams = typing.Any', 'line 2: Any'),
  ],
)
def test_what_is_left_out_is_found(source, told):
  assert list(faults(source)) == [told]


@pytest.mark.parametrize(
  'source',
  [
    'def f(a: int, *b: int, c: int, **d: int) -> None: ...',
    'def _f(a): ...',
    'class A:\n  def f(self) -> int: ...\n  def _g(self, a): ...',
    'def f() -> int:\n  def inside(a): ...',
  ],
)
def test_what_is_right_or_private_is_not(source):
  assert list(faults(source)) == []
