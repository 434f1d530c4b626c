"""Writes the results of the lag law: tables, picture, the section of the page.

  python docs/_figures/lag_law.py FOLDER...   takes trials of run folders first
  python docs/_figures/lag_law.py             all again from the kept trials

docs/lag_law_trials.csv has the trials; from it and lag_law_published.csv alone
come lag_law.csv, lag_law.svg and what stands in lag_law.md between its marks.
Rows of a folder of which a trial is still to come are left out; the others take
the place of kept rows of the same recipe, length and rate.
"""

import csv
import math
import re
import sys
from pathlib import Path

import lag_fit
import lag_picture

from lstm_jax.lab.report import statistics
from lstm_jax.lab.store import folder, trial_records

DOCS = Path(__file__).parent.parent
TRIALS, TABLE = DOCS / 'lag_law_trials.csv', DOCS / 'lag_law.csv'
PUBLISHED, PAGE = DOCS / 'lag_law_published.csv', DOCS / 'lag_law.md'
PICTURE = DOCS / 'lag_law.svg'
PLACE = ('recipe', 'task', 'length', 'learning_rate')
HEAD = (*PLACE, 'seed', 'status', 'sequences_to_success')
COLUMNS = (*PLACE, 'solved', 'trials', 'median', 'median_low', 'median_high')
BLOCK = re.compile(
  r'(<!-- from: docs/lag_law_trials.csv -->\n).*?(<!-- end -->)', re.DOTALL
)
# The claim is about the decades up to here, the exponent that refutes it.
_LONGEST_CLAIMED, _REFUTES = 100_000, 0.1


def trials_of(path):
  """The trials of a run folder, of the rows of which all have ended."""
  opened = folder.open_folder(path)
  records, _ = trial_records.read_records(opened)
  rows = {}
  for name, setting in opened.trials.items():
    place = (
      setting.row_name, setting.task, setting.length, setting.learning_rate
    )  # fmt: skip
    rows.setdefault(place, []).append((setting.seed, records.get(name)))
  for place, trials in rows.items():
    if all(record is not None for _, record in trials):
      for seed, record in trials:
        after = record['metrics'].get('sequences_to_success')
        after = '' if after is None else after
        values = map(str, (*place, seed, record['status'], after))
        yield dict(zip(HEAD, values, strict=True))


def place_of(trial):
  """`(recipe, length, rate)` of a trial."""
  return trial['recipe'], int(trial['length']), float(trial['learning_rate'])


def joined(kept, taken):
  """Kept trials, those of rows that are taken replaced, in order."""
  places = set(map(place_of, taken))
  trials = [t for t in kept if place_of(t) not in places] + [*taken]
  return sorted(trials, key=lambda t: (*place_of(t), int(t['seed'])))


def by_row(trials):
  """`(recipe, length, rate) ->` sequences to success, infinite without."""
  rows = {}
  for trial in trials:
    value = float(trial['sequences_to_success'] or math.inf)
    rows.setdefault(place_of(trial), []).append(value)
  return rows


def table_of(trials):
  """The rows of the table: an unsolved trial counts as more than any."""
  task = {trial['recipe']: trial['task'] for trial in trials}
  for (recipe, length, rate), values in by_row(trials).items():
    interval = statistics.median_interval(values) or (math.nan, math.nan)
    numbers = statistics.median(values), *interval
    yield (
      recipe, task[recipe], length, f'{rate:g}',
      sum(map(math.isfinite, values)), len(values),
      *(f'{x:g}' for x in numbers),
    )  # fmt: skip


def series_of(trials):
  """Recipe -> lag -> trials; `-longest` joins its recipe.

  Of several rates the one that solves most at that lag, then the quickest.
  """
  series = {}
  rows = by_row(trials)
  for (recipe, length, _), values in sorted(
    rows.items(), key=lambda item: rating(item[1])
  ):
    lags = series.setdefault(recipe.removesuffix('-longest'), {})
    lags[length] = values  # the best is the last
  return {
    name: dict(sorted(lags.items())) for name, lags in sorted(series.items())
  }


def rating(values):
  """Share solved, then how soon: more is better."""
  solved = [v for v in values if math.isfinite(v)]
  return len(solved) / len(values), -statistics.median(values)


def section(trials):
  """The lines of the page that trials decide."""
  series = series_of(trials)
  return '\n'.join(
    [*row_lines(trials), '', *law_lines(series), '', *end_lines(series), '']
  )


