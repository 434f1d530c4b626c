"""Reads what the first schema stored, as the second stores it.

A plan of the first schema holds the columns of a table in place of settings,
and its records are flat. Nothing is written in it any more.
"""

from collections.abc import Mapping

# Learners of that time that trained on data sets: there a window is the data's.
_TRAINERS = ('minibatch',)
_ROLES = ('task', 'cell', 'learner')
_KEPT_KEYS = (
  'id', 'grid', 'row', *_ROLES, 'length', 'seed', 'budget', 'line', 'source',
  'reading', 'tried', 'published',
)  # fmt: skip
_METRICS = (
  'sequences_to_success', 'sequences_seen', 'milestone', 'weights',
  'test_wrong', 'test_total', 'test_absolute', 'test_squared',
  'train_absolute',
)  # fmt: skip
_DETAILS = ('confusion', 'classes', 'levels', 'after', 'facts', 'kernel')
# What of a network of the best epoch, and of the last one, has a name now.
_OF_TEST = {'accuracy': 'test_accuracy', 'loss': 'test_loss'}
_OF_LAST = ('train_loss', 'train_accuracy', 'valid_loss', 'valid_accuracy')


def plan(content: Mapping[str, object]) -> dict[str, object]:
  """A plan's content in today's form, marked as one that began in this."""
  trials = [entry(trial) for trial in _list_of(content, 'trials')]
  return {**content, 'trials': trials, 'began_in_schema': 1}


def entry(old: Mapping[str, object]) -> dict[str, object]:
  """A trial of a plan: dotted options and words become those of its parts."""
  fields = {name: old[name] for name in _KEPT_KEYS if name in old}
  options: dict[str, dict[str, object]] = {
    f'{role}_options': {} for role in _ROLES
  }
  numbers = {}
  for name, value in _list_of(old, 'options').items():
    role, dot, option = name.partition('.')
    if dot and role in _ROLES:
      options[f'{role}_options'][option] = value
    else:
      numbers[name] = value
  hidden, window = old.get('hidden'), old.get('window')
  if isinstance(hidden, str) and 'x' in hidden:
    sizes = [int(word) for word in hidden.split('x')]
    options['cell_options'] |= dict(
      zip(('blocks', 'block_size'), sizes, strict=True)
    )
  elif hidden is not None:
    options['cell_options']['hidden'] = hidden
  if window is not None:
    whose = 'task' if old.get('learner') in _TRAINERS else 'learner'
    window_ = None if window == 'full' else window
    options[f'{whose}_options']['window'] = window_
  if old.get('learning_rate') is not None:
    numbers['learning_rate'] = old['learning_rate']
  # A label was the row's name and the axes that vary in it.
  _, *axes = str(old.get('row', '')).split(' ')
  return {**fields, **options, 'numbers': numbers, 'axes': axes}


def record(old: Mapping[str, object]) -> dict[str, object]:
  """A record in today's form: metrics by name, curves, details."""
  metrics = {name: old[name] for name in _METRICS if name in old}
  if 'milestone' in metrics:
    metrics['first_passed'] = metrics.pop('milestone')
  curves, best = _part(old, 'curves'), _part(old, 'best')
  if isinstance(test := old.get('test'), Mapping):
    metrics |= {new: test.get(name) for name, new in _OF_TEST.items()}
  if isinstance(best, Mapping) and isinstance(best.get('test'), Mapping):
    metrics['best_epoch'] = best.get('epoch')
    metrics |= {
      f'best_{new}': best['test'].get(name) for name, new in _OF_TEST.items()
    }
  if isinstance(curves, Mapping):
    metrics |= {
      name: curves[name][-1]
      for name in _OF_LAST
      if isinstance(curves.get(name), list) and curves[name]
    }
  statistics = _part(old, 'after')
  metrics |= {k: v for k, v in statistics.items() if isinstance(v, float)}
  moved_keys = {*_METRICS, *_DETAILS, 'curves', 'test', 'best'}
  details = {name: old[name] for name in _DETAILS if old.get(name) is not None}
  if statistics:
    other_details = {
      k: v for k, v in statistics.items() if not isinstance(v, float)
    }
    details['after'] = other_details
  return {
    **{name: value for name, value in old.items() if name not in moved_keys},
    'metrics': metrics,
    'curves': curves,
    'details': details,
  }


def _list_of(old, name):
  """Returns what every plan of that time has; KeyError where one has not."""
  return old[name]


def _part(old, name):
  """A part of what was stored, {} where there is none."""
  return old.get(name) or {}
