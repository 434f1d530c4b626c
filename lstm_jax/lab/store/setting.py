"""A trial, from the flag to the record and back: one object.

A plan stores it as it is, and `setting_of` reads it back; what a table shows of
it (a window, a size, options by dotted name) is derived where it is shown.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from typing import cast

from lstm_jax.lab.store import catalog_entry, seal
from lstm_jax.lab.store.documents import Entry, Figures, Number, Value

# Of the hash that names a trial. Another number would orphan every record.
_ID_SCHEMA = 1
_PAIRS = (
  'task_options', 'cell_options', 'learner_options', 'numbers', 'published',
  'tuned',
)  # fmt: skip
# What has a column of its own, not among the options.
_FIRST_OPTIONS = ('length', 'window', 'hidden', 'blocks', 'block_size')


@dataclasses.dataclass(frozen=True)
class Setting:
  """One trial: all that decides its result, and what it is called.

  Attributes:
    grid: name of the grid, 'flags' where flags alone made the plan.
    row: the line of the table it belongs to, with the axes that vary in it.
    task: name in the catalog.
    cell: name in the catalog.
    learner: name in the catalog.
    length: T, None for a task that has none.
    task_options: sorted `(name, value)` pairs, defaults filled in.
    cell_options: likewise.
    learner_options: likewise, the window among them.
    numbers: traced numbers, sorted `(name, value)` pairs; None: drawn like
      every other weight; a tuple has one value a block.
    seed: of the trial's key.
    budget: what it may see, in the unit that its learner counts in.
    axes: the words of `row` that say which axes vary in it, as `length=10`.
    line: the line of the published table that the row stands for.
    source: the published table.
    reading: which reading of the paper the row follows.
    tried: readings of its table that were searched before this one was chosen.
    published: sorted `(name, value)` pairs of the paper's figures.
    expected_sequences: mean of what a trial sees where measured, else 0.
    expected_trial_seconds: of one core a trial, where measured, else 0.
    tuned: sorted `(name, value)` pairs, what its row was chosen by and what
      that took, see `tune.search.record_of`; () where nobody has tuned it.
    outside: 'task', 'cell' or 'learner' -> what is known of it, where it is
      somebody else's. No part of what a setting is compared by.
    family: the same object in all that `with_seed` has made of one setting, by
      which what seeds share is made once. Two families may be equal.
  """

  grid: str
  row: str
  task: str
  cell: str
  learner: str
  length: int | None
  task_options: tuple[tuple[str, Value], ...]
  cell_options: tuple[tuple[str, Value], ...]
  learner_options: tuple[tuple[str, Value], ...]
  numbers: tuple[tuple[str, Number], ...]
  seed: int
  budget: int
  axes: tuple[str, ...] = ()
  line: str = ''
  source: str = ''
  reading: str = ''
  tried: int = 0
  published: tuple[tuple[str, float | str], ...] = ()
  expected_sequences: float = 0.0
  expected_trial_seconds: float = 0.0
  tuned: tuple[tuple[str, float | str], ...] = ()
  outside: Mapping[str, catalog_entry.Entry] = dataclasses.field(
    default_factory=dict, compare=False
  )
  family: object = dataclasses.field(
    default_factory=object, init=False, compare=False, repr=False
  )

  @property
  def row_name(self) -> str:
    """The row's name without the axes that vary in it."""
    return self.row.removesuffix(' '.join(('', *self.axes)))

  @property
  def figures(self) -> Figures:
    """The published figures, {} for none."""
    return cast(Figures, dict(self.published))

  @property
  def tuning(self) -> dict[str, float | str] | None:
    """`tuned` but for its seconds, None where nobody has tuned it."""
    return {n: v for n, v in self.tuned if n != 'seconds'} or None

  @property
  def tuning_seconds(self) -> float | str | None:
    """Seconds that tuning took, summed over its trials."""
    return dict(self.tuned).get('seconds')

  @property
  def window(self) -> Value:
    """Steps an error travels back, 'full' for all; of spectra, their window.

    None where there is none.
    """
    of_task, of_rule = dict(self.task_options), dict(self.learner_options)
    if 'window' in of_task:
      return of_task['window']
    if 'window' in of_rule and of_rule['window'] is None:
      return 'full'
    return of_rule.get('window')

  @property
  def hidden(self) -> Value:
    """Units, or blocks x size."""
    options = dict(self.cell_options)
    if 'blocks' in options:
      return f'{options["blocks"]}x{options["block_size"]}'
    return options.get('hidden')

  @property
  def learning_rate(self) -> Number:
    """The learning rate, None where there is none."""
    return dict(self.numbers).get('learning_rate')

  @property
  def options(self) -> dict[str, Value]:
    """All further options, by dotted name, and numbers, by name."""
    leading = {
      f'{role}.{name}': value
      for role in ('task', 'cell', 'learner')
      for name, value in getattr(self, f'{role}_options')
      if name not in _FIRST_OPTIONS
    }
    others = {k: v for k, v in self.numbers if k != 'learning_rate'}
    return leading | others