def row_lines(trials):
  """A table of all rows."""
  several = {}
  for recipe, _, rate in by_row(trials):
    several.setdefault(recipe, set()).add(rate)
  yield '| row | T | solved | sequences to success |'
  yield '|---|---:|---|---:|'
  for recipe, _, length, rate, solved, count, *numbers in table_of(trials):
    name = f'{recipe}, rate {rate}' if len(several[recipe]) > 1 else recipe
    median, low, high = (shown(float(x)) for x in numbers)
    yield (
      f'| {name} | {length:,} | {solved}/{count} | {median} [{low}, {high}] |'
    )


def law_lines(series):
  """The laws that fit rows of three lags and more, and what they say."""
  yield (
    '| row | lags | exponent of T | sequences more a decade | '
    'distance of trials: power, logarithm, no growth |'
  )
  yield '|---|---|---|---|---|'
  claim = None
  for name, lags in series.items():
    learned = {t: v for t, v in lags.items() if statistics.median(v) < math.inf}
    near = near_of(learned)
    for part in [near] if near == learned else [near, learned]:
      if len(part) > 2:
        power = lag_fit.power(part)
        yield law_line(name, part, power)
        if name == 'adding' and part is near:
          claim = power
  if claim:
    yield ''
    yield verdict(claim, near_of(series['adding']))


def near_of(lags):
  """Those lags that the claim is about."""
  return {t: v for t, v in lags.items() if t <= _LONGEST_CLAIMED}


def law_line(name, lags, power):
  """A line of the table of laws."""
  log, flat = lag_fit.logarithm(lags), lag_fit.flat_distance(lags)
  return (
    f'| {name} | {min(lags):,} to {max(lags):,} | '
    f'{power.slope:.2f} [{power.low:.2f}, {power.high:.2f}] | '
    f'{log.slope:,.0f} [{log.low:,.0f}, {log.high:,.0f}] | '
    f'{power.distance:.2f}, {log.distance:.2f}, {flat:.2f} |'
  )


def verdict(law, lags):
  """A sentence: whether the claim on adding is refuted, as written before."""
  failed = [t for t, v in lags.items() if rating(v)[0] < 0.5]
  reach = f'from T = {min(lags):,} to {max(lags):,}'
  if law.low > _REFUTES or failed:
    why = f'less than half solved at {failed[0]:,}' if failed else 'it grows'
    return f'The claim on adding is refuted {reach}: {why}.'
  short = '' if max(lags) >= _LONGEST_CLAIMED else ', so far'
  return (
    f'The claim on adding is not refuted {reach}{short}: the exponent is '
    f'{law.slope:.2f}, its interval [{law.low:.2f}, {law.high:.2f}].'
  )


def end_lines(series):
  """Which lag is the last that half of the trials learn, and what follows."""
  yield '| row | the longest lag that half of the trials learn | the next |'
  yield '|---|---|---|'
  for name, lags in series.items():
    good = [t for t, v in lags.items() if rating(v)[0] >= 0.5]
    longer = [t for t in lags if t > max(good, default=0)]
    last = of(lags, max(good)) if good else 'none'
    yield (
      f'| {name} | {last} | {of(lags, min(longer)) if longer else "not run"} |'
    )


def of(lags, length):
  """A lag and how many trials have learned it."""
  values = lags[length]
  return f'{length:,}: {sum(map(math.isfinite, values))}/{len(values)}'


def shown(number):
  """A number of sequences."""
  return f'{round(number):,}' if math.isfinite(number) else '> budget'


def kept(path):
  """The rows of a CSV file, a dictionary each."""
  with open(path, newline='', encoding='utf-8') as file:
    return list(csv.DictReader(file))


def write(path, head, rows):
  """Writes a CSV file."""
  with open(path, 'w', newline='', encoding='utf-8') as file:
    csv.writer(file, lineterminator='\n').writerows([head, *rows])


def main(folders):
  """Writes all of it."""
  taken = [trial for path in folders for trial in trials_of(path)]
  trials = joined(kept(TRIALS), taken)
  write(TRIALS, HEAD, [[trial[name] for name in HEAD] for trial in trials])
  write(TABLE, COLUMNS, table_of(trials))
  drawn = lag_picture.picture(series_of(trials), kept(PUBLISHED))
  PICTURE.write_text(drawn, 'utf-8')
  page = PAGE.read_text('utf-8')
  new = BLOCK.sub(lambda m: m[1] + section(trials) + m[2], page)
  PAGE.write_text(new, 'utf-8')


if __name__ == '__main__':
  main(sys.argv[1:])
