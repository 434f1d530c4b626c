"""Words of a message about a name that is not known."""

import difflib
from collections.abc import Collection


def unknown(name: str, known: Collection[str]) -> str:
  """The end of a message about an unknown name: what exists, what is near."""
  near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
  meant = f'; did you mean {near[0]}?' if near else ''
  return f'choose from {", ".join(known) or "(none)"}{meant}'
