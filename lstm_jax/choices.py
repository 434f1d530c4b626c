"""Words of a message about a name that is not known."""

import difflib
from collections.abc import Collection


def listed(names: Collection[str], most: int | None = None) -> str:
  """Names with commas between them, and how many more there are.

  Args:
    names: the names.
    most: how many are written out; None: all.
  """
  first = [*names][:most]
  num_more = len(names) - len(first)
  return ', '.join(first) + (f' and {num_more:,} more' if num_more else '')


def unknown(
  name: str,
  known: Collection[str],
  kind: str = '',
  most: int | None = None,
) -> str:
  """The end of a message about an unknown name: what exists, what is near.

  Args:
    name: the name.
    known: names that there are.
    kind: what they are names of, in the singular, where there may be none.
    most: how many are written out; None: all.
  """
  if not known:
    return f'there is {f"no {kind}" if kind else "nothing"} to choose from'
  near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
  meant = f'; did you mean {near[0]}?' if near else ''
  return f'choose from {listed(known, most)}{meant}'
