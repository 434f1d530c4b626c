"""Builds what runs a setting: its program, or its data and trainer.

Everything that a setting hands to the library is handed over here.
"""

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lstm_jax.lab.plan import catalog, dealing
from lstm_jax.lab.plan.flags import Run
from lstm_jax.lab.plan.programs import learner_of, length_is_static
from lstm_jax.lab.run import mains
from lstm_jax.lab.store import files, sources
from lstm_jax.lab.store.provenance import Facts
from lstm_jax.lab.store.setting import Setting

if TYPE_CHECKING:
  import jax

  from lstm_jax.dataset import Dataset
  from lstm_jax.lab.run.queue import Maker
  from lstm_jax.training import lanes
  from lstm_jax.training.trainer import Trainer
  from lstm_jax.types import Cell

# What runs besides the modules that a setting names.
_MODULE = 'lstm_jax.lab.run.builds'
_LOOP = {
  'learners': ('lstm_jax.lab.run.scheduler', 'lstm_jax.training.lanes'),
  'trainers': ('lstm_jax.lab.run.scheduler', 'lstm_jax.training.epochs'),
}


class Programs(NamedTuple):
  """Programs that run some trials, before their folder is opened.

  Attributes:
    makers: name of a program -> what makes its `Loop`; who runs it takes it.
    members: name of a program -> ids of its trials.
    widths: name of a program -> lane widths that may be compiled.
    units: ids that are run together or not at all, in the order of the plan.
    groups: units that one shard runs, as ids.
    provenance: what results depend on besides the program: the data's checksums
      and which code runs the layers.
    is_native: setting -> whether the compiled loops run its layers.
    reasons: one line for each setting that is refused.
  """

  makers: 'dict[str, Maker]' = {}
  members: Mapping[str, list[str]] = {}
  widths: Mapping[str, tuple[int, ...]] = {}
  units: tuple[tuple[str, ...], ...] = ()
  groups: tuple[tuple[str, ...], ...] = ()
  provenance: Facts = {}
  is_native: Callable[[Setting], bool] = lambda setting: False
  reasons: tuple[str, ...] = ()


def on_line(
  trials: Mapping[str, Setting],
  options: Run,
  device: 'jax.Device',
  mine: AbstractSet[str] | None = None,
  kept: Path | None = None,
  made: 'dict[str, lanes.Build] | None' = None,
) -> Programs:
  """The programs of trials on-line.

  Args:
    trials: id -> setting.
    options: a `flags.Run`.
    device: of the kind that runs them.
    mine: ids of the trials that this part of the plan runs; None: all.
    kept: the folder of what is kept for later runs, see `admitted`; None:
      everything is looked at.
    made: what earlier runs have built, by name of the program, on devices of
      this kind; more are added.
  """
  from lstm_jax.lab.run import admitted
  from lstm_jax.training.compilation import widths_of

  del options
  made = {} if made is None else made
  members = dealing.members_of(trials)
  makers: dict[str, lanes.Build] = {}
  reasons = []
  families = {setting.family: setting for setting in trials.values()}
  is_native = any(map(_is_native, families.values()))
  if is_native:
    compile_loops()
  path = admitted.file_of(kept, device.platform)
  looks = admitted.read(path)
  looks_at_others: dict[str, bool] = {}
  for key, of in members.items():
    setting = trials[of[0]]
    # A look takes most of a second, and the part that runs a program looks at
    # it; at what others have written all do, before anything is.
    is_mine = mine is None or not mine.isdisjoint(of)
    of_mine = looks if is_mine else None
    of_one = looks_at_others if setting.outside else of_mine
    try:
      if key not in made:
        made[key] = build(setting, of_one, device.platform)
      makers[key] = made[key]
    except ValueError as why:
      reasons.append(f'row {setting.row}: {why}')
  admitted.keep(path, looks)
  native = is_native and not reasons
  return Programs(
    {**makers},
    members,
    {key: widths_of(device, m.carried) for key, m in makers.items()},
    tuple((name,) for name in trials),
    dealing.groups_of(trials, members),
    {'compiler': native_compiler()} if native else {},
    _is_native,
    tuple(reasons),
  )


def _is_native(setting):
  """Tells whether a trial on-line runs compiled loops."""
  return dict(setting.learner_options).get('form') == 'native'


def compile_loops() -> None:
  """Compiles the loops in C++ where they are not yet and there is a compiler.

  Where that fails, the learner that needs them is refused by its factory.
  """
  from lstm_jax.nn.native import library

  if library.why_not() is None or library.why_never() is not None:
    return
  mains.tell('Compiling the loops in C++, once for this machine: a minute.')
  try:
    library.build()
  except RuntimeError as error:
    mains.note('sweep', str(error))


