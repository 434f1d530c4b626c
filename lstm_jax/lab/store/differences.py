"""In what two plans differ, in lines for who asked for the second."""

import collections
import json
import re
from collections.abc import Iterator, Sequence

from lstm_jax.lab.store import seal
from lstm_jax.lab.store.documents import Entry, Plan
from lstm_jax.lab.store.provenance import COMPARED

MAX_LINES = 10
WIDTH = 100
# Ids follow from the rest.
_IDS = ('trials.id:',)
# A field's name as `--set` has it: cell.hidden, or learning_rate.
_SET_NAME = re.compile(r'^(numbers\.|(\w+)_options(?=\.))')
# What the content of a file of data was: shape and hash, see `own.dataset`.
_CONTENT = re.compile(r'task\.(inputs|targets|split): .*-[0-9a-f]{12}"')


def drift_of(
  old_plan: Plan, new_plan: Plan
) -> dict[str, tuple[object, object]]:
  """The compared provenance that differs: name -> (old, new).

  What has parts, as JAX's options have, is compared part by part.

  Args:
    old_plan: the plan in the folder.
    new_plan: the new plan.
  """
  drift: dict[str, tuple[object, object]] = {}
  for key in COMPARED:
    a, b = (plan['provenance'].get(key) for plan in (old_plan, new_plan))
    if isinstance(a, dict) and isinstance(b, dict):
      parts = {f'{key}.{part}': part for part in sorted({**a, **b})}
      pairs = {name: (a.get(part), b.get(part)) for name, part in parts.items()}
    else:
      pairs = {key: (a, b)}
    drift |= {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
  return drift


def first_lines(lines: Sequence[str]) -> str:
  """The first lines, indented, and how many more there are."""
  num_more = len(lines) - MAX_LINES
  tail = [f'{num_more} more'] if num_more > 0 else []
  return '\n'.join(f'  {line}' for line in [*lines[:MAX_LINES], *tail])


def change(name: str, old: object, new: object) -> str:
  """One difference; of two long lists only the items that are not in both."""
  if (
    isinstance(old, list)
    and isinstance(new, list)
    and len(seal.canonical([old, new])) > WIDTH
  ):
    old, new = (
      [item for item in old if item not in new] or old,
      [item for item in new if item not in old] or new,
    )
  return f'{name}: {_text(old)} in the folder, {_text(new)} asked for'


def _text(value):
  text = seal.canonical(value)
  return text if len(text) <= WIDTH else f'{text[:WIDTH]}...'


def lines_of(name: str, old: object, new: object) -> Iterator[str]:
  """One line a leaf in which two plain values differ."""
  if isinstance(old, dict) and isinstance(new, dict):
    for key in {**old, **new}:
      yield from lines_of(f'{name}.{key}', old.get(key), new.get(key))
  elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
    for i, pair in enumerate(zip(old, new, strict=True)):
      yield from lines_of(f'{name}[{i}]', *pair)
  elif seal.canonical(old) != seal.canonical(new):
    yield change(name, old, new)


def trial_lines(
  old_trials: Sequence[Entry], new_trials: Sequence[Entry], total: int
) -> Iterator[str]:
  """One line a field and change; the trials it happens in are counted.

  Args:
    old_trials, new_trials: settings of trials that are in one plan only, or
      all.
    total: trials in the folder.
  """
  if len(old_trials) != len(new_trials):
    yield change('number of trials', len(old_trials), len(new_trials))
    old, new = ([*map(_flat, trials)] for trials in (old_trials, new_trials))
    for field in dict.fromkeys(key for trial in (*old, *new) for key in trial):
      a, b = (_values(trials, field) for trials in (old, new))
      if field != 'id' and a != b:
        yield change(_SET_NAME.sub(r'\2', field), a, b)
    return
  counts = collections.Counter(
    line
    for old_trial, other in zip(old_trials, new_trials, strict=True)
    for line in lines_of('trials', old_trial, other)
    if not line.startswith(_IDS) or _without_id(old_trial, other)
  )
  for line, count in counts.items():
    line_of_trial = _SET_NAME.sub(r'\2', line.removeprefix('trials.'))
    yield f'{line_of_trial} ({count} of {total} trials)'


def has_changed_data(lines: Sequence[str]) -> bool:
  """Tells whether one of the lines is on the content of a file of data."""
  return any(map(_CONTENT.match, lines))


def _flat(trial):
  """A trial whose options and numbers are fields of their own."""
  fields: dict[str, object] = {}
  for name, value in trial.items():
    if isinstance(value, dict) and name != 'outside':
      fields |= {f'{name}.{key}': inner for key, inner in value.items()}
    else:
      fields[name] = value
  return fields


def _values(trials, field):
  """The values of a field, each once, in order."""
  texts = dict.fromkeys(seal.canonical(trial.get(field)) for trial in trials)
  return [json.loads(text) for text in texts]


def _without_id(trial, other):
  """Tells whether two settings are equal but for their ids."""
  return {**trial, 'id': None} == {**other, 'id': None}
