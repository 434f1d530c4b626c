"""Estimates how long a plan will take; it is printed as an estimate.

  seconds = start + compile * programs / cores
            + sum over trials of sequences * steps * ns per lane-step / cores

A lane-step is one time step of one trial, update included. Where a row of a
grid carries the measured seconds of its trials they stand for the product, and
where the grid carries its own, the formula only scales them to what was chosen.

All these figures are of one processor. `slowness` times a few products on the
one at hand, and says how much longer things take there.
"""

import dataclasses
import math
import time
from collections.abc import Iterable, Mapping
from typing import cast

from lstm_jax.lab.plan.programs import learner_of, steps
from lstm_jax.lab.store.setting import Setting

REFERENCE_CORES = 2
# Nanoseconds per lane-step of the 93-weight net of Experiment 4 on one core;
# the cost is taken to grow as the number of weights.
_NS = {'truncated1997': 20.0, 'elman': 30.0, 'bptt': 60.0, 'guess': 10.0}
_NS |= {'minibatch': 12.0, 'eprop': 40.0, 'rflo': 40.0}
_NS_OTHER = 100.0
# Seconds of an epoch besides its steps: the calls of its batches and of what is
# measured after it. Most of an epoch of forty windows of a sine.
_PER_UPDATE = {'epochs': 9e-3}
_REFERENCE_WEIGHTS = 93
# Imports and the report at the end; a program for both workers, and its test.
START, COMPILE = 10.0, 10.0
# Fewer trials than this on a core leave its vector unit part empty.
FULL_LANES = 16
# Of an accelerator: trials side by side at most, and seconds of a time step of
# all of them, forward and back. Nobody has measured it here: DEER's published
# reports have 35 us for a GRU of one unit by `lax.scan` on a V100.
_ACCELERATOR_LANES = 4096
_ACCELERATOR_STEP = 35e-6
# Seconds of `slowness`'s loop on the processor of the figures, a 2.5 GHz Xeon.
# Not timed there: on another it takes 3.74 us, and trials, start and
# compilation take 0.3 to 0.5 of what they took on the Xeon.
_REFERENCE_LOOP = 9.4e-6
# Net inputs of one hidden cell, its own and its gates', and those that hear
# themselves alone, or none; what else a net input costs, in weights.
_GATES = {'srn': 1, 'gru': 3, 'lstm': 4, 'slstm': 4, 'lem': 4, 'janet': 2}
_GATES |= {'cornn': 2, 'mingru': 2, 'minlstm': 3, 'indrnn': 1, 'lru': 4}
_ELEMENTWISE = ('mingru', 'minlstm', 'indrnn', 'lru')
_INPUTS, _EXTRA = 3, 6
# Rules that carry the derivative of every entry of the state by every weight:
# nanoseconds for each.
_NS_INFLUENCE = {'rtrl': 2.0, 'kf': 2.0}


def sequences(setting: Setting) -> float:
  """Training sequences that a trial of this setting is expected to see."""
  budget = dict(setting.published).get('success_after', setting.budget)
  return min(setting.budget, setting.expected_sequences or float(budget))


def steps_to_come(
  settings: Mapping[str, Setting],
  ended: Mapping[str, int],
  running: Mapping[str, int],
) -> float:
  """Time steps that the trials of a plan are still expected to take.

  What the trials of a row took stands for those to come. Until one has ended it
  is what the grid expects; a trial that has gone beyond that says that the row
  fails rather than succeeds, and those to come are expected to spend their
  budget. The first that end are the quick ones: while more trials have gone
  beyond their mean than have ended, all sequences seen count, for as many
  trials as have ended and one that takes what the grid expects.

  Args:
    settings: id -> `Setting` of all trials.
    ended: id -> sequences seen, of trials that have ended; 0: not known.
    running: id -> sequences seen so far, of trials under way.
  """
  alike = lambda name: (settings[name].row, settings[name].length)
  took: dict[tuple[str, int | None], list[int]] = {}
  steps_of: dict[tuple[str, int | None], float] = {}
  overdue = set()
  for name, seen in ended.items():
    if seen:
      took.setdefault(alike(name), []).append(seen)
  for name, seen in running.items():
    if seen > sequences(settings[name]):
      overdue.add(alike(name))
  beyond: dict[tuple[str, int | None], list[int]] = {}
  for name, seen in running.items():
    if seen > _mean(took.get(alike(name), ())):
      beyond.setdefault(alike(name), []).append(seen)
  total = 0.0
  for name, setting in settings.items():
    if name in ended:
      continue
    if durations := took.get(alike(name)):
      expected = _mean(durations)
      late = beyond.get(alike(name), ())
      if len(late) > len(durations):
        seen = sum(durations) + sum(late) + sequences(setting)
        expected = min(seen / (len(durations) + 1), setting.budget)
    elif alike(name) in overdue:
      expected = setting.budget
    else:
      expected = sequences(setting)
    left = max(expected - running.get(name, 0), 0.1 * expected)
    if alike(name) not in steps_of:  # the catalog is slow to ask
      steps_of[alike(name)] = steps(setting)
    total += min(left, setting.budget) * steps_of[alike(name)]
  return total


