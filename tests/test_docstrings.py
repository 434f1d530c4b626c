"""A docstring begins with a verb in the third person or with a noun.

'Returns the ...', 'Outputs of the loop.'; not 'What ...', 'Whether ...'.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
QUESTIONS = 'How What When Where Whether Which Who Whom Whose Why'.split()


def questions(source):
  """Yields where a docstring begins with a question word, private ones too."""
  for node in ast.walk(ast.parse(source)):
    if isinstance(
      node,
      ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
    ):
      words = re.findall(r'^\w+', ast.get_docstring(node) or '')
      if words and words[0] in QUESTIONS:
        yield f'line {node.body[0].lineno}: {words[0]}'


@pytest.mark.parametrize('folder', ['lstm_jax', 'experiments'])
def test_docstrings_begin_with_a_verb_or_a_noun(folder):
  paths = sorted((ROOT / folder).rglob('*.py'))
  assert paths
  for path in paths:
    found = list(questions(path.read_text(encoding='utf-8')))
    assert not found, f'{path}: {", ".join(found)}'


@pytest.mark.parametrize(
  'source, found',
  [
    ('"""What this is."""', ['line 1: What']),
    ('class A:\n  """How it goes."""', ['line 2: How']),
    ('class A:\n  def _f(self):\n    r"""Whether."""', ['line 3: Whether']),
    ('def f():\n  def g():\n    """Where it is."""', ['line 3: Where']),
    ('def f():\n  """Returns what is there."""', []),
    ('def f():\n  """Whatever is there."""', []),
  ],
)
def test_question_words_are_found(source, found):
  assert list(questions(source)) == found
