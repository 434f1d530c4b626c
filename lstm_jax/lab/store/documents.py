"""Types of what the files of a run folder hold, in plain values of JSON."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

# What an option or a number can be: bool and int are among the floats.
Value = float | str | tuple[float, ...] | None
# What a number can be; None: drawn like every other weight.
Number = float | tuple[float, ...] | None
# Predictor without recurrence -> metric -> what it reaches.
Levels = Mapping[str, Mapping[str, float]]
# A setting of a trial, with its 'id'.
Entry = Mapping[str, object]


class Figures(TypedDict, total=False):
  """Published figures of a row; others are shown as they are."""

  success_after: float
  st1: float
  success_percent: float | str
  trials: float
  low: float
  high: float
  wrong: float
  of: float
  fraction: float
  absolute: float
  difference: float
  accuracy: float
  valid_accuracy: float
  loss: float
  weights: float
  epochs: float


class Details(TypedDict, total=False):
  """The part of a record that is not numbers."""

  confusion: list[list[int]]  # a row for each true class
  classes: list[str]
  levels: Levels
  after: dict[str, object]  # of `Dataset.after`
  facts: dict[str, str]
  kernel: str


class Plan(TypedDict, total=False):
  """Content of plan.json."""

  flags: dict[str, object]
  trials: Sequence[Entry]
  programs: dict[str, object]
  provenance: dict[str, object]
  identity: str
  began_in_schema: int  # where it is of an older one
  sources: dict[str, dict[str, str]]  # code -> file -> digest
  replaced: dict[str, str]  # trial -> the one of a smaller budget
  outside: dict[str, dict[str, object]]  # name -> `catalog_entry.to_plain`


class Meta(TypedDict, total=False):
  """The note of a checkpoint's writer."""

  programs: dict[str, list[tuple[str, float]]]  # [trial, seconds], a lane each
  code: dict[str, str | None]  # trial -> code
  form: int
  groups: dict[str, object]  # of an older form


class Record(TypedDict, total=False):
  """The end of a trial."""

  trial: str
  status: str
  plan: str  # identity of its folder
  code: str | None
  metrics: dict[str, float | None]
  curves: dict[str, list[float | None]]
  details: Details
  reason: str | None
  seconds: float | None
  device: str | None
  drift: str | None
  non_finite: dict[str, str]  # place of a null -> what it was


class Weights(TypedDict):
  """The arrays of a network, as lists."""

  params: dict[str, list[object]]
  shapes: dict[str, list[int]]


class Network(Weights):
  """The network of a trial, as it is kept."""

  trial: str
  plan: str


class Seen(Weights):
  """A network along the way of a trial."""

  sequences: int


class Way(TypedDict):
  """The networks along the way of a trial, as they are kept."""

  trial: str
  plan: str
  networks: list[Seen]
