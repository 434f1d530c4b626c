"""A run folder at a moment, as the page sees it."""

from collections.abc import Mapping
from typing import NamedTuple

from lstm_jax.lab.serve.under_way import UnderWay
from lstm_jax.lab.store import lock
from lstm_jax.lab.store.documents import Record
from lstm_jax.lab.store.setting import Setting


class Look(NamedTuple):
  """A run folder at a moment.

  Attributes:
    path: of the folder.
    trials: id -> setting, in the order of the plan.
    records: id -> record without curves and details, of trials that have ended.
    ended: id -> when its record was written, seconds since the epoch.
    under_way: id -> `UnderWay`.
    holders: the processes that work on the folder.
    began: when the first of these began, seconds since the epoch; None: nobody.
    kept: ids of the trials whose networks are kept.
    problems: what is wrong, one line each.
    stamp: a word that is another one whenever anything above is.
  """

  path: str
  trials: Mapping[str, Setting] = {}
  records: Mapping[str, Record] = {}
  ended: Mapping[str, float] = {}
  under_way: Mapping[str, UnderWay] = {}
  holders: tuple[lock.Holder, ...] = ()
  began: float | None = None
  kept: tuple[str, ...] = ()
  problems: tuple[str, ...] = ()
  stamp: str = ''
