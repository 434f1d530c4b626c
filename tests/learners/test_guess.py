"""Weights are guessed uniformly, kept while right, and never learned."""

import functools

import jax
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.learners.guess import draw_net, guess
from lstm_jax.ops import prng
from tests.array_task import array_task, random_arrays
from tests.gradients import cheap_jit, distance

LANES = 3
LENGTH = 5
RANGE = 100.0


def net(name='srn', **options):
  return catalog.build('cells', name, 1, 1, **options)


def words(lanes=(), start=0):
  n = int(np.prod(lanes)) if lanes else 1
  high = np.arange(start, start + n, dtype=np.uint32).reshape(lanes)
  return prng.Key(high, high + np.uint32(77))


@functools.partial(jax.jit, static_argnames='hidden')
def net_number(key, n, r, hidden=20):
  return draw_net(net(hidden=hidden).mask, key, n, r)


def begin(learner, cell, lanes=LANES, r=RANGE):
  numbers = {name: np.float32(n) for name, n in cell.numbers.items()}
  numbers['guess_range'] = np.float32(r)
  keys = jax.random.split(jax.random.key(1), lanes)
  init = lambda key: learner.init(key, numbers)
  return jax.jit(jax.vmap(init, out_axes=-1))(keys)


def episodes(task, count, lanes=LANES):
  """Draws one sequence a lane, `count` times."""
  drawn = cheap_jit(task.draw)
  for n in range(count):
    yield drawn(words((lanes,), start=10 * n), np.full(lanes, LENGTH))


def kolmogorov(sample):
  """sup |F_n - F| for F uniform on [0, 1)."""
  x = np.sort(sample)
  n = len(x)
  above, below = np.arange(1, n + 1) / n - x, x - np.arange(n) / n
  return max(above.max(), below.max())


def test_guesses_are_uniform_in_their_range():
  # 99.9 % of uniform samples lie within 1.95 / sqrt(n) (Kolmogorov). With
  # n = 46,100 that is 0.0091: ranges 4 % too small and densities that lean by
  # 5 % from one end to the other are farther away, and are seen.
  r = np.full(100, RANGE, np.float32)
  n = np.arange(100)
  guesses = net_number(words((100,)), n, r)
  values = np.concatenate([np.ravel(w) for w in guesses])
  values = values[values != 0]
  assert len(values) == 46_100
  assert np.all(np.abs(values) <= RANGE)
  bound = 1.95 / len(values) ** 0.5
  unit = (values / RANGE + 1) / 2
  assert kolmogorov(unit) < bound
  assert kolmogorov(0.5 + 0.96 * (unit - 0.5)) > bound
  assert kolmogorov(unit ** (1 / 1.05)) > bound


def test_guesses_of_one_key_and_of_many_are_independent():
  cell = net(hidden=20)
  exists = np.concatenate([np.ravel(m) for m in cell.mask]) != 0

  def flat(guesses):
    arrays = [np.reshape(w, (-1, w.shape[-1])) for w in guesses]
    return np.concatenate(arrays)[exists] / RANGE

  r = np.full(60, RANGE, np.float32)
  of_one = flat(
    net_number(prng.Key(*np.zeros((2, 60), np.uint32)), np.arange(60), r)
  )
  of_many = flat(net_number(words((60,)), np.zeros(60, np.int32), r))
  # The uniform distribution on [-1, 1) has variance 1/3; a correlation of W
  # pairs has standard deviation 1 / sqrt(W), the largest of 1770 is below 5.
  for values in (of_one, of_many, of_one.T[:, :60]):
    correlation = np.corrcoef(values.T)
    off = correlation[~np.eye(len(correlation), dtype=bool)]
    assert np.max(np.abs(off)) * len(values) ** 0.5 < 5
    assert len(np.unique(values)) > 0.99 * values.size


