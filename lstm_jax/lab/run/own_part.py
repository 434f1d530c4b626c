"""The part of a plan that is this process's: its trials, its devices."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from lstm_jax.choices import count_of
from lstm_jax.lab.plan import dealing
from lstm_jax.lab.plan.flags import Run
from lstm_jax.lab.run import device_choice, distributed, mains, xla_flags
from lstm_jax.lab.run.builds import Programs
from lstm_jax.lab.store.setting import Setting

if TYPE_CHECKING:
  import jax


def workers_of(
  options: Run, trials: Sequence[Setting]
) -> 'tuple[list[jax.Device], Run]':
  """The device of each worker, and the options of this process's part.

  Args:
    options: how a plan is run.
    trials: of the plan; where they are few, a process may take other devices.
  """
  devices = xla_flags.devices(is_distributed=options.distributed)
  devices, line = device_choice.chosen(devices, options, trials)
  if line:
    mains.tell(line)
  shard, reason = distributed.part_of_process(
    options.shard, options.shard_reason
  )
  if options.distributed:
    distributed.leave()
  workers = xla_flags.workers(devices, options.devices)
  return workers, options._replace(shard=shard, shard_reason=reason)


def part_words(options: Run, devices: 'Sequence[jax.Device]') -> str:
  """A line: which part of the plan this is, what says so, and on what."""
  shard, shards = options.shard
  is_given = options.shard_reason in ('', '--shard')
  reason = '' if is_given else f' ({options.shard_reason})'
  kind = devices[0].device_kind
  if devices[0].platform == 'cpu':
    return (
      f'--shard={shard}/{shards}{reason} on {count_of(len(devices), "core")}'
    )
  return f'--shard={shard}/{shards}{reason} on {len(devices)} of {kind}'


def ids_of_shard(
  prepared: Iterable[Programs], trials: Mapping[str, Setting], options: Run
) -> frozenset[str]:
  """The ids of the trials that this shard runs.

  Args:
    prepared: of `preparation.prepare`.
    trials: id -> setting, of the plan.
    options: how it is run.
  """
  members = {
    key: names for work in prepared for key, names in work.members.items()
  }
  planned = [group for work in prepared for group in work.groups]
  part = dealing.groups_of_part(planned, trials, members, options.shard)
  return frozenset(name for group in part for name in group)
