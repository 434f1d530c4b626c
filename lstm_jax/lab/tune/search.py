"""The search of one row, round by round, of the records of its trials alone.

  round 1   three quarters of the settings, with a quarter of the budget
  round 2   the rest, likewise: beyond the edge of a range, where the best so
            far lies there, else from the same ranges
  round 3   the best quarter of all to the end of the budget; what has been
            solved, given up or has diverged before has ended already

Every row has the same number of settings, so nobody gets more because of where
its optimum lies. All is a pure function of row and records: whoever has the run
folders comes to the same winner, in whatever order and by whomever they were
run.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lstm_jax.lab.plan import tuned_rows, tuning, values
from lstm_jax.lab.plan.programs import unit_of
from lstm_jax.lab.plan.tuned_rows import TunedRow, Values
from lstm_jax.lab.plan.tuning import Tuning
from lstm_jax.lab.store.catalog_entry import Range
from lstm_jax.lab.store.documents import Record
from lstm_jax.lab.store.setting import Setting, trial_id, with_seed
from lstm_jax.lab.tune import scores, study

NUM_ROUNDS = 3
# Parts of a range, at either end, that are its edge: in any case, and where no
# setting was tried further out. What it grows by there: on a log scale a
# factor, else a part of its width.
EDGE, OUTER = 0.1, 0.25
FACTOR, WIDTH = 10.0, 0.5
_SEED_BEYOND = 1


class Draw(NamedTuple):
  """A setting that was drawn.

  Attributes:
    values: dotted name -> value.
    space: dotted name -> the plain range that it was drawn from.
  """

  values: Values
  space: Mapping[str, Range]


class Search(NamedTuple):
  """The search of a row as far as it is.

  Attributes:
    row: the row.
    tuning: its size.
    unit: what its budget counts, 'sequences' or 'epochs'.
    draws: settings so far, in the order of drawing.
    short: of each of them the records of its seeds, at the short budget.
    full: of those that went on to the end, by place.
    wider: dotted name -> a range, and what it was extended to.
    spent: trial -> what it saw, in the unit of the budget, and its seconds.
  """

  row: TunedRow
  tuning: Tuning
  unit: str
  draws: tuple[Draw, ...] = ()
  short: tuple[tuple[Record, ...], ...] = ()
  full: Mapping[int, tuple[Record, ...]] = {}
  wider: Mapping[str, tuple[Range, Range]] = {}
  spent: Mapping[str, tuple[float, float]] = {}

  @property
  def budget(self) -> int:
    """Of the row."""
    return self.row.point.row.budget


def trials_of(search: Search, number: int) -> dict[int, list[Setting]]:
  """Place of a setting -> its trials in a round, those that have yet to run.

  Args:
    search: with the records of the rounds before.
    number: of the round, from 1.
  """
  if number < NUM_ROUNDS:
    budget = tuning.short_budget(search.budget)
    places = range(len(search.short), len(search.draws))
  else:
    budget = search.budget
    places = study.finalists(short_scores(search))
  trials = {}
  for place in places:
    setting = tuned_rows.setting_of(
      search.row.point, search.draws[place].values, budget, is_named=True
    )
    trials[place] = [
      with_seed(setting, seed)
      for i, seed in enumerate(search.tuning.seed_list)
      if number < NUM_ROUNDS or search.short[place][i]['status'] == 'budget'
    ]
  return trials


def begun(row: TunedRow, size: Tuning) -> Search:
  """The search of a row before its first round."""
  count = size.settings - size.settings // tuning.REDUCTION
  of = unit_of(tuned_rows.setting_of(row.point, {}))
  return Search(row, size, of, _drawn(row, study.draws(row.space, count)))


def after(search: Search, number: int, records: Mapping[str, Record]) -> Search:
  """The search after a round, with what the next one tries.

  Args:
    search: before it.
    number: of the round, from 1.
    records: trial -> record, of all trials of the round.
  """
  trials = trials_of(search, number)
  records_by_place = {
    place: {trial.seed: records[trial_id(trial)] for trial in of_place}
    for place, of_place in trials.items()
  }
  seeds = search.tuning.seed_list
  spent = {
    trial_id(trial): _spent(records[trial_id(trial)], trial, search.unit)
    for of_place in trials.values()
    for trial in of_place
  }
  search = search._replace(spent={**search.spent, **spent})
  if number == NUM_ROUNDS:
    full = {
      place: tuple(
        of_seed.get(seed, search.short[place][i])
        for i, seed in enumerate(seeds)
      )
      for place, of_seed in records_by_place.items()
    }
    return search._replace(full=full)
  short = tuple(
    tuple(of_seed[seed] for seed in seeds)
    for of_seed in records_by_place.values()
  )
  search = search._replace(short=(*search.short, *short))
  return _held_back(search) if number == 1 else search


def _held_back(search):
  """A search with the settings that were held back."""
  row, size = search.row, search.tuning
  count = size.settings - len(search.draws)
  scores_now = short_scores(search)
  best = search.draws[min(range(len(scores_now)), key=scores_now.__getitem__)]
  edges = edges_of(best, search.draws)
  if not edges or not count:
    more = study.draws(row.space, size.settings)[len(search.draws) :]
    return search._replace(draws=search.draws + _drawn(row, more))
  wide = {name: extended(best.space[name], end) for name, end in edges.items()}
  beyond = {
    name: wide[name]._replace(
      **{'low' if end == 'high' else 'high': best.values[name]}
    )
    for name, end in edges.items()
  }
  more = study.draws(beyond, count, _SEED_BEYOND)
  return search._replace(
    draws=search.draws
    + tuple(
      Draw({**best.values, **drawn}, {**best.space, **wide}) for drawn in more
    ),
    wider={name: (best.space[name], one) for name, one in wide.items()},
  )


def _drawn(row, found):
  return tuple(
    Draw(drawn, tuned_rows.plain_space(row.space, drawn)) for drawn in found
  )


def edges_of(
  draw: Draw,
  others: Iterable[Draw] = (),
  wider: Mapping[str, tuple[Range, Range]] | None = None,
) -> dict[str, str]:
  """Dotted name -> 'low' or 'high', of numbers at the edge of their range.

  That is its outermost tenth, or its outermost quarter where nothing was tried
  further out: of a few settings none may lie in a tenth.

  Args:
    draw: the setting.
    others: all that were tried.
    wider: as of a `Search`: what was extended counts in place of what it was.

  Example:
    >>> draw = Draw({'a.rate': 0.9}, {'a.rate': Range(0.01, 1.0, 'log')})
    >>> edges_of(draw)
    {'a.rate': 'high'}
  """
  edges = {}
  for name, one in draw.space.items():
    if not one.scale:
      continue
    pair = (wider or {}).get(name, (one, one))
    alike = pair if one in pair else (one,)
    places = [
      _place(other.values[name], alike[-1])
      for other in others
      if other.space.get(name) in alike
    ]
    place = _place(draw.values[name], alike[-1])
    low, high = min(places, default=0.0), max(places, default=1.0)
    if place <= EDGE or place <= min(low, OUTER):
      edges[name] = 'low'
    elif place >= 1 - EDGE or place >= max(high, 1 - OUTER):
      edges[name] = 'high'
  return edges


def _place(value, one):
  """The place of a number in a range, on its scale: from 0 to 1."""
  scale = math.log if one.scale == 'log' else float
  low, high = scale(one.low), scale(one.high)
  return (scale(value) - low) / (high - low)


def extended(one: Range, end: str) -> Range:
  """A range that reaches further at one end.

  Example:
    >>> extended(Range(0.01, 1.0, 'log'), 'high')
    Range(low=0.01, high=10.0, scale='log', choices=(), by='', cases={})
  """
  if one.scale == 'log':
    low, high = one.low / FACTOR, one.high * FACTOR
  else:
    width = WIDTH * (one.high - one.low)
    low, high = one.low - width, one.high + width
  return one._replace(low=low) if end == 'low' else one._replace(high=high)


def short_scores(search: Search) -> list[float]:
  """Scores of the settings at the short budget, in the order of drawing."""
  budget = tuning.short_budget(search.budget)
  return [
    scores.score_of(records, budget, search.unit) for records in search.short
  ]


def full_scores(search: Search) -> dict[int, float]:
  """Place -> score, of the settings that went to the end of the budget."""
  return {
    place: scores.score_of(records, search.budget, search.unit)
    for place, records in search.full.items()
  }


def ranked(search: Search) -> list[int]:
  """Places of the settings that went to the end, the winner first."""
  scores_now = full_scores(search)
  return sorted(scores_now, key=lambda place: (scores_now[place], place))


def winner_of(search: Search) -> Draw:
  """The setting that a row is judged by, of a search that has ended."""
  return search.draws[ranked(search)[0]]


def record_of(search: Search) -> dict[str, float | str]:
  """The record of a search that a plan and a table hold.

  Args:
    search: after the last round.

  Returns:
    'settings' and 'seeds', of each; 'trials' that ran and what they spent, in
    'sequences' or 'epochs' and in 'seconds'; 'chosen'; 'solved', its tuning
    seeds that were; 'solving', the settings that solved any; 'futility', the
    fresh seeds where none did; 'second', how many times as long the second best
    takes, or how many times its error, where both are known; 'extended', ranges
    that were, and 'edge', numbers that are still at one. What there is nothing
    to say of is left out.
  """
  first, *others = ranked(search)
  winner = search.draws[first]
  record: dict[str, float | str] = {
    'settings': search.tuning.settings,
    'seeds': search.tuning.seeds,
    'trials': len(search.spent),
    search.unit: int(sum(amount for amount, _ in search.spent.values())),
    'seconds': round(math.fsum(s for _, s in search.spent.values()), 1),
    'chosen': ' '.join(
      f'{name}={values.text_of(name.partition(".")[2], value)}'
      for name, value in winner.values.items()
    ),
  }
  if search.unit == 'sequences':
    record['solved'] = _num_solved(search.full[first])
    record['solving'] = sum(
      _num_solved((*records, *search.full.get(place, ()))) > 0
      for place, records in enumerate(search.short)
    )
    few = search.tuning.futility
    if not record['solving'] and 0 < few < len(search.row.point.row.seeds):
      record['futility'] = few
  if others and (ratio := _ratio(search, first, others[0])):
    record['second'] = ratio
  if search.wider:
    record['extended'] = ', '.join(
      f'{name} to {new.low if new.low < old.low else new.high:g}'
      for name, (old, new) in search.wider.items()
    )
  if edges := edges_of(winner, search.draws, search.wider):
    record['edge'] = ', '.join(f'{name} {end}' for name, end in edges.items())
  return record


def _spent(record, trial, unit):
  """The amount that a trial has seen, and its seconds."""
  seen = trial.budget
  if unit == 'sequences':
    seen = record['metrics'].get('sequences_seen') or 0
  return float(seen), record.get('seconds') or 0.0


def _num_solved(records):
  return sum(record['status'] == 'solved' for record in records)


def _ratio(search, first, second):
  """The second best over the best; None where one of them is not known."""
  pair = [search.full[place] for place in (first, second)]
  if search.unit == 'epochs':
    best, other = (scores.error_of(records, search.unit) for records in pair)
    is_known = 0 < best and other < math.inf
  else:
    best, other = (scores.median_of(of, search.budget) for of in pair)
    is_known = max(best, other) <= search.budget
  return round(other / best, 3) if is_known else None
