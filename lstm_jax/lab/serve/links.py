"""Links that say what a page shows, and restore it.

  ?row=quickstart/adding-lstm T=10&seed=3&seen=1024&step=7

A link that names what is not there is no error: the page shows what there is.
"""

import urllib.parse
from typing import NamedTuple

_LARGEST = 2**31 - 1


class Shown(NamedTuple):
  """Everything about a page that can be chosen.

  Attributes:
    row: key of the row that is looked at; '' for none.
    trial: id of the trial whose networks are looked at; '': the first kept.
    seen: of its networks the last one that had seen no more sequences; None:
      the last there is.
    seed: of the sequence.
    step: step of the sequence, from 1; None: the last.
  """

  row: str = ''
  trial: str = ''
  seen: int | None = None
  seed: int = 0
  step: int | None = None


def read(query: str) -> Shown:
  """Reads what a query asks for; what it says wrongly counts as not said.

  >>> read('?row=flags/a&seed=3&step=x')
  Shown(row='flags/a', trial='', seen=None, seed=3, step=None)
  """
  fields = dict(urllib.parse.parse_qsl(query.removeprefix('?')))
  number = lambda name: _number(fields.get(name, ''))
  return Shown(
    row=fields.get('row', ''),
    trial=fields.get('trial', ''),
    seen=number('seen'),
    seed=number('seed') or 0,
    step=number('step'),
  )


def written(shown: Shown) -> str:
  """The query that asks for this; what is as usual is left out.

  >>> written(Shown(row='flags/a b', seed=3))
  '?row=flags%2Fa%20b&seed=3'
  """
  usual = Shown()._asdict()
  said = {
    name: value
    for name, value in shown._asdict().items()
    if value != usual[name]
  }
  return '?' + urllib.parse.urlencode(
    said, quote_via=urllib.parse.quote, safe=''
  )


def _number(text):
  if text.isascii() and text.isdigit() and int(text[:12]) <= _LARGEST:
    return int(text[:12])
  return None