@pytest.mark.parametrize(
  ('name', 'options'),
  [
    ('srn', {'recurrence': 'self', 'output_bias': False}),
    ('lstm1997', {'bias': 'gates', 'gates_hear': 'cells'}),
    ('gru', {'reset': 'before'}),
    ('lstm', {}),
  ],
)
def test_weights_that_exist_are_drawn_and_no_others(name, options):
  cell = net(name, **options)
  key, n, r = words((LANES,)), np.arange(LANES), np.full(LANES, 2.0, np.float32)
  drawn = jax.jit(lambda *how: draw_net(cell.mask, *how))(key, n, r)
  drawn = jax.tree.map(np.asarray, drawn)
  assert jax.tree.structure(drawn) == jax.tree.structure(cell.mask)
  for w, exists in zip(drawn, cell.mask, strict=True):
    assert w.shape == (*exists.shape, LANES) and w.dtype == np.float32
    np.testing.assert_array_equal(
      w != 0, np.broadcast_to(exists[..., None] != 0, w.shape)
    )


def test_the_same_key_has_the_same_guesses_whatever_the_lanes():
  key, n = words((2, LANES)), np.arange(2 * LANES).reshape(2, LANES)
  r = np.full((2, LANES), RANGE, np.float32)
  together = net_number(key, n, r)
  for i, j in ((0, 0), (1, 2)):
    mine = prng.Key(key.high[i, j], key.low[i, j])
    alone = net_number(mine, n[i, j], r[i, j])
    lane = jax.tree.map(lambda w, at=(i, j): np.asarray(w)[..., *at], together)
    assert distance(lane, alone) == 0
  assert distance(net_number(key, n + 1, r), together) > 1


@pytest.mark.parametrize('most_wrong', [0, 2])
def test_a_net_is_kept_while_it_is_right(most_wrong):
  """A loop by hand: sequences, wrong ones and guesses counted in Python."""
  task = array_task(1, 1, error_at_end=True)
  cell = net(hidden=2)
  learner = guess(cell, task, most_wrong=most_wrong)
  state = begin(learner, cell)
  update = cheap_jit(learner.update)
  judge = cheap_jit(learner.judge)
  number, wrong, kept, dropped = [0] * LANES, [0] * LANES, 0, 0
  key = jax.tree.map(np.asarray, state.key)
  for seed in range(25):
    episode = random_arrays(seed, LENGTH, 1, 1, (LANES,), end=True)
    before = state
    expected = jax.tree.map(np.array, state.params)
    state, judgement = update(state, episode)
    judgement = jax.tree.map(np.asarray, judgement)
    assert distance(judgement, judge(before.params, episode)) == 0
    for i in range(LANES):
      wrong[i] += not judgement.right[i]
      if wrong[i] > most_wrong:
        number[i], wrong[i], dropped = number[i] + 1, 0, dropped + 1
        mine = prng.Key(key.high[i], key.low[i])
        r = np.float32(RANGE)
        new = net_number(mine, np.int32(number[i]), r, hidden=2)
        for w, fresh in zip(expected, new, strict=True):
          w[..., i] = fresh
      else:
        kept += 1
    assert distance(state.params, expected) == 0
    assert state.guesses.tolist() == [n + 1 for n in number]
    assert state.mistakes.tolist() == wrong
  assert kept > 15 and dropped > 5


@pytest.mark.slow
def test_a_net_that_is_right_is_never_replaced():
  """Slow: `test_a_net_is_kept_while_it_is_right` counts them one by one."""
  # Every output is right where the tolerance is above the largest error.
  task = catalog.build('tasks', 'two_sequence', tolerance=1.5)
  cell = net()
  learner = guess(cell, task)
  first = state = begin(learner, cell)
  update = cheap_jit(learner.update)
  for episode in episodes(task, 20):
    state, judgement = update(state, episode)
    assert np.all(judgement.right)
  assert distance(state, first) == 0


def test_no_number_of_wrong_sequences_below_0():
  with pytest.raises(ValueError, match='most_wrong=-1 must be at least 0'):
    guess(net(), catalog.build('tasks', 'two_sequence'), most_wrong=-1)
