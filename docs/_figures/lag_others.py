"""Writes what others learn: cells, rules, steps and rates, from their trials.

  python docs/_figures/lag_others.py FOLDER...   takes trials of folders first
  python docs/_figures/lag_others.py             all again from the kept trials

docs/lag_others_trials.csv has the trials of `--grid=lag_law_others`,
`lag_law_rates` and `lag_law_walls`; from it and lag_theory.csv (which
lag_theory.py makes) come lag_others.svg and what stands in lag_law.md between
its marks. Rows of a folder of which a trial is still to come are left out.
"""

import csv
import math
import re
import sys
from pathlib import Path

import lag_law
from svg import drawing, mark, text

from lstm_jax.lab.report import statistics
from lstm_jax.lab.store import folder

DOCS = Path(__file__).parent.parent
TRIALS, THEORY = DOCS / 'lag_others_trials.csv', DOCS / 'lag_theory.csv'
PAGE, PICTURE = DOCS / 'lag_law.md', DOCS / 'lag_others.svg'
HEAD = ('grid', *lag_law.HEAD)
OTHERS, RATES, WALLS = 'lag_law_others', 'lag_law_rates', 'lag_law_walls'
# Exponent of the sample size in the envelope of the error signal, where the
# noise of gradients has a variance (L. Livi, arXiv 2512.05790: alpha = 2).
CONCENTRATION = 2
# Cells of the table of theory -> the row whose start was measured.
CELLS = ('srn', 'srn-orthogonal', 'srn-identity', 'gru', 'lstm', 'lstm1997')
LEFT, TOP, WIDE, HIGH = 250, 76, 88, 26
SHADE = '#0072b2'


def block(name, text_of):
  """A pair: where something stands in the page, and what is to stand there."""
  pattern = rf'(<!-- from: docs/{name} -->\n).*?(<!-- end -->)'
  return re.compile(pattern, re.DOTALL), text_of


def taken_from(path):
  """The trials of a run folder, with the name of its grid."""
  grids = {s.grid for s in folder.open_folder(path).trials.values()}
  for trial in lag_law.trials_of(path):
    yield {'grid': min(grids), **trial}


def place_of(trial):
  """What a row is."""
  return trial['grid'], *lag_law.place_of(trial)


def joined(kept, taken):
  """Kept trials, those of rows that are taken replaced, in order."""
  places = set(map(place_of, taken))
  trials = [t for t in kept if place_of(t) not in places] + [*taken]
  return sorted(trials, key=lambda t: (*place_of(t), int(t['seed'])))


def rows_of(trials, grid):
  """`(recipe, length, rate) -> sequences`, of a grid."""
  return lag_law.by_row([t for t in trials if t['grid'] == grid])


def best_of(trials, grid):
  """`recipe -> length -> (rate, sequences)`: the better rate at each lag."""
  best = {}
  for (recipe, length, rate), values in rows_of(trials, grid).items():
    at = best.setdefault(recipe, {})
    if length not in at or lag_law.rating(values) > lag_law.rating(
      at[length][1]
    ):
      at[length] = rate, values
  return {name: dict(sorted(at.items())) for name, at in best.items()}


def solved_of(values):
  """How many have learned."""
  return sum(map(math.isfinite, values))


def result_words(values):
  """Solved, and after how many sequences."""
  median = lag_law.shown(statistics.median(values))
  return f'{solved_of(values)}/{len(values)}, {median}'


def others_section(trials):
  """Table: rows by lags, at the better rate of each."""
  best = best_of(trials, OTHERS)
  lags = sorted({length for at in best.values() for length in at})
  lines = [
    '| row | ' + ' | '.join(f'T = {t:,}' for t in lags) + ' | goes to |',
    '|---|' + '---|' * len(lags) + '---:|',
  ]
  for name in sorted(best, key=lambda name: (-end_of(best[name]), name)):
    at = best[name]
    cells = [result_words(at[t][1]) if t in at else '' for t in lags]
    end = end_of(at)
    lines.append(f'| {name} | {" | ".join(cells)} | {end or "none"} |')
  return '\n'.join(lines) + '\n'


def end_of(at):
  """The longest lag that half of the trials learn, with all before it."""
  end = 0
  for length, (_, values) in at.items():
    if 2 * solved_of(values) < len(values):
      break
    end = length
  return end


def rate_lines(rows, word):
  """A table of rows and rates by lags."""
  lags = sorted({length for _, length, _ in rows})
  yield f'| {word} | rate | ' + ' | '.join(f'T = {t:,}' for t in lags) + ' |'
  yield '|---|---:|' + '---|' * len(lags)
  for name, rate in sorted({(name, rate) for name, _, rate in rows}):
    cells = [
      result_words(rows[name, t, rate]) if (name, t, rate) in rows else ''
      for t in lags
    ]
    yield f'| {name} | {rate:g} | {" | ".join(cells)} |'


def walls_section(trials):
  """Table: remedies at the first lag that the recipe fails."""
  return '\n'.join([*rate_lines(rows_of(trials, WALLS), 'remedy'), ''])


def rates_section(trials):
  """Table: rates by lags, and how the largest that learns falls."""
  rows = rows_of(trials, RATES)
  lines = [*rate_lines(rows, 'step')]
  lines.append('')
  for step in sorted({name for name, *_ in rows}):
    words = ', '.join(
      f'{rate:g} at T = {length:,}' if rate else f'none at T = {length:,}'
      for length, rate in critical_rates(rows, step).items()
    )
    lines.append(f'Largest rate that half of the trials learn by, {step}: ')
    lines[-1] += words + fall(critical_rates(rows, step)) + '.'
    lines.append('')
  return '\n'.join(lines)