def native_compiler() -> str | None:
  """Names the compiler of the compiled loops, see `compiler_of`."""
  from lstm_jax.nn.native import library

  return compiler_of(library.path())


def build(
  setting: Setting,
  looks: dict[str, bool] | None = None,
  platform: str = 'cpu',
) -> 'lanes.Build':
  """The `lanes.Build` of a setting's program.

  Args:
    setting: one of the program's.
    looks: of `admission.of_task`; None: its task and cell are not looked
      at.
    platform: of the device that runs it.
  """
  import jax
  import numpy as np

  from lstm_jax.lab.run import admission
  from lstm_jax.training import lanes, online
  from lstm_jax.training.compilation import task_on

  task = catalog.build(
    'tasks', catalog.of(setting, 'task'), **dict(setting.task_options)
  )
  task.longest(setting.length or 1)  # refuses a length that it cannot have
  cell = catalog.build(
    'cells',
    catalog.of(setting, 'cell'),
    task.num_inputs,
    task.num_outputs,
    **dict(setting.cell_options),
  )
  if looks is not None:
    admission.of_task(looks, setting, task, cell)
  static = {'length': setting.length} if length_is_static(setting) else {}
  task = task_on(task, platform)
  learner = catalog.build(
    'learners',
    catalog.of(setting, 'learner'),
    cell,
    task,
    **dict(setting.learner_options),
    **static,
  )
  of_rule = catalog.of(setting, 'learner').numbers
  numbers = dict.fromkeys(of_rule, np.full((), np.nan, np.float32)) | dict(
    cell.numbers
  )
  if looks is not None:
    admission.of_rule(looks, setting, learner, cell, task, numbers)
  weights = sum(int(np.sum(mask)) for mask in jax.tree.leaves(cell.mask))
  weights += learner.extra_weights
  carry = jax.eval_shape(lambda: cell.initial_carry((), np.float32))
  carried = sum(leaf.size for leaf in jax.tree.leaves(carry))
  return lanes.Build(online.program(task, learner), numbers, weights, carried)


def cell_of(setting: Setting) -> 'Callable[[int], Cell]':
  """`num_inputs -> Cell`, of a setting on data."""
  return lambda num_inputs: catalog.build(
    'cells',
    catalog.of(setting, 'cell'),
    num_inputs,
    0,
    **dict(setting.cell_options),
  )


def trainer(
  setting: Setting, make_cell: 'Callable[[int], Cell]', dataset: 'Dataset'
) -> 'Trainer':
  """The `Trainer` of a setting on its `Dataset`."""
  return catalog.build(
    'trainers',
    catalog.of(setting, 'learner'),
    make_cell,
    dataset,
    **dict(setting.learner_options),
  )


def compiler_of(library: Path) -> str | None:
  """Names the compiler of a library, as it says itself; None if it does not."""
  pattern = rb'(GCC: \([^)\0]*\) [\d.]+|clang version [\d.]+)'
  names = re.findall(pattern, files.read(library))
  return ', '.join(sorted({name.decode() for name in names})) or None


def code(
  trials: Mapping[str, Setting],
  is_native: Callable[[Setting], bool] = lambda setting: False,
) -> dict[str, dict[str, str]]:
  """Trial -> the files that run it, see `sources.of_modules`.

  Nothing is imported.

  Args:
    trials: id -> setting.
    is_native: whether compiled loops run the layers of a setting.
  """
  cache: dict[str, sources.Module | None] = {}
  by_setting: dict[object, dict[str, str]] = {}
  by_family: dict[object, dict[str, str]] = {}
  by_trial = {}
  for name, setting in trials.items():
    if setting.family in by_family:
      by_trial[name] = by_family[setting.family]
      continue
    native = is_native(setting)
    key = (setting.task, setting.cell, setting.learner, native)
    if key not in by_setting:
      entries = [catalog.of(setting, role) for role in catalog.ROLES]
      modules = (
        *_LOOP[learner_of(setting).kind],
        *(catalog.module_of(e.kind, e.name) for e in entries if not e.place),
      )
      files = sources.of_modules(modules, cache)
      for entry in entries:
        if entry.place:
          outside_files = sources.of_place(entry.place, cache)
          files = sources.join(files, outside_files, entry.name)
      by_setting[key] = files | sources.of_module(_MODULE, cache)
      if native:
        by_setting[key] |= sources.of_native()
    by_trial[name] = by_family[setting.family] = by_setting[key]
  return by_trial
