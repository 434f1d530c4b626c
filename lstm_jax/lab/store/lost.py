"""A plan file that is damaged or gone, made again from the command.

Every record carries the id of its trial, a hash of the setting, and the
identity of the plan. Where they are those of the command, nothing is lost.
"""

import collections
import contextlib
from pathlib import Path

from lstm_jax.lab.store import faults, files, record_packs, schema_1, seal
from lstm_jax.lab.store.documents import Plan


def plan_again(
  path: Path,
  plan: Plan,
  allow_drift: bool,
  fault: faults.Corrupt | None,
) -> tuple[Plan, tuple[str, ...]]:
  """The plan of a folder that has none, or a damaged one.

  Args:
    path: the folder.
    plan: of the command, with its 'identity'.
    allow_drift: take records that another program or machine made.
    fault: the fault of the plan file, None where there is none.

  Returns:
    (plan to store, lines that say what was lost, none where the run is new).

  Raises:
    Refused: there are records, and they are not of this plan.
  """
  identity = plan['identity']
  trials, identities = recorded(path)
  lines = ()
  if fault is not None or trials:
    reason = 'there is no plan.json' if fault is None else str(fault)
    lines = (f'{reason}; it is made again from the command',)
  strange = trials - {trial['id'] for trial in plan['trials']}
  if strange:
    raise faults.Refused(
      f'{reason}, and the records are of {len(strange)} trials'
      f' ({sorted(strange)[0]}, ...) that this command does not ask for: give'
      ' the command that made the folder, or name another --out'
    )
  if identities and identity not in identities:
    if not allow_drift:
      raise faults.Refused(
        f'{reason}, and its {len(trials)} records were made by another program '
        'or on another machine: go on with --allow_drift, which marks the '
        'records made from now on, or name another --out'
      )
    identity = identities.most_common(1)[0][0]
    # What they were made by is not known any more: all of it has drifted.
    plan = {**plan, 'identity': identity, 'provenance': {}}
  return plan, lines


def recorded(path: Path) -> tuple[set[str], collections.Counter[str]]:
  """(ids, identities with how often) that whole records in `path` carry."""
  trials: set[str] = set()
  identities: collections.Counter[str] = collections.Counter()
  place = path / 'records'
  for name in (place / name for name in files.names(place, '.json')):
    with contextlib.suppress(faults.StoreError, FileNotFoundError):
      data, older = files.read(name), {1: schema_1.record}
      record = seal.unseal_json('record', data, name, older)
      facts = record if isinstance(record, dict) else {}
      trial, identity = facts.get('trial'), facts.get('plan')
      is_first = '.conflict-' not in name.name
      if is_first and isinstance(trial, str) and isinstance(identity, str):
        trials.add(trial)
        identities[identity] += 1
  with contextlib.suppress(faults.Refused):
    for line in record_packs.read(place)[0]:
      whose = (line.content or {}).get('plan')
      if isinstance(whose, str) and line.trial not in trials:
        trials.add(line.trial)
        identities[whose] += 1
  return trials, identities
