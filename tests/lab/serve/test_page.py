"""The page answers with what the folders hold; it asks nobody else."""

import json
import re

import flask
import pytest

from lstm_jax.lab.serve import board, guard, learning, links, page
from lstm_jax.lab.serve.links import Selection
from lstm_jax.lab.serve.watching import Watch
from tests.lab.serve.conftest import CURVES


@pytest.fixture(scope='module')
def client(unfinished, tmp_path_factory):
  """A browser's requests to a page of two folders, one of which is absent."""
  absent = tmp_path_factory.mktemp('absent') / 'run'
  return browser_of([unfinished.path, absent])


def browser_of(paths):
  """What makes a browser's requests to a page of these folders."""
  app = page.build([Watch(path) for path in paths])
  token = guard.new_token()
  guard.install(app.server, token, 8050)
  requests = app.server.test_client()
  requests.get(f'/?token={token}')
  return requests


def asked(client, output, **given):
  """What a callback answers: 'id.property' -> value.

  Args:
    output: one of its outputs.
    given: 'id__property' -> value, of its inputs and states.
  """
  values = {name.replace('__', '.'): value for name, value in given.items()}
  (one,) = [
    one
    for one in client.get('/_dash-dependencies').json
    if output in one['output']
  ]
  fill = lambda places: [
    {**place, 'value': values.get(f'{place["id"]}.{place["property"]}')}
    for place in places
  ]
  outputs = [
    dict(zip(('id', 'property'), name.rsplit('.', 1), strict=True))
    for name in one['output'].strip('.').split('...')
  ]
  body = {
    'output': one['output'],
    'outputs': outputs if '...' in one['output'] else outputs[0],
    'inputs': fill(one['inputs']),
    'state': fill(one['state']),
    'changedPropIds': [
      f'{place["id"]}.{place["property"]}' for place in one['inputs'][:1]
    ],
  }
  answer = client.post('/_dash-update-component', json=body)
  assert answer.status_code == 200, answer.data
  return {
    f'{name}.{prop}': value
    for name, props in answer.json['response'].items()
    for prop, value in props.items()
  }


@pytest.fixture(scope='module')
def row(unfinished):
  return board.lines(Watch(unfinished.path).look())[0].key


def test_rows_are_those_of_the_records(client, row):
  first = asked(client, 'state.children', tick__n_intervals=0)
  text = json.dumps(first)
  assert '2 of 6 trials ended' in text and '1 under way' in text
  assert 'no run here' in text  # the other folder
  stamp = first['stamp.data']
  rows = asked(client, 'rows.children', stamp__data=stamp, place__search='')
  text = json.dumps(rows)
  assert '1/2' in text and 'median > ' in text
  assert rows['rows-stamp.data'] == stamp


def test_what_is_new_waits_for_what_was_new_before(client):
  given = {'tick__n_intervals': 3, 'stamp__data': 'old'}
  shown = {'rows-stamp__data': 'old', 'row-stamp__data': 'old'}
  answer = asked(client, 'state.children', **given, **shown)
  assert answer['stamp.data'] != 'old'
  shown['row-stamp__data'] = 'older'  # not answered yet
  answer = asked(client, 'state.children', **given, **shown)
  assert 'stamp.data' not in answer and answer['state.children']
  given['tick__n_intervals'] = 10  # and never will be
  assert 'stamp.data' in asked(client, 'state.children', **given, **shown)


def test_a_row_has_its_curves_and_trials(client, row):
  search = links.query_of(Selection(rows=(row,)))
  answer = asked(client, 'learning.figure', place__search=search)
  drawn = answer['learning.figure']['data']
  assert len(drawn) == 6  # two curves of three trials
  text = json.dumps(answer['trials-0.children'])
  assert 'look inside' in text and 'budget spent' in text
  assert answer['of-row.hidden'] is False


def test_a_row_that_is_not_there_is_said(client):
  answer = asked(client, 'learning.figure', place__search='?row=x/y')
  assert 'no row x/y' in json.dumps(answer['row.children'])


def test_folders_without_a_place_are_counted(client, unfinished, row):
  search = links.query_of(Selection(rows=(row,)))
  of_six = browser_of([unfinished.path] * 6)
  answer = asked(of_six, 'learning.figure', place__search=search)
  words = json.dumps(answer['row.children'])
  assert '4 stand side by side, of 6 that are asked for' in words
  answer = asked(client, 'learning.figure', place__search=search)
  assert 'side by side' not in json.dumps(answer['row.children'])


def test_a_network_is_stepped_through(client, row):
  search = links.query_of(Selection(rows=(row,), seen=16, seed=2, step=3))
  told = asked(client, 'stages.data', place__search=search)
  stages = told['stages.data']
  assert stages['all'] == [0, 16, 60] and told['stage.value'] == 1
  answer = asked(
    client, 'inside-0.figure', stages__data=stages, stage__value=1,
    step__value=0, seed__value=0,
  )  # fmt: skip
  assert answer['step.value'] == 3
  assert 'after 16 training sequences' in answer['inside-said-0.children']
  # The link that is shown restores the same.
  assert links.selection_of(answer['address.data']) == links.selection_of(
    search
  )


def test_nothing_of_the_page_is_fetched_from_elsewhere(client):
  text = client.get('/').data.decode()
  sources = re.findall(r'<[^>]*(?:src|href)="([^"]*)"', text)
  assert sources and all(one.startswith('/') for one in sources)
  assert not any(one.startswith('//') for one in sources)
  for source in sources:
    if '.js' in source:
      assert client.get(source).status_code == 200


def test_without_the_token_no_callback_answers(unfinished):
  app = page.build([Watch(unfinished.path)])
  guard.install(app.server, guard.new_token(), 8050)
  stranger = app.server.test_client()
  assert isinstance(app.server, flask.Flask)
  for path in ('/', '/_dash-layout', '/_dash-dependencies'):
    assert stranger.get(path).status_code == 403
  answer = stranger.post('/_dash-update-component', json={})
  assert answer.status_code == 403


def test_curves_of_one_row_are_told_apart_by_seed(unfinished):
  watch = Watch(unfinished.path)
  look = watch.look()
  line = board.lines(look)[0]
  curves = board.curves(watch, look, line, 0)
  figure = learning.figure(curves, [''])
  assert len({one.line.color for one in figure.data}) == 3
  for one in figure.data:
    scale = 100 if one.yaxis in (None, 'y') else 1
    name = 'train_right' if scale == 100 else 'train_error'
    assert list(one.y) == [scale * v for v in CURVES[name]][: len(one.y)]
  beside = board.curves(watch, look, line, 1)
  several = learning.figure([*curves, *beside], ['a', 'b'])
  assert {one.name for one in several.data} == {'a', 'b'}
  assert len({one.line.color for one in several.data}) == 2
