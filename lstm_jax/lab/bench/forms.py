"""The forms of the 1997 rule: what a lane-step costs, and what limits it.

Measured on the network of Experiment 4 (two blocks of two cells, 93 weights) on
the adding problem.
"""

import resource
import sys
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lstm_jax.lab.bench import rows as bench_rows
from lstm_jax.lab.plan import catalog

if TYPE_CHECKING:
  import jax

# Of memory, as the system counts it.
_MEGABYTE = 2**20 if sys.platform == 'darwin' else 2**10
FORMS = ('streaming', 'native', 'batched')
LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
# ns per lane-step: on one core, and on two together.
TARGETS = {'one core': 12.0, 'two cores': 7.0}


class Timing(NamedTuple):
  """The measurements of one program.

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


def measure(
  devices: Sequence['jax.Device'],
  length: int,
  lanes: Sequence[int],
  pace: bench_rows.Pace,
  times_long: bool,
) -> bench_rows.Figure:
  """Times all forms on one device, one on all of them, and long sequences.

  Args:
    devices: of JAX.
    length: T.
    lanes: numbers of trials.
    pace: a `bench_rows.Pace`.
    times_long: whether sequences of up to a million steps are timed too.

  Returns:
    The figures, as the record holds them.
  """
  figures = {
    'one device': _forms(devices[0], length, lanes, pace),
    'all devices': _time_together(devices, length, pace),
  }
  if times_long:
    figures['long'] = _time_long(devices[0], pace, 'streaming')
    if _reason_missing('native') is None:
      figures['long, native'] = _time_long(devices[0], pace, 'native')
  # The targets are for 64 lanes or more, their limits seen against 16.
  if 16 in lanes and max(lanes) >= 64:
    _verdict(figures, devices)
  return figures


def _program(form, length):
  """The `lanes.Build` of Experiment 4's network under one form of the rule."""
  from lstm_jax.training import lanes, online

  task = catalog.build('tasks', 'adding', output='linear')
  cell = catalog.build('cells', 'lstm1997', 2, 1)
  learner = catalog.build(
    'learners', 'truncated1997', cell, task, form=form, length=length
  )
  numbers = {'learning_rate': np.asarray(0.5, np.float32), **cell.numbers}
  return lanes.Build(online.program(task, learner), numbers)


def _begin(build, width, length, device):
  """`width` trials at their first sequence, on the device."""
  import jax

  from lstm_jax.training.compilation import Compiled
  from lstm_jax.training.loop import Job
  from lstm_jax.training.trial_columns import first_trials

  numbers = {'input_gate_bias': (-3.0, -6.0)}
  jobs = [Job(str(s), '', s, numbers, length, 2**31 - 1) for s in range(width)]
  compiled = Compiled(device)
  trials = first_trials(compiled, '', build.program, build.numbers, jobs, width)
  return jax.device_put(trials, device)


def _compile_advance(build, trials):
  """The compiled loop over sequences, and the seconds it took."""
  import jax

  start = time.monotonic()
  compiled = jax.jit(build.program.advance).lower(trials, np.int32(1)).compile()
  return compiled, time.monotonic() - start


def _timing(form, lanes, length, device, pace):
  """The `Timing` of `lanes` trials, as wide at once as the engine has them."""
  import jax

  from lstm_jax.training.compilation import widths_of

  width = min(lanes, widths_of(device)[-1])
  build = _program(form, length)
  trials = _begin(build, width, length, device)
  advance, compile_s = _compile_advance(build, trials)
  count, trials = bench_rows.warm(advance, trials, pace)
  best = float('inf')
  for _ in range(pace.repeats):
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


def _forms(device, length, all_lanes, pace):
  print(f'One device, T = {length}:')
  print(
    'form        lanes  ns/lane-step  us/step  useful  compile s  '
    'folded loops  library calls'
  )
  figures = []
  for form in FORMS:
    if reason := _reason_missing(form):
      print(f'{form:10} {reason}')
      continue
    for lanes in all_lanes:
      timing = _timing(form, lanes, length, device, pace)
      print(
        f'{form:10} {lanes:6} {timing.ns:13.1f} {timing.step_us:8.2f}'
        f' {timing.share:6.0%} {timing.compile_s:10.1f}'
        f' {timing.folded:13} {timing.library_calls:14}',
        flush=True,
      )
      figures.append({'form': form, 'lanes': lanes, **timing._asdict()})
  print()
  return figures


