"""The flags of the sweep, read without importing JAX.

`parse` turns a command line into a `Request`, or raises `Refused` with one
line for what is wrong. Flags live in a `FlagValues` of their own: importing
this module defines nothing.
"""

import functools
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from absl import flags

from lstm_jax.lab.plan import (
  contradictions,
  job_parts,
  parsers,
  tuning_size,
  values,
)
from lstm_jax.lab.plan.grid_check import AXES
from lstm_jax.lab.plan.references import Axis
from lstm_jax.lab.plan.usage import (
  COMPILE_CACHES,
  ENGINES,
  GROUPS,
  PROGRESS,
  XLA_PROFILES,
)
from lstm_jax.lab.store import machine


class Run(NamedTuple):
  """The way to run a plan; nothing here changes a result.

  Attributes:
    out: run folder, '' for the plan's own.
    shard: `(i, n)`, 0 <= i < n: run the i-th of n parts of the plan.
    shard_reason: what says so: '--shard', variables of the environment, '' for
      nothing; of the whole plan, what there is to say of variables.
    distributed: whether this process is one of a program of JAX's, which says
      which part it runs.
    checkpoint_seconds: longest time between two checkpoints.
    devices: cores of a CPU to use, or accelerators; 0 for all.
    progress: one of `PROGRESS`.
    xla_profile: one of `XLA_PROFILES`.
    allow_drift: continue a folder that other versions or code have made.
    rerun_changed: run trials again whose code has changed since.
    retry_failed: run failed trials again.
    verify: say what is in the folder, and change nothing.
    data_dir: folder of the data sets, '' for the usual one.
    skip_bad: leave out damaged files of data sets.
    serve: show it in a browser while it goes on.
    compile_cache: where compiled programs are kept: 'auto', 'off', a folder,
      or '' for what the environment says.
    engine: one of `ENGINES`.
    scheduler: address or file of a Dask scheduler, '' for a cluster of this
      machine's cores.
    paths: where data of one's own lie, `(name of the task, path)` pairs.
    export_study: file for the studies of a tuned run, '' for none.
  """

  out: str = ''
  shard: tuple[int, int] = (0, 1)
  shard_reason: str = ''
  distributed: bool = False
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
  serve: bool = False
  compile_cache: str = ''
  engine: str = 'local'
  scheduler: str = ''
  paths: tuple[tuple[str, str], ...] = ()
  export_study: str = ''


class Request(NamedTuple):
  """A command line, read.

  Attributes:
    axes: the axis flags given: a product, or with a grid a selection.
    sets: the `--set` flags given.
    grid: the grid's name, None where the flags alone make the plan.
    rows: names of the grid's rows, () for all.
    size: of the grid, '' for its first.
    seeds: seeds, None for the grid's.
    budget: training sequences, None for the grid's.
    tune: settings that each row is tuned by, None for the grid's.
    tune_seeds: seeds that each of them is tried on, None for the grid's.
    futility: fresh seeds of a row that solves none of those, likewise.
    yes: whether a very large plan is wanted.
    action: 'run', 'dry_run', 'list' or 'help'.
    run: how to run it.
  """

  axes: tuple[Axis, ...] = ()
  sets: tuple[Axis, ...] = ()
  grid: str | None = None
  rows: tuple[str, ...] = ()
  size: str = ''
  seeds: tuple[int, ...] | None = None
  budget: int | None = None
  tune: int | None = None
  tune_seeds: int | None = None
  futility: int | None = None
  yes: bool = False
  action: str = 'run'
  run: Run = Run()


def define(names: Collection[str] = ()) -> flags.FlagValues:
  """Flags of the sweep in a new `FlagValues`.

  Args:
    names: of the flags; () for all.
  """
  flag_values = flags.FlagValues()
  for group in GROUPS.values():
    for name, (placeholder, text) in group.items():
      if names and name not in names:
        continue
      if placeholder is None:
        parsers.switch(flag_values, name, text)
      elif name == 'set':
        parsers.define(
          flag_values,
          name,
          'setting',
          _set,
          text,
          is_repeated=True,
          writer_of=_setting,
        )
      elif name == 'shard':
        parsers.define(flag_values, name, 'part', _shard, text, writer_of=_part)
      else:
        kind, function = _reader(name)
        parsers.define(flag_values, name, kind, function, text)
      if name == 'tune':
        # `--tune` alone is `--tune=true`, which its reader knows.
        flag_values[name].boolean = True
  for flags_of, reason in contradictions.CONTRADICTIONS:
    if not names or {*flags_of} <= {*names}:
      parsers.forbid(flag_values, flags_of, reason)
  return flag_values


def parse(
  argv: Sequence[str], environ: Mapping[str, str] = os.environ
) -> Request:
  """Reads a command line.

  Args:
    argv: the program's name and its arguments.
    environ: the environment, read for the part that a batch job runs.

  Returns:
    The `Request`. Names of tasks, cells, learners and grids are not checked
    here.

  Raises:
    Refused: an unknown flag, a value that no plan can have, flags that
      contradict each other.
  """
  flag_values = define()
  parsers.no_words(parsers.read(flag_values, argv))
  return request(flag_values, environ)


