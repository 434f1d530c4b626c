"""Writes what `--list` and `--dry_run` print."""

from lstm_jax.lab.plan import (
  catalog,
  entry_points,
  estimate,
  grid,
  outside,
  own_data,
  values,
)
from lstm_jax.lab.plan.plan import Plan
from lstm_jax.lab.plan.programs import changed_words, learner_of, programs
from lstm_jax.lab.plan.text_columns import aligned, item
from lstm_jax.lab.store.setting import Setting


def everything() -> str:
  """All tasks, cells, learners and grids, with their options and numbers."""
  lines = []
  roles = [
    (one, kind) for one, kinds in catalog.ROLES.items() for kind in kinds
  ]
  for one, kind in roles:
    lines.append(f'{kind} (--{one})')
    for name in catalog.names(kind):
      try:
        entry = catalog.describe(kind, name)
      except catalog.Broken as why:
        lines += item(name, f'broken: {why}')
        continue
      lines += item(name, entry.summary)
      lines += _options(one, entry)
      for number, default in entry.numbers.items():
        what = 'a number' if number != 'length' else 'an integer'
        if number.endswith('_bias'):
          what = 'a number, one a block as -3:-6, or none (drawn)'
        lines += item(
          f'  {one}.{number}={values.written(number, default)}', what, 4
        )
    lines += _declared(one, kind)
    if kind == 'datasets':
      lines += _own_data(one, kind)
    lines.append('')
  lines += [
    'Also path/to/file.py:factory and package.module:factory, see '
    'docs/own_code.md.',
    '',
  ]
  lines.append('grids (--grid)')
  for name in grid.names():
    try:
      table = grid.load(name)
    except values.Refused as why:
      lines += item(name, f'broken: {why.args[0]}')
      continue
    source = f' ({table.source})' if table.source else ''
    lines += item(name, f'{table.title}{source}')
    lines += item('  rows', ', '.join(row.name for row in table.rows), 4)
  lines += item('vanishing', 'The error that flows back (its own command)')
  lines += ['', 'Options and numbers are set by --set=KIND.NAME=VALUE.']
  return '\n'.join(lines)


def _declared(role, kind):
  """Lines on what packages declare of a kind."""
  lines = []
  declared = entry_points.declared(kind)
  names = [one.name for one in declared]
  for one in declared:
    ours = catalog.kind_of(role, one.name) is not None
    alone = not ours and names.count(one.name) == 1
    head = one.name if alone else one.place
    try:
      reference = catalog.Reference(one.place, one.place)
      text = outside.summary((kind,), reference)
    except catalog.Broken as why:
      text = f'broken: {why}'
    lines += item(head, f'{text} (of {one.package})')
  return lines


def _options(role, entry):
  lines = []
  for option in entry.options.values():
    default = values.written(option.name, option.default)
    lines += item(
      f'  {role}.{option.name}={default}', values.allowed(option), 4
    )
  return lines


def _own_data(role, kind):
  """Data of one's own, see docs/data.md."""
  lines = []
  for name, example in own_data.EXAMPLES.items():
    entry = catalog.describe(kind, example)
    lines += item(name, entry.summary) + _options(role, entry)
  return lines


def plan(made: Plan) -> str:
  """The plan: its rows, and how many trials, programs and seconds."""
  source = f' ({made.source})' if made.source else ''
  lines = [f'{made.grid}: {made.title}{source}', '']
  rows: dict[tuple[str, int], list[Setting]] = {}
  for setting in made.trials:
    rows.setdefault((setting.row, setting.budget), []).append(setting)
  words = {key: changed_words(settings[0]) for key, settings in rows.items()}
  shared = set.intersection(*map(set, words.values()))
  table = [('row', 'trials', 'budget', 'published', 'setting')]
  for key, settings in rows.items():
    one = settings[0]
    published = dict(one.published).get('success_after')
    what = [one.task, one.cell, one.learner]
    if one.length is not None:
      what.append(f'T={one.length}')
    table.append(
      (
        one.row,
        f'{len(settings):,}',
        f'{one.budget:,}',
        '' if published is None else f'{published:,}',
        ' '.join((*what, *(word for word in words[key] if word not in shared))),
      )
    )
  lines += aligned(table)
  if shared:
    lines += ['', f'All rows: {" ".join(sorted(shared))}']
  sequences = sum(setting.budget for setting in made.trials)
  expected = sum(map(estimate.sequences, made.trials))
  unit = ' and '.join({learner_of(one).unit: '' for one in made.trials})
  again = f', {made.duplicates} duplicates left out' * bool(made.duplicates)
  lines += [
    '',
    f'{len(made.trials):,} trials{again}, {len(programs(made.trials))} '
    f'programs, {expected:,.0f} {unit} expected, {sequences:,} at most.',
    f'Estimated time: {estimate.words(made.seconds * estimate.slowness())} on '
    f'{made.cores} of these cores; an estimate, not a measurement.',
    f'Run folder: {made.out}. Nothing was run or written.',
  ]
  return '\n'.join(lines)
