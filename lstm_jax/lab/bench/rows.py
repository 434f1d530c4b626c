"""Measures what a lane-step costs in every row of a grid.

The rows are compiled first and then timed in turn, round after round, so that
a slow spell of the machine meets all of them; the best round of each counts.
Where in memory the compiler puts a loop is worth a tenth, at times a fifth, of
its speed, and the same until it is compiled again: each row is compiled several
times, and the best counts too.
"""

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from lstm_jax.lab.plan import from_values, plan
from lstm_jax.lab.store.setting import Setting

if TYPE_CHECKING:
  import jax

  from lstm_jax.training.lanes import Build
  from lstm_jax.training.trials import Trials

# A measurement, as the record holds it: what was measured -> the figure.
Figure = dict[str, object]
State = TypeVar('State')


class Pace(NamedTuple):
  """The pace of measuring.

  Attributes:
    repeats: timed repeats; the best counts.
    seconds: of one repeat.
  """

  repeats: int
  seconds: float


def warm(
  advance: Callable[..., tuple[State, object]], trials: State, pace: Pace
) -> tuple[int, State]:
  """Sequences that a repeat should have, and the trials warmed up.

  Args:
    advance: a compiled `Program.advance`.
    trials: its trials.
    pace: how long a repeat should be.
  """
  import jax

  count = 1
  while True:
    start = time.monotonic()
    trials, _ = jax.block_until_ready(advance(trials, np.int32(count)))
    duration = time.monotonic() - start
    if duration > 0.2 * pace.seconds or count > 10**6:
      return max(1, int(count * pace.seconds / duration)), trials
    count *= 4


def settings(grid: str) -> list[Setting]:
  """One setting a row of a grid.

  Raises:
    Refused: no such grid.
  """
  grid_plan = plan.expand(from_values.request_of({}, {}, grid=grid, seeds=1))
  return list(grid_plan.trials)


def measure(
  settings: Iterable[Setting],
  device: 'jax.Device',
  pace: Pace,
  compiles: int = 1,
) -> list[Figure]:
  """Times the rows on one device with as many lanes as the engine gives them.

  Args:
    settings: of `settings`.
    device: where.
    pace: repeats are rounds, seconds those of each row in a round.
    compiles: programs of each row.

  Returns:
    A dict a row: `row`, `ns` a lane-step, `ns_each` of its programs, and of the
    first `compile_s`, `folded`, `scatters`.
  """
  import jax

  loops = []
  for setting in settings:
    build, trials = begin(setting, device)
    start = time.monotonic()
    loops_compiled = [_compile(build.program.advance, trials)]
    compile_s = time.monotonic() - start
    loops_compiled += [
      _compile(build.program.advance, trials) for _ in range(compiles - 1)
    ]
    count, warmed = warm(loops_compiled[0], trials, pace)
    loops.append((setting, loops_compiled, warmed, count, compile_s))
  best = [[float('inf')] * compiles for _ in loops]
  for _ in range(pace.repeats):
    for c in range(compiles):
      for i, (_, loops_compiled, trials, count, _) in enumerate(loops):
        start = time.monotonic()
        _, work = jax.block_until_ready(
          loops_compiled[c](trials, np.int32(count))
        )
        ns = (time.monotonic() - start) / float(work.executed) * 1e9
        best[i][c] = min(best[i][c], ns)
  figures = []
  width = max(len(setting.row) for setting in settings)
  print(f'{"row":{width}}  ns/lane-step  compile s  folded  scatters')
  for (setting, loops_compiled, _, _, compile_s), times in zip(
    loops, best, strict=True
  ):
    text = loops_compiled[0].as_text()
    figures.append(
      {
        'row': setting.row,
        'ns': min(times),
        'ns_each': times,
        'compile_s': compile_s,
        'folded': text.count('xla_cpu_small_call'),
        'scatters': text.count(' scatter('),
      }
    )
    print(
      f'{setting.row:{width}} {min(times):13.1f} {compile_s:10.1f}'
      f' {figures[-1]["folded"]:7} {figures[-1]["scatters"]:9}'
    )
  print()
  return figures


def _compile(advance, trials):
  """The compiled `Program.advance`, made again at each call."""
  import jax

  again = jax.jit(lambda trials, count: advance(trials, count))
  return again.lower(trials, np.int32(1)).compile()


def begin(
  setting: Setting, device: 'jax.Device', width: int | None = None
) -> 'tuple[Build, Trials]':
  """The built program of a setting, and its trials at their first sequence.

  Args:
    setting: the setting.
    device: where.
    width: lanes; None: as many as the engine gives them.
  """
  import jax

  from lstm_jax.lab.run import builds
  from lstm_jax.training.compilation import Compiled, widths_of
  from lstm_jax.training.loop import Job
  from lstm_jax.training.trial_columns import first_trials

  build = builds.build(setting, platform=device.platform)
  width = width or widths_of(device, build.carried)[0]
  numbers = {k: np.nan if v is None else v for k, v in setting.numbers}
  jobs = [
    Job(str(s), '', s, numbers, setting.length or 1, 2**31 - 1)
    for s in range(width)
  ]
  trials = first_trials(
    Compiled(device), '', build.program, build.numbers, jobs, width
  )
  return build, jax.device_put(trials, device)
