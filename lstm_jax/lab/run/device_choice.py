"""Chooses between an accelerator and the CPU beside it, and says which runs.

A small net does not fill an accelerator: a few trials of it end sooner on a
core. Whoever says which device is to run gets that one.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from lstm_jax.lab.plan import estimate
from lstm_jax.lab.plan.flags import Run
from lstm_jax.lab.plan.programs import learner_of, programs
from lstm_jax.lab.store import machine
from lstm_jax.lab.store.setting import Setting

if TYPE_CHECKING:
  import jax

# A device's platform -> what JAX_PLATFORMS calls it.
_NAMES = {'gpu': 'cuda'}
# The CPU runs a plan that is estimated to take so many times as long on the
# accelerator. Neither estimate is a measurement of this machine.
_MARGIN = 2.0


def _cpu_devices():
  """JAX's CPU devices, which it has beside any other."""
  import jax

  return jax.local_devices(backend='cpu')


def chosen(
  devices: 'Sequence[jax.Device]',
  options: Run,
  trials: Sequence[Setting],
  environ: Mapping[str, str] = os.environ,
  cpu_devices: 'Callable[[], Sequence[jax.Device]]' = _cpu_devices,
) -> 'tuple[Sequence[jax.Device], str]':
  """The devices that run a plan, and a line on them.

  Args:
    devices: that JAX takes by itself.
    options: a `flags.Run`.
    trials: of the plan.
    environ: the environment, whose JAX_PLATFORMS is the user's word.
    cpu_devices: what gives the CPU's.

  Returns:
    `(devices, line)`; '' where there is nothing but a CPU.
  """
  device = devices[0]
  if device.platform == 'cpu':
    return devices, ''
  count = options.devices or len(devices)
  words = f'On {count} x {device.device_kind}'
  if environ.get('JAX_PLATFORMS'):
    return devices, f'{words}, as JAX_PLATFORMS says.'
  if options.devices or options.distributed:
    return devices, f'{words}, as was asked for.'
  if any(learner_of(t).kind != 'learners' for t in trials):
    return devices, f'{words}.'
  on_cpu, on_accelerator = seconds(trials)
  if on_accelerator < _MARGIN * on_cpu:
    return devices, f'{words}; JAX_PLATFORMS=cpu runs it on the CPU.'
  return cpu_devices(), (
    f'On the CPU: about {estimate.words(on_cpu)}, by an estimate of what was '
    f'not measured about {estimate.words(on_accelerator)} on '
    f'{device.device_kind}; JAX_PLATFORMS='
    f'{_NAMES.get(device.platform, device.platform)} runs it there.'
  )


def seconds(trials: Sequence[Setting]) -> tuple[float, float]:
  """Estimated seconds of a plan on this CPU, and on an accelerator.

  Args:
    trials: of the plan, all on-line.
  """
  # Seeds make most of a plan; a setting's trials cost the same.
  members = programs(trials)
  alike = Counter(trial.family for trial in trials)
  first = {trial.family: trial for trial in trials}
  counts = [(first[key], count) for key, count in alike.items()]
  on_cpu = estimate.seconds(counts, len(members), machine.cores())
  on_cpu *= estimate.slowness()
  compiling = estimate.COMPILE * len(members)
  return on_cpu, estimate.accelerator_seconds(counts) + compiling
