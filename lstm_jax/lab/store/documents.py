"""Types of what the files of a run folder hold, in plain values of JSON."""

from collections.abc import Mapping
from typing import TypedDict

# A setting of a trial, with its 'id'.
Entry = Mapping[str, object]


class Plan(TypedDict, total=False):
  """Content of plan.json."""

  flags: dict[str, object]
  trials: list[Entry]
  programs: dict[str, object]
  provenance: dict[str, object]
  identity: str
  began_in_schema: int  # where it is of an older one
  sources: dict[str, dict[str, str]]  # code -> file -> digest
  replaced: dict[str, str]  # trial -> the one of a smaller budget


class Meta(TypedDict, total=False):
  """What the writer of a checkpoint says of it."""

  programs: dict[str, list[tuple[str, float]]]  # [trial, seconds], a lane each
  code: dict[str, str]  # trial -> code
  groups: dict[str, object]  # of an older form


class Record(TypedDict, total=False):
  """How a trial ended, as its record says it."""

  trial: str
  status: str
  code: str | None
  reason: str | None
