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
  sources: dict[str, dict[str, str]]  # code -> file -> digest
  replaced: dict[str, str]  # trial -> the one of a smaller budget
