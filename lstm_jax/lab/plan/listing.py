"""Writes what `--list` and `--dry_run` print."""

from lstm_jax.choices import count_of
from lstm_jax.lab.plan import (
  catalog,
  dealing,
  entry_points,
  estimate,
  grid,
  outside,
  own_data,
  ranges,
  tuning,
  values,
)
from lstm_jax.lab.plan.plan import Plan
from lstm_jax.lab.plan.programs import changed_words, learner_of, programs
from lstm_jax.lab.plan.text_columns import aligned, item
from lstm_jax.lab.store.setting import Setting, trial_id


def everything() -> str:
  """All tasks, cells, learners and grids, with their options and numbers."""
  lines = []
  roles = [
    (role, kind) for role, kinds in catalog.ROLES.items() for kind in kinds
  ]
  for role, kind in roles:
    lines.append(f'{kind} (--{role})')
    for name in catalog.names(kind):
      try:
        entry = catalog.describe(kind, name)
      except catalog.Broken as why:
        lines += item(name, f'broken: {why}')
        continue
      lines += item(name, entry.summary)
      lines += _options(role, entry)
      for number, default in entry.numbers.items():
        type_words = 'a number' if number != 'length' else 'an integer'
        if number.endswith('_bias'):
          type_words = 'a number, one a block as -3:-6, or none (drawn)'
        lines += item(
          f'  {role}.{number}={values.text_of(number, default)}',
          f'{type_words}{_tuned(entry, number)}',
          4,
        )
    lines += _from_packages(role, kind)
    if kind == 'datasets':
      lines += _own_data(role, kind)
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
    for title, names in (
      ('sizes', table.sizes),
      ('entries', [entry.name for entry in table.entries]),
      ('rows', [row.name for row in table.courses or table.rows]),
    ):
      lines += item(f'  {title}', ', '.join(names), 4) if names else []
  lines += item('vanishing', 'The error that flows back (its own command)')
  lines += ['', 'Options and numbers are set by --set=KIND.NAME=VALUE.']
  return '\n'.join(lines)


def _from_packages(role, kind):
  """Lines on what packages declare of a kind."""
  lines = []
  points = entry_points.entry_points_of(kind)
  names = [point.name for point in points]
  for point in points:
    is_builtin = catalog.kind_of(role, point.name) is not None
    is_only_one = not is_builtin and names.count(point.name) == 1
    head = point.name if is_only_one else point.place
    try:
      reference = catalog.Reference(point.place, point.place)
      text = outside.summary((kind,), reference)
    except catalog.Broken as why:
      text = f'broken: {why}'
    lines += item(head, f'{text} (of {point.package})')
  return lines


def _options(role, entry):
  lines = []
  for option in entry.options.values():
    default = values.text_of(option.name, option.default)
    lines += item(
      f'  {role}.{option.name}={default}',
      f'{values.choices_text(option)}{_tuned(entry, option.name)}',
      4,
    )
  return lines


def _tuned(entry, name):
  """Says among which values tuning draws an option or a number."""
  if name not in entry.ranges:
    return ''
  return f'; tuning draws {ranges.text_of(entry.ranges[name])}'


def _own_data(role, kind):
  """Data of one's own, see docs/data.md."""
  lines = []
  for name, example in own_data.EXAMPLES.items():
    entry = catalog.describe(kind, example)
    lines += item(name, entry.summary) + _options(role, entry)
  return lines


def plan(plan_: Plan, out: str = '', shard: tuple[int, int] = (0, 1)) -> str:
  """The plan: its rows, and how many trials, programs and seconds.

  Args:
    plan_: the plan.
    out: its run folder as it was given; '': the plan's own.
    shard: `(i, n)`: which part would run.
  """
  source = f' ({plan_.source})' if plan_.source else ''
  lines = [f'{plan_.grid}: {plan_.title}{source}', '']
  rows: dict[tuple[str, int], list[Setting]] = {}
  for setting in plan_.trials:
    rows.setdefault((setting.row, setting.budget), []).append(setting)
  words = {key: changed_words(settings[0]) for key, settings in rows.items()}
  shared = set.intersection(*map(set, words.values()))
  table = [('row', 'trials', 'budget', 'published', 'setting')]
  for key, settings in rows.items():
    setting_0 = settings[0]
    goal = dict(setting_0.published).get('success_after')
    parts = [setting_0.task, setting_0.cell, setting_0.learner]
    if setting_0.length is not None:
      parts.append(f'T={setting_0.length}')
    table.append(
      (
        setting_0.row,
        f'{len(settings):,}',
        f'{setting_0.budget:,}',
        '' if goal is None else f'{goal:,}',
        ' '.join(
          (*parts, *(word for word in words[key] if word not in shared))
        ),
      )
    )
  lines += aligned(table)
  if shared:
    lines += ['', f'All rows: {" ".join(sorted(shared))}']
  sequences = sum(setting.budget for setting in plan_.trials)
  steps = sum(map(estimate.sequences, plan_.trials))
  unit = ' and '.join(
    {learner_of(setting_0).unit: '' for setting_0 in plan_.trials}
  )
  again = f', {count_of(plan_.duplicates, "duplicate")} left out' * bool(
    plan_.duplicates
  )
  slowness = estimate.slowness()
  search_lines = []
  if plan_.tuned_rows:
    count = tuning.num_trials(plan_.tuned_rows, plan_.search_size)
    search_lines = [
      f'Before them tuning: {count_of(count, "trial")} at most on seeds '
      f'{tuning.seeds_text(plan_.search_size)}, in three rounds; what is '
      'chosen is not known yet. The time is of both.'
    ]
  trials = {trial_id(setting): setting for setting in plan_.trials}
  lines += [
    '',
    f'{count_of(len(plan_.trials), "trial")}{again}, '
    f'{count_of(len(programs(plan_.trials)), "program")}, {steps:,.0f} {unit} '
    f'expected, {sequences:,} at most.',
    *search_lines,
    f'Estimated time: {estimate.words(plan_.seconds * slowness)} on '
    f'{plan_.cores} of these cores; an estimate, not a measurement.',
    dealing.summary(trials, shard, slowness),
    f'Run folder: {out or plan_.out}. Nothing was run or written.',
  ]
  return '\n'.join(lines)
