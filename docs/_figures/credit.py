"""Writes the answer of credit.md, from the trials of `--grid=credit`.

  python docs/_figures/credit.py FOLDER...   takes trials of folders first
  python docs/_figures/credit.py             all again from the kept trials

docs/credit.csv is a table of a board (`lstm-jax board`): a line for each entry
on each course, with the sequences of all its trials. From it come credit.svg
and what stands in credit.md between its marks.
"""

import itertools
import math
import re
import sys
from pathlib import Path
from typing import NamedTuple

import shares
from svg import drawing, text

from lstm_jax.lab.report import two_samples
from lstm_jax.lab.standings import ranks, table_file, write
from lstm_jax.lab.standings.scores import Score
from lstm_jax.lab.store import folder

DOCS = Path(__file__).parent.parent
TABLE, PAGE, PICTURE = (
  DOCS / name for name in ('credit.csv', 'credit.md', 'credit.svg')
)
CELLS = ('lstm', 'srn')
RULES = ('bptt', 'snap1', 'uoro', 'eprop', 'elman')
EXACT, IMMEDIATE = 'bptt', 'elman'
OPTIMIZERS = ('sgd', 'rmsprop', 'adam', 'normalised')
LEVEL = 0.05
LEFT, TOP, WIDE, HIGH = 190, 124, 54, 19


class Best(NamedTuple):
  """A rule at its best optimizer on a course."""

  optimizer: str
  score: Score


class Comparison(NamedTuple):
  """A rule beside exact credit, a course and a cell."""

  course: str
  cell: str
  exact: Best
  other: Best
  by_share: float
  by_order: float
  sign: float


def parts_of(entry):
  """`(cell, rule, optimizer)` of the name of an entry."""
  cell, rule, optimizer = entry.split('-')
  return cell, rule, optimizer


def courses_of(scores):
  """Line -> its courses, by length."""
  lines: dict[str, list] = {}
  for course in sorted(
    {score.course for score in scores}, key=lambda course: course.length
  ):
    lines.setdefault(course.line, []).append(course)
  return dict(sorted(lines.items()))


def best_of(scores, course, cell, rule):
  """The optimizer by which a rule solves most, soonest; None: not run."""
  candidates = []
  for score in scores:
    of_cell, of_rule, optimizer = parts_of(score.entry)
    if (score.course, of_cell, of_rule) == (course, cell, rule):
      place = OPTIMIZERS.index(optimizer)
      share = score.solved / max(score.trials, 1)
      candidates.append((-share, score.median, place, Best(optimizer, score)))
  return min(candidates)[-1] if candidates else None


def comparisons(scores, rule):
  """Each course and cell on which a rule and exact credit were both run."""
  pairs = []
  courses = itertools.chain.from_iterable(courses_of(scores).values())
  for course, cell in itertools.product(courses, CELLS):
    exact = best_of(scores, course, cell, EXACT)
    other = best_of(scores, course, cell, rule)
    if exact and other:
      a, b = exact.score, other.score
      share = two_samples.same_share(a.solved, a.trials, b.solved, b.trials)
      order, sign = (1.0, 0.0)
      if a.solved and b.solved:
        order, sign = ranks.rank_sum(b.sequences, a.sequences)
      pairs.append(
        Comparison(course.name, cell, exact, other, share, order, sign)
      )
  return pairs


def told_apart(chances):
  """Which of some probabilities are small, by Holm's procedure."""
  small_ones = set()
  for number, i in enumerate(
    sorted(range(len(chances)), key=chances.__getitem__)
  ):
    if chances[i] > LEVEL / (len(chances) - number):
      break
    small_ones.add(i)
  return small_ones


def verdicts(pairs):
  """A verdict on the claim for each comparison, in words."""
  shares = told_apart([one.by_share for one in pairs])
  # Of those that nothing tells apart by shares, and of which both solve half.
  both = [
    i
    for i, one in enumerate(pairs)
    if i not in shares and is_half(one.exact) and is_half(one.other)
  ]
  orders = {both[i] for i in told_apart([pairs[i].by_order for i in both])}
  return [
    verdict(one, i in shares, i in both, i in orders)
    for i, one in enumerate(pairs)
  ]


def verdict(one, is_share_told, is_tested, is_order_told):
  """What the trials of a comparison say of the claim."""
  if is_share_told:
    more = share_of(one.other) > share_of(one.exact)
    return 'solves more' if more else 'refuted'
  if is_order_told:
    return 'upheld, faster' if one.sign < 0 else 'refuted: slower'
  if is_tested:
    return 'upheld'
  if is_half(one.exact) or is_half(one.other):
    return 'open'
  return 'not tested'


def share_of(best):
  """The share of trials that solved."""
  return best.score.solved / best.score.trials


def is_half(best):
  """Tells whether at least half of the trials solved."""
  return share_of(best) >= 0.5


