"""The page: what it shows follows from its address and the folders alone.

Dash keeps the page in step with these functions; what they show is made by
`board`, `inside` and `figures`.
"""

import functools
import time
from collections.abc import Sequence

import dash
from dash import Dash, Input, Output, Patch, State, html, no_update

from lstm_jax.lab.plan.programs import unit_of
from lstm_jax.lab.serve import board, figures, inside, layout, links
from lstm_jax.lab.serve.watching import Watch
from lstm_jax.lab.store import faults

EVERY = 2.0  # seconds between two looks
# Moves the address along without a new entry in the browser's history.
_REPLACE = """(address) => {
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
  app.layout = layout.page(names, every)
  looked = _boards(watches)
  _keep_board(app, looked, names)
  _keep_row(app, looked, watches, names)
  _keep_controls(app, looked, watches)
  _keep_network(app, watches)
  app.clientside_callback(
    _REPLACE, Output('link', 'href'), Input('address', 'data')
  )
  return app


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


def _keep_board(app, looked, names):
  @app.callback(
    Output('state', 'children'),
    Output('rows', 'children'),
    Output('stamp', 'data'),
    Input('tick', 'n_intervals'),
    Input('place', 'search'),
    State('stamp', 'data'),
  )
  def show(_, search, stamp):
    boards = looked()
    now = time.time()
    states = [
      layout.state(board.state(look, name, now))
      for (look, _), name in zip(boards, names, strict=True)
    ]
    shown = links.read(search or '')
    fresh = board.digest([[look.stamp for look, _ in boards], shown.row])
    if fresh == stamp:
      return states, no_update, no_update
    held = [lines for _, lines in boards]
    return states, layout.rows(held, names, shown), fresh


def _keep_row(app, looked, watches, names):
  @app.callback(
    Output('row', 'children'),
    Output('learning', 'figure'),
    Output('learning-graph', 'style'),
    Output('trials', 'children'),
    Output('of-row', 'hidden'),
    Output('row-stamp', 'data'),
    Input('tick', 'n_intervals'),
    Input('place', 'search'),
    State('row-stamp', 'data'),
  )
  def show(_, search, stamp):
    shown = links.read(search or '')
    boards = looked()
    fresh = board.digest([[look.stamp for look, _ in boards], search])
    if fresh == stamp:
      return (no_update,) * 6
    found = _lines(boards, shown.row)
    if not any(found):
      missing = f'There is no row {shown.row} in these folders.'
      said = html.P(missing, className='warn') if shown.row else None
      return said, no_update, layout.NO_GRAPH, None, not shown.row, fresh
    curves, tables = [], []
    for i, line in enumerate(found):
      watch, look = watches[i], boards[i][0]
      if line:
        curves += board.curves(watch, look, line, i)
        name = names[i] if len(names) > 1 else ''
        unit = unit_of(line.setting.learner).capitalize()
        trials = board.trial_lines(look, line)
        tables.append(layout.trials(trials, name, shown, unit))
    heading = layout.heading(next(filter(None, found)))
    if not curves:
      heading.append(html.P('No trial of it has a learning curve yet.'))
      return heading, no_update, layout.NO_GRAPH, tables, False, fresh
    figure = figures.learning(curves, names)
    style = layout.height_of(figure)
    return heading, figure, style, tables, False, fresh


def _keep_controls(app, looked, watches):
  """Sets the sliders when another network is chosen or another is kept."""

  @app.callback(
    Output('of-network', 'hidden'),
    Output('stages', 'data'),
    Output('stage', 'max'),
    Output('stage', 'marks'),
    Output('stage', 'value'),
    Output('seed', 'value'),
    Input('tick', 'n_intervals'),
    Input('place', 'search'),
    State('stages', 'data'),
    State('stage', 'value'),
  )
  def show(_, search, stages, stage):
    shown = links.read(search or '')
    boards = looked()
    chosen = _chosen(boards, shown)
    seen = [
      _seen(watch, trial) for watch, trial in zip(watches, chosen, strict=True)
    ]
    every = sorted({number for numbers in seen for number in numbers})
    is_new = stages is None or stages['search'] != search
    if not is_new and (stages['trials'], stages['all']) == (chosen, every):
      return (no_update,) * 6
    last = max(len(every) - 1, 0)
    if is_new:
      value = last if shown.seen is None else _at(every, shown.seen)
    else:  # there are more networks now; who looks at one stays with it
      before = stages['all']
      at = before[stage] if before and stage < len(before) - 1 else None
      value = last if at is None else _at(every, at)
    return (
      not any(_lines(boards, shown.row)),
      {'search': search, 'trials': chosen, 'all': every, 'is_new': is_new},
      last,
      layout.marks(every),
      value,
      shown.seed if is_new else no_update,
    )


def _keep_network(app, watches):
  outputs = [
    Output('step', 'min'), Output('step', 'max'), Output('step', 'value'),
    Output('address', 'data'),
  ]  # fmt: skip
  for i in range(len(watches)):
    outputs += [
      Output(f'inside-{i}', 'figure'),
      Output(f'inside-graph-{i}', 'style'),
      Output(f'inside-said-{i}', 'children'),
      Output(f'inside-numbers-{i}', 'children'),
    ]

  @app.callback(
    *outputs,
    Input('stages', 'data'),
    Input('stage', 'value'),
    Input('step', 'value'),
    Input('seed', 'value'),
    prevent_initial_call=True,
  )
  def show(stages, stage, step, seed):
    if not stages or not stages.get('all'):
      nothing = _nothing(watches, stages)
      return [no_update] * 4 + nothing
    shown = links.read(stages['search'] or '')
    changed = {one['prop_id'] for one in dash.ctx.triggered}
    if 'stages.data' in changed and stages['is_new']:
      step, seed = shown.step, shown.seed
    at = stages['all'][min(stage or 0, len(stages['all']) - 1)]
    seed = min(max(int(seed or 0), 0), 2**31 - 1)
    views = [
      _view(watch, trial, at, seed)
      for watch, trial in zip(watches, stages['trials'], strict=True)
    ]
    longest = max(
      (len(view.inside.trace['mask']) for view in views if view.inside),
      default=1,
    )
    step = longest if not step else min(max(int(step), 1), longest)
    is_step_alone = changed == {'step.value'}
    last = stages['all'][-1]
    address = links.written(
      shown._replace(seed=seed, step=step, seen=None if at == last else at)
    )
    sides = [
      part for view in views for part in _side(view, step, is_step_alone)
    ]
    return [1, longest, step, address, *sides]


class _View:
  """A network of a folder, followed, or the words that say why not."""

  def __init__(self, said, held=None):
    self.said, self.inside = said, held


def _view(watch, trial, at, seed):
  """The newest network of a trial that had seen no more than so much."""
  if not trial:
    return _View('No network of this row is kept here.')
  setting = watch.look().trials.get(trial)
  try:
    networks = watch.networks(trial)
    fitting = [one for one in networks if one[0] <= at] or list(networks[:1])
    if setting is None or not fitting:
      return _View('No network of this trial is kept.')
    seen, params = fitting[-1]
    held = inside.follower(setting)(params, seed)
  except (inside.Closed, faults.StoreError, faults.Machine) as error:
    return _View(str(error))
  cut = ', '.join(held.cut)
  flow = f' The rule lets no error pass through {cut}.' if cut else ''
  return _View(
    f'Trial {trial} after {seen:,} training sequences: mean error '
    f'{held.loss:.3g} on this sequence.{flow}',
    held,
  )


def _side(view, step, is_step_alone):
  """(figure, style of its place, words, numbers) of one folder."""
  if view.inside is None:
    return no_update, layout.NO_GRAPH, view.said, None
  steps = len(view.inside.trace['mask'])
  here = min(step, steps)
  numbers = [
    html.H4(f'Step {here} of {steps}'), layout.numbers(view.inside, here)
  ]  # fmt: skip
  if is_step_alone:
    patch = Patch()
    patch['layout']['shapes'] = figures.cursor(here)
    return patch, no_update, no_update, numbers
  figure = figures.network(view.inside, here)
  return figure, layout.height_of(figure), view.said, numbers


def _nothing(watches, stages):
  """The sides of a page that has no network to show."""
  said = 'No network of this row is kept, or none yet.' if stages else ''
  return [no_update, layout.NO_GRAPH, said, None] * len(watches)


def _lines(boards, key):
  """The row of this key in each folder, None where it has none."""
  return [
    next((line for line in lines if line.key == key), None)
    for _, lines in boards
  ]


def _chosen(boards, shown):
  """The trial of each folder whose networks are shown; '' for none."""
  chosen = []
  found = _lines(boards, shown.row)
  for (look, _), line in zip(boards, found, strict=True):
    kept = line.kept if line else ()
    solved = [
      name for name in kept
      if name in look.records and look.records[name]['status'] == 'solved'
    ]  # fmt: skip
    asked = [name for name in kept if name == shown.trial]
    chosen.append(next(iter((*asked, *solved, *kept)), ''))
  return chosen


def _seen(watch, trial):
  """Counts of sequences that the kept networks of a trial had seen."""
  try:
    return [seen for seen, _ in watch.networks(trial)] if trial else []
  except faults.StoreError:
    return []


def _at(numbers, wanted):
  """The place of the last number that is not above."""
  return max(sum(number <= wanted for number in numbers) - 1, 0)
