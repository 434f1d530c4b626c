"""The page: what it shows follows from its address and the folders alone.

Dash keeps the page in step with these functions; what they show is made by
`board`, `inside` and `figures`.
"""

import functools
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import dash
from dash import Dash, Input, Output, Patch, State, html, no_update

from lstm_jax.lab.serve import (
  board,
  figures,
  layout,
  links,
  tables,
  views,
)
from lstm_jax.lab.serve.watching import Watch

EVERY = 2.0  # seconds between two looks
_PATIENCE = 10  # looks for which an answer is waited
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


def build(watches: Sequence[Watch], every: float = EVERY) -> Dash:
  """The application over some folders.

  Args:
    watches: of the folders.
    every: seconds between two looks at them.
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
  app.layout = layout.page(views.MOST, every)
  page = _Page(
    app, watches, names, _boards(watches), _in_turn(app, threading.Lock())
  )
  for keep in (
    _keep_state, _keep_rows, _keep_row, _keep_controls, _keep_network
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


class _Page(NamedTuple):
  """A page that is being built.

  Attributes:
    app: the application.
    watches, names: of the folders.
    looked: gives (look, lines) of every folder as it is now.
    callback: as `app.callback`, of functions that are called in turn.
  """

  app: Dash
  watches: Sequence[Watch]
  names: Sequence[str]
  looked: Callable[[], list[views.Board]]
  callback: Callable[..., Callable[..., object]]


def _in_turn(app, lock):
  """Returns `app.callback` for functions that one thread at a time may call.

  However many readers there are, they cost a run one core at most; nor does
  Python's parser, which reads the catalog, bear two threads at once.
  """

  def callback(*places, **how):
    def decorate(answer):
      @functools.wraps(answer)
      def answer_in_turn(*args):
        with lock:
          return answer(*args)

      return app.callback(*places, **how)(answer_in_turn)

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


def _keep_state(page):
  """Says how far folders are, and to the others that there is something new.

  Not before they have shown what was new the last time: an answer that takes
  longer than a tick would be dropped for that to the next one, and so for ever.
  """

  @page.callback(
    Output('state', 'children'),
    Output('stamp', 'data'),
    Input('tick', 'n_intervals'),
    State('stamp', 'data'),
    State('rows-stamp', 'data'),
    State('row-stamp', 'data'),
  )
  def show(count, stamp, *shown):
    boards = page.looked()
    now = time.time()
    states = [
      tables.state(board.state(look, name, now))
      for (look, _), name in zip(boards, page.names, strict=True)
    ]
    fresh = board.digest([look.stamp for look, _ in boards])
    # An answer that has got lost is not waited for in vain.
    is_waiting = any(one != stamp for one in shown) and (count or 0) % _PATIENCE
    return states, no_update if is_waiting or fresh == stamp else fresh


def _keep_rows(page):
  @page.callback(
    Output('rows', 'children'),
    Output('rows-stamp', 'data'),
    Input('stamp', 'data'),
    Input('place', 'search'),
    prevent_initial_call=True,
  )
  def show(stamp, search):
    folders = [lines for _, lines in page.looked()]
    return tables.rows(folders, page.names, links.read(search or '')), stamp


def _keep_row(page):
  @page.callback(
    Output('row', 'children'),
    Output('learning', 'figure'),
    Output('learning-graph', 'style'),
    Output('of-row', 'hidden'),
    Output('row-stamp', 'data'),
    *(
      Output(f'trials-{place}', what)
      for i in range(views.MOST)
      for place, what in (
        (f'of-{i}', 'hidden'),
        (f'name-{i}', 'children'),
        (i, 'children'),
      )
    ),
    Input('stamp', 'data'),
    Input('place', 'search'),
    prevent_initial_call=True,
  )
  def show(stamp, search):
    shown = links.read(search or '')
    boards = page.looked()
    sides = views.sides(boards, shown, page.names)
    if not sides:
      warning = None
      if shown.rows:
        missing = f'There is no row {", ".join(shown.rows)} in these folders.'
        warning = html.P(missing, className='warn')
      hidden = (True, '', None) * views.MOST
      return warning, no_update, layout.NO_GRAPH, not shown.rows, stamp, *hidden
    curves, of_sides = [], []
    for i, side in enumerate(sides):
      look = boards[side.folder][0]
      curves += board.curves(page.watches[side.folder], look, side.line, i)
      table = tables.trials(board.trial_lines(look, side.line), side, shown)
      name = f'Trials of {side.name}' if side.name else 'Trials'
      of_sides += [False, name, table]
    of_sides += [True, '', None] * (views.MOST - len(sides))
    heading = tables.heading([side.line for side in sides])
    if not curves:
      heading.append(html.P('No trial of it has a learning curve yet.'))
      return heading, no_update, layout.NO_GRAPH, False, stamp, *of_sides
    figure = figures.learning(curves, [side.name for side in sides])
    style = layout.height_of(figure)
    return heading, figure, style, False, stamp, *of_sides


def _keep_controls(page):
  """Sets the sliders when another network is chosen or another is kept."""

  @page.callback(
    Output('of-network', 'hidden'),
    Output('stages', 'data'),
    Output('stage', 'max'),
    Output('stage', 'marks'),
    Output('stage', 'value'),
    Output('seed', 'value'),
    Input('stamp', 'data'),
    Input('place', 'search'),
    State('stages', 'data'),
    State('stage', 'value'),
    prevent_initial_call=True,
  )
  def show(_, search, stages, stage):
    shown = links.read(search or '')
    boards = page.looked()
    sides = views.sides(boards, shown, page.names)
    chosen = [[one.folder, one.trial, one.name] for one in sides]
    seen = [views.counts(page.watches[one.folder], one.trial) for one in sides]
    every = sorted({number for numbers in seen for number in numbers})
    is_new = stages is None or stages['search'] != search
    if not is_new and (stages['sides'], stages['all']) == (chosen, every):
      return (no_update,) * 6
    last = max(len(every) - 1, 0)
    if is_new:
      value = last if shown.seen is None else views.place_of(every, shown.seen)
    else:  # there are more networks now; who looks at one stays with it
      before = stages['all']
      at = before[stage] if before and stage < len(before) - 1 else None
      value = last if at is None else views.place_of(every, at)
    return (
      not sides,
      {'search': search, 'sides': chosen, 'all': every, 'is_new': is_new},
      last,
      layout.marks(every),
      value,
      shown.seed if is_new else no_update,
    )


def _keep_network(page):
  outputs = [
    Output('step', 'min'), Output('step', 'max'), Output('step', 'value'),
    Output('address', 'data'), Output('controls', 'hidden'),
  ]  # fmt: skip

  @functools.lru_cache(maxsize=4 * len(page.watches))
  def viewed(i, trial, at, seed, stamp):
    del stamp
    return views.view(page.watches[i], trial, at, seed)

  for i in range(views.MOST):
    outputs += [
      Output(f'inside-name-{i}', 'children'),
      Output(f'inside-{i}', 'figure'),
      Output(f'inside-graph-{i}', 'style'),
      Output(f'inside-said-{i}', 'children'),
      Output(f'inside-numbers-{i}', 'children'),
    ]

  @page.callback(
    *outputs,
    Input('stages', 'data'),
    Input('stage', 'value'),
    Input('step', 'value'),
    Input('seed', 'value'),
    prevent_initial_call=True,
  )
  def show(stages, stage, step, seed):
    if not stages or not stages.get('all'):
      text = 'No network of this row is kept, or none yet.' if stages else ''
      others = _nothing() * (views.MOST - 1)
      return [*[no_update] * 4, True, *_nothing(text), *others]
    shown = links.read(stages['search'] or '')
    changed = {one['prop_id'] for one in dash.ctx.triggered}
    if 'stages.data' in changed and stages['is_new']:
      step, seed = shown.step, shown.seed
    at = stages['all'][min(stage or 0, len(stages['all']) - 1)]
    seed = min(max(int(seed or 0), 0), 2**31 - 1)
    network_views = [
      viewed(i, trial, at, seed, page.watches[i].look().stamp)
      for i, trial, _ in stages['sides']
    ]
    longest = max(
      (len(view.inside.trace['mask']) for view in network_views if view.inside),
      default=1,
    )
    step = longest if not step else min(max(int(step), 1), longest)
    is_step_alone = changed == {'step.value'}
    last = stages['all'][-1]
    address = links.written(
      shown._replace(seed=seed, step=step, seen=None if at == last else at)
    )
    sides = [
      part
      for view, (_, _, name) in zip(network_views, stages['sides'], strict=True)
      for part in (name, *_side(view, step, is_step_alone))
    ]
    sides += _nothing() * (views.MOST - len(network_views))
    nothing_inside = not any(view.inside for view in network_views)
    return [1, longest, step, address, nothing_inside, *sides]


def _side(view, step, is_step_alone):
  """(figure, style of its place, words, numbers) of one folder."""
  if view.inside is None:
    return no_update, layout.NO_GRAPH, view.summary, None
  steps = len(view.inside.trace['mask'])
  here = min(step, steps)
  numbers = [
    html.H4(f'Step {here} of {steps}'), tables.numbers(view.inside, here)
  ]  # fmt: skip
  if is_step_alone:
    patch = Patch()
    patch['layout']['shapes'] = figures.cursor(here)
    return patch, no_update, no_update, numbers
  figure = figures.network(view.inside, here)
  return figure, layout.height_of(figure), view.summary, numbers


def _nothing(text=''):
  """A side without a network."""
  return ['', no_update, layout.NO_GRAPH, text, None]
