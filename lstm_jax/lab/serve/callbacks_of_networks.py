"""Callbacks of the page that show networks at work."""

import functools

import dash
from dash import Input, Output, Patch, State, html, no_update

from lstm_jax.lab.plan.programs import unit_of
from lstm_jax.lab.serve import figures, layout, links, tables, views
from lstm_jax.lab.serve.parts_of_page import Page


def keep_controls(page: Page) -> None:
  """Sets the sliders when another network is chosen or another is kept."""

  @page.callback(
    Output('of-network', 'hidden'),
    Output('stages', 'data'),
    Output('stage', 'max'),
    Output('stage', 'marks'),
    Output('stage', 'value'),
    Output('stage-name', 'children'),
    Output('seed', 'value'),
    Input('stamp', 'data'),
    Input('place', 'search'),
    State('stages', 'data'),
    State('stage', 'value'),
    prevent_initial_call=True,
  )
  def show(_, search, stages, stage):
    shown = links.selection_of(search or '')
    boards = page.looked()
    sides = views.sides(boards, shown, page.names)
    chosen = [[one.folder, one.trial, one.name] for one in sides]
    seen = [views.counts(page.watches[one.folder], one.trial) for one in sides]
    every = sorted({number for numbers in seen for number in numbers})
    is_new = stages is None or stages['search'] != search
    if not is_new and (stages['sides'], stages['all']) == (chosen, every):
      return (no_update,) * 7
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
      f'Training: {_units(sides)} seen',
      shown.seed if is_new else no_update,
    )


def keep_network(page: Page) -> None:
  """Shows one network of each side on one sequence."""

  outputs = [
    Output('step', 'min'), Output('step', 'max'), Output('step', 'value'),
    Output('address', 'data'), Output('controls', 'hidden'),
  ]  # fmt: skip

  @functools.lru_cache(maxsize=4 * len(page.watches))
  def viewed(i, trial, at, seed, stamp):
    del stamp
    return views.view(page.watches[i], trial, at, seed, page.follower)

  for i in range(views.MAX_VIEWS):
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
      text = layout.FIRST  # what is seen until a row's networks are there
      if stages and stages['sides']:
        text = 'No network of this row is kept, or none yet.'
      others = _nothing() * (views.MAX_VIEWS - 1)
      return [*[no_update] * 4, True, *_nothing(text), *others]
    shown = links.selection_of(stages['search'] or '')
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
    address = links.query_of(
      shown._replace(seed=seed, step=step, seen=None if at == last else at)
    )
    sides = [
      part
      for view, (_, _, name) in zip(network_views, stages['sides'], strict=True)
      for part in (name, *_side(view, step, is_step_alone))
    ]
    sides += _nothing() * (views.MAX_VIEWS - len(network_views))
    nothing_inside = not any(view.inside for view in network_views)
    return [1, longest, step, address, nothing_inside, *sides]


def _units(sides):
  """Names the units in which the networks of these rows count."""
  units = {unit_of(side.line.setting) for side in sides}
  return ' or '.join(sorted(units, reverse=True)) or 'sequences'


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
