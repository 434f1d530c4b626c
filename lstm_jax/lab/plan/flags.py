"""The flags of the sweep, read without importing JAX.

`parse` turns a command line into a `Request`, or raises `Refused` with one
line for what is wrong. Flags live in a `FlagValues` of their own: importing
this module defines nothing.
"""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from absl import flags

from lstm_jax.lab.plan import estimate, values
from lstm_jax.lab.plan.catalog import unknown
from lstm_jax.lab.plan.grid import AXES, Axis
from lstm_jax.lab.plan.usage import GROUPS, PROGRESS, XLA_PROFILES


class Run(NamedTuple):
  """The way to run a plan; nothing here changes a result.

  Attributes:
    out: run folder, '' for the plan's own.
    shard: `(i, n)`, 0 <= i < n: run trials i, i + n, i + 2n, ...
    checkpoint_seconds: longest time between two checkpoints.
    devices: cores to use, 0 for all.
    progress: one of `PROGRESS`.
    xla_profile: one of `XLA_PROFILES`.
    allow_drift: continue a folder that other versions or code have made.
    rerun_changed: run trials again whose code has changed since.
    retry_failed: run failed trials again.
    verify: say what is in the folder, and change nothing.
    data_dir: folder of the data sets, '' for the usual one.
    skip_bad: leave out damaged files of data sets.
    paths: where data of one's own lie, `(name of the task, path)` pairs.
  """

  out: str = ''
  shard: tuple[int, int] = (0, 1)
  checkpoint_seconds: float = 20.0
  devices: int = 0
  progress: str = 'auto'
  xla_profile: str = 'auto'
  allow_drift: bool = False
  rerun_changed: bool = False
  retry_failed: bool = False
  verify: bool = False
  data_dir: str = ''
  skip_bad: bool = False
  paths: tuple[tuple[str, str], ...] = ()


class Request(NamedTuple):
  """A command line, read.

  Attributes:
    axes: the axis flags given: a product, or with a grid a selection.
    sets: the `--set` flags given.
    grid: the grid's name, None where the flags alone make the plan.
    rows: names of the grid's rows, () for all.
    seeds: seeds, None for the grid's.
    budget: training sequences, None for the grid's.
    yes: whether a very large plan is wanted.
    action: 'run', 'dry_run', 'list' or 'help'.
    run: how to run it.
  """

  axes: tuple[Axis, ...] = ()
  sets: tuple[Axis, ...] = ()
  grid: str | None = None
  rows: tuple[str, ...] = ()
  seeds: tuple[int, ...] | None = None
  budget: int | None = None
  yes: bool = False
  action: str = 'run'
  run: Run = Run()


def define() -> flags.FlagValues:
  """All flags of the sweep in a new `FlagValues`."""
  defined = flags.FlagValues()
  for group in GROUPS.values():
    for name, (placeholder, text) in group.items():
      if placeholder is None:
        flags.DEFINE_boolean(name, False, text, flag_values=defined)
      elif name == 'set':
        flags.DEFINE_multi_string(name, [], text, flag_values=defined)
      else:
        flags.DEFINE_string(name, None, text, flag_values=defined)
  defined.set_gnu_getopt(True)
  return defined


def parse(
  argv: Sequence[str], environ: Mapping[str, str] = os.environ
) -> Request:
  """Reads a command line.

  Args:
    argv: the program's name and its arguments.
    environ: the environment, read for the index of a Slurm array job.

  Returns:
    The `Request`. Names of tasks, cells, learners and grids are not checked
    here.

  Raises:
    Refused: an unknown flag, a value that no plan can have, flags that
      contradict each other.
  """
  given = _given(argv)
  action = 'run'
  asked = [name for name in ('help', 'list', 'dry_run') if given.get(name)]
  if 'help' in asked:
    return Request(action='help')
  if len(asked) == 2:
    raise values.Refused(
      '--list with --dry_run: two things to print; choose one of them'
    )
  if asked:
    action = asked[0]

  axes = tuple(
    Axis(AXES[flag], values.split(given[flag], f'--{flag}'), f'--{flag}')
    for flag in AXES
    if flag in given
  )
  sets = tuple(_set(text) for text in given.get('set', ()))
  names = [axis.name for axis in sets]
  for axis in sets:
    if names.count(axis.name) > 1:
      raise values.Refused(f'{axis.source} is given twice; write it once')
    for flag, name in AXES.items():
      if name == axis.name and flag in given and 'grid' not in given:
        raise values.Refused(
          f'{axis.source} with --{flag}: two values for one thing; '
          'choose one of them'
        )
  grid = given.get('grid')
  if grid is None and not (axes or sets):
    grid = 'quickstart'
  rows = values.split(given['row'], '--row') if 'row' in given else ()
  if rows and 'grid' not in given:
    raise values.Refused(f'--row={given["row"]}: needs --grid=NAME')
  seeds = values.seeds(given['seeds'], '--seeds') if 'seeds' in given else None
  budget = (
    values.integer(given['budget'], '--budget') if 'budget' in given else None
  )
  return Request(
    axes=axes,
    sets=sets,
    grid=grid,
    rows=rows,
    seeds=seeds,
    budget=budget,
    yes=bool(given.get('yes')),
    action=action,
    run=_run(given, environ),
  )