def critical_rates(rows, step):
  """Lag -> the largest rate at which half of the trials learn, 0 for none."""
  largest = {}
  for (name, length, rate), values in sorted(rows.items()):
    if name == step:
      is_learned = 2 * solved_of(values) >= len(values)
      largest[length] = max(largest.get(length, 0), rate * is_learned)
  return largest


def fall(rates):
  """By which power of T the largest rate falls, from first lag to last."""
  (first, above), (last, below) = min(rates.items()), max(rates.items())
  if not (above and below):
    return ''
  exponent = math.log(above / below) / math.log(last / first)
  return f': it falls as T^-{exponent:.2f}'


def theory_section(trials, envelopes):
  """Table: the error signal by lag, what follows for N, and what was seen."""
  lags = sorted({int(one['lag']) for one in envelopes if int(one['lag'])})
  first = lags[0]
  best = best_of(trials, OTHERS)
  lines = [
    '| cell | signal at '
    + ', '.join(map(str, lags))
    + f' | sequences by theory, in those of T = {first} | measured, Adam '
    '| measured, the recipe |',
    '|---|---|---|---|---|',
  ]
  for cell in CELLS:
    log = {
      int(one['lag']): float(one['log10_signal'])
      for one in envelopes
      if one['cell'] == cell
    }
    signal = ', '.join(f'{10 ** log[t]:.1g}' for t in lags)
    theory = ', '.join(
      factor(-CONCENTRATION * (log[t] - log[first])) for t in lags[1:]
    )
    measured = [
      growth_words(best.get(f'bptt-{cell}{ending}', {}), lags)
      for ending in ('-adam', '')
    ]
    lines.append(f'| {cell} | {signal} | {theory} | {" | ".join(measured)} |')
  return '\n'.join(lines) + '\n'


def factor(log):
  """A factor from its logarithm."""
  return f'{10**log:.2g}' if log < 4 else f'10^{log:.0f}'


def growth_words(at, lags):
  """Medians at lags in those of the first."""
  medians = [statistics.median(at[t][1]) if t in at else None for t in lags]
  words = []
  for median in medians[1:]:
    is_number = None not in (median, medians[0]) and math.isfinite(medians[0])
    if not is_number:
      words.append('–')
    elif math.isfinite(median):
      words.append(f'{median / medians[0]:.2g}')
    else:
      words.append('not learned')
  return ', '.join(words)


def picture(trials):
  """Who ends where: a row of cells each, deeper where more have learned."""
  best = best_of(trials, OTHERS)
  names = sorted(best, key=lambda name: (-end_of(best[name]), name))
  lags = sorted({length for at in best.values() for length in at})
  parts = [
    text(
      20, 34, 'Who learns adding at which lag, and where each stops', 'title'
    )
  ]
  for column, length in enumerate(lags):
    x = LEFT + WIDE * (column + 0.5)
    parts.append(text(x, TOP - 10, f'T = {length:,}', 'grey', 'middle'))
  for row, name in enumerate(names):
    y = TOP + HIGH * row
    parts.append(text(LEFT - 10, y + 18, name, '', 'end'))
    for length, (_, values) in best[name].items():
      x = LEFT + WIDE * lags.index(length)
      solved = solved_of(values) / len(values)
      parts.append(
        f'<rect x="{x}" y="{y + 1}" width="{WIDE - 3}" height="{HIGH - 3}" '
        f'fill="{SHADE}" fill-opacity="{0.75 * solved:.2f}" stroke="#8a94a0"/>'
      )
      if 2 * solved_of(values) < len(values):
        parts.append(mark('cross', x + WIDE / 2 - 1, y + HIGH / 2, '#c24f00'))
      else:
        median = lag_law.shown(statistics.median(values))
        parts.append(text(x + WIDE / 2 - 1, y + 18, median, '', 'middle'))
  bottom = TOP + HIGH * len(names)
  parts.append(
    text(
      LEFT, bottom + 24, 'numbers: median of sequences; a cross: less than '
      'half of ten trials learn', 'grey',
    )
  )  # fmt: skip
  summary = '; '.join(f'{n} goes to {end_of(best[n]) or "none"}' for n in names)
  width = max(LEFT + WIDE * len(lags) + 30, 800)  # of the words
  return drawing(width, bottom + 44, summary, parts, size=14)


def read(path):
  """The rows of a table."""
  with path.open(newline='', encoding='utf-8') as file:
    return list(csv.DictReader(file))


def page(trials, envelopes, words):
  """The page, with its parts made again."""
  for pattern, section in (
    block('lag_others_trials.csv', others_section(trials)),
    block('lag_others_trials.csv, rates', rates_section(trials)),
    block('lag_others_trials.csv, walls', walls_section(trials)),
    block('lag_theory.csv', theory_section(trials, envelopes)),
  ):
    words = pattern.sub(
      lambda found, new=section: found[1] + new + found[2], words
    )
  return words


def main(folders):
  """Takes trials of folders, and writes what follows from all."""
  before = read(TRIALS) if TRIALS.exists() else []
  trials = joined(before, [t for path in folders for t in taken_from(path)])
  with TRIALS.open('w', newline='', encoding='utf-8') as file:
    writer = csv.DictWriter(file, HEAD, lineterminator='\n')
    writer.writeheader()
    writer.writerows(trials)
  PICTURE.write_text(picture(trials), encoding='utf-8')
  envelopes = read(THEORY)
  words = PAGE.read_text(encoding='utf-8')
  PAGE.write_text(page(trials, envelopes, words), encoding='utf-8')


if __name__ == '__main__':
  main(sys.argv[1:])
