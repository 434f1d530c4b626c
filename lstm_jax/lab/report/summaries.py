"""The trials of a run, summed up setting by setting.

A setting is everything about a trial but its seed. A summary is a pure
function of the rows of `results.csv` and of the published figures kept in the
plan; the table and the figures are drawn from summaries alone. Every trial
counts in every denominator: one that ran out of budget, was given up early,
diverged or failed by an error is a trial that did not solve its task.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from lstm_jax.choices import one_of
from lstm_jax.lab.plan.programs import unit_of
from lstm_jax.lab.report import statistics
from lstm_jax.lab.report.measures import (
  Level,
  Measure,
  best_level,
  finished_records,
  levels_of,
  measures_of,
  metric_of,
  share_wrong,
)
from lstm_jax.lab.store.documents import Figures, Levels
from lstm_jax.lab.store.metrics import BY_NAME
from lstm_jax.lab.store.trial_records import STATUSES
from lstm_jax.ops.intervals import Interval, wilson

# Parts of a setting that have a column of their own, in the order of columns
# and of sorting.
FIELDS = ('task', 'cell', 'learner', 'length', 'window', 'hidden')
FIELDS += ('learning_rate',)
# What two settings may differ in without being worth a column.
ORIGINS = ('budget', 'grid', 'row')
TESTS = 2560  # fresh sequences that the paper tests a solved net on

_NUMBERS = (*BY_NAME, 'seconds')


_Item = TypeVar('_Item')
_Key = TypeVar('_Key')


class Summary(NamedTuple):
  """All trials of one setting.

  Attributes:
    setting: `FIELDS`, `ORIGINS` and every option -> value, without those that
      are missing.
    unit: what its budget counts, 'sequences' or 'epochs'.
    trials, solved, finished, given_up, diverged, failed: counts; `trials` is
      the denominator, finished are those that trained to the end.
    rate: Wilson 95 % interval of the probability to solve.
    median: sequences to success of all trials, infinite if unsolved.
    interval: 95 % interval of the median; None for fewer than six trials.
    mean, low, high: sequences to success of solved trials; None without any.
    sequences: to success, of the solved trials, ascending.
    error: mean over the unsolved trials of the last training error, absolute;
      None where it is not known.
    missing: trials of the plan that are still to come.
    wrong: mean number wrong in 2560 tests, of solved trials; None without any.
    seconds: sum over trials.
    published: the paper's figures, among them `success_after` (mean sequences
      to success) and `trials`; empty where nothing was published.
    measures: of `measures.measures_of`.
    metric: what its seeds are judged by, of `measures.METRIC_WORDS`; '' for
      nothing.
    level: the best predictor without recurrence, None where none is known.
    place: of its row in the plan, 0 where that is not known.
    tuning: what the setting was chosen by, see `tuned`; {} for nothing.
  """

  setting: Mapping[str, object]
  unit: str
  trials: int
  solved: int
  finished: int
  given_up: int
  diverged: int
  failed: int
  rate: Interval
  median: float
  interval: Interval | None
  mean: float | None
  low: float | None
  high: float | None
  sequences: tuple[float, ...]
  error: float | None
  missing: int
  wrong: float | None
  seconds: float
  published: Figures
  measures: Mapping[str, Measure] = {}
  metric: str = ''
  level: Level | None = None
  place: int = 0
  tuning: Mapping[str, object] = {}


def summarize(
  rows: Iterable[Mapping[str, object]],
  published: Mapping[str, Mapping[str, Figures]] | None = None,
  planned_counts: Mapping[str, Mapping[str, int]] | None = None,
  levels: Mapping[str, Levels] | None = None,
) -> list[Summary]:
  """Groups trials by setting.

  Args:
    rows: one mapping a trial with the columns of `results.csv`, typed or as
      strings; an empty string is a missing value. `options` is a mapping or its
      JSON text. `window` is a number, `full`, or missing where the learner has
      none.
    published: grid -> row -> figures, as in `Summary.published`.
    planned_counts: grid -> row -> trials of the plan; those in `rows` where
      missing.
    levels: trial -> what predictors without recurrence reach on its data.

  Returns:
    One summary a setting, sorted: numbers by size, `full` and nothing last.

  Raises:
    ValueError: a row has an unknown status, or is solved without a number of
      sequences to success.
  """
  groups = _by_setting(rows)
  summaries = []
  places = [
    (g, row)
    for g, row_counts in (planned_counts or {}).items()
    for row in row_counts
  ]
  for setting, rows_of_setting in groups:
    of = setting.get('grid'), setting.get('row')
    place = places.index(of) if of in places else 0
    grid, name = str(setting.get('grid')), str(setting.get('row'))
    figures = (published or {}).get(grid, {}).get(name, Figures())
    trials = [
      _result(row) | {'levels': (levels or {}).get(str(row.get('trial')), {})}
      for row in rows_of_setting
    ]
    trials.sort(key=lambda trial: order(trial['seed']))
    count = (planned_counts or {}).get(grid, {}).get(name, len(trials))
    num_missing = count - len(trials)
    summary = _summary(setting, trials, num_missing, figures, place)
    tuning = rows_of_setting[0].get('tuning') or {}
    if isinstance(tuning, str):
      tuning = json.loads(tuning)
    summaries.append(summary._replace(tuning=tuning))
  return sorted(summaries, key=_place)


def varying(summaries: list[Summary]) -> list[str]:
  """Names of what tells the settings of a run apart.

  The fields with different values within the run, and the options with
  different values for one task, cell and learner. Other options, and
  `ORIGINS`, are named only if they are needed to tell two settings apart.
  """
  settings = [s.setting for s in summaries]
  options = option_names(summaries)
  groups: dict[tuple[object, ...], list[Mapping[str, object]]] = {}
  for setting in settings:
    alike = tuple(setting.get(name) for name in ('task', 'cell', 'learner'))
    groups.setdefault(alike, []).append(setting)
  free_names = [
    name
    for name in options
    if any(
      len({shown_text(setting.get(name)) for setting in group}) > 1
      for group in groups.values()
    )
  ]
  names: list[str] = []
  for names_known, nothing_counts in (
    ((*FIELDS, *free_names), False),
    ((*FIELDS, *options), False),
    ((*FIELDS, *options), True),
    ((*FIELDS, *options, *ORIGINS), True),
  ):
    names = []
    for name in names_known:
      values = {shown_text(setting.get(name)) for setting in settings}
      if len(values if nothing_counts else values - {shown_text(None)}) > 1:
        names.append(name)
    labels = {
      tuple(shown_text(setting.get(name)) for name in names)
      for setting in settings
    }
    if len(labels) == len(settings):
      break
  return names


def option_names(summaries: list[Summary]) -> list[str]:
  """The names of all options of a run, sorted."""
  return sorted({n for s in summaries for n in s.setting} - {*FIELDS, *ORIGINS})


def shown_text(value: object) -> str:
  """A value as text: 0.5, 1,000 (whole numbers), words; - for nothing."""
  if value is None:
    return '-'
  if isinstance(value, float):
    return str(value)
  if isinstance(value, list | tuple):
    return ':'.join(map(shown_text, value))
  return f'{value:,}' if type(value) is int else str(value)


def _by_setting(rows):
  """(setting, its rows) of each setting, in the order in which they come."""
  groups: dict[tuple[object, ...], list[Mapping[str, object]]] = {}
  settings = []
  # What a row says of its setting -> (the rows of that setting, an object whose
  # identity is part of what it says and must stay).
  known: dict[tuple[object, str], tuple[list[Mapping[str, object]], object]]
  known = {}
  for row in rows:
    options = row.get('options')
    is_text = options is None or isinstance(options, str)
    said = (
      options if is_text else id(options),
      repr([row.get(name) for name in (*FIELDS, *ORIGINS)]),
    )
    if said not in known:
      setting = _setting(row)
      key = tuple(sorted((name, repr(v)) for name, v in setting.items()))
      if key not in groups:
        groups[key] = []
        settings.append(setting)
      known[said] = groups[key], options
    known[said][0].append(row)
  return list(zip(settings, groups.values(), strict=True))


def _setting(row):
  """Fields, origins and options of a trial as one flat dict."""
  options = row.get('options') or {}
  if isinstance(options, str):
    options = json.loads(options)
  values = {name: _number(row.get(name)) for name in (*FIELDS, *ORIGINS)}
  values |= {name: row.get(name) for name in ('grid', 'row')}
  return {
    k: v for k, v in (values | _flatten(options)).items() if v not in (None, '')
  }


def _flatten(options):
  """Nested options as one dict with dotted names."""
  values: dict[str, object] = {}
  for name, value in options.items():
    if isinstance(value, Mapping):
      values |= {f'{name}.{k}': v for k, v in _flatten(value).items()}
    else:
      values[name] = value
  return values


def _result(row):
  """Reads what came out of a trial, numbers as numbers, None where missing."""
  values = {name: row.get(name) for name in _NUMBERS}
  for name, value in values.items():
    if isinstance(value, str):
      values[name] = _number(value) if value else None
  status, trial = row.get('status'), row.get('trial')
  if status not in STATUSES:
    raise ValueError(
      f'status of trial {trial} {one_of(STATUSES)}; got {status!r}.'
    )
  if status == 'solved' and values['sequences_to_success'] is None:
    raise ValueError(f'sequences_to_success of solved trial {trial} is empty.')
  seconds = values.pop('seconds')
  seed = _number(row.get('seed'))
  return {'status': status, 'seed': seed, 'seconds': seconds, 'metrics': values}


def _number(value):
  """The number that a text spells; anything else as it is."""
  for kind in (int, float) if isinstance(value, str) else ():
    try:
      return kind(value)
    except ValueError:
      continue
  return value


def _summary(setting, trials, missing, figures, place):
  measures = measures_of([(t['status'], t['metrics']) for t in trials])
  metrics_solved = [t['metrics'] for t in trials if t['status'] == 'solved']
  sequences = [m['sequences_to_success'] for m in metrics_solved]
  waits = sequences + [math.inf] * (len(trials) - len(sequences))
  share = share_wrong(metrics_solved)
  mean = lambda name: measures[name].mean if name in measures else None
  counts = {
    status: sum(t['status'] == status for t in trials)
    for status in ('given_up', 'diverged', 'failed')
  }
  levels = levels_of(trials)
  return Summary(
    setting=setting,
    unit=unit_of(
      str(setting.get('learner')),
      {n: v for t in trials for n, v in t['metrics'].items() if v is not None},
    ),
    trials=len(trials),
    solved=len(sequences),
    finished=len(finished_records(trials)),
    **counts,
    rate=wilson(len(sequences), len(trials)),
    median=statistics.median(waits),
    interval=statistics.median_interval(waits),
    mean=mean('sequences_to_success'),
    low=min(sequences, default=None),
    high=max(sequences, default=None),
    sequences=tuple(sorted(sequences)),
    error=mean('train_absolute'),
    missing=missing,
    wrong=None if share is None else TESTS * share,
    seconds=math.fsum(t['seconds'] or 0 for t in trials),
    published=figures,
    measures=measures,
    metric=metric_of(measures),
    level=best_level(levels, measures),
    place=place,
  )


def parts(
  items: Iterable[_Item], key: Callable[[_Item], _Key]
) -> dict[_Key, list[_Item]]:
  """Key -> items that have it; keys in the order in which they first come."""
  groups: dict[_Key, list[_Item]] = {}
  for item in items:
    groups.setdefault(key(item), []).append(item)
  return groups


def order(value: object) -> tuple[int, float, str]:
  """Sort key of a setting's value: numbers by size, words, `full`, nothing."""
  if isinstance(value, int | float):
    return (0, value, '')
  rank = 3 if value is None else 2 if value == 'full' else 1
  return (rank, 0, shown_text(value))


def _place(summary):
  """Sort key of a summary: nothing of it depends on the order of the rows."""
  of = summary.setting
  return (
    [order(of.get(name)) for name in FIELDS],
    [(name, order(of[name])) for name in sorted({*of} - {*FIELDS, *ORIGINS})],
    [order(of.get(name)) for name in ORIGINS],
  )
