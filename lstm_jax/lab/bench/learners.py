"""Measures time and memory of a step of each learner, by size of network."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lstm_jax.choices import unknown
from lstm_jax.lab.bench import rows
from lstm_jax.lab.plan import catalog, from_values, values
from lstm_jax.lab.plan import plan as plans
from lstm_jax.lab.plan.text_columns import aligned
from lstm_jax.lab.store.setting import Setting

if TYPE_CHECKING:
  import jax

_LENGTH = 50
# Where a learner is timed: the first of these that it can train.
_LINEAR = {'task.output': 'linear'}
_WHERE = (
  ({'task': 'adding', 'cell': 'srn'}, _LINEAR),
  ({'task': 'adding', 'cell': 'lstm'}, _LINEAR),
  ({'task': 'adding', 'cell': 'cascaded'}, _LINEAR),
  ({'task': 'first_symbol', 'cell': 'srn'}, {'task.symbols': _LENGTH}),
)
# Seconds of one call above which larger nets are left out.
_PATIENCE = 20.0


def plan(
  learners: Sequence[str], sizes: Sequence[int]
) -> dict[str, dict[int, Setting | str]]:
  """Learner -> its setting for each size.

  Args:
    learners: names, or 'all' among them.
    sizes: hidden units.

  Returns:
    {learner: {size: setting, or the reason why there is none}}.

  Raises:
    Refused: a learner that does not exist.
  """
  choices = catalog.names('learners')
  if 'all' in learners:
    learners = choices
  for learner in learners:
    if learner not in choices:
      raise values.Refused(
        f'--learners={learner}: {unknown(learner, (*choices, "all"))}'
      )
  return {learner: _settings(learner, sizes) for learner in learners}


def _settings(learner, sizes):
  by_size, refusal = {}, ''
  for axes, options in _WHERE:
    for size in sizes:
      size_axes = {'learner': learner, 'length': _LENGTH, 'hidden': size}
      request = from_values.request_of(axes | size_axes, options, seeds=1)
      try:
        (by_size[size],) = plans.expand(request).trials
      except values.Refused as why:
        refusal = refusal or ' '.join(why.args[0].split())
        continue
    if by_size:
      return {size: by_size.get(size, refusal) for size in sizes}
  return dict.fromkeys(sizes, refusal)


def measure(
  settings: Mapping[str, Mapping[int, Setting | str]],
  device: 'jax.Device',
  widths: Iterable[int],
  pace: rows.Pace,
) -> list[rows.Figure]:
  """Times every learner at every size.

  Args:
    settings: of `plan`.
    device: where.
    widths: numbers of trials side by side.
    pace: a `bench_rows.Pace`.

  Returns:
    A dict a program: `learner`, `task`, `cell`, `lanes`, `hidden`, `weights`,
    `ns` a lane-step, `ns_a_weight`, `bytes` of scratch memory a lane, of the
    compiled program, weights not included; those left out have `why` instead.
  """
  figures = []
  for lanes in widths:
    figures_of_learner = []
    for learner, by_size in settings.items():
      reason_late = ''
      for size, setting in by_size.items():
        figure = {'learner': learner, 'lanes': lanes, 'hidden': size}
        why = setting if isinstance(setting, str) else reason_late
        if not (isinstance(setting, str) or why):
          figure |= {'task': setting.task, 'cell': setting.cell}
          try:
            ns, weights, scratch, reason_late = _time(
              setting, device, lanes, pace
            )
            figure |= {
              'weights': weights,
              'ns': ns,
              'ns_a_weight': ns / weights,
            }
            figure |= {'bytes': scratch}
          except ValueError as refused:
            why = str(refused)
        figures_of_learner.append(figure | ({'why': why} if why else {}))
        cost = f'{figure["ns"]:,.4g} ns a lane-step' if 'ns' in figure else why
        print(f'{learner}, {size} units, {lanes} lanes: {cost}', flush=True)
    print('', _table(figures_of_learner, lanes), '', sep='\n', flush=True)
    print(_memory(figures_of_learner, lanes), '', sep='\n', flush=True)
    figures += figures_of_learner
  return figures


def _time(setting, device, lanes, pace):
  """Measures what a program costs.

  Returns:
    `(ns a lane-step, weights, bytes of scratch a lane, why larger nets are left
    out or '')`.
  """
  import jax

  build, trials = rows.begin(setting, device, lanes)
  advance = jax.jit(build.program.advance).lower(trials, np.int32(1)).compile()
  memory = advance.memory_analysis()
  scratch = memory.temp_size_in_bytes / lanes if memory else math.nan
  # The first call takes up what the program needs: a tenth of a second where
  # the program is large and its sequence a matter of microseconds.
  duration = math.inf
  for _ in range(2):
    start = time.monotonic()
    _, work = jax.block_until_ready(advance(trials, np.int32(1)))
    duration = min(duration, time.monotonic() - start)
  if duration > pace.seconds:
    # One sequence is longer than a repeat.
    reason_late = f'a sequence of the network before took {duration:.0f} s'
    return (
      duration / float(work.executed) * 1e9,
      build.weights,
      scratch,
      reason_late if duration > _PATIENCE / 16 else '',
    )
  count, trials = rows.warm(advance, trials, pace)
  best = math.inf
  for _ in range(pace.repeats):
    start = time.monotonic()
    _, work = jax.block_until_ready(advance(trials, np.int32(count)))
    best = min(best, (time.monotonic() - start) / float(work.executed))
  return best * 1e9, build.weights, scratch, ''


def growth(sizes: Sequence[int], costs: Sequence[float]) -> float:
  """The power of n that costs grow with from the third size on; nan for two.

  The slope of log cost over log n by least squares.

  Args:
    sizes, costs: of the programs that were timed, in order of size.
  """
  n, cost = np.log(sizes[2:]), np.log(costs[2:])
  return float(np.polyfit(n, cost, 1)[0]) if len(n) > 1 else math.nan


def _table(figures, lanes):
  """Microseconds a step of one trial, a line a learner."""
  head = f'us a step of a trial, {lanes} lanes, n ='
  lines = _lines(figures, head, 'ns', 1e-3)
  lines[0].append('ns a weight at the last')
  for line in lines[1:]:
    figures_of_learner = [
      f for f in figures if f['learner'] == line[0] and 'ns' in f
    ]
    line.append(
      f'{figures_of_learner[-1]["ns_a_weight"]:.3g}'
      if figures_of_learner
      else '-'
    )
  return '\n'.join(aligned(lines))


def _memory(figures, lanes):
  """Kilobytes of scratch a trial, a line a learner."""
  head = f'kB of scratch a trial, {lanes} lanes, n ='
  return '\n'.join(aligned(_lines(figures, head, 'bytes', 1e-3)))


def _lines(figures, head, field, scale):
  """Learner, one of its figures at each size, and how that grows."""
  sizes = list(dict.fromkeys(f['hidden'] for f in figures))
  lines = [[head, *map(str, sizes), 'grows as']]
  for learner in dict.fromkeys(f['learner'] for f in figures):
    figures_of_learner = [f for f in figures if f['learner'] == learner]
    with_field = [f for f in figures_of_learner if field in f]
    cells = [
      f'{f[field] * scale:,.3g}' if field in f else '-'
      for f in figures_of_learner
    ]
    power = growth(
      [f['hidden'] for f in with_field], [f[field] for f in with_field]
    )
    cells.append('-' if math.isnan(power) else f'n^{power:.1f}')
    lines.append([learner, *cells])
  return lines
