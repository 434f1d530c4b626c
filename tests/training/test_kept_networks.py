"""Networks along the way of a trial: the first, the last, and few between."""

import jax
import numpy as np
import pytest

from lstm_jax.training import kept_networks, lanes, online
from lstm_jax.training.compilation import Compiled
from lstm_jax.training.loop import Job
from tests import scripted

MOST = kept_networks.BETWEEN + 2


@pytest.fixture(scope='module')
def loop():
  build = lanes.Build(
    online.program(scripted.task(), scripted.learner()),
    {key: np.float32(value) for key, value in scripted.SCRIPT.items()},
  )
  compiled = Compiled(jax.devices()[0])
  return build.loop('one', compiled, (2,), tests=32)


def job(name='a', right_from=900, keep=True, budget=10**6, **script):
  numbers = {'right_from': right_from, **script}
  return Job(name, 'one', 3, numbers, 5, budget, keep)


def outcomes(loop, state, chunk=16):
  """Those of a state, by id, when all have ended."""
  found = {}
  while loop.snapshot(state):
    state, done = loop.advance(state, chunk)
    if done.has_ended:
      state, ended = loop.results(state)
      found |= {outcome.id: outcome for outcome in ended}
  return found


def assert_same(one, other):
  assert [seen for seen, _ in one] == [seen for seen, _ in other]
  for (_, net), (_, same) in zip(one, other, strict=True):
    assert net.keys() == same.keys()
    for path, array in net.items():
      np.testing.assert_array_equal(array, same[path])


def test_the_first_is_the_initial_one_and_the_last_solved_it(loop):
  state = loop.start([job(), job('b', keep=False)], {})
  initial = loop.snapshot(state)['a'].leaves['learner/params']
  found = outcomes(loop, state)
  networks = found['a'].networks
  seen = [n for n, _ in networks]
  assert seen[0] == 0 and seen[-1] == found['a'].seen == 903
  assert seen[1:-1] == [16, 32, 64, 128, 256, 512]
  np.testing.assert_array_equal(networks[0][1][''], initial)
  assert found['a'].status == 'solved'
  assert_same(networks[-1:], [(903, found['a'].net)])
  assert all(
    not np.array_equal(one[''], other[''])
    for (_, one), (_, other) in zip(networks, networks[1:], strict=False)
  )
  assert found['b'].networks == ()
  assert found['a'].curves == found['b'].curves != {}


def test_there_are_never_more_than_said(loop):
  found = outcomes(loop, loop.start([job(right_from=2000)], {}), 8)['a']
  seen = [n for n, _ in found.networks]
  assert seen[0] == 0 and seen[-1] == 2003 and 6 <= len(seen) <= MOST
  assert all(b >= 2 * a for a, b in zip(seen, seen[1:-1], strict=False))
  kept = kept_networks.first({})
  for n in range(1, 10**9, 10**6):
    if kept_networks.is_due(kept, n):
      kept = kept_networks.with_network(kept, n, {})
    assert len(kept_networks.with_last(kept, n, {})) <= MOST


def test_they_and_the_curve_survive_a_snapshot(loop):
  whole = outcomes(loop, loop.start([job()], {}))['a']
  state = loop.start([job()], {})
  for _ in range(10):
    state, _ = loop.advance(state, 16)
  begun = loop.snapshot(loop.charge(state, 7.0))
  assert begun['a'].seconds == 7.0
  # Beside another trial, which has none.
  other = job('b', right_from=50, keep=False)
  again = outcomes(loop, loop.start([other, job()], begun))
  assert again['b'].networks == ()
  assert again['a'].curves == whole.curves
  assert again['a'].curves['sequences'][-1] == 903
  assert [n for n, _ in again['a'].networks][:5] == [0, 16, 32, 64, 128]
  assert_same(again['a'].networks[:5], whole.networks[:5])
  assert_same(again['a'].networks[-1:], whole.networks[-1:])


def test_a_large_network_is_not_kept(loop, monkeypatch):
  monkeypatch.setattr(kept_networks, 'MOST_WEIGHTS', 1)
  assert outcomes(loop, loop.start([job()], {}))['a'].networks == ()


def test_what_has_diverged_has_no_last_network(loop):
  found = outcomes(loop, loop.start([job(burst=40)], {}))['a']
  assert found.status == 'diverged'
  assert [n for n, _ in found.networks] == [0, 16, 32]
  assert all(np.isfinite(net['']).all() for _, net in found.networks)
  lists = found.curves
  assert lists['sequences'] == [20, 40, 41]
  assert {len(values) for values in lists.values()} == {3}
  assert lists['train_right'] == [0] * 3
  assert lists['train_error'] == [scripted.WRONG] * 3


def test_a_trial_out_of_budget_has_its_last_one(loop):
  found = outcomes(loop, loop.start([job(budget=20)], {}))['a']
  assert found.status == 'budget'
  assert [n for n, _ in found.networks] == [0, 16, 20]
  assert found.curves['sequences'] == [20]


def test_leaves_are_told_apart():
  kept = ((0, {'w': np.ones(2)}), (16, {'w': np.zeros(2), 'v/x': np.ones(1)}))
  leaves = {'seen': np.int32(16), **kept_networks.leaves_of(kept)}
  others, found = kept_networks.taken_from(leaves)
  assert others == {'seen': np.int32(16)}
  assert_same(found, kept)