def _mean(durations):
  """Their mean; of none infinite."""
  return sum(durations) / len(durations) if durations else math.inf


def seconds(
  counts: Iterable[tuple[Setting, int]], programs: int, num_cores: int
) -> float:
  """Estimated wall time.

  Args:
    counts: `(setting, number of trials)` pairs.
    programs: number of compiled programs.
    num_cores: cores to share the work.
  """
  counts = list(counts)
  lanes = sum(count for _, count in counts)
  if all(learner_of(setting).unit == 'epochs' for setting, _ in counts):
    lanes = num_cores * FULL_LANES  # a batch fills the vector unit alone
  work = sum(count * trial_seconds(setting) for setting, count in counts)
  idle = max(1.0, FULL_LANES * num_cores / max(lanes, 1))
  return START + (COMPILE * programs + work * idle) / num_cores


def accelerator_seconds(counts: Iterable[tuple[Setting, int]]) -> float:
  """Estimated wall time of trials on-line on one accelerator. Not measured.

  A net of a few cells leaves an accelerator idle: what takes time is to start
  the kernels of a time step, whatever number of trials they are of. Trials of
  one setting run side by side, one setting after another.

  Args:
    counts: `(setting, number of trials)` pairs.
  """
  steps_in_turn = sum(
    math.ceil(count / _ACCELERATOR_LANES) * sequences(setting) * steps(setting)
    for setting, count in counts
  )
  return START + steps_in_turn * _ACCELERATOR_STEP


def slowness() -> float:
  """Returns how slow this processor is, in times of that of the figures: at a
  rational function over an array in the first cache.
  """
  import numpy as np  # not for a plan alone

  x = np.linspace(-2, 2, 2048, dtype=np.float32)
  square, quotient = np.empty_like(x), np.empty_like(x)
  best = 1.0
  for _ in range(100):
    began = time.perf_counter()
    for _ in range(10):
      # x <- 1.5 x (27 + x^2) / (27 + 9 x^2), which stays where it is.
      np.multiply(x, x, out=square)
      np.add(square, 27, out=quotient)
      np.multiply(quotient, x, out=quotient)
      np.multiply(square, 9, out=square)
      np.add(square, 27, out=square)
      np.divide(quotient, square, out=x)
      np.multiply(x, 1.5, out=x)
    best = min(best, time.perf_counter() - began)
  return best / 10 / _REFERENCE_LOOP


def words(amount: float) -> str:
  """Seconds as people say them: `40 s`, `12 min`, `3.5 h`."""
  if amount < 100:
    return f'{amount:.0f} s'
  if amount < 5400:
    return f'{amount / 60:.0f} min'
  return f'{amount / 3600:.1f} h'


def trial_seconds(setting: Setting) -> float:
  """Seconds of a core that a trial takes among others that fill its lanes."""
  if setting.expected_trial_seconds:
    # Measured to the end of its trials: a smaller budget takes its share.
    unlimited = dataclasses.replace(setting, budget=10**12)
    share = sequences(setting) / sequences(unlimited)
    return setting.expected_trial_seconds * share
  sizes: dict[str, int] = {
    n: cast(int, v) for n, v in setting.cell_options if isinstance(v, int)
  }
  if 'blocks' in sizes:
    units = hidden = sizes['blocks'] * (sizes.get('block_size', 1) + 2)
    weights = units * (units + _INPUTS)
  else:
    hidden = sizes.get('hidden', 1)
    heard = 0 if setting.cell in _ELEMENTWISE else hidden
    units = hidden * _GATES.get(setting.cell, 4)
    weights = units * (heard + _INPUTS + _EXTRA)
  ns = _NS.get(setting.learner, _NS_OTHER) * weights / _REFERENCE_WEIGHTS
  ns += _NS_INFLUENCE.get(setting.learner, 0.0) * weights * hidden
  per_update = _PER_UPDATE.get(learner_of(setting).unit, 0.0)
  return sequences(setting) * (steps(setting) * ns * 1e-9 + per_update)
