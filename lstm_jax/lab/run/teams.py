"""Devices that run trials together, and devices that run them alone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lstm_jax.lab.plan.programs import learner_of
from lstm_jax.lab.store.setting import Setting

if TYPE_CHECKING:
  import jax


def of_trials(
  devices: 'Sequence[jax.Device]',
  ids: Sequence[str],
  trials: Mapping[str, Setting],
) -> 'Iterator[tuple[list[tuple[jax.Device, ...]], list[str]]]':
  """Yields teams of devices and the trials they run, one after the other.

  Lanes of trials on-line go over all accelerators, by one program that is
  compiled once; runs of data sets have a device each, as everything has on a
  CPU.

  Args:
    devices: of one kind.
    ids: of the trials to run.
    trials: id -> setting.

  Yields:
    `(teams, ids)`, each team a worker of the scheduler.
  """
  is_over_all = lambda name: (
    devices[0].platform != 'cpu' and learner_of(trials[name]).unit != 'epochs'
  )
  alone = [(device,) for device in devices]
  for teams, is_over in (([tuple(devices)], True), (alone, False)):
    if some := [name for name in ids if is_over_all(name) == is_over]:
      yield teams, some
