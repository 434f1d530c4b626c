"""What a lane-step costs in every row of a grid.

The rows are compiled first and then timed in turn, round after round, so that
a slow spell of the machine meets all of them; the best round of each counts.
"""

import time

import numpy as np

from experiments import flags, plan


def settings(grid):
  """One setting a row of a grid.

  Raises:
    Refused: no such grid.
  """
  made = plan.expand(flags.parse(['bench', f'--grid={grid}', '--seeds=1']))
  return list(made.trials)


def measure(chosen, device, rounds, seconds):
  """Times the rows on one device with as many lanes as the engine gives them.

  Args:
    chosen: of `settings`.
    device: where.
    rounds: timed rounds.
    seconds: of each row in a round.

  Returns:
    A dict a row: `row`, `ns` a lane-step, `compile_s`, `folded`, `scatters`.
  """
  import jax

  loops = []
  for setting in chosen:
    trials = _begin(setting, device)
    start = time.monotonic()
    advance = (
      jax.jit(trials[0].program.advance).lower(trials[1], np.int32(1)).compile()
    )
    compile_s = time.monotonic() - start
    count, warm = 1, trials[1]
    while True:
      start = time.monotonic()
      jax.block_until_ready(advance(warm, np.int32(count)))
      spent = time.monotonic() - start
      if spent > 0.2 * seconds or count > 10**6:
        break
      count *= 4
    count = max(1, int(count * seconds / spent))
    loops.append((setting, advance, warm, count, compile_s))
  best = [float('inf')] * len(loops)
  for _ in range(rounds):
    for i, (_, advance, trials, count, _) in enumerate(loops):
      start = time.monotonic()
      _, work = jax.block_until_ready(advance(trials, np.int32(count)))
      ns = (time.monotonic() - start) / float(work.executed) * 1e9
      best[i] = min(best[i], ns)
  found = []
  width = max(len(setting.row) for setting in chosen)
  print(f'{"row":{width}}  ns/lane-step  compile s  folded  scatters')
  for (setting, advance, _, _, compile_s), ns in zip(loops, best, strict=True):
    text = advance.as_text()
    found.append(
      {
        'row': setting.row,
        'ns': ns,
        'compile_s': compile_s,
        'folded': text.count('xla_cpu_small_call'),
        'scatters': text.count(' scatter('),
      }
    )
    print(
      f'{setting.row:{width}} {ns:13.1f} {compile_s:10.1f}'
      f' {found[-1]["folded"]:7} {found[-1]["scatters"]:9}'
    )
  print()
  return found


def _begin(setting, device):
  """The built program of a setting, and its trials at their first sequence."""
  import jax

  from experiments import engine
  from lstm_jax import lanes

  build = engine.build(setting)
  width = lanes.widths_of(device, trials=30)[0]
  numbers = {k: np.nan if v is None else v for k, v in setting.numbers}
  jobs = [
    lanes.Job(str(s), '', s, numbers, setting.length or 1, 2**31 - 1)
    for s in range(width)
  ]
  columns, structure = lanes.start(
    lanes.Compiled(device), '', build, jobs, width
  )
  trials = lanes.stack(columns, structure, width)
  return build, jax.device_put(trials, device)
