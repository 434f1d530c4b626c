"""Supervised runs: data, networks, and groups of trials trained together."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lstm_jax.lab.plan import catalog, own_data
from lstm_jax.lab.plan.flags import Run
from lstm_jax.lab.plan.programs import programs, steps
from lstm_jax.lab.run import builds
from lstm_jax.lab.store import seal
from lstm_jax.lab.store.provenance import Facts
from lstm_jax.lab.store.setting import Setting

if TYPE_CHECKING:
  import jax

  from lstm_jax.dataset import Dataset, Pool
  from lstm_jax.training.compilation import Compiled
  from lstm_jax.training.loop import Loop
  from lstm_jax.training.trainer import Trainer
  from lstm_jax.types import Cell

# Seeds side by side on an accelerator.
LANES = 8


def lanes_of(device: 'jax.Device') -> int:
  """Returns how many seeds of a setting are trained side by side.

  On a CPU each for itself: the compiler adds in another order for another
  number of them, and a trial must not end with other bits because more seeds
  were asked for.
  """
  return 1 if device.platform == 'cpu' else LANES


def builder(
  how: Run,
  admit: 'Callable[[Setting, Cell], None]' = lambda setting, cell: None,
) -> 'Callable[[Setting], tuple[Dataset, Trainer]]':
  """`setting -> (Dataset, Trainer)`, made once a program.

  Args:
    how: a `flags.Run`, which says where data lie.
    admit: called with a setting and its cell before it is trained with.
  """
  from lstm_jax.lab.data.files.errors import Source

  source = Source(how.data_dir or None, how.skip_bad)

  datasets: dict[Hashable, Dataset] = {}

  def dataset(entry, options):
    key = entry.name, options
    if key not in datasets:
      source_options: dict[str, object] = {'source': source}
      if own_data.factory_of(entry.name):
        source_options = {'paths': dict(how.paths)}
      datasets[key] = catalog.build(
        'datasets', entry, **source_options, **dict(options)
      )
    return datasets[key]

  @functools.cache
  def make(setting):
    options = dict(setting.task_options)
    if setting.length is not None:
      options['length'] = setting.length
    data = dataset(catalog.of(setting, 'task'), tuple(sorted(options.items())))
    make_cell = builds.cell_of(setting)
    admit(setting, make_cell(data.num_inputs or 1))
    return data, builds.trainer(setting, make_cell, data)

  # The numbers and the seed of a trial are not part of its program.
  return lambda setting: make(
    dataclasses.replace(setting, seed=0, numbers=(), row='', axes=())
  )


def supervised(
  trials: Mapping[str, Setting], options: Run, device: 'jax.Device'
) -> builds.Programs:
  """The programs of supervised runs: reads the data and makes the networks.

  Args:
    trials: id -> setting.
    options: a `flags.Run`.
    device: of the kind that runs them.

  Raises:
    Missing, BadData: a data set is not there, or damaged.
  """
  from lstm_jax.lab.run import admission

  looks: dict[str, bool] = {}
  build = builder(options, functools.partial(admission.of_layer, looks))
  reasons, data = [], {}
  kernels: dict[str, str] = {}
  settings = list(trials.values())
  for where in programs(settings).values():
    setting = settings[where[0]]
    try:
      dataset, trainer = build(setting)
      seeds = tuple(sorted({settings[i].seed for i in where}))
      admission.of_dataset(looks, setting, dataset, seeds)
      kernels.setdefault(setting.cell, trainer.model.kernel())
    except ValueError as why:
      reasons.append(f'row {setting.row}: {why}')
      continue
    if dataset.checksum:
      data[setting.task] = dataset.checksum
  facts: Facts = {'data': data, 'layer_code': kernels}
  if 'native' in kernels.values():
    facts['compiler'] = builds.native_compiler()
  if reasons:
    return builds.Programs(provenance=facts, reasons=tuple(reasons))
  groups = groups_of(trials, build, lanes_of(device))
  levels = levels_of()
  return builds.Programs(
    {group.key: Build(group, build, levels) for group in groups},
    {group.key: list(group.names) for group in groups},
    {group.key: (len(group.names),) for group in groups},
    # A group is trained whole: its lanes have the bits of their program.
    tuple(group.names for group in groups),
    tuple(group.names for group in groups),
    facts,
    lambda setting: build(setting)[1].model.kernel() == 'native',
  )


class Group(NamedTuple):
  """Trials that are trained side by side: equal but for seed and rate.

  Attributes:
    key: its name in checkpoints.
    names: ids of the trials.
    settings: of them.
  """

  key: str
  names: tuple[str, ...]
  settings: tuple[Setting, ...]


class Build(NamedTuple):
  """A group, and what makes its `Loop`.

  Attributes:
    group: the `Group`.
    build: setting -> (`Dataset`, `Trainer`), made once a program.
    levels: `(dataset, seed, pool) -> dict`, see `levels_of`.
  """

  group: Group
  build: 'Callable[[Setting], tuple[Dataset, Trainer]]'
  levels: 'Callable[[Dataset, int, Pool], dict[str, dict[str, float]]]'

  def loop(
    self, name: str, compiled: 'Compiled', widths: tuple[int, ...], tests: int
  ) -> 'Loop':
    """The `Loop` of the group on a device, see `training.epochs`."""
    from lstm_jax.training import epochs

    del name, widths, tests  # of trials on-line
    setting = self.group.settings[0]
    dataset, trainer = self.build(setting)
    pools = [dataset.pool(setting.seed) for setting in self.group.settings]
    loop = epochs.loop_of(
      trainer,
      dataset,
      pools,
      setting.budget,
      device=compiled.device,
      words=f'{setting.task} {setting.cell}',
      steps=steps(setting),
    )

    def results(nets):
      nets, outcomes = loop.results(nets)
      return nets, [
        _with_levels(
          outcome,
          dataset,
          trainer,
          self.levels(dataset, setting.seed, pool),
        )
        for outcome, setting, pool in zip(
          outcomes, self.group.settings, pools, strict=bool(outcomes)
        )
      ]

    return loop._replace(results=results)


def levels_of() -> (
  'Callable[[Dataset, int, Pool], dict[str, dict[str, float]]]'
):
  """`(dataset, seed, pool) -> Dataset.levels`, computed once for each data."""
  by_key = {}

  def levels(dataset, seed, pool):
    if dataset.levels is None:
      return {}
    # Where parts are all that a seed decides, seeds may have the same.
    parts = tuple(at.tobytes() for at in pool.parts.values())
    key = (id(dataset), parts if dataset.parts else seed)
    if key not in by_key:
      by_key[key] = dataset.levels(pool)
    return by_key[key]

  return levels


def _with_levels(outcome, dataset, trainer, levels):
  """An outcome with what its record holds of the data besides the network."""
  details = dict(outcome.details)
  statistics = details.pop('after', {})
  numbers = {k: v for k, v in statistics.items() if isinstance(v, float)}
  return outcome._replace(
    metrics={**outcome.metrics, **numbers},
    details={
      **{key: details[key] for key in ('confusion',) if key in details},
      'classes': list(dataset.classes),
      'levels': levels,
      'after': {k: v for k, v in statistics.items() if k not in numbers},
      'facts': dict(dataset.facts),
      'kernel': trainer.model.kernel(),
    },
  )


def groups_of(
  trials: Mapping[str, Setting],
  build: 'Callable[[Setting], tuple[Dataset, Trainer]]',
  lanes: int = LANES,
) -> list[Group]:
  """The groups of a plan; they do not depend on what has ended.

  Seeds whose parts differ in size (folds) do not share a group.

  Args:
    trials: id -> setting, all of the plan.
    build: setting -> (`Dataset`, `Trainer`).
    lanes: most trials of a group.
  """
  alike: dict[tuple[object, ...], list[int]] = {}
  names, settings = list(trials), list(trials.values())
  for key, where in programs(settings).items():
    for i in where:
      setting = settings[i]
      dataset = build(setting)[0]
      seed, parts = setting.seed, dataset.parts
      parts_of_seed = parts(seed) if parts else dataset.pool(seed).parts
      sizes = tuple((part, len(at)) for part, at in parts_of_seed.items())
      alike.setdefault((key, setting.budget, sizes), []).append(i)
  groups = []
  for where in alike.values():
    for indices in split(where, lanes):
      ids = tuple(names[i] for i in indices)
      groups.append(
        Group(seal.digest(ids)[:12], ids, tuple(settings[i] for i in indices))
      )
  return groups


def split(members: Sequence[int], max_size: int = LANES) -> list[Sequence[int]]:
  """Parts of at most `max_size`, of one size if a few more parts make it so.

  Each size is a program to compile.

  Args:
    members: a list.
    max_size: of a part.
  """
  min_parts = -(-len(members) // max_size)
  counts = range(min_parts, 2 * min_parts + 1)
  count = next((n for n in counts if len(members) % n == 0), min_parts)
  ends = [len(members) * i // count for i in range(count + 1)]
  return [members[a:b] for a, b in itertools.pairwise(ends)]
