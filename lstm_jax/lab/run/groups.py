"""Supervised runs: data, nets, and groups of trials trained together."""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from lstm_jax.lab.plan import catalog
from lstm_jax.lab.plan.setting import digest, programs, steps
from lstm_jax.lab.run import builds

# Seeds side by side on an accelerator.
LANES = 8


def lanes_of(device):
  """How many seeds of a setting are trained side by side.

  On a CPU each for itself: the compiler adds in another order for another
  number of them, and a trial must not end with other bits because more seeds
  were asked for.
  """
  return 1 if device.platform == 'cpu' else LANES


class Prepared(NamedTuple):
  """What is needed of a plan before its folder is opened.

  Attributes:
    build: setting -> (`Dataset`, `Trainer`), made once a program.
    provenance: what results depend on beside the program: the data's checksums
      and which code runs the layers.
    is_native: setting -> whether the compiled loops run its layers.
  """

  build: Any
  provenance: dict[str, Any]
  is_native: Any


def prepare(settings, how):
  """Reads the data and makes the nets of a plan.

  Args:
    settings: all trials.
    how: a `flags.Run`.

  Returns:
    `(Prepared, reasons)`: one line for each setting that is refused.

  Raises:
    Missing, BadData: a data set is not there, or damaged.
  """
  from lstm_jax.lab.data.files.errors import Source
  from lstm_jax.lab.run import admission

  source = Source(how.data_dir or None, how.skip_bad)
  checked = set()

  @functools.cache
  def dataset(name, options):
    return catalog.build('datasets', name, source=source, **dict(options))

  @functools.cache
  def made(setting):
    options = dict(setting.task_options)
    if setting.length is not None:
      options['length'] = setting.length
    data = dataset(setting.task, tuple(sorted(options.items())))
    make_cell = builds.cell_of(setting)
    admission.of_layer(checked, setting, make_cell(data.num_inputs or 1))
    return data, builds.trainer(setting, make_cell, data)

  def build(setting):
    # The numbers and the seed of a trial are not part of its program.
    return made(dataclasses.replace(setting, seed=0, numbers=(), row=''))

  reasons, data, kernels = [], {}, {}
  for where in programs(settings).values():
    setting = settings[where[0]]
    try:
      held, trainer = build(setting)
      seeds = tuple(sorted({settings[i].seed for i in where}))
      admission.of_dataset(checked, setting, held, seeds)
      kernels.setdefault(setting.cell, trainer.model.kernel())
    except ValueError as why:
      reasons.append(f'row {setting.row}: {why}')
      continue
    if held.checksum:
      data[setting.task] = held.checksum
  is_native = lambda setting: (
    setting.is_comparison and build(setting)[1].model.kernel() == 'native'
  )
  more = {'data': data, 'layer_code': kernels}
  if 'native' in kernels.values():
    from lstm_jax.nn.native import library

    more['compiler'] = builds.compiler_of(library.path())
  return Prepared(build, more, is_native), reasons


class Group(NamedTuple):
  """Trials that are trained side by side: equal but for seed and rate.

  Attributes:
    key: its name in checkpoints.
    names: ids of the trials.
    settings: of them.
  """

  key: str
  names: tuple[str, ...]
  settings: tuple[Any, ...]


class Build(NamedTuple):
  """A group, and what makes its `Loop`.

  Attributes:
    group: the `Group`.
    prepared: the `Prepared` of the plan.
    levels: `(dataset, seed, pool) -> dict`, see `levels_of`.
  """

  group: Group
  prepared: Prepared
  levels: Callable[..., dict]

  def loop(self, name, compiled, widths, tests):
    """The `Loop` of the group on a device, see `training.epochs`."""
    from lstm_jax.training import epochs

    del name, widths, tests  # of trials on-line
    one = self.group.settings[0]
    dataset, trainer = self.prepared.build(one)
    pools = [dataset.pool(setting.seed) for setting in self.group.settings]
    loop = epochs.loop_of(
      trainer,
      dataset,
      pools,
      one.budget,
      device=compiled.device,
      words=f'{one.task} {one.cell}',
      steps=steps(one),
    )

    def results(nets):
      nets, outcomes = loop.results(nets)
      return nets, [
        outcome._replace(
          more=_facts(
            outcome.more['trained'],
            dataset,
            trainer,
            self.levels(dataset, setting.seed, pool),
          )
        )
        for outcome, setting, pool in zip(
          outcomes, self.group.settings, pools, strict=bool(outcomes)
        )
      ]

    return loop._replace(results=results)


def levels_of():
  """`(dataset, seed, pool) -> Dataset.levels`, computed once for each data."""
  held = {}

  def levels(dataset, seed, pool):
    if dataset.levels is None:
      return {}
    # Where parts are all that a seed decides, seeds may have the same.
    parts = tuple(at.tobytes() for at in pool.parts.values())
    key = (id(dataset), parts if dataset.parts else seed)
    if key not in held:
      held[key] = dataset.levels(pool)
    return held[key]

  return levels


def _facts(trained, dataset, trainer, levels):
  """What the record of a supervised run holds beside that of a trial."""
  test = trained.test
  facts = {
    'curves': trained.curves,
    'test': test,
    'best': trained.best,
    'confusion': trained.confusion,
    'classes': list(dataset.classes),
    'levels': levels,
    'after': trained.after,
    'facts': dict(dataset.facts),
    'kernel': trainer.model.kernel(),
    'test_total': test['total'],
  }
  if 'right' in test:
    facts['test_wrong'] = test['total'] - test['right']
  if dataset.loss == 'squared':
    facts['test_squared'] = test['loss']
  return facts


def groups_of(trials, prepared, lanes=LANES):
  """The groups of a plan; they do not depend on what has ended.

  Seeds whose parts differ in size (folds) do not share a group.

  Args:
    trials: id -> setting, all of the plan.
    prepared: of `prepare`.
    lanes: most trials of a group.
  """
  alike = {}
  names, settings = list(trials), list(trials.values())
  for key, where in programs(settings).items():
    for i in where:
      setting = settings[i]
      dataset = prepared.build(setting)[0]
      parts = dataset.parts or (lambda seed, d=dataset: d.pool(seed).parts)
      found = parts(setting.seed)
      sizes = tuple((part, len(at)) for part, at in found.items())
      alike.setdefault((key, setting.budget, sizes), []).append(i)
  groups = []
  for where in alike.values():
    for some in split(where, lanes):
      ids = tuple(names[i] for i in some)
      groups.append(
        Group(digest(ids)[:12], ids, tuple(settings[i] for i in some))
      )
  return groups


def split(members, most=LANES):
  """Parts of at most `most`, of one size if a few more parts make it so.

  Each size is a program to compile.

  Args:
    members: a list.
    most: of a part.
  """
  least = -(-len(members) // most)
  counts = range(least, 2 * least + 1)
  count = next((n for n in counts if len(members) % n == 0), least)
  ends = [len(members) * i // count for i in range(count + 1)]
  return [members[a:b] for a, b in itertools.pairwise(ends)]
