"""Flags that cannot be given together, each with the line that refuses them.

The same lines refuse the arguments of `lj.sweep`, which `from_values` reads.
"""

from collections.abc import Callable, Collection, Sequence

from lstm_jax.lab.plan.grid_check import AXES

# Values by flag -> why they cannot be given so; '' where they can.
Reason = Callable[[dict[str, object]], str]


def row_alone(rows: Sequence[str], grid: str | None) -> str:
  """The refusal of rows without a grid; '' where they have one."""
  if rows and grid is None:
    return f'--row={",".join(rows)}: needs --grid=NAME'
  return ''


def size_alone(size: str, grid: str | None) -> str:
  """The refusal of a size without a grid; '' where it has one."""
  return f'--size={size}: needs --grid=NAME' if size and grid is None else ''


def two_values(name: str, axes: Collection[str], grid: str | None) -> str:
  """The refusal of a `--set` that a flag of its own says too; '' for none.

  Args:
    name: dotted, of the `--set`.
    axes: flags that are given, of `grid_check.AXES`.
    grid: of which they may be a selection; None where they make the plan.
  """
  for flag in axes:
    if AXES[flag] == name and grid is None:
      return (
        f'--set={name} with --{flag}: two values for one thing; '
        'choose one of them'
      )
  return ''


def _two_actions(flag_set):
  if flag_set['list'] and flag_set['dry_run'] and not flag_set['help']:
    return '--list with --dry_run: two things to print; choose one of them'
  return ''


def _row_alone(flag_set):
  return row_alone(flag_set['row'] or (), flag_set['grid'])


def _size_alone(flag_set):
  return size_alone(flag_set['size'] or '', flag_set['grid'])


def _two_values(flag_set):
  """Refuses what `--set` says again, or what a flag of its own says too."""
  names = [axis.name for axis in flag_set['set']]
  axes = [flag for flag in AXES if flag_set[flag]]
  for axis in flag_set['set']:
    if names.count(axis.name) > 1:
      return f'{axis.source} is given twice; write it once'
    if line := two_values(axis.name, axes, flag_set.get('grid')):
      return line
  return ''


def _scheduler_alone(flag_set):
  if flag_set['scheduler'] and flag_set['engine'] != 'dask':
    return f'--scheduler={flag_set["scheduler"]}: needs --engine=dask'
  return ''


# Flags that are looked at together, and what says why they cannot be given so.
CONTRADICTIONS: tuple[tuple[tuple[str, ...], Reason], ...] = (
  (('help', 'list', 'dry_run'), _two_actions),
  (('row', 'grid'), _row_alone),
  (('size', 'grid'), _size_alone),
  (('scheduler', 'engine'), _scheduler_alone),
  (('set', 'grid', *AXES), _two_values),
)
