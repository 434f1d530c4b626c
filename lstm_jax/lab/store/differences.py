"""In what two plans differ, in lines for who asked for the second."""

import collections
import json
import re
from collections.abc import Iterator, Sequence

from lstm_jax.lab.store import seal
from lstm_jax.lab.store.documents import Entry, Plan
from lstm_jax.lab.store.provenance import COMPARED

SHOWN = 10
WIDTH = 100
# Ids follow from the rest.
_IDS = ('trials.id:',)


def drift_of(there: Plan, asked: Plan) -> dict[str, tuple[object, object]]:
  """The compared provenance that differs: name -> (there, asked).

  What has parts, as JAX's options have, is compared part by part.

  Args:
    there: the plan in the folder.
    asked: the new plan.
  """
  drift: dict[str, tuple[object, object]] = {}
  for key in COMPARED:
    a, b = (plan['provenance'].get(key) for plan in (there, asked))
    if isinstance(a, dict) and isinstance(b, dict):
      parts = {f'{key}.{part}': part for part in sorted({**a, **b})}
      pairs = {name: (a.get(part), b.get(part)) for name, part in parts.items()}
    else:
      pairs = {key: (a, b)}
    drift |= {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
  return drift


def shown(lines: Sequence[str]) -> str:
  """The first lines, indented, and how many more there are."""
  more = len(lines) - SHOWN
  rest = [f'{more} more'] if more > 0 else []
  return '\n'.join(f'  {line}' for line in [*lines[:SHOWN], *rest])


def change(name: str, there: object, asked: object) -> str:
  """One difference; of two long lists only the items that are not in both."""
  if (
    isinstance(there, list)
    and isinstance(asked, list)
    and len(seal.canonical([there, asked])) > WIDTH
  ):
    there, asked = (
      [item for item in there if item not in asked] or there,
      [item for item in asked if item not in there] or asked,
    )
  return f'{name}: {_text(there)} in the folder, {_text(asked)} asked for'


def _text(value):
  text = seal.canonical(value)
  return text if len(text) <= WIDTH else f'{text[:WIDTH]}...'


def lines_of(name: str, there: object, asked: object) -> Iterator[str]:
  """One line a leaf in which two plain values differ."""
  if isinstance(there, dict) and isinstance(asked, dict):
    for key in {**there, **asked}:
      yield from lines_of(f'{name}.{key}', there.get(key), asked.get(key))
  elif (
    isinstance(there, list)
    and isinstance(asked, list)
    and len(there) == len(asked)
  ):
    for i, pair in enumerate(zip(there, asked, strict=True)):
      yield from lines_of(f'{name}[{i}]', *pair)
  elif seal.canonical(there) != seal.canonical(asked):
    yield change(name, there, asked)


def trial_lines(
  there: Sequence[Entry], asked: Sequence[Entry], total: int
) -> Iterator[str]:
  """One line a field and change; the trials it happens in are counted.

  Args:
    there, asked: settings of trials that are in one plan only, or all.
    total: trials in the folder.
  """
  if len(there) != len(asked):
    yield change('number of trials', len(there), len(asked))
    fields = dict.fromkeys(key for one in (*there, *asked) for key in one)
    for field in fields:
      a, b = (_values(trials, field) for trials in (there, asked))
      if field != 'id' and a != b:
        yield change(field, a, b)
    return
  counts = collections.Counter(
    line
    for one, other in zip(there, asked, strict=True)
    for line in lines_of('trials', one, other)
    if not line.startswith(_IDS) or _without_id(one, other)
  )
  for line, count in counts.items():
    # As `--set` names it: cell.hidden, or learning_rate.
    named = re.sub(r'^trials\.(numbers\.|(\w+)_options(?=\.))?', r'\2', line)
    yield f'{named} ({count} of {total} trials)'


def _values(trials, field):
  """The values of a field, each once, in order."""
  texts = dict.fromkeys(seal.canonical(one.get(field)) for one in trials)
  return [json.loads(text) for text in texts]


def _without_id(one, other):
  """Tells whether two settings are equal but for their ids."""
  return {**one, 'id': None} == {**other, 'id': None}
