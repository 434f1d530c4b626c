"""Which trials are one reading, which readings one published row; their names.

Nothing here depends on the grid where a table and its line are named, so the
readings of one published row meet whatever grids they were run from.
"""

import re

from lstm_jax.lab.plan.values import written
from lstm_jax.lab.report.summaries import parts
from lstm_jax.lab.store import seal

_SETTING = ('task', 'cell', 'learner', 'length', 'window', 'hidden')
_SETTING += ('learning_rate', 'options', 'budget')


def setting(entry) -> str:
  """What the trials of one reading have in common: all but seed and origin."""
  return seal.canonical({name: entry.get(name) for name in _SETTING})


def place(entry):
  """What the readings of one published row have in common."""
  figures = figures_of(entry)
  if not figures:
    return entry['grid'], entry['task'], None
  if entry.get('line'):
    return source_of(entry), entry['line'], entry.get('length')
  said = sorted((name, repr(value)) for name, value in figures.items())
  method = [entry.get(name) for name in ('task', 'learner', 'length')]
  return (source_of(entry), *method, *said)


def groups(entries):
  """The entries of each published row, those with figures first.

  An entry without figures belongs to the published row that has its setting, if
  there is one, else to the first place that has it.

  Returns:
    Lists of entries: published rows in the order of their tables' numbers,
    then all others in the order in which they come.
  """
  places, found = {}, {}
  for entry in sorted(entries, key=_unpublished):
    first = places.setdefault(setting(entry), place(entry))
    there = place(entry) if figures_of(entry) else first
    found.setdefault(there, []).append(entry)
  return sorted(found.values(), key=_order)


def named_readings(group):
  """The readings of a published row.

  Args:
    group: entries, of `groups`.

  Returns:
    `(name, entries)` pairs, no two of one name: where two would have the same,
    what their settings differ in is part of it.
  """
  held = list(parts(group, setting).values())
  names = [one.get('reading') or one['row'] for one, *_ in held]
  made = []
  for name, entries in zip(names, held, strict=True):
    alike = [o for n, (o, *_) in zip(names, held, strict=True) if n == name]
    words = differences(entries[0], alike)
    made.append((f'{name} ({words})' if words else name, entries))
  return made


def figures_of(entry):
  """The published figures of a setting, {} for none."""
  return entry.get('published') or {}


def source_of(entry):
  """The published table, or the name of the grid."""
  return entry.get('source') or entry['grid']


def row_names(groups):
  """A name for each group that tells it from the others of its table."""
  short = [_short_name(group) for group in groups]
  tables = [source_of(group[0]) for group in groups]
  places = list(zip(tables, short, strict=True))
  return [
    name if places.count(place) == 1 else group[0]['row']
    for name, place, group in zip(short, places, groups, strict=True)
  ]


def _short_name(group):
  """The line of a group, or what its row names begin with in whole words."""
  figures = figures_of(group[0])
  if figures and group[0].get('line'):
    return group[0]['line']
  rows = list(parts(group, lambda entry: entry['row']))
  if not figures:
    return group[0]['task'] if len(rows) > 1 else rows[0]
  if len(rows) == 1:
    return rows[0]
  words = [re.findall(r'[^-_ ]+[-_ ]*', row) for row in rows]
  kept = []
  for same in zip(*words, strict=False):
    bare = {word.rstrip('-_ ') for word in same}
    if len(bare) > 1:
      break
    kept.append(same[0])
  return ''.join(kept).rstrip('-_ ') or rows[0]


def anchor(text, used):
  """A name for links that is not among those used."""
  made = re.sub(r'[^a-z0-9]+', '-', text.lower()).strip('-') or 'row'
  number = 2
  plain = made
  while made in used:
    made, number = f'{plain}-{number}', number + 1
  return made


def _unpublished(entry):
  return not figures_of(entry)


def _order(group):
  """Sort key: tables by their numbers, what is not published last."""
  if _unpublished(group[0]):
    return True, []
  words = re.split(r'(\d+)', source_of(group[0]))
  words[1::2] = map(int, words[1::2])
  return False, words


def differences(entry, alike):
  """What an entry has that not all of those like it have, as text."""
  mine, *others = map(_flat, (entry, *alike))
  names = dict.fromkeys(name for one in others for name in one)
  return ', '.join(
    f'{name}={mine[name]}' if name in mine else f'no {name}'
    for name in names
    if len({one.get(name) for one in others}) > 1
  )


def _flat(entry):
  """Name -> text of everything that a setting has."""
  found = {name: entry.get(name) for name in _SETTING if name != 'options'}
  found |= entry.get('options', {})
  return {name: written(name, value) for name, value in found.items()}
