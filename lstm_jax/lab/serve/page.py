"""The page: what it shows follows from its address and the folders alone.

Dash keeps the page in step with these functions; what they show is made by
`board`, `inside` and `figures`.
"""

import functools
from collections.abc import Callable, Sequence

from dash import Dash, Input, Output, State

from lstm_jax.lab.serve import (
  board,
  callbacks_of_networks,
  callbacks_of_runs,
  inside,
  layout,
  views,
)
from lstm_jax.lab.serve.inside import Follower
from lstm_jax.lab.serve.parts_of_page import Page
from lstm_jax.lab.serve.turn import Turn
from lstm_jax.lab.serve.watching import Watch
from lstm_jax.lab.store.setting import Setting

EVERY = 2.0  # seconds between two looks
# Moves the address along without a new entry in the browser's history, and
# names the handles of the sliders, for which Dash has no keyword.
_REPLACE = """(address, stages, stage) => {
  const name = (id, words, value) =>
    document.querySelectorAll(`#${id} [role=slider], #${id} input`).forEach(
      (handle) => {
        handle.setAttribute('aria-label', words);
        if (value) handle.setAttribute('aria-valuetext', value);
      });
  name('step', 'Step of the sequence');
  const seen = ((stages || {}).all || [])[stage];
  name('stage', 'Network kept along training', `after ${seen} sequences`);
  if (address) window.history.replaceState(null, '', address);
  return address || '';
}"""


def build(
  watches: Sequence[Watch],
  every: float = EVERY,
  follower: Callable[[Setting], Follower] = inside.follower,
  turn: Turn | None = None,
) -> Dash:
  """The application over some folders.

  Args:
    watches: of the folders.
    every: seconds between two looks at them.
    follower: looks inside networks of a trial, by its setting.
    turn: of the threads that answer, which `follower` may let go of.
  """
  names = board.names_of([watch.look().path for watch in watches])
  app = Dash(
    'lstm_jax',
    title='lstm_jax',
    update_title=None,
    serve_locally=True,
    include_assets_files=False,
    suppress_callback_exceptions=True,
    meta_tags=[
      {'name': 'viewport', 'content': 'width=device-width, initial-scale=1'}
    ],
  )
  app.index_string = layout.INDEX
  app.layout = layout.page(views.MAX_VIEWS, every)
  page = Page(
    app,
    watches,
    names,
    _boards(watches),
    follower,
    _in_turn(app, turn or Turn()),
  )
  for keep in (
    callbacks_of_runs.keep_state, callbacks_of_runs.keep_rows,
    callbacks_of_runs.keep_row, callbacks_of_runs.keep_confusion,
    callbacks_of_networks.keep_controls, callbacks_of_networks.keep_network,
  ):  # fmt: skip
    keep(page)
  app.clientside_callback(
    _REPLACE,
    Output('link', 'href'),
    Input('address', 'data'),
    State('stages', 'data'),
    State('stage', 'value'),
  )
  app.clientside_callback(
    _REFOCUS, Output('refocus', 'data'), Input('rows', 'children')
  )
  return app


# Dash puts new links in the place of those there, and the focus is lost with
# them: it goes to the one that leads to where the old one led.
_REFOCUS = """() => {
  if (window.lstm_jax_focus) return '';
  const focus = window.lstm_jax_focus = {href: null};
  document.addEventListener('focusin', (event) => {
    focus.href = event.target.getAttribute('href');
  });
  document.addEventListener('pointerdown', () => { focus.href = null; });
  const restore = () => {
    if (focus.href && document.activeElement === document.body)
      document.querySelector(`a[href="${CSS.escape(focus.href)}"]`)?.focus();
  };
  for (const id of ['rows', 'trials'])
    new MutationObserver(restore).observe(
      document.getElementById(id), {childList: true, subtree: true});
  return '';
}"""


def _in_turn(app, turn):
  """Returns `app.callback` for functions that one thread at a time may call.

  However many readers there are, they cost a run one core at most, but for data
  sets that are read meanwhile.
  """

  def callback(*places, **options):
    def decorate(answer):
      @functools.wraps(answer)
      def answer_in_turn(*args):
        with turn:
          return answer(*args)

      return app.callback(*places, **options)(answer_in_turn)

    return decorate

  return callback


def _boards(watches):
  """Returns what gives (look, lines) of every folder as it is now."""

  @functools.lru_cache(maxsize=2 * len(watches))
  def board_of(i, stamp):
    del stamp
    look = watches[i].look()
    return look, board.lines(look)

  return lambda: [
    board_of(i, watch.look().stamp) for i, watch in enumerate(watches)
  ]
