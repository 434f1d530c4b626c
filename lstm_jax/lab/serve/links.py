"""Links that say what a page shows, and restore it.

  ?row=quickstart/adding-lstm&row=quickstart/adding-srn&seed=3&seen=1024&step=7

A link that names what is not there is no error: the page shows what there is.
"""

import urllib.parse
from typing import NamedTuple

_LARGEST = 2**31 - 1


class Selection(NamedTuple):
  """Everything about a page that can be chosen.

  Attributes:
    rows: keys of the rows that are looked at, side by side.
    trials: ids of trials whose networks are looked at; of a row without one
      the first that is kept.
    seen: of its networks the last one that had seen no more sequences; None:
      the last there is.
    seed: of the sequence.
    step: step of the sequence, from 1; None: the last.
  """

  rows: tuple[str, ...] = ()
  trials: tuple[str, ...] = ()
  seen: int | None = None
  seed: int = 0
  step: int | None = None


def selection_of(query: str) -> Selection:
  """Reads what a query asks for; what it says wrongly counts as not said.

  >>> tuple(selection_of('?row=flags/a&row=flags/b&seed=3&step=x'))
  (('flags/a', 'flags/b'), (), None, 3, None)
  """
  fields = urllib.parse.parse_qs(query.removeprefix('?'))
  number = lambda name: _number(fields.get(name, [''])[-1])
  values_of = lambda name: tuple(dict.fromkeys(fields.get(name, [])))
  return Selection(
    rows=values_of('row'),
    trials=values_of('trial'),
    seen=number('seen'),
    seed=number('seed') or 0,
    step=number('step'),
  )


def query_of(selection: Selection) -> str:
  """The query that asks for this; what is as usual is left out.

  >>> query_of(Selection(rows=('flags/a b',), seed=3))
  '?row=flags%2Fa%20b&seed=3'
  """
  pairs = [('row', key) for key in selection.rows]
  pairs += [('trial', trial) for trial in selection.trials]
  pairs += [
    (name, str(value))
    for name in ('seen', 'seed', 'step')
    if (value := getattr(selection, name)) != getattr(Selection(), name)
  ]
  return '?' + urllib.parse.urlencode(
    pairs, quote_via=urllib.parse.quote, safe=''
  )


def _number(text):
  if text.isascii() and text.isdigit() and int(text[:12]) <= _LARGEST:
    return int(text[:12])
  return None
