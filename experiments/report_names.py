"""Which settings of a plan are readings of one published row; its name."""

import re

from experiments.summaries import parts


def key(entry):
  """What the readings of one published row have in common."""
  figures = figures_of(entry)
  if not figures:
    return entry['grid'], entry['task'], None
  if entry.get('line'):
    return tuple(entry.get(n) for n in ('grid', 'source', 'line', 'length'))
  said = sorted((name, repr(value)) for name, value in figures.items())
  place = [entry.get(name) for name in ('grid', 'task', 'learner', 'length')]
  return (*place, *said)


def figures_of(entry):
  """The published figures of a setting, {} for none."""
  return entry.get('published') or {}


def row_names(groups):
  """A name for each group that tells it from the others of its table."""
  short = [_short_name(group) for group in groups]
  tables = [(g[0]['grid'], g[0].get('source')) for g in groups]
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
