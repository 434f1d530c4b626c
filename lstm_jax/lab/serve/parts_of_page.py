"""Everything that the callbacks of the page are given."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from dash import Dash

from lstm_jax.lab.serve import views
from lstm_jax.lab.serve.inside import Follower
from lstm_jax.lab.serve.watching import Watch
from lstm_jax.lab.store.setting import Setting


class Page(NamedTuple):
  """A page that is being built.

  Attributes:
    app: the application.
    watches, names: of the folders.
    looked: gives (look, lines) of every folder as it is now.
    follower: of the setting of a trial, see `inside.follower`.
    callback: as `app.callback`, of functions that are called in turn.
  """

  app: Dash
  watches: Sequence[Watch]
  names: Sequence[str]
  looked: Callable[[], list[views.Board]]
  follower: Callable[[Setting], Follower]
  callback: Callable[..., Callable[..., object]]