def words_of(best):
  """Solved, sequences and optimizer."""
  score = best.score
  if not score.solved:
    return f'{score.solved}/{score.trials}'
  median = '> budget' if math.isinf(score.median) else f'{score.median:,.0f}'
  return f'{score.solved}/{score.trials}, {median} ({best.optimizer})'


def answer_section(scores):
  """Table: exact and immediate, and the verdict, by course and cell."""
  pairs = comparisons(scores, IMMEDIATE)
  lines = ['| course | cell | exact (bptt) | immediate (elman) | verdict |']
  lines.append('|---|---|---|---|---|')
  for one, word in zip(pairs, verdicts(pairs), strict=True):
    lines.append(
      f'| {one.course} | {one.cell} | {words_of(one.exact)} | '
      f'{words_of(one.other)} | {word} |'
    )
  return '\n'.join(lines) + '\n'


def counts_section(scores):
  """Table: verdicts of every rule beside exact credit, counted."""
  words = (
    'solves more', 'upheld, faster', 'upheld', 'refuted: slower', 'refuted',
    'open', 'not tested',
  )  # fmt: skip
  lines = [f'| rule beside bptt | {" | ".join(words)} |']
  lines.append('|---|' + '---:|' * len(words))
  for rule in RULES[1:]:
    of_rule = verdicts(comparisons(scores, rule))
    counts = ' | '.join(str(of_rule.count(word) or '') for word in words)
    lines.append(f'| {rule} | {counts} |')
  return '\n'.join(lines) + '\n'


def factors_section(scores):
  """Table: courses solved by rule, of each lag, each cell, each optimizer."""
  lags = sorted({score.course.length for score in scores})
  heads = [*(f'T = {lag}' for lag in lags), *CELLS, *OPTIMIZERS]
  lines = [f'| rule | {" | ".join(heads)} |', '|---|' + '---:|' * len(heads)]
  for rule in RULES:
    of_rule = [s for s in scores if parts_of(s.entry)[1] == rule]
    groups = [
      *([s for s in of_rule if s.course.length == lag] for lag in lags),
      *([s for s in of_rule if parts_of(s.entry)[0] == c] for c in CELLS),
      *([s for s in of_rule if parts_of(s.entry)[2] == o] for o in OPTIMIZERS),
    ]
    cells = (f'{sum(s.is_solved for s in g)}/{len(g)}' for g in groups)
    lines.append(f'| {rule} | {" | ".join(cells)} |')
  return '\n'.join(lines) + '\n'


def picture(scores):
  """Entries by courses: the share of trials that solve, as a shade."""
  parts = [
    text(24, 34, 'Who learns which lag, by rule and optimizer', 'title'),
    text(24, 58, 'Shade and figure: trials that solve, of all', 'grey'),
  ]
  words, x_of = shares.heads(courses_of(scores), LEFT, TOP, WIDE)
  parts += words
  y = float(TOP)
  for cell, rule in itertools.product(CELLS, RULES):
    y += 14 if (cell, rule) == (CELLS[1], RULES[0]) else 6
    parts.append(text(24, y + 14, f'{cell} {rule}'))
    for optimizer in OPTIMIZERS:
      parts.append(text(LEFT - 8, y + 14, optimizer, 'grey', 'end'))
      entry = f'{cell}-{rule}-{optimizer}'
      of_entry = {s.course: s for s in scores if s.entry == entry}
      parts += shares.row(y, x_of, WIDE, HIGH, of_entry)
      y += HIGH
  summary = 'Trials that solve, by rule, optimizer and course'
  right = max(x_of.values()) + WIDE
  return drawing(right + 24, y + 16, summary, parts, 13)


def page_of(scores, page):
  """The page with what its trials say between its marks."""
  for name, words in (
    ('answer', answer_section(scores)),
    ('counts', counts_section(scores)),
    ('factors', factors_section(scores)),
  ):
    pattern = rf'(<!-- from: docs/credit.csv, {name} -->\n).*?(<!-- end -->)'
    page = re.sub(
      pattern, lambda found, w=words: found[1] + w + found[2], page, flags=re.S
    )
  return page


def joined(kept, taken):
  """Kept scores, those that are taken in place of their like, in order."""
  places = {(s.course.name, s.entry) for s in taken}
  scores = [s for s in kept if (s.course.name, s.entry) not in places]
  scores += [s for s in taken if not s.missing]
  return sorted(scores, key=lambda s: (s.course.line, s.course.length, s.entry))


def main(paths):
  """Takes trials, and writes table, picture and page."""
  scores = table_file.read(TABLE) if TABLE.exists() else []
  for path in paths:
    scores = joined(scores, write.of_folder(folder.open_folder(Path(path)))[1])
  TABLE.write_text(table_file.text_of(scores, {}))
  PICTURE.write_text(picture(scores))
  PAGE.write_text(page_of(scores, PAGE.read_text()))


if __name__ == '__main__':
  main(sys.argv[1:])