def _time_together(devices, length, pace):
  """The streaming form on every device at once, a thread each."""
  import jax

  from lstm_jax.training.compilation import widths_of

  width = widths_of(devices[0])[-1]
  build = _program('streaming', length)
  loops, trials_of = [], []
  for device in devices:
    trials = _begin(build, width, length, device)
    loops.append(_compile_advance(build, trials)[0])
    trials_of.append(trials)
  count, _ = bench_rows.warm(loops[0], trials_of[0], pace)
  best, useful = float('inf'), 0.0

  def go(i, useful):
    _, work = jax.block_until_ready(loops[i](trials_of[i], np.int32(count)))
    useful.append(float(work.useful))

  for _ in range(pace.repeats):
    useful_steps: list[float] = []
    threads = [
      threading.Thread(target=go, args=(i, useful_steps))
      for i in range(len(devices))
    ]
    start = time.monotonic()
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    best, useful = min(best, time.monotonic() - start), sum(useful_steps)
  ns = best / useful * 1e9
  print(
    f'{len(devices)} devices at once, {width} lanes each: {ns:.1f} ns per'
    ' lane-step\n'
  )
  return {'devices': len(devices), 'lanes': width * len(devices), 'ns': ns}


def _reason_missing(form):
  """Says why a form cannot be timed here; None: it can."""
  from lstm_jax.nn.native import library

  return library.why_not() if form == 'native' else None


def _time_long(device, pace, form):
  """Sequences of 10^3 to 10^6 steps in one program: cost and memory a step."""
  import jax

  build = _program(form, None)
  width = 16
  print(
    f'{form.capitalize()} form, {width} lanes, one program for every length:'
  )
  print('        T  ns/lane-step  peak memory MB')
  figures = []
  begun = _begin(build, width, LENGTHS[0], device)
  advance, _ = _compile_advance(build, begun)
  for length in LENGTHS:
    trials = _begin(build, width, length, device)
    count = max(1, 200_000 // length)
    jax.block_until_ready(advance(trials, np.int32(1)))
    best = float('inf')
    for _ in range(pace.repeats):
      start = time.monotonic()
      _, work = jax.block_until_ready(advance(trials, np.int32(count)))
      best = min(best, time.monotonic() - start)
    ns = best / float(work.useful) * 1e9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MEGABYTE
    print(f'{length:9,} {ns:13.1f} {peak:15.0f}', flush=True)
    figures.append({'length': length, 'ns': ns, 'peak_mb': peak})
  temp = advance.memory_analysis().temp_size_in_bytes
  print(f'Scratch memory of the program: {temp / 1024:.0f} kB, at any T.\n')
  return {'lanes': width, 'temp_bytes': temp, 'lengths': figures}


def _verdict(figures, devices):
  """The figures against the targets, and what limits them."""
  one_device = [
    f
    for f in figures['one device']
    if f['form'] == 'streaming' and f['lanes'] >= 64
  ]
  fastest = min(f['ns'] for f in one_device)
  is_folded = all(f['folded'] and not f['library_calls'] for f in one_device)
  rows = [('one core', fastest)]
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
      if is_folded
      else 'NOT one native function: lstm_jax.lab.run.xla_flags has the flags.'
    )
  )
  if devices[0].platform != 'cpu':
    return
  alone = next(f for f in figures['one device'] if f['lanes'] == 16)
  print(
    f'16 lanes take {alone["step_us"]:.2f} us a step and each further lane'
    f' {(one_device[0]["step_us"] - alone["step_us"]) / 48 * 1e3:.0f} ns: the '
    'first is waiting (chains of a product, a sum and a division within one'
    ' squashing), the second loads and stores (weights and traces,'
    ' 0.7 kB a lane).'
  )
