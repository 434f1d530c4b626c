"""Checks sealed files: a seal says who wrote, not that it makes sense.

A file that was made by another program, or sealed again by hand, is refused
here, by name and with the key, before anything is computed from it.
"""

import array
import math
from collections.abc import Collection, Mapping
from pathlib import Path

from lstm_jax.lab.store.faults import Corrupt, printable

_MAX_INT = 2**63
_LONGEST = 10_000
_DEEPEST = 8
_NAME = frozenset(
  'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-'
)


def _text(value):
  return (
    isinstance(value, str) and len(value) <= _LONGEST and value.isprintable()
  )


def _lines(value):
  return isinstance(value, str)


def _number(value):
  if type(value) is float:
    return math.isfinite(value)
  return type(value) is int and abs(value) <= _MAX_INT


def _numbers(values):
  """Tells whether they are a list of numbers or None, or an array."""
  if isinstance(values, array.array):
    return values.typecode == 'q' or all(map(math.isfinite, values))
  if not isinstance(values, list):
    return False
  kinds = {*map(type, values)}
  if kinds == {float}:
    return all(map(math.isfinite, values))
  if kinds == {int}:
    return -_MAX_INT <= min(values) and max(values) <= _MAX_INT
  return all(value is None or _number(value) for value in values)


def _count(value):
  return type(value) is int and 0 <= value <= _MAX_INT


def _dict(value):
  return isinstance(value, dict) and _depth(value) <= _DEEPEST


def _options(value):
  return _dict(value) and all(map(_is_hashable, value.values()))


def _is_hashable(value):
  """Tells whether a value, with tuples for its lists, can be a key."""
  if isinstance(value, list):
    return all(map(_is_hashable, value))
  return not isinstance(value, dict)


def _depth(value):
  """Levels of containers; stops counting at one too many."""
  if not value:
    return 1
  level, containers = 0, [value]
  while containers and level <= _DEEPEST:
    containers = [
      inner
      for container in containers
      if isinstance(container, dict | list)
      for inner in (
        container.values() if isinstance(container, dict) else container
      )
    ]
    level += 1
  return level


def _either(kind, other):
  return lambda value: kind(value) or other(value)


def _is_none(value):
  return value is None


def _words(value):
  return isinstance(value, list) and all(map(_text, value))


def _is_published(value):
  kinds = _either(_text, _number)
  return isinstance(value, dict) and all(map(kinds, value.values()))


# Key -> what its value is; a key that is not there is another check's.
_SETTING = {
  **dict.fromkeys(
    ('grid', 'row', 'task', 'cell', 'learner', 'line', 'source', 'reading'),
    _text,
  ),
  'axes': _words,
  'tried': _count,
  'length': _either(_count, _is_none),
  **dict.fromkeys(
    ('task_options', 'cell_options', 'learner_options', 'numbers'), _options
  ),
  'seed': _count,
  'budget': _count,
  'published': _is_published,
  'tuned': _is_published,
  **dict.fromkeys(('expected_sequences', 'expected_trial_seconds'), _number),
}
_OUTSIDE_KEYS = {
  **dict.fromkeys(('kind', 'place', 'summary', 'unit', 'xla_profile'), _text),
  **dict.fromkeys(('options', 'numbers'), _dict),
  'mean_steps': lambda value: (
    isinstance(value, list) and len(value) == 2 and all(map(_number, value))
  ),
  'shortest': _count,
}
_REQUIRED_KEYS = (
  'grid', 'row', 'task', 'cell', 'learner', 'length', 'task_options',
  'cell_options', 'learner_options', 'numbers', 'seed', 'budget',
)  # fmt: skip
_COUNTS = ('sequences_to_success', 'first_passed', 'weights', 'test_total')
_RECORD = {
  'details': _dict,
  'seconds': _either(_number, _is_none),
  'reason': _either(_lines, _is_none),
  'device': _either(_lines, _is_none),
  'drift': _either(_lines, _is_none),
}
_DETAILS = dict.fromkeys(('levels', 'facts', 'after'), _either(_dict, _is_none))


def check_plan(
  plan: object, name: str | Path, known_trials: object = None
) -> None:
  """Raises `Corrupt` unless a plan holds what is read of one.

  Args:
    plan: the content of plan.json.
    name: the file, for the message.
    known_trials: a list of trials that need no look, where it is the plan's.
  """
  content = _part(plan, isinstance(plan, dict), name, 'content')
  for key, kind in (('trials', list), ('programs', dict), ('provenance', dict)):
    _require(isinstance(content.get(key), kind), name, key)
  _require(isinstance(content.get('identity'), str), name, 'identity')
  if content['trials'] is not known_trials:
    _check_trials(content['trials'], name)
  entries = content.get('outside', {})
  _require(isinstance(entries, dict), name, 'outside')
  for title, fields in entries.items():
    at = f'outside/{title}'
    _require(_text(title) and isinstance(fields, dict), name, at)
    for key in _OUTSIDE_KEYS:
      _require(key in fields, name, f'{at}/{key}')
    _check(fields, _OUTSIDE_KEYS, name, f'{at}/')
  replaced = content.get('replaced', {})
  _require(isinstance(replaced, dict), name, 'replaced')
  for new, old in replaced.items():
    _require(_is_name(new) and _is_name(old), name, 'replaced')
  for trial in replaced:
    steps = 0
    while trial in replaced:
      trial, steps = replaced[trial], steps + 1
      _require(steps <= len(replaced), name, 'replaced')


