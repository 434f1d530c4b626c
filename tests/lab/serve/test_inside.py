"""What the page shows of a network is what the network does."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.analysis import gradient_flow
from lstm_jax.lab.plan import catalog
from lstm_jax.lab.report import trace
from lstm_jax.lab.serve import figures, inside, tables
from lstm_jax.lab.serve.watching import Watch
from lstm_jax.ops import prng
from tests.gradients import random_net
from tests.lab.plan.test_plan import made


@pytest.fixture(scope='module')
def followed(unfinished):
  """`(setting, params, Inside)` of the last network that is kept."""
  watch = Watch(unfinished.path)
  trial = watch.look().kept[0]
  setting = watch.look().trials[trial]
  (*_, (_, params)) = watch.networks(trial)
  return setting, params, inside.follower(setting)(params, 3)


def test_it_is_the_trace_and_the_error_of_the_rule(followed):
  setting, params, view = followed
  other = trace.trace(setting, params, seed=3)
  for name in ('inputs', 'outputs', 'targets', 'mask'):
    np.testing.assert_array_equal(view.trace[name], other[name])
  assert view.cut == ('y_c', 'y_gates')  # the rule of 1997

  task, cell = trace.parts_of(setting)
  key = prng.Key(*map(jnp.asarray, prng.key_of(3)))
  episode = task.fresh(key, jnp.int32(setting.length))
  steps = len(view.trace['mask'])
  by_lag = gradient_flow.error_by_lag(
    cell, task, trace.net_of(cell, params), episode, steps, cut=view.cut
  )
  for name, errors in view.errors.items():
    assert errors.shape == view.trace['carry'][name].shape
    assert np.isnan(errors[-1]).all()
    for q in range(steps - 1):
      np.testing.assert_allclose(
        errors[steps - 2 - q], getattr(by_lag, name)[q], rtol=1e-5, atol=1e-12
      )
  assert np.abs(view.errors['s_c'][0]).max() > 0 == view.errors['y_c'][0].max()


def test_gates_are_those_of_the_cell(followed):
  _, _, view = followed
  gates = view.trace['gates']
  assert list(gates) == ['input', 'output']
  np.testing.assert_array_equal(
    np.concatenate([*gates.values()], axis=1), view.trace['carry']['y_gates']
  )


@pytest.mark.parametrize(
  'cell, kinds',
  [('lstm', ['input', 'forget', 'output']), ('gru', ['reset', 'update'])],
)
def test_gates_that_are_no_state_are_seen_too(cell, kinds):
  (setting,) = made(
    f'--task=adding --length=5 --cell={cell} --learner=bptt --hidden=2 '
    '--seeds=1'
  ).trials
  task, built = trace.parts_of(setting)
  params = random_net(built, 0)._asdict()
  view = trace.trace(setting, params, seed=1)
  assert list(view['gates']) == kinds
  if cell == 'lstm':  # s_c(t) = y_f s_c(t-1) + y_in g, and y_c = y_out tanh(s)
    carry, gates = view['carry'], view['gates']
    np.testing.assert_allclose(
      carry['y_c'], gates['output'] * np.tanh(carry['s_c']), rtol=1e-5
    )
  assert [t for t, *_ in figures._panels(inside.Inside(view, {}, (), 0.0))][
    1 : 1 + len(kinds)
  ] == [f'{kind} gates' for kind in kinds]


def test_networks_share_a_program_and_seeds_do(followed, unfinished):
  setting, params, view = followed
  watch = Watch(unfinished.path)
  follow = inside.follower(dataclasses.replace(setting, seed=99))
  assert follow is inside.follower(setting)
  losses = [
    follow(net, 3).loss for _, net in watch.networks(watch.look().kept[0])
  ]
  assert len(set(losses)) == 3 and losses[-1] == view.loss


def test_the_figure_has_a_panel_for_everything(followed):
  _, _, view = followed
  figure = figures.network(view, step=4)
  titles = [note.text for note in figure.layout.annotations]
  assert titles[:1] == ['inputs'] and 'cell states' in titles
  assert any('gates' in title for title in titles)
  assert 'error that flows back' in titles[-1]
  assert figure.layout.shapes[0].x0 == figure.layout.shapes[0].x1 == 4
  drawn = {trace.name: trace for trace in figure.data}
  np.testing.assert_allclose(drawn['output 1'].y, view.trace['outputs'][:, 0])
  target = drawn['target 1']
  assert list(target.x) == [len(view.trace['mask'])]
  assert target.y[0] == view.trace['targets'][-1, 0]
  assert 'http' not in figure.to_json()


def test_the_numbers_of_a_step_are_written_out(followed):
  _, _, view = followed
  words = str(tables.numbers(view, 2))
  for value in (*view.trace['inputs'][1], *view.trace['carry']['s_c'][1]):
    assert f'{value:.3g}' in words
  last = len(view.trace['mask'])
  assert 'none at the last step' in str(tables.numbers(view, last))
  assert 'targets' in str(tables.numbers(view, last))


@pytest.mark.parametrize('role', ['task', 'cell'])
def test_code_of_others_is_not_imported(followed, role, tmp_path, monkeypatch):
  setting, *_ = followed
  (tmp_path / 'mine.py').write_text('raise SystemExit("imported")')
  monkeypatch.syspath_prepend(tmp_path)
  for name in ('mine:factory', 'mine', f'{tmp_path}/mine.py:factory'):
    strange = dataclasses.replace(setting, **{role: name})
    with pytest.raises(inside.Closed, match='never imported'):
      inside.follower(strange)
  # Nor where somebody else's has the name of one of ours.
  entry = catalog.of(setting, role)
  strange = dataclasses.replace(setting, outside={role: entry})
  with pytest.raises(inside.Closed, match='never imported'):
    inside.follower(strange)


def test_no_sequences_are_drawn_of_a_data_set():
  (setting,) = made('--task=noisy_sine --cell=gru --seeds=1').trials
  with pytest.raises(inside.Closed, match='data set'):
    inside.follower(setting)


def test_a_network_that_does_not_fit_is_said(followed):
  setting, params, _ = followed
  follow = inside.follower(setting)
  with pytest.raises(inside.Closed, match='does not fit'):
    follow({}, 0)
  with pytest.raises(inside.Closed, match='does not fit'):
    follow({name: w[..., :1] for name, w in params.items()}, 0)
