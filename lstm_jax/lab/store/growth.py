"""Growth of a plan in its folder: more seeds, a larger budget.

A folder belongs to a set of settings, which say what is trained and how. The
trials of one setting differ in seed and budget. Which of the seeds a command
names, in what order and under what labels, is not part of that; a larger
budget takes the place of a smaller one.
"""

from lstm_jax.lab.store import seal
from lstm_jax.lab.store.differences import change, lines_of, trial_lines
from lstm_jax.lab.store.documents import Plan

# What a trial is called and what it is compared with: not what it does.
_LABELS = (
  'grid', 'row', 'axes', 'line', 'source', 'reading', 'tried', 'published',
  'expected_sequences', 'expected_trial_seconds',
)  # fmt: skip
_OWN_KEYS = ('id', 'seed', 'budget')


def merged_plan(old_plan: Plan, new_plan: Plan) -> tuple[Plan, list[str]]:
  """The plan of a folder after a command.

  Args:
    old_plan: the plan in the folder.
    new_plan: the plan of the command.

  Returns:
    `(plan, lines)`: `old_plan` with what `new_plan` adds to it, the same dict
    where that is nothing; and one line for each reason why it cannot be, first
    the flags that led to it. 'replaced' of the plan says which trial one of a
    larger budget has replaced, id by id.
  """
  lines = list(_obstacles(old_plan, new_plan))
  if lines:
    flags = [plan.get('flags', {}) for plan in (old_plan, new_plan)]
    return old_plan, [*lines_of('flags', *flags), *lines]
  old, new = _by_id(old_plan), _by_id(new_plan)
  places = {_place(trial): name for name, trial in new.items()}
  successor = {
    name: places[_place(trial)]
    for name, trial in old.items()
    if name not in new and _place(trial) in places
  }
  names = [successor.get(name, name) for name in old]
  if len(new) > len(names) and new.keys() >= set(names):
    names = list(new)  # as if all had been asked for at once
  labels: dict[str, dict[str, object]] = {}
  for trial in new_plan['trials']:
    labels_of_trial = {key: trial[key] for key in _LABELS if key in trial}
    is_same = (
      labels.setdefault(_setting(trial), labels_of_trial) == labels_of_trial
    )
    if not is_same:
      labels[_setting(trial)] = {}
  trials = [
    new.get(name) or {**old[name], **labels[_setting(old[name])]}
    for name in dict.fromkeys([*names, *new])
  ]
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


def _obstacles(old_plan, new_plan):
  """Lines on what is in one of two plans and cannot be in the other."""
  old, new = _by_id(old_plan), _by_id(new_plan)
  left = [trial for name, trial in old.items() if name not in new]
  new_trials = [trial for name, trial in new.items() if name not in old]
  if {*map(_setting, old.values())} != {*map(_setting, new.values())}:
    same_count = left and len(left) == len(new_trials)
    if not same_count:
      left, new_trials = old_plan['trials'], new_plan['trials']
    yield from trial_lines(left, new_trials, len(old))
    return
  places = {_place(trial): trial for trial in new_trials}
  budgets = [_budgets(plan) for plan in (old_plan, new_plan)]
  for trial in left:
    other = places.get(_place(trial))
    a, b = (of[_setting(trial)] for of in budgets)
    if (
      other is None and a != b or other and not _budget(other) > _budget(trial)
    ):
      yield (
        f'{change("budget", a, b)}: it can only grow, and for all seeds of'
        ' the folder at once'
      )
      return
  shared = old_plan['programs'].keys() & new_plan['programs'].keys()
  for key in sorted(shared):
    values = [_listless(plan['programs'][key]) for plan in (old_plan, new_plan)]
    yield from lines_of(f'programs.{key}', *values)


def _by_id(plan):
  return {trial['id']: trial for trial in plan['trials']}


def _setting(trial):
  """Returns what a trial shares with the other seeds, as text."""
  fields = {k: v for k, v in trial.items() if k not in (*_LABELS, *_OWN_KEYS)}
  return seal.canonical(fields)


def _place(trial):
  return _setting(trial), trial.get('seed')


def _budget(trial):
  return trial.get('budget') or 0


def _budgets(plan):
  """Setting -> budgets that its trials have in a plan, ascending."""
  by_setting: dict[str, set[int]] = {}
  for trial in plan['trials']:
    by_setting.setdefault(_setting(trial), set()).add(_budget(trial))
  return {setting: sorted(budgets) for setting, budgets in by_setting.items()}


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
    names = dict.fromkeys([*(old or []), *(new or [])])
    return [name for name in names if name not in dropped_names]
  return value


def _listless(value):
  """A value without its lists of trials."""
  if isinstance(value, dict):
    return {key: _listless(of) for key, of in value.items()}
  return None if isinstance(value, list) else value
