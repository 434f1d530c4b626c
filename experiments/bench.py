"""`python -m experiments.bench`: what a lane-step costs, and what limits it.

A lane-step is one time step of one trial: its share of drawing the sequence,
judging it and updating the weights included. Measured on the net of Experiment
4 (two blocks of two cells, 93 weights) on the adding problem. Compile time is
apart; the best of several repeats counts, as a process that had to share its
core only gets slower.
"""

import json
import resource
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags

from experiments import bench_rows, launch, values
from lstm_jax import catalog
from lstm_jax.store import provenance

FORMS = ('streaming', 'batched')
LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
# ns per lane-step: on one core, and on two together.
TARGETS = {'one core': 12.0, 'two cores': 7.0}

_FLAGS = flags.FlagValues()
_LENGTH = flags.DEFINE_integer(
  'length', 100, 'T of the adding problem', flag_values=_FLAGS
)
_REPEATS = flags.DEFINE_integer(
  'repeats', 5, 'timed repeats; the best counts', flag_values=_FLAGS
)
_SECONDS = flags.DEFINE_float(
  'seconds', 0.5, 'length of one repeat', flag_values=_FLAGS
)
_LANES = flags.DEFINE_list(
  'lanes', ['1', '16', '64', '256'], 'numbers of trials', flag_values=_FLAGS
)
_LONG = flags.DEFINE_boolean(
  'long', True, 'also sequences of up to a million steps', flag_values=_FLAGS
)
_GRID = flags.DEFINE_string(
  'grid', '', 'the rows of this grid instead, one after another in turn',
  flag_values=_FLAGS,
)  # fmt: skip
_RECORD = flags.DEFINE_string(
  'record', '', 'also write the figures to this JSON file', flag_values=_FLAGS
)


class Timing(NamedTuple):
  """What was measured of one program.

  Attributes:
    ns: nanoseconds per useful lane-step.
    step_us: microseconds per time step of all lanes.
    share: useful lane-steps of all lane-steps.
    compile_s: seconds to trace and compile.
    folded: loops compiled to one native function, and loops that call
      libraries.
    temp_kb: the program's scratch memory.
  """

  ns: float
  step_us: float
  share: float
  compile_s: float
  folded: int
  library_calls: int
  temp_kb: float


def main(argv=None):
  """Prints the benchmark; returns the exit code."""
  try:
    _FLAGS(sys.argv if argv is None else argv)
    settings = bench_rows.settings(_GRID.value) if _GRID.value else []
  except (flags.Error, values.Refused) as error:
    print(f'bench: {error}', file=sys.stderr)
    return 2
  launch.set_flags()
  import jax

  jax.config.update('jax_numpy_rank_promotion', 'raise')
  devices = jax.devices()
  made_by = provenance.provenance(devices[0].device_kind, len(devices))
  print(
    f'jax {made_by["jax"]}, {len(devices)} x {made_by["device_kind"]},'
    f' {made_by["cpu"]}\nXLA_FLAGS {made_by["xla_flags"]}\n'
  )
  figures = {'provenance': made_by}
  if _GRID.value:
    figures['rows'] = bench_rows.measure(
      settings, devices[0], _REPEATS.value, _SECONDS.value
    )
  else:
    figures['one device'] = _forms(devices[0])
    figures['all devices'] = _together(devices)
    if _LONG.value:
      figures['long'] = _long(devices[0])
    _verdict(figures, devices)
  if _RECORD.value:
    path = Path(_RECORD.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=1) + '\n')
    print(f'Recorded in {path}')
  return 0


def program(form, length):
  """The `lanes.Build` of the Experiment 4 net under one form of the rule."""
  from lstm_jax import lanes, trial

  task = catalog.build('tasks', 'adding', output='linear')
  cell = catalog.build('cells', 'lstm1997', 2, 1)
  learner = catalog.build(
    'learners', 'truncated1997', cell, task, form=form, length=length
  )
  numbers = {'learning_rate': np.float32(0.5), **cell.numbers}
  return lanes.Build(trial.program(task, learner), numbers)


def begin(build, width, length, device):
  """`width` trials at their first sequence, on the device."""
  import jax

  from lstm_jax import lanes

  numbers = {'input_gate_bias': [-3.0, -6.0]}
  jobs = [
    lanes.Job(str(s), '', s, numbers, length, 2**31 - 1) for s in range(width)
  ]
  compiled = lanes.Compiled(device)
  columns, structure = lanes.start(compiled, '', build, jobs, width)
  return jax.device_put(lanes.stack(columns, structure, width), device)


def compile_advance(build, trials):
  """The compiled loop over sequences, and the seconds it took."""
  import jax

  start = time.monotonic()
  compiled = jax.jit(build.program.advance).lower(trials, np.int32(1)).compile()
  return compiled, time.monotonic() - start


def pace(advance, trials):
  """Sequences a repeat should have, and the trials warmed up."""
  import jax

  count = 8
  while True:
    start = time.monotonic()
    trials, _ = jax.block_until_ready(advance(trials, np.int32(count)))
    spent = time.monotonic() - start
    if spent > 0.2 * _SECONDS.value or count > 10**6:
      return max(1, int(count * _SECONDS.value / spent)), trials
    count *= 4


