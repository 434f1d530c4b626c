"""Run folders as a report reads them, and the trials of several as one run.

A folder is read once, so a report of a run that goes on is of one moment.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lstm_jax.choices import count_of
from lstm_jax.lab.plan.programs import unit_of
from lstm_jax.lab.report.summaries import parts
from lstm_jax.lab.store import (
  nets,
  plan_trials,
  result_columns,
  results_table,
  seal,
  trial_records,
)
from lstm_jax.lab.store.documents import Levels, Record
from lstm_jax.lab.store.folder import Folder
from lstm_jax.lab.store.setting import Setting

# Of two records of a trial the origins may differ, the results may not.
_COMPARED = tuple(
  name for name in result_columns.RESULT_COLUMNS if name not in ('grid', 'row')
)
_MAX_NAMED = 3  # trials that a warning names


class Run(NamedTuple):
  """A run folder, as far as a report needs it.

  Attributes:
    identity: hash of the plan.
    provenance: versions and machine that the plan names.
    trials: id -> setting, in the plan's order.
    records: id -> record, of the trials that have ended.
    rows: id -> row of `results.csv`, of the same.
    problems: number of records that do not count.
    nets: ids of the trials whose nets are kept.
  """

  identity: str
  provenance: Mapping[str, object]
  trials: Mapping[str, Setting]
  records: Mapping[str, Record]
  rows: Mapping[str, Mapping[str, object]]
  problems: int
  nets: tuple[str, ...]


class Merged(NamedTuple):
  """The trials of one or several runs, each once.

  Attributes:
    trials: id -> setting, in the order of the plans, the first run's first.
    records: id -> record, of the trials that have ended in some run.
    rows: of `results.csv`, of the same.
    levels: id -> what predictors without recurrence reach on its data.
    warnings: what is wrong, one sentence each.
  """

  trials: dict[str, Setting]
  records: dict[str, Record]
  rows: list[Mapping[str, object]]
  levels: dict[str, Levels]
  warnings: list[str]


def read(
  opened: Folder,
  found: tuple[Mapping[str, Record], Sequence[trial_records.Problem]]
  | None = None,
) -> Run:
  """A run folder, as far as it has come.

  Args:
    opened: the run folder.
    found: of `trial_records.read_records`; None: they are read.

  Raises:
    Refused, StorageError, Unusable: a record of another version; the disk.
  """
  records, problems = found or trial_records.read_records(opened, is_lean=True)
  return Run(
    identity=seal.digest([opened.identity, _trials_of(opened.plan)]),
    provenance=opened.plan.get('provenance', {}),
    trials=opened.trials,
    records=records,
    rows={
      str(row['trial']): row for row in results_table.rows(opened, records)
    },
    problems=len(problems),
    nets=tuple(nets.names(opened)),
  )


def _trials_of(plan):
  content = plan_trials.packed(plan)
  return [content['settings'], content['trials']]


def join(runs: Sequence[Run]) -> Merged:
  """Every trial once, with setting and row of the first that has one."""
  trials: dict[str, Setting] = {}
  records: dict[str, Record] = {}
  rows: dict[str, Mapping[str, object]] = {}
  changed_rows: dict[str, str] = {}
  for run in runs:
    trials = trials | {k: v for k, v in run.trials.items() if k not in trials}
    records = {**run.records, **records}
    for name, row in run.rows.items():
      first = rows.setdefault(name, row)
      if first is not row and (change := _changes(first, row)):
        changed_rows.setdefault(name, change)
  warnings = []
  if number := sum(run.problems for run in runs):
    # Their reasons name files of this machine: the sweep prints them.
    warnings.append(
      f'{count_of(number, "record")} in records/ not counted: damaged, or a '
      'second result that disagrees with the first.'
    )
  if changed_rows:
    change = [
      f'{name}: {change}'
      for name, change in list(changed_rows.items())[:_MAX_NAMED]
    ]
    change += ['...'] * (len(changed_rows) > _MAX_NAMED)
    noun = 'trial' if len(changed_rows) == 1 else 'trials'
    warnings.append(
      f'A later run has other results of {len(changed_rows):,} {noun}; the '
      f'first counts. {"; ".join(change)}.'
    )
  return Merged(
    trials,
    {name: records[name] for name in trials if name in records},
    [rows[name] for name in trials if name in rows],
    levels_of(records),
    warnings,
  )


def levels_of(
  records: Mapping[str, Record],
) -> dict[str, Levels]:
  """Id -> what predictors without recurrence reach on a trial's data."""
  return {
    name: record['details'].get('levels') or {}
    for name, record in records.items()
  }


def facts(runs: Sequence[Run]) -> dict[str, dict[str, str]]:
  """Heading -> name -> value: counts, versions and device of each run."""
  by_heading = {}
  ids: set[str] = set()
  for number, run in enumerate(runs, 1):
    grids = ', '.join(
      parts(run.trials.values(), lambda setting: f'grid {setting.grid}')
    )
    heading = 'The run' if len(runs) == 1 else f'Run {number}: {grids}'
    by_heading[heading] = _facts(run, len(ids & run.trials.keys()))
    ids |= run.trials.keys()
  return by_heading


def _facts(run, shared):
  provenance = run.provenance
  packages = ('python', 'jax', 'jaxlib', 'numpy')
  versions = [
    f'{name} {provenance[name]}' for name in packages if provenance.get(name)
  ]
  seconds = sum(row.get('seconds') or 0 for row in run.rows.values())
  kernels = parts(
    run.records.values(), lambda record: record['details'].get('kernel')
  )
  ended_text = f'{len(run.rows):,} of {len(run.trials):,} ended'
  if {unit_of(setting) for setting in run.trials.values()} != {'epochs'}:
    num_solved = sum(row['status'] == 'solved' for row in run.rows.values())
    ended_text += f', {num_solved:,} solved'
  devices, kind = provenance.get('device_count'), provenance.get('device_kind')
  texts = {
    'trials': ended_text,
    'shared': f'{shared:,} of the trials are in a run above, too'
    if shared
    else None,
    'kernel': ', '.join(
      f'{name} ({len(rows_of_kernel):,})'
      for name, rows_of_kernel in kernels.items()
      if name
    ),
    'device time': f'{seconds:,.0f} s, summed over trials',
    'device': f'{devices} × {kind}' if devices and kind else kind,
    'processor': provenance.get('cpu'),
    'versions': ', '.join(versions),
    'commit': provenance.get('commit'),
    'changes': 'the sources differed from the commit'
    if provenance.get('changes')
    else None,
    'plan': run.identity[:16],
  }
  return {name: str(value) for name, value in texts.items() if value}


def _changes(row, other):
  """The result columns in which two rows of a trial differ, as text."""
  # As text: 0.0 equals -0.0 and 1 equals 1.0 as numbers.
  pairs = [
    (name, seal.canonical(row[name]), seal.canonical(other[name]))
    for name in _COMPARED
  ]
  return ', '.join(f'{name} {a} and {b}' for name, a, b in pairs if a != b)