_FIELDS = tuple(
  field.name for field in dataclasses.fields(Setting) if field.compare
)
_SEED_MARK = 'the seed of this trial, and of no other'


def trial_id(setting: Setting) -> str:
  """12 hexadecimal digits: the hash of what decides the trial's result.

  Grid, row, published figures and the place in the plan are not part of it.
  """
  return seal.digest(resolved(setting))[:12]


def by_id(settings: Iterable[Setting]) -> dict[str, Setting]:
  """Trial id -> setting, in order; of equal ones the first.

  The hash of `trial_id`, with the seed put into a text that is made once for
  all seeds of a setting.
  """
  texts: dict[object, tuple[str, str]] = {}
  trials: dict[str, Setting] = {}
  for setting in settings:
    if setting.family not in texts:
      # Not a value that anything else has: it stands once in the text.
      fields = {**resolved(setting), 'seed': _SEED_MARK}
      head, tail = seal.canonical(fields).split(f'"{_SEED_MARK}"')
      texts[setting.family] = head, tail
    head, tail = texts[setting.family]
    text = f'{head}{setting.seed}{tail}'
    trials.setdefault(hashlib.sha256(text.encode()).hexdigest()[:12], setting)
  return trials


def with_seed(setting: Setting, seed: int) -> Setting:
  """The setting with another seed, of the same family.

  A fifth of the time of `dataclasses.replace`, which is what plans of a
  hundred thousand trials spend theirs on.
  """
  trial = object.__new__(Setting)
  vars(trial).update(vars(setting), seed=seed)
  return trial


def resolved(setting: Setting) -> dict[str, object]:
  """Returns what decides a trial's result, as a dictionary of plain values."""
  return {
    'schema': _ID_SCHEMA,
    'task': setting.task,
    'cell': setting.cell,
    'learner': setting.learner,
    'length': setting.length,
    'task_options': dict(setting.task_options),
    'cell_options': dict(setting.cell_options),
    'learner_options': dict(setting.learner_options),
    'numbers': dict(setting.numbers),
    'seed': setting.seed,
    'budget': setting.budget,
  }


def entry_of(setting: Setting) -> Entry:
  """A trial as a plan stores it: its id, and the fields of its setting."""
  fields = {name: getattr(setting, name) for name in _FIELDS}
  fields |= {name: dict(fields[name]) for name in _PAIRS}
  if not setting.tuned:
    del fields['tuned']  # plans of before have none
  return seal.to_plain({'id': trial_id(setting), **fields})


def outside_of(settings: Iterable[Setting]) -> dict[str, dict[str, object]]:
  """Name -> what a plan stores of somebody else's cell, task or learner."""
  entries = {
    entry.name: entry
    for setting in settings
    for entry in setting.outside.values()
  }
  return {
    name: catalog_entry.to_plain(entry) for name, entry in entries.items()
  }


def setting_of(
  entry: Entry, outside_entries: Mapping[str, catalog_entry.Entry] | None = None
) -> Setting:
  """The setting that a plan has stored, read back.

  Args:
    entry: of `entry_of`.
    outside_entries: name -> what the plan has stored of somebody else's.
  """
  fields = {name: _as_tuples(entry[name]) for name in _FIELDS if name in entry}
  pairs = {name: _pairs(entry[name]) for name in _PAIRS if name in entry}
  roles = {
    role: outside_entries[str(entry[role])]
    for role in ('task', 'cell', 'learner')
    if outside_entries and str(entry[role]) in outside_entries
  }
  return Setting(**fields | pairs, outside=roles)


def _pairs(mapping):
  return tuple((name, _as_tuples(mapping[name])) for name in sorted(mapping))


def _as_tuples(value):
  """A plain value with tuples for its lists, as settings have them."""
  return tuple(map(_as_tuples, value)) if isinstance(value, list) else value
