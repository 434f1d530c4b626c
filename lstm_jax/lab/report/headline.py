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
from lstm_jax.lab.report.summaries import Summary, order, parts, shown_text
from lstm_jax.ops.intervals import wilson

LEVEL = 0.05
# What people call the cells, where a run has no two of a name.
_NAMES = {
  'lstm1997': 'LSTM',
  'lstm': 'LSTM',
  'lstm_layernorm': 'LSTM',
  'srn': 'simple network',
  'gru': 'GRU',
  'indrnn': 'IndRNN',
  'janet': 'JANET',
  'mingru': 'minGRU',
  'minlstm': 'minLSTM',
  'slstm': 'sLSTM',
  'lru': 'LRU',
  'lem': 'LEM',
  'cornn': 'coRNN',
}
_MAX_TASKS = 3  # tasks that one sentence can hold
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
  clause_list = []
  if 'sequences' in units:
    clause_list += _of_tasks(units['sequences'], names)
  if 'epochs' in units:
    clause_list += headline_means.clauses(units['epochs'], names)
  return clause_list


def _of_tasks(summaries, names):
  """A clause a task that is to be solved, one of all where they are many."""
  tasks = parts(summaries, lambda s: s.setting.get('task'))
  if len(tasks) > _MAX_TASKS:
    num_solved = sum(s.solved for s in summaries)
    trials = sum(s.trials for s in summaries)
    shares = {
      task: _count(summaries_of_task)
      for task, summaries_of_task in tasks.items()
    }
    best, *_, worst_task = sorted(
      shares, key=lambda task: -shares[task][0] / shares[task][1]
    )
    return [
      f'{num_solved:,}/{trials:,} trials solved their task, from '
      f'{_fraction(shares[best])} of {best} to {_fraction(shares[worst_task])} '
      f'of {worst_task}'
    ]
  return [
    f'{task}: {_of_task(summaries_of_task, names)}'
    for task, summaries_of_task in tasks.items()
  ]


def names_of(cells: Iterable[str]) -> dict[str, str]:
  """Cell -> what people call it; its own name where two would share one."""
  names = {cell: _NAMES.get(cell, shown_text(cell)) for cell in cells}
  name_list = list(names.values())
  return {
    cell: name if name_list.count(name) == 1 else shown_text(cell)
    for cell, name in names.items()
  }


def _of_task(summaries, names):
  """A clause on the trials of one task."""
  for name, alike in _CONTRASTS.items():
    place = _place(summaries, name, alike)
    if place:
      shared, groups = place
      return _contrast(name, alike, shared, groups, names)
  num_solved, trials = _count(summaries)
  low, high = wilson(num_solved, trials)
  cell = names[str(summaries[0].setting.get('cell'))]
  words = f'{cell} {num_solved}/{trials} solved'
  lengths = {s.setting.get('length') for s in summaries}
  if len(lengths) == 1 and None not in lengths:
    words += f' at T = {shown_text(lengths.pop())}'
  words += f' (95 % interval {100 * low:.0f}–{100 * high:.0f} %)'
  if len(summaries) == 1 and summaries[0].mean is not None:
    words += f', after {summaries[0].mean:,.0f} sequences on average'
  return words


def _place(summaries, name, alike):
  """Finds where most values of `name` met, the freest and longest such place.

  Places where nobody solved anything come last: they tell nothing apart.

  Returns:
    (what is the same there, value -> summaries), None where nothing met.
  """
  places = parts(summaries, lambda s: tuple(s.setting.get(n) for n in alike))
  places_met = {
    place: parts(summaries_at, lambda s: s.setting.get(name))
    for place, summaries_at in places.items()
  }
  places_met = {
    place: groups for place, groups in places_met.items() if len(groups) > 1
  }
  if not places_met:
    return None

  def rank(place):
    at = dict(zip(alike, place, strict=True))
    window, length = at.get('window'), at.get('length')
    num_solved, _ = _count(places[place])
    # A window of all steps cuts nothing; a learner without one neither.
    is_free = window in (None, 'full')
    return len(places_met[place]), is_free, num_solved > 0, length or 0

  best = max(places_met, key=rank)
  return dict(zip(alike, best, strict=True)), places_met[best]


def _contrast(name, alike, shared, groups, names):
  """A clause on what met in one place."""
  counts = {
    value: _count(summaries_of_value)
    for value, summaries_of_value in groups.items()
  }
  if name == 'length':
    ordered = sorted(counts, key=order)
  else:
    ordered = sorted(
      counts, key=lambda v: (-counts[v][0] / counts[v][1], order(v))
    )

  def name_of(value):
    if name == 'cell':
      return names[str(value)]
    return (
      shown_text(value)
      if name == 'learner'
      else f'{_WORDS[name]}{shown_text(value)}'
    )

  sentence = ', '.join(f'{name_of(v)} {_fraction(counts[v])}' for v in ordered)
  where = []
  if name != 'cell' and 'cell' in shared:
    sentence = f'{names[str(shared["cell"])]}, {sentence}'
  if shared.get('length') is not None:
    sentence += f' at T = {shown_text(shared["length"])}'
  for key in ('learner', 'window'):
    if key in alike and shared.get(key) is not None:
      where.append(f'{"window " * (key == "window")}{shown_text(shared[key])}')
  chance = _difference(list(counts.values()))
  return f'{sentence} ({"; ".join(filter(None, (", ".join(where), chance)))})'


def _difference(counts):
  """Says whether the extremes of some shares differ by more than chance."""
  pairs = len(counts) * (len(counts) - 1) // 2
  counts_sorted = sorted(counts, key=lambda count: count[0] / count[1])
  p = min(
    1.0, pairs * two_samples.same_share(*counts_sorted[-1], *counts_sorted[0])
  )
  shown_p = f'p = {p:.2g}' if p >= 1e-4 else 'p < 0.0001'
  return shown_p if p < LEVEL else f'no difference shown, {shown_p}'


def _count(summaries):
  """(solved, trials) of some summaries."""
  return sum(s.solved for s in summaries), sum(s.trials for s in summaries)


def _fraction(count):
  num_solved, trials = count
  return f'{num_solved:,}/{trials:,}'