def _check_trials(trials, name):
  ids, looked_at = set(), set()
  for i, trial in enumerate(trials):
    at = f'trials/{i}'
    _require(isinstance(trial, Mapping), name, at)
    _require(_is_name(trial.get('id')) and trial['id'] not in ids, name, at)
    ids.add(trial['id'])
    fields = getattr(trial, 'fields', trial)  # shared by many, looked at once
    if id(fields) not in looked_at:
      _require(isinstance(fields, dict), name, at)
      for key in _REQUIRED_KEYS:
        _require(key in trial, name, f'{at}/{key}')
      _check(trial, _SETTING, name, f'{at}/')
      looked_at.add(id(fields))
    _require(_count(trial['seed']), name, f'{at}/seed')


def check_record(
  record: object, statuses: Collection[str], name: str | Path
) -> None:
  """Raises `Corrupt` unless a record holds what is read of one.

  Args:
    record: its content.
    statuses: those that a trial can end with.
    name: the file, for the message.
  """
  content = _part(record, isinstance(record, dict), name, 'content')
  _require(isinstance(content.get('trial'), str), name, 'trial')
  _require(content.get('status') in statuses, name, 'status')
  for part in ('metrics', 'curves', 'details'):
    _require(isinstance(content.get(part), dict), name, part)
  _check(content, _RECORD, name)
  _check(content['details'], _DETAILS, name, 'details/')
  for metric, value in content['metrics'].items():
    kind = _count if metric in _COUNTS else _number
    if value is not None and not kind(value):
      _require(False, name, f'metrics/{metric}')
  for curve, values in content['curves'].items():
    if not _numbers(values):
      _require(False, name, f'curves/{curve}')
  if content['status'] == 'solved':
    solved_at = content['metrics'].get('sequences_to_success')
    _require(_count(solved_at), name, 'status')


def check_checkpoint(
  meta: object, shapes: Mapping[str, tuple[int, ...]], name: str | Path
) -> None:
  """Raises `Corrupt` unless a checkpoint holds what a sweep goes on from.

  Args:
    meta: what the writer has said of it.
    shapes: key of an array -> its shape.
    name: the file, for the message.
  """
  content = _part(meta, _dict(meta), name, 'meta')
  for kind in ('programs', 'groups'):
    _require(isinstance(content.get(kind, {}), dict), name, f'meta/{kind}')
  for key, trials in content.get('programs', {}).items():
    at = f'meta/programs/{key}'
    _require(isinstance(trials, list), name, at)
    for pair in trials:
      _require(isinstance(pair, list) and len(pair) == 2, name, at)
      _require(isinstance(pair[0], str) and _number(pair[1]), name, at)
    for name_of_array, shape in shapes.items():
      if name_of_array.startswith(f'{key}/'):
        _require(shape and shape[-1] == len(trials), name, name_of_array)
  for key, facts in content.get('groups', {}).items():
    at = f'meta/groups/{key}'
    _require(isinstance(facts, list) and len(facts) == 3, name, at)
    _require(all(map(_number, facts)), name, at)
  if 'groups' in content:
    _require(all(a.count('/') >= 2 for a in shapes), name, 'arrays')


def check_net(net: object, name: str | Path) -> None:
  """Raises `Corrupt` unless a kept network holds arrays of numbers, by name."""
  content = _part(net, isinstance(net, dict), name, 'content')
  for key in ('trial', 'plan'):
    _require(isinstance(content.get(key), str), name, key)
  _require(_dict(content.get('params')), name, 'params')
  for key, values in content['params'].items():
    _require(_extent(values) is not None, name, f'params/{key}')


def check_way(way: object, name: str | Path) -> None:
  """Raises `Corrupt` unless kept networks hold arrays of numbers, by name."""
  content = _part(way, isinstance(way, dict), name, 'content')
  _require(isinstance(content.get('networks'), list), name, 'networks')
  whose = {key: content.get(key) for key in ('trial', 'plan')}
  for network in content['networks']:
    _require(isinstance(network, dict), name, 'networks')
    _require(_count(network.get('sequences')), name, 'networks/sequences')
    check_net({**whose, **network}, name)


def _extent(values):
  """The shape of nested lists of numbers; None where they are ragged."""
  if not isinstance(values, list):
    return () if _number(values) or isinstance(values, bool) else None
  inner = {_extent(value) for value in values}
  if len(inner) > 1 or None in inner:
    return None
  return (len(values), *next(iter(inner), ()))


def _check(table, kinds, name, at=''):
  for key, kind in kinds.items():
    if key in table and not kind(table[key]):
      _require(False, name, f'{at}{key}')


def _is_name(value):
  return (
    isinstance(value, str) and 0 < len(value) <= 100 and _NAME.issuperset(value)
  )


def _part(value, holds, name, key):
  """The value, where it is what it must be."""
  _require(holds, name, key)
  return value


def _require(holds, name, key):
  if not holds:
    raise Corrupt(
      f'{printable(name)}: {printable(key)} is missing or not what it must be: '
      'not written by lstm_jax'
    )
