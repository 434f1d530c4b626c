"""Callbacks of the page that show runs, their rows, and the trials of a row."""

import time

from dash import Input, Output, State, html, no_update

from lstm_jax.lab.serve import (
  board,
  confusion,
  layout,
  learning,
  links,
  tables,
  views,
)
from lstm_jax.lab.serve.parts_of_page import Page

_PATIENCE = 10  # looks for which an answer is waited


def keep_state(page: Page) -> None:
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


def keep_rows(page: Page) -> None:
  """Shows the table of rows."""

  @page.callback(
    Output('rows', 'children'),
    Output('rows-stamp', 'data'),
    Input('stamp', 'data'),
    Input('place', 'search'),
    prevent_initial_call=True,
  )
  def show(stamp, search):
    folders = [lines for _, lines in page.looked()]
    return tables.rows(
      folders, page.names, links.selection_of(search or '')
    ), stamp


def keep_row(page: Page) -> None:
  """Shows the rows that are looked at: learning curves and trials."""

  @page.callback(
    Output('row', 'children'),
    Output('learning', 'figure'),
    Output('learning-graph', 'style'),
    Output('learning-said', 'children'),
    Output('of-row', 'hidden'),
    Output('row-stamp', 'data'),
    *(
      Output(f'trials-{place}', what)
      for i in range(views.MAX_VIEWS)
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
    shown = links.selection_of(search or '')
    boards = page.looked()
    sides = views.sides(boards, shown, page.names)
    if not sides:
      warning = None
      if shown.rows:
        missing = f'There is no row {", ".join(shown.rows)} in these folders.'
        warning = html.P(missing, className='warn')
      hidden = (True, '', None) * views.MAX_VIEWS
      is_none = not shown.rows
      return warning, no_update, layout.NO_GRAPH, '', is_none, stamp, *hidden
    curves, of_sides = [], []
    for i, side in enumerate(sides):
      look = boards[side.folder][0]
      curves += board.curves(page.watches[side.folder], look, side.line, i)
      table = tables.trials(board.trial_lines(look, side.line), side, shown)
      name = f'Trials of {side.name}' if side.name else 'Trials'
      of_sides += [False, name, table]
    of_sides += [True, '', None] * (views.MAX_VIEWS - len(sides))
    heading = tables.heading([side.line for side in sides])
    if num_more := views.num_left_out(boards, shown):
      heading.append(
        html.P(
          f'{len(sides)} stand side by side, of {len(sides) + num_more} that '
          'are asked for: open fewer folders, or choose fewer rows, to see the '
          'others.'
        )
      )
    if not curves:
      heading.append(html.P('No trial of it has a learning curve yet.'))
      return heading, no_update, layout.NO_GRAPH, '', False, stamp, *of_sides
    figure = learning.figure(curves, [side.name for side in sides])
    style = layout.height_of(figure)
    words = learning.key(curves)
    return heading, figure, style, words, False, stamp, *of_sides


def keep_confusion(page: Page) -> None:
  """Shows which class the networks of a row take for which."""

  @page.callback(
    *(
      Output(f'confusion-{place}', what)
      for i in range(views.MAX_VIEWS)
      for place, what in (
        (f'of-{i}', 'hidden'),
        (f'name-{i}', 'children'),
        (i, 'figure'),
        (f'graph-{i}', 'style'),
        (f'said-{i}', 'children'),
      )
    ),
    Input('stamp', 'data'),
    Input('place', 'search'),
    prevent_initial_call=True,
  )
  def show(_, search):
    shown = links.selection_of(search or '')
    parts = []
    for side in views.sides(page.looked(), shown, page.names):
      answers = confusion.of_row(page.watches[side.folder], side.line)
      if answers is None:
        parts += _NO_CONFUSION
        continue
      figure = confusion.figure(answers)
      name = f'Confusion matrix of {side.name}' if side.name else ''
      parts += [
        False, name or 'Confusion matrix', figure, layout.height_of(figure),
        confusion.words(answers),
      ]  # fmt: skip
    missing = views.MAX_VIEWS - len(parts) // len(_NO_CONFUSION)
    return parts + missing * _NO_CONFUSION


_NO_CONFUSION = [True, '', no_update, layout.NO_GRAPH, '']
