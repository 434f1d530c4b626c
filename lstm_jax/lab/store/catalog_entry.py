"""An entry of the catalog: what is known of a cell, a learner or a task."""

from collections.abc import Mapping
from typing import NamedTuple

from lstm_jax.lab.store.documents import Number, Value


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


class Need(NamedTuple):
  """A part that a learner needs of its cell or task.

  Attributes:
    why: the reason, for messages.
    when: the learner's options under which it does; {} always.
  """

  why: str = ''
  when: dict[str, object] = {}


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
    needs: what the learner needs of its cell -> `Need`.
    task_needs: what the learner needs of its task -> `Need`.
    static: what else fixes the compiled program -> the options it takes.
    shortest: smallest length.
    mean_steps: `(a, b)`, a task's mean steps a T + b.
    trivial: `(condition, levels)` pairs of a task's best constant predictor.
    refuses: `(condition, reason)` pairs.
    unit: what a learner's budget counts.
    xla_profile: the flags of XLA for a learner's programs.
  """

  kind: str
  name: str
  summary: str
  options: dict[str, Option]
  numbers: dict[str, Number]
  provides: dict[str, dict[str, object]]
  needs: dict[str, Need]
  task_needs: dict[str, Need]
  static: dict[str, dict[str, object]]
  shortest: int
  mean_steps: tuple[float, float]
  trivial: tuple[tuple[dict[str, object], dict[str, object]], ...]
  refuses: tuple[tuple[dict[str, object], str], ...]
  unit: str = 'sequences'
  xla_profile: str = 'auto'


def holds(
  condition: Mapping[str, object], options: Mapping[str, object]
) -> bool:
  """Tells whether `options` meet a condition on some of them.

  Args:
    condition: name -> value; the value `...` asks for anything but None.
    options: name -> value of at least those.
  """
  return all(
    options[name] is not None if value is ... else options[name] == value
    for name, value in condition.items()
  )
