"""The one sentence that a run shows, computed from its trials.

Of tasks that are to be solved cells are compared where they met the same task,
length, learner and window, at the longest length at which anybody solved a
trial; the counts of such a place are all its trials. Two shares are said to
differ where Fisher's exact test, two-sided and multiplied by the number of
pairs, says so at 5 %. The test is one for given sums, so that a place chosen by
the sum of those solved favours nobody. What is trained to its end is compared
in `headline_means`.
"""

from collections.abc import Iterable

from lstm_jax.lab.report import headline_means, two_samples
from lstm_jax.lab.report.summaries import Summary, order, parts, shown
from lstm_jax.ops.intervals import wilson

LEVEL = 0.05
# What people call the cells, where a run has no two of a name.
_NAMES = {
  'lstm1997': 'LSTM',
  'lstm': 'LSTM',
  'lstm_layernorm': 'LSTM',
  'srn': 'simple network',
  'gru': 'GRU',
}
_MOST = 3  # tasks that one sentence can hold
_WORDS = {'window': 'window ', 'length': 'T = '}
# What is compared, the first in which the trials of a task differ, and what
# has to be the same for it.
_CONTRASTS = {
  'cell': ('learner', 'window', 'length'),
  'learner': ('cell', 'length'),
  'window': ('cell', 'learner', 'length'),
  'length': ('cell', 'learner', 'window'),
}


def sentence(summaries: list[Summary]) -> str:
  """Says what the trials of a run show.

  Args:
    summaries: of `summaries.summarize`.

  Returns:
    One sentence with a full stop.
  """
  return f'{"; ".join(clauses(summaries))}.'


def clauses(summaries: list[Summary]) -> list[str]:
  """The parts of the sentence, one a task where they are few."""
  if not summaries:
    return ['No trial has finished yet']
  names = names_of({str(s.setting.get('cell')) for s in summaries})
  units = parts(summaries, lambda s: s.unit)
  said = []
  if 'sequences' in units:
    said += _of_tasks(units['sequences'], names)
  if 'epochs' in units:
    said += headline_means.clauses(units['epochs'], names)
  return said


def _of_tasks(summaries, names):
  """A clause a task that is to be solved, one of all where they are many."""
  tasks = parts(summaries, lambda s: s.setting.get('task'))
  if len(tasks) > _MOST:
    solved = sum(s.solved for s in summaries)
    trials = sum(s.trials for s in summaries)
    shares = {task: _count(held) for task, held in tasks.items()}
    best, *_, worst = sorted(
      shares, key=lambda task: -shares[task][0] / shares[task][1]
    )
    return [
      f'{solved:,}/{trials:,} trials solved their task, from '
      f'{_said(shares[best])} of {best} to {_said(shares[worst])} of {worst}'
    ]
  return [f'{task}: {_of_task(held, names)}' for task, held in tasks.items()]


def names_of(cells: Iterable[str]) -> dict[str, str]:
  """Cell -> what people call it; its own name where two would share one."""
  called = {cell: _NAMES.get(cell, shown(cell)) for cell in cells}
  taken = list(called.values())
  return {
    cell: name if taken.count(name) == 1 else shown(cell)
    for cell, name in called.items()
  }


def _of_task(held, names):
  """A clause on the trials of one task."""
  for name, alike in _CONTRASTS.items():
    found = _place(held, name, alike)
    if found:
      same, groups = found
      return _contrast(name, alike, same, groups, names)
  solved, trials = _count(held)
  low, high = wilson(solved, trials)
  cell = names[held[0].setting.get('cell')]
  words = f'{cell} {solved}/{trials} solved'
  lengths = {s.setting.get('length') for s in held}
  if len(lengths) == 1 and None not in lengths:
    words += f' at T = {shown(lengths.pop())}'
  words += f' (95 % interval {100 * low:.0f}–{100 * high:.0f} %)'
  if len(held) == 1 and held[0].mean is not None:
    words += f', after {held[0].mean:,.0f} sequences on average'
  return words


def _place(held, name, alike):
  """Finds where most values of `name` met, the freest and longest such place.

  Places where nobody solved anything come last: they tell nothing apart.

  Returns:
    (what is the same there, value -> summaries), None where nothing met.
  """
  places = parts(held, lambda s: tuple(s.setting.get(n) for n in alike))
  met = {
    place: parts(inside, lambda s: s.setting.get(name))
    for place, inside in places.items()
  }
  met = {place: groups for place, groups in met.items() if len(groups) > 1}
  if not met:
    return None

  def rank(place):
    at = dict(zip(alike, place, strict=True))
    window, length = at.get('window'), at.get('length')
    solved, _ = _count(places[place])
    # A window of all steps cuts nothing; a learner without one neither.
    free = window in (None, 'full')
    return len(met[place]), free, solved > 0, length or 0

  best = max(met, key=rank)
  return dict(zip(alike, best, strict=True)), met[best]


def _contrast(name, alike, same, groups, names):
  """A clause on what met in one place."""
  counts = {value: _count(inside) for value, inside in groups.items()}
  if name == 'length':
    ordered = sorted(counts, key=order)
  else:
    ordered = sorted(
      counts, key=lambda v: (-counts[v][0] / counts[v][1], order(v))
    )

  def called(value):
    if name == 'cell':
      return names[value]
    return (
      shown(value) if name == 'learner' else f'{_WORDS[name]}{shown(value)}'
    )

  said = ', '.join(f'{called(v)} {_said(counts[v])}' for v in ordered)
  where = []
  if name != 'cell' and 'cell' in same:
    said = f'{names[same["cell"]]}, {said}'
  if same.get('length') is not None:
    said += f' at T = {shown(same["length"])}'
  for key in ('learner', 'window'):
    if key in alike and same.get(key) is not None:
      where.append(f'{"window " * (key == "window")}{shown(same[key])}')
  chance = _difference(list(counts.values()))
  return f'{said} ({"; ".join(filter(None, (", ".join(where), chance)))})'


def _difference(counts):
  """Says whether the extremes of some shares differ by more than chance."""
  pairs = len(counts) * (len(counts) - 1) // 2
  ranked = sorted(counts, key=lambda one: one[0] / one[1])
  p = min(1.0, pairs * two_samples.same_share(*ranked[-1], *ranked[0]))
  shown_p = f'p = {p:.2g}' if p >= 1e-4 else 'p < 0.0001'
  return shown_p if p < LEVEL else f'no difference shown, {shown_p}'


def _count(held):
  """(solved, trials) of some summaries."""
  return sum(s.solved for s in held), sum(s.trials for s in held)


def _said(count):
  solved, trials = count
  return f'{solved:,}/{trials:,}'
