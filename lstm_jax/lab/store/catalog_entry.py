"""An entry of the catalog: what is known of a cell, a learner or a task."""

from collections.abc import Mapping
from typing import NamedTuple, cast

from lstm_jax.lab.store.documents import Number, Value
from lstm_jax.ops.conditions import Need, holds


class Option(NamedTuple):
  """A keyword of a factory that can be written as text.

  Attributes:
    name: the keyword.
    default: its default.
    types: the plain types it takes, of 'bool', 'int', 'float'.
    choices: the words it takes.
    optional: whether it takes None.
  """

  name: str
  default: Value
  types: tuple[str, ...]
  choices: tuple[str, ...]
  optional: bool


class Reference(NamedTuple):
  """The name of what somebody else has written, and where it is.

  Attributes:
    name: short, the same on every machine: what tables show, and trials are
      told apart by.
    place: as of an `Entry`.
  """

  name: str
  place: str

  def __str__(self) -> str:
    return self.name


class Range(NamedTuple):
  """The values among which tuning draws an option or a number.

  Attributes:
    low, high: the ends, of a number.
    scale: 'log' or 'linear', of a number; '' for a choice.
    choices: values to choose from; () for a number.
    by: the option on whose value the range depends; '' for none, and else
      `cases` holds what counts.
    cases: value of that option -> its range.
  """

  low: float = 0.0
  high: float = 0.0
  scale: str = ''
  choices: tuple[float | str | None, ...] = ()
  by: str = ''
  cases: Mapping[Value, 'Range'] = {}


class Entry(NamedTuple):
  """One cell, learner or task, as its source says.

  Attributes:
    kind: one of `KINDS`.
    name: the file's and the factory's name.
    summary: first line of the factory's docstring.
    options: name -> `Option`, in the order of the signature. Keywords that
      take anything but bool, int, float, words and None are left out: they
      can be given in Python only.
    numbers: name -> default of the traced numbers.
    provides: what the cell or task offers to learners -> the options it takes.
    needs: what the learner needs of its cell.
    task_needs: what the learner needs of its task.
    static: what else fixes the compiled program -> the options it takes.
    shortest: smallest length.
    mean_steps: `(a, b)`, a task's mean steps a T + b.
    trivial: `(condition, levels)` pairs of a task's best constant predictor.
    refuses: `(condition, reason)` pairs.
    unit: what a learner's budget counts.
    xla_profile: the flags of XLA for a learner's programs.
    place: where it is found, of somebody else's: 'folder/file.py:factory' or
      'package.module:factory'; '' for our own.
    later: options that a setting leaves out at their default.
    auto: options that a plan chooses where they are written `auto` -> the word
      that is preferred, and the other.
    ranges: option or number -> `Range`, of those that tuning may draw.
  """

  kind: str
  name: str
  summary: str
  options: dict[str, Option]
  numbers: dict[str, Number]
  provides: dict[str, dict[str, object]]
  needs: tuple[Need, ...]
  task_needs: tuple[Need, ...]
  static: dict[str, dict[str, object]]
  shortest: int
  mean_steps: tuple[float, float]
  trivial: tuple[tuple[dict[str, object], dict[str, object]], ...]
  refuses: tuple[tuple[dict[str, object], str], ...]
  unit: str = 'sequences'
  xla_profile: str = 'auto'
  place: str = ''
  later: tuple[str, ...] = ()
  auto: Mapping[str, tuple[str, str]] = {}
  ranges: Mapping[str, Range] = {}

  def has(self, part: str, options: Mapping[str, object]) -> bool:
    """Tells whether it provides a part under these options, name -> value."""
    return part in self.provides and holds(self.provides[part], options)


def to_plain(entry: Entry) -> dict[str, object]:
  """Returns what a plan stores of an entry: all that a report looks at."""
  return {
    'kind': entry.kind,
    'place': entry.place,
    'summary': entry.summary,
    'options': {name: option.default for name, option in entry.options.items()},
    'numbers': dict(entry.numbers),
    'unit': entry.unit,
    'xla_profile': entry.xla_profile,
    'mean_steps': entry.mean_steps,
    'shortest': entry.shortest,
  }


def from_plain(name: str, fields: Mapping[str, object]) -> Entry:
  """The entry that a plan has stored; what it has not stored is empty."""
  options = cast(Mapping[str, Value], fields['options'])
  numbers = cast(Mapping[str, Number], fields['numbers'])
  a, b = cast(tuple[float, float], fields['mean_steps'])
  return Entry(
    kind=str(fields['kind']),
    name=name,
    summary=str(fields['summary']),
    options={
      title: Option(title, _as_tuples(default), (), (), False)
      for title, default in options.items()
    },
    numbers={title: _as_tuples(value) for title, value in numbers.items()},
    provides={},
    needs=(),
    task_needs=(),
    static={},
    shortest=cast(int, fields['shortest']),
    mean_steps=(a, b),
    trivial=(),
    refuses=(),
    unit=str(fields['unit']),
    xla_profile=str(fields['xla_profile']),
    place=str(fields['place']),
  )


def _as_tuples(value):
  """A plain value with tuples for its lists, as entries have them."""
  return tuple(map(_as_tuples, value)) if isinstance(value, list) else value
