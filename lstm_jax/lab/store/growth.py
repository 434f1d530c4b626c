"""Growth of a plan in its folder: more seeds, a larger budget.

A folder belongs to a set of settings, which say what is trained and how. The
trials of one setting differ in seed and budget. Which of the seeds a command
names, in what order and under what labels, is not part of that; a larger
budget takes the place of a smaller one.
"""

from collections.abc import Callable
from typing import cast

from lstm_jax.lab.store import seal
from lstm_jax.lab.store.differences import change, lines_of, trial_lines
from lstm_jax.lab.store.documents import Plan
from lstm_jax.lab.store.plan_trials import PlanTrial

# What a trial is called and what it is compared with: not what it does.
_LABELS = (
  'grid', 'row', 'axes', 'line', 'source', 'reading', 'tried', 'published',
  'expected_sequences', 'expected_trial_seconds', 'tuned',
)  # fmt: skip
_OWN_KEYS = ('id', 'seed', 'budget')


def merged_plan(old_plan: Plan, new_plan: Plan) -> tuple[Plan, list[str]]:
  """The plan of a folder after a command.

  Args:
    old_plan: the plan in the folder, of `PlanTrial`s.
    new_plan: the plan of the command, likewise.

  Returns:
    `(plan, lines)`: `old_plan` with what `new_plan` adds to it, the same dict
    where that is nothing; and one line for each reason why it cannot be, first
    the flags that led to it. 'replaced' of the plan says which trial one of a
    larger budget has replaced, id by id.
  """
  setting = _setting_texts()
  lines = _obstacles(old_plan, new_plan, setting)
  if lines:
    flags = [plan.get('flags', {}) for plan in (old_plan, new_plan)]
    return old_plan, [*lines_of('flags', *flags), *lines]
  if old_plan['trials'] is new_plan['trials']:
    trials, successor = old_plan['trials'], {}
  else:
    trials, successor = _merged_trials(old_plan, new_plan, setting)
  plan: Plan = {
    **old_plan,
    'trials': trials,
    'programs': _merge(old_plan['programs'], new_plan['programs'], successor),
  }
  if successor or 'replaced' in old_plan:
    old_ids = {new_name: name for name, new_name in successor.items()}
    plan['replaced'] = {**old_plan.get('replaced', {}), **old_ids}
  if new_plan.get('sources') or 'sources' in old_plan:
    plan['sources'] = {
      **old_plan.get('sources', {}),
      **new_plan.get('sources', {}),
    }
  if new_plan.get('outside'):  # it may have moved since
    plan['outside'] = {**old_plan.get('outside', {}), **new_plan['outside']}
  return (old_plan if plan == old_plan else plan), []


def _merged_trials(old_plan, new_plan, setting):
  """(trials of two plans, each once; id -> the one of a larger budget)"""
  old, new = _by_id(old_plan), _by_id(new_plan)
  successor = {}
  if old.keys() - new.keys():
    places = {_place(trial, setting): name for name, trial in new.items()}
    successor = {
      name: places[_place(trial, setting)]
      for name, trial in old.items()
      if name not in new and _place(trial, setting) in places
    }
  names = [successor.get(name, name) for name in old]
  if len(new) > len(names) and new.keys() >= set(names):
    names = list(new)  # as if all had been asked for at once
  labels: dict[str, dict[str, object]] = {}
  for trial in {id(trial.fields): trial for trial in new.values()}.values():
    labels_of_trial = {key: trial[key] for key in _LABELS if key in trial}
    is_same = (
      labels.setdefault(setting(trial), labels_of_trial) == labels_of_trial
    )
    if not is_same:
      labels[setting(trial)] = {}
  relabelled: dict[int, dict[str, object]] = {}
  for trial in old.values():
    if id(trial.fields) not in relabelled:
      fields = {**trial.fields, **labels[setting(trial)]}
      relabelled[id(trial.fields)] = fields
  trials = [
    new.get(name)
    or PlanTrial(relabelled[id(old[name].fields)], name, old[name].seed)
    for name in dict.fromkeys([*names, *new])
  ]
  return trials, successor


def _obstacles(old_plan, new_plan, setting):
  """Lines on what is in one of two plans and cannot be in the other."""
  lines = []
  if old_plan['trials'] is not new_plan['trials']:
    lines = list(_obstacles_of_trials(old_plan, new_plan, setting))
  if lines:
    return lines
  shared = old_plan['programs'].keys() & new_plan['programs'].keys()
  for key in sorted(shared):
    values = [_listless(plan['programs'][key]) for plan in (old_plan, new_plan)]
    lines += lines_of(f'programs.{key}', *values)
  return lines


def _obstacles_of_trials(old_plan, new_plan, setting):
  """`_obstacles` among the trials."""
  old, new = _by_id(old_plan), _by_id(new_plan)
  left = [trial for name, trial in old.items() if name not in new]
  new_trials = [trial for name, trial in new.items() if name not in old]
  if {*map(setting, old.values())} != {*map(setting, new.values())}:
    same_count = left and len(left) == len(new_trials)
    if not same_count:
      left, new_trials = old_plan['trials'], new_plan['trials']
    left, new_trials = ([*map(dict, t)] for t in (left, new_trials))
    yield from trial_lines(left, new_trials, len(old))
    return
  places = {_place(trial, setting): trial for trial in new_trials}
  budgets = [_budgets(plan, setting) for plan in (old_plan, new_plan)]
  for trial in left:
    other = places.get(_place(trial, setting))
    a, b = (of[setting(trial)] for of in budgets)
    if (
      other is None and a != b or other and not _budget(other) > _budget(trial)
    ):
      yield (
        f'{change("budget", a, b)}: it can only grow, and for all seeds of'
        ' the folder at once'
      )
      return


def _by_id(plan: Plan) -> dict[str, PlanTrial]:
  return {trial.id: trial for trial in cast(list[PlanTrial], plan['trials'])}


def _setting_texts() -> Callable[[PlanTrial], str]:
  """Trial -> what it shares with the other seeds, as text, made once."""
  texts: dict[int, str] = {}

  def text(trial):
    if id(trial.fields) not in texts:
      left_out = (*_LABELS, *_OWN_KEYS)
      fields = {k: v for k, v in trial.fields.items() if k not in left_out}
      texts[id(trial.fields)] = seal.canonical(fields)
    return texts[id(trial.fields)]

  return text


def _place(trial, setting):
  return setting(trial), trial.seed


def _budget(trial):
  return trial.get('budget') or 0


def _budgets(plan, setting):
  """Setting -> budgets that its trials have in a plan, ascending."""
  by_setting: dict[str, set[int]] = {}
  for trial in plan['trials']:
    by_setting.setdefault(setting(trial), set()).add(_budget(trial))
  return {text: sorted(budgets) for text, budgets in by_setting.items()}


def _merge(old, new, dropped_names):
  """Two values of 'programs', their lists without what is gone.

  Either may be None, where the other has a program more.
  """
  value = old if new is None else new
  if isinstance(value, dict):
    old, new = old or {}, new or {}
    return {
      key: _merge(old.get(key), new.get(key), dropped_names)
      for key in {**old, **new}
    }
  if isinstance(value, list):
    if old == new and not dropped_names:
      return value
    names = dict.fromkeys([*(old or []), *(new or [])])
    return [name for name in names if name not in dropped_names]
  return value


def _listless(value):
  """A value without its lists of trials."""
  if isinstance(value, dict):
    return {key: _listless(of) for key, of in value.items()}
  return None if isinstance(value, list) else value