def _given(argv):
  """Flag -> value of the flags on the command line."""
  defined = define()
  try:
    rest = defined(list(argv))[1:]
  except flags.UnrecognizedFlagError as error:
    near = unknown(error.flagname, tuple(defined)).partition('; ')[2]
    raise values.Refused(
      f'--{error.flagname}: no such flag; {near or "see --help"}'
    ) from None
  except (flags.Error, ValueError) as error:
    text = ' '.join(str(error).split()).removeprefix('flag ')
    raise values.Refused(text) from None
  if rest:
    raise values.Refused(
      f'{rest[0]}: not a flag; write --NAME=VALUE without spaces, see --help'
    )
  given = {}
  for name in defined:
    flag = defined[name]
    if flag.present > 1 and name != 'set':
      raise values.Refused(
        f'--{name} is given {flag.present} times; write it once'
        + (', with a comma list' if name in AXES else '')
      )
    if flag.present:
      if flag.value == '':
        raise values.Refused(f'--{name}=: is empty; see --help')
      given[name] = flag.value
  return given


def _set(text):
  name, equals, value = text.partition('=')
  kind, dot, word = name.partition('.')
  if not (equals and dot and word) or kind not in ('task', 'cell', 'learner'):
    raise values.Refused(
      f'--set={text}: write --set=KIND.NAME=VALUE with KIND one of '
      'task, cell, learner'
    )
  source = f'--set={name}'
  return Axis(name, values.split(value, source), source)


def _run(given, environ):
  default = Run()
  for name, choices in (
    ('progress', PROGRESS),
    ('xla_profile', XLA_PROFILES),
  ):
    if name in given and given[name] not in choices:
      raise values.Refused(
        f'--{name}={given[name]}: {unknown(given[name], choices)}'
      )
  seconds = default.checkpoint_seconds
  if 'checkpoint_seconds' in given:
    seconds = values.real(
      given['checkpoint_seconds'], '--checkpoint_seconds', positive=True
    )
  devices = default.devices
  if 'devices' in given:
    devices = values.integer(given['devices'], '--devices', 1, estimate.cores())
  if 'shard' in given:
    shard = _shard(given['shard'])
  else:
    shard = _array_job(environ)
  places = {
    name: values.place(given[name], f'--{name}') if name in given else ''
    for name in ('out', 'data_dir')
  }
  return Run(
    out=places['out'],
    shard=shard,
    checkpoint_seconds=seconds,
    devices=devices,
    progress=given.get('progress', default.progress),
    xla_profile=given.get('xla_profile', default.xla_profile),
    allow_drift=bool(given.get('allow_drift')),
    rerun_changed=bool(given.get('rerun_changed')),
    retry_failed=bool(given.get('retry_failed')),
    verify=bool(given.get('verify')),
    data_dir=places['data_dir'],
    skip_bad=bool(given.get('skip_bad')),
  )


def _shard(text):
  part, slash, parts = text.partition('/')
  digits = (part + parts).isascii() and part.isdigit() and parts.isdigit()
  if not slash or not digits or len(text) > 20 or int(part) >= int(parts):
    raise values.Refused(
      f'--shard={text}: write I/N with 0 <= I < N, as 0/4 ... 3/4'
    )
  return int(part), int(parts)


def _array_job(environ):
  """The part that a task of a Slurm array job runs."""
  prefix = 'SLURM_ARRAY_TASK_'
  if f'{prefix}ID' not in environ:
    return Run().shard
  index, count, low, step = (
    values.integer(environ.get(prefix + name, other), prefix + name, least)
    for name, other, least in (
      ('ID', '', 0),
      ('COUNT', '', 1),
      ('MIN', '0', 0),
      ('STEP', '1', 1),
    )
  )
  part = (index - low) // step
  if not 0 <= part < count:
    raise values.Refused(
      f'{prefix}ID={index}: outside the {count} tasks from {low} in steps of '
      f'{step}; give --shard=I/N'
    )
  return part, count
