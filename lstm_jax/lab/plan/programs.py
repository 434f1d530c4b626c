"""Settings that share a compiled program, and what is not at its default.

A program is named by a hash of what decides it, so that trials which differ in
numbers only share one.
"""

from collections.abc import Mapping, Sequence

from lstm_jax.lab.plan import catalog, own_data, values
from lstm_jax.lab.store import seal
from lstm_jax.lab.store.setting import Setting, resolved
from lstm_jax.ops import conditions


def learner_of(setting: Setting) -> catalog.Entry:
  """The catalog's entry of a setting's learner."""
  return catalog.of(setting, 'learner')


def unit_of(
  learner: Setting | str, metrics: Mapping[str, object] | None = None
) -> str:
  """Names what a budget counts: 'sequences', or 'epochs'.

  Args:
    learner: of a setting, or its name.
    metrics: of its trials, which tell it where the learner is not known here,
      as by the name of what others have written; 'sequences' otherwise.
  """
  try:
    if isinstance(learner, Setting):
      return learner_of(learner).unit
    return catalog.find('learner', learner).unit
  except ValueError:
    in_epochs = (metrics or {}).get('train_loss') not in (None, '')
    return 'epochs' if in_epochs else catalog.Entry._field_defaults['unit']


def steps(setting: Setting) -> float:
  """Mean steps of one of its sequences; of a data set, of an epoch."""
  if count := own_data.epoch_steps(dict(setting.task_options)):
    return count
  a, b = catalog.of(setting, 'task').mean_steps
  return a * (setting.length or 0) + b


def program_key(setting: Setting) -> str:
  """12 hexadecimal digits: the hash of what decides the compiled program.

  Seed, budget and the values of numbers are not part of it; the length is only
  where the learner's module says so.
  """
  static = resolved(setting)
  del static['seed'], static['budget']
  static['numbers'] = sorted(dict(setting.numbers))
  if not length_is_static(setting):
    del static['length']
  return seal.digest(static)[:12]


def length_is_static(setting: Setting) -> bool:
  """Tells whether the learner is made for one length, given as its keyword."""
  static = learner_of(setting).static
  options = dict(setting.learner_options)
  return 'length' in static and conditions.holds(static['length'], options)


def programs(settings: Sequence[Setting]) -> dict[str, list[int]]:
  """Program key -> positions in `settings` of those that share the program."""
  shared: dict[str, list[int]] = {}
  # Seeds make most of a plan and do not matter here.
  of_family: dict[object, list[int]] = {}
  for i, setting in enumerate(settings):
    if setting.family not in of_family:
      key = program_key(setting)
      of_family[setting.family] = shared.setdefault(key, [])
    of_family[setting.family].append(i)
  return shared


def changes(setting: Setting) -> dict[str, str]:
  """Options and numbers that are not at their defaults: name -> text of each.

  Both as `--set` writes them, sorted; the axes that have a column of their own
  (window, learning rate) are among them. What the catalog of this version does
  not know has no default.
  """
  words: dict[str, str] = {}
  numbers = dict(setting.numbers)
  for role in catalog.ROLES:
    held = dict(getattr(setting, f'{role}_options'))
    try:
      entry = catalog.of(setting, role)
      defaults = {name: o.default for name, o in entry.options.items()}
      defaults |= entry.numbers
      held |= {n: numbers[n] for n in entry.numbers if n in numbers}
    except ValueError:
      defaults = {}
    words |= {
      f'{role}.{name}': values.text_of(name, value)
      for name, value in held.items()
      if name not in defaults or value != defaults[name]
    }
  return dict(sorted(words.items()))


def changed_words(setting: Setting) -> list[str]:
  """`changes` as words, `cell.hidden=3`."""
  return [f'{name}={text}' for name, text in changes(setting).items()]
