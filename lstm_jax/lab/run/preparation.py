"""Prepares a plan on a device: its programs, their code, what plan.json says.

Imports JAX where it is called.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lstm_jax.lab.plan import dealing
from lstm_jax.lab.plan.flags import Run
from lstm_jax.lab.plan.programs import learner_of
from lstm_jax.lab.run import builds, groups
from lstm_jax.lab.store import faults, provenance
from lstm_jax.lab.store.documents import Entry, Plan
from lstm_jax.lab.store.setting import Setting, outside_of

if TYPE_CHECKING:
  import jax

  from lstm_jax.training import lanes


def prepare(
  trials: Mapping[str, Setting],
  options: Run,
  device: 'jax.Device',
  kept: Path | None = None,
  made: 'dict[str, lanes.Build] | None' = None,
) -> tuple[list[builds.Programs], dict[str, dict[str, str]], provenance.Facts]:
  """The programs of all kinds of trials, their code and what is told of them.

  A part of a plan makes the programs of all trials on-line, and looks whether
  they keep what is promised (see `admission`) where it runs them.

  Args:
    trials: id -> setting.
    options: a `flags.Run`.
    device: of the kind that runs them.
    kept, made: as of `builds.on_line`.

  Returns:
    `(prepared, code, facts)`: the `Programs` of each kind of learner, trial ->
    the files that run it, and provenance besides the program.

  Raises:
    Refused: with the reasons of all kinds.
    Missing, BadData: a data set is not there, or damaged.
  """
  by_kind: dict[str, dict[str, Setting]] = {'learners': {}, 'trainers': {}}
  for name, setting in trials.items():
    by_kind[learner_of(setting).kind][name] = setting
  mine = None
  if options.shard[1] > 1:
    mine = dealing.names_of_part(trials, options.shard)
  prepared = [
    builds.on_line(by_kind['learners'], options, device, mine, kept, made),
    groups.supervised(by_kind['trainers'], options, device),
  ]
  reasons = [reason for work in prepared for reason in work.reasons]
  if reasons:
    raise faults.Refused('\n'.join(reasons))
  code_now: dict[str, dict[str, str]] = {}
  facts: provenance.Facts = {}
  for work, trials_of_kind in zip(prepared, by_kind.values(), strict=True):
    code_now |= builds.code(trials_of_kind, work.is_native)
    facts |= work.provenance
  return prepared, code_now, facts


def plan_content(
  grid: str,
  name: str,
  trials: Mapping[str, Setting],
  entries: Sequence[Entry],
  made_by: dict[str, object],
) -> Plan:
  """The content of plan.json, as `folder.create_or_open` takes it.

  Args:
    grid: name of the grid.
    name: of the run folder.
    trials: id -> setting.
    entries: the same as plan.json has them.
    made_by: of `provenance.provenance`.
  """
  return {
    'flags': {'grid': grid, 'out': name},
    'trials': entries,
    'programs': {**dealing.members_of(trials)},
    'outside': outside_of(trials.values()),
    'provenance': made_by,
  }