def request(
  flag_values: flags.FlagValues, environ: Mapping[str, str] = os.environ
) -> Request:
  """The request of flags that have been read.

  Args:
    flag_values: flags of `define`, and any others.
    environ: the environment, read for the part that a batch job runs.

  Raises:
    Refused: a batch job whose environment does not say which part it is.
  """
  values_by_flag = _values_by_flag(flag_values)
  actions = [
    name for name in ('help', 'list', 'dry_run') if values_by_flag.get(name)
  ]
  axes = tuple(
    Axis(AXES[flag], values_by_flag[flag], f'--{flag}')
    for flag in AXES
    if flag in values_by_flag
  )
  sets = tuple(values_by_flag.get('set', ()))
  grid = values_by_flag.get('grid')
  if grid is None and not (axes or sets):
    grid = 'quickstart'
  return Request(
    axes=axes,
    sets=sets,
    grid=grid,
    rows=values_by_flag.get('row', ()),
    size=values_by_flag.get('size', ''),
    seeds=values_by_flag.get('seeds'),
    budget=values_by_flag.get('budget'),
    tune=values_by_flag.get('tune'),
    tune_seeds=values_by_flag.get('tune_seeds'),
    futility=values_by_flag.get('futility'),
    yes=bool(values_by_flag.get('yes')),
    action=actions[0] if actions else 'run',
    run=_run(values_by_flag, environ),
  )


def _values_by_flag(flag_values):
  return {
    name: flag_values[name].value for name in parsers.given_names(flag_values)
  }


def _reader(name):
  """`(kind, function)` that read the value of a flag."""
  if name in AXES or name == 'row':
    return 'list', values.split
  return {
    'seeds': ('seeds', values.seeds),
    'budget': ('int', values.integer),
    'tune': ('int', tuning_size.settings),
    'tune_seeds': ('int', tuning_size.seeds),
    'futility': ('int', tuning_size.futility),
    'devices': ('int', _devices),
    'checkpoint_seconds': (
      'float', functools.partial(values.real, positive=True)
    ),
    'engine': ('word', parsers.word(ENGINES)),
    'progress': ('word', parsers.word(PROGRESS)),
    'xla_profile': ('word', parsers.word(XLA_PROFILES)),
    'compile_cache': ('place', _cache_place),
    'out': ('place', values.place),
    'data_dir': ('place', values.place),
    'export_study': ('place', values.place),
  }.get(name, ('string', parsers.text))  # fmt: skip


def _devices(text, source):
  """At most the cores, or as many accelerators as JAX will find."""
  # Asked where the flag is given: the files of quotas are many to read.
  most = values.MAX_INT if machine.may_have_accelerator() else machine.cores()
  return values.integer(text, source, high=most)


def _setting(axis):
  """The text of an axis of `--set`."""
  return f'{axis.name}={parsers.comma_list(axis.values)}'


def _cache_place(text, source):
  """A folder of compiled programs, or a word."""
  return text if text in COMPILE_CACHES else values.place(text, source)


def _part(shard):
  """The text of a shard."""
  return '/'.join(map(str, shard))


def dotted(name: str, source: str) -> None:
  """Refuses a name of `--set` that is not KIND.NAME.

  Args:
    name: as it is given.
    source: what is written, for the message.

  Raises:
    Refused: another kind, or no name.
  """
  kind, dot, word = name.partition('.')
  if not (dot and word) or kind not in ('task', 'cell', 'learner'):
    raise values.Refused(
      f'{source}: write --set=KIND.NAME=VALUE with KIND one of '
      'task, cell, learner'
    )


def _set(text, source):
  name, equals, value = text.partition('=')
  dotted(name if equals else '', f'{source}={text}')
  source = f'--set={name}'
  return Axis(name, values.split(value, source), source)


def _run(values_by_flag, environ):
  """The `Run` of flags that are given; others have their defaults."""
  fields = {
    name: values_by_flag[name] for name in Run._fields if name in values_by_flag
  }
  if 'shard' in fields:
    return Run(**fields, shard_reason='--shard')
  is_interactive = sys.stdin is not None and sys.stdin.isatty()
  part = job_parts.of_environment(
    environ, is_interactive, bool(fields.get('distributed'))
  )
  shard = part.part, part.parts
  return Run(**fields, shard=shard, shard_reason=part.reason)


def _shard(text, source):
  part, slash, parts = text.partition('/')
  digits = (part + parts).isascii() and part.isdigit() and parts.isdigit()
  if not slash or not digits or len(text) > 20 or int(part) >= int(parts):
    raise values.Refused(
      f'{source}={text}: write I/N with 0 <= I < N, as 0/4 ... 3/4'
    )
  return int(part), int(parts)