def measure(form, lanes, length, device):
  """The `Timing` of `lanes` trials, as wide at once as the engine has them."""
  import jax

  from lstm_jax import lanes as lanes_of

  width = min(lanes, lanes_of.widths_of(device, lanes)[-1])
  build = program(form, length)
  trials = begin(build, width, length, device)
  advance, compile_s = compile_advance(build, trials)
  count, trials = pace(advance, trials)
  best = float('inf')
  for _ in range(_REPEATS.value):
    start = time.monotonic()
    _, work = jax.block_until_ready(advance(trials, np.int32(count)))
    best = min(best, time.monotonic() - start)
  text = advance.as_text()
  memory = advance.memory_analysis()
  return Timing(
    ns=best / float(work.useful) * 1e9,
    step_us=best / float(work.executed) * lanes * 1e6,
    share=float(work.useful) / float(work.executed),
    compile_s=compile_s,
    folded=text.count('xla_cpu_small_call'),
    library_calls=text.count('ynn_fusion') + text.count('xnn_fusion'),
    temp_kb=memory.temp_size_in_bytes / 1024,
  )


def _forms(device):
  print(f'One device, T = {_LENGTH.value}:')
  print(
    'form        lanes  ns/lane-step  us/step  useful  compile s  '
    'folded loops  library calls'
  )
  figures = []
  for form in FORMS:
    for lanes in map(int, _LANES.value):
      timing = measure(form, lanes, _LENGTH.value, device)
      print(
        f'{form:10} {lanes:6} {timing.ns:13.1f} {timing.step_us:8.2f}'
        f' {timing.share:6.0%} {timing.compile_s:10.1f}'
        f' {timing.folded:13} {timing.library_calls:14}',
        flush=True,
      )
      figures.append({'form': form, 'lanes': lanes, **timing._asdict()})
  print()
  return figures


def _together(devices):
  """The streaming form on every device at once, a thread each."""
  import jax

  from lstm_jax import lanes as lanes_of

  width = lanes_of.widths_of(devices[0], trials=30)[-1]
  build = program('streaming', _LENGTH.value)
  loops, begun = [], []
  for device in devices:
    trials = begin(build, width, _LENGTH.value, device)
    loops.append(compile_advance(build, trials)[0])
    begun.append(trials)
  count, _ = pace(loops[0], begun[0])
  best, useful = float('inf'), 0.0

  def go(i, done):
    _, work = jax.block_until_ready(loops[i](begun[i], np.int32(count)))
    done.append(float(work.useful))

  for _ in range(_REPEATS.value):
    done = []
    threads = [
      threading.Thread(target=go, args=(i, done)) for i in range(len(devices))
    ]
    start = time.monotonic()
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    best, useful = min(best, time.monotonic() - start), sum(done)
  ns = best / useful * 1e9
  print(
    f'{len(devices)} devices at once, {width} lanes each: {ns:.1f} ns per'
    ' lane-step\n'
  )
  return {'devices': len(devices), 'lanes': width * len(devices), 'ns': ns}


def _long(device):
  """Sequences of 10^3 to 10^6 steps in one program: cost and memory a step."""
  import jax

  build = program('streaming', None)
  width = 16
  print(f'Streaming form, {width} lanes, one program for every length:')
  print('        T  ns/lane-step  peak memory MB')
  figures, advance = [], None
  for length in LENGTHS:
    trials = begin(build, width, length, device)
    if advance is None:
      advance, _ = compile_advance(build, trials)
    count = max(1, 200_000 // length)
    jax.block_until_ready(advance(trials, np.int32(1)))
    best = float('inf')
    for _ in range(_REPEATS.value):
      start = time.monotonic()
      _, work = jax.block_until_ready(advance(trials, np.int32(count)))
      best = min(best, time.monotonic() - start)
    ns = best / float(work.useful) * 1e9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f'{length:9,} {ns:13.1f} {peak:15.0f}', flush=True)
    figures.append({'length': length, 'ns': ns, 'peak_mb': peak})
  temp = advance.memory_analysis().temp_size_in_bytes
  print(f'Scratch memory of the program: {temp / 1024:.0f} kB, at any T.\n')
  return {'lanes': width, 'temp_bytes': temp, 'lengths': figures}


def _verdict(figures, devices):
  """The figures against the targets, and what limits them."""
  many = [
    f
    for f in figures['one device']
    if f['form'] == 'streaming' and f['lanes'] >= 64
  ]
  one = min(f['ns'] for f in many)
  folded = all(f['folded'] and not f['library_calls'] for f in many)
  rows = [('one core', one)]
  if len(devices) == 2:
    rows.append(('two cores', figures['all devices']['ns']))
  for name, ns in rows:
    target = TARGETS[name]
    word = 'met' if ns <= target else f'missed by {ns / target:.2f} x'
    print(f'Target {target:.0f} ns on {name}: {ns:.1f} ns, {word}')
  if 'long' in figures:
    lengths = [f['ns'] for f in figures['long']['lengths']]
    print(f'Flat in T: slowest / fastest {max(lengths) / min(lengths):.2f}')
  print(
    'The loop over time is '
    + (
      'one native function.'
      if folded
      else 'NOT one native function: see experiments.launch for the flags.'
    )
  )
  if devices[0].platform != 'cpu':
    return
  alone = next(f for f in figures['one device'] if f['lanes'] == 16)
  print(
    f'16 lanes take {alone["step_us"]:.2f} us a step and each further lane'
    f' {(many[0]["step_us"] - alone["step_us"]) / 48 * 1e3:.0f} ns: the first'
    ' is waiting (chains of a product, a sum and a division within one'
    ' squashing), the second loads and stores (weights and traces,'
    ' 0.7 kB a lane).'
  )


if __name__ == '__main__':
  sys.exit(main())
