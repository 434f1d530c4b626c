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
_OWN = ('id', 'seed', 'budget')


def grown(there: Plan, asked: Plan) -> tuple[Plan, list[str]]:
  """The plan of a folder after a command.

  Args:
    there: the plan in the folder.
    asked: the plan of the command.

  Returns:
    `(plan, lines)`: `there` with what `asked` adds to it, the same dict where
    that is nothing; and one line for each reason why it cannot be, first the
    flags that led to it. 'replaced' of the plan says which trial one of a
    larger budget has replaced, id by id.
  """
  lines = list(_obstacles(there, asked))
  if lines:
    flags = [plan.get('flags', {}) for plan in (there, asked)]
    return there, [*lines_of('flags', *flags), *lines]
  old, new = _by_id(there), _by_id(asked)
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
  for trial in asked['trials']:
    found = {key: trial[key] for key in _LABELS if key in trial}
    same = labels.setdefault(_setting(trial), found) == found
    if not same:
      labels[_setting(trial)] = {}
  trials = [
    new.get(name) or {**old[name], **labels[_setting(old[name])]}
    for name in dict.fromkeys([*names, *new])
  ]
  plan: Plan = {
    **there,
    'trials': trials,
    'programs': _joined(there['programs'], asked['programs'], successor),
  }
  if successor or 'replaced' in there:
    old_ids = {new_name: name for name, new_name in successor.items()}
    plan['replaced'] = {**there.get('replaced', {}), **old_ids}
  if asked.get('sources') or 'sources' in there:
    plan['sources'] = {**there.get('sources', {}), **asked.get('sources', {})}
  if asked.get('outside'):  # it may have moved since
    plan['outside'] = {**there.get('outside', {}), **asked['outside']}
  return (there if plan == there else plan), []


def _obstacles(there, asked):
  """Lines on what is in one of two plans and cannot be in the other."""
  old, new = _by_id(there), _by_id(asked)
  left = [trial for name, trial in old.items() if name not in new]
  more = [trial for name, trial in new.items() if name not in old]
  if {*map(_setting, old.values())} != {*map(_setting, new.values())}:
    same_count = left and len(left) == len(more)
    if not same_count:
      left, more = there['trials'], asked['trials']
    yield from trial_lines(left, more, len(old))
    return
  places = {_place(trial): trial for trial in more}
  budgets = [_budgets(plan) for plan in (there, asked)]
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
  shared = there['programs'].keys() & asked['programs'].keys()
  for key in sorted(shared):
    values = [_listless(plan['programs'][key]) for plan in (there, asked)]
    yield from lines_of(f'programs.{key}', *values)


def _by_id(plan):
  return {trial['id']: trial for trial in plan['trials']}


def _setting(trial):
  """Returns what a trial shares with the other seeds, as text."""
  rest = {k: v for k, v in trial.items() if k not in (*_LABELS, *_OWN)}
  return seal.canonical(rest)


def _place(trial):
  return _setting(trial), trial.get('seed')


def _budget(trial):
  return trial.get('budget') or 0


def _budgets(plan):
  """Setting -> budgets that its trials have in a plan, ascending."""
  found: dict[str, set[int]] = {}
  for trial in plan['trials']:
    found.setdefault(_setting(trial), set()).add(_budget(trial))
  return {setting: sorted(budgets) for setting, budgets in found.items()}


def _joined(there, asked, gone):
  """Two values of 'programs', their lists without what is gone.

  Either may be None, where the other has a program more.
  """
  given = there if asked is None else asked
  if isinstance(given, dict):
    there, asked = there or {}, asked or {}
    return {
      key: _joined(there.get(key), asked.get(key), gone)
      for key in {**there, **asked}
    }
  if isinstance(given, list):
    both = dict.fromkeys([*(there or []), *(asked or [])])
    return [name for name in both if name not in gone]
  return given


def _listless(value):
  """A value without its lists of trials."""
  if isinstance(value, dict):
    return {key: _listless(of) for key, of in value.items()}
  return None if isinstance(value, list) else value
