"""Two-sequence problem (3a, 3b, 3c): sequences, noise, bounds.

The checker is written from the text of the paper, for one sequence in plain
numpy. Statistical checks are of fixed samples and fail below p = 1e-4 or beyond
5 standard errors; what they would see is planted and seen beside them.
"""

import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from lstm_jax.tasks import two_sequence as module
from lstm_jax.tasks.two_sequence import two_sequence
from tests import stop_rules
from tests.gradients import cheap_jit
from tests.task_lanes import assert_each_is_alone

ALPHA = 1e-4
TASKS = {
  '3a': two_sequence(),
  '3a, N=1': two_sequence(informative=1),
  '3b': two_sequence(noisy_signal=True),
  '3b, N=1': two_sequence(noisy_signal=True, informative=1),
  '3c': two_sequence(noisy_target=True),
  'both': two_sequence(noisy_signal=True, noisy_target=True),
}
every_task = pytest.mark.parametrize('name', TASKS)


def keys_of(lanes, seed=0):
  random = np.random.default_rng(seed)
  return tuple(random.integers(2**32, size=(2, *lanes), dtype=np.uint32))


@cache
def drawing(name, draw):
  task = TASKS[name]
  make = {
    'draw': task.draw,
    'fresh': task.fresh,
    'evaluation': lambda key, length: stop_rules.evaluation_draw(
      task, key, length, 0
    ),
  }[draw]
  return jax.jit(make)


@cache
def episodes(name, size, length=100, draw='draw'):
  """Sequences in numpy."""
  made = drawing(name, draw)(keys_of((size,)), np.full(size, length))
  return jax.tree.map(np.asarray, made)


@cache
def reading(name, steps, lanes):
  task = TASKS[name]

  @jax.jit
  def run(episode):
    stream = task.stream(episode)

    def at(t):
      t = jnp.full(lanes, t)
      return stream.input_at(t)[0], stream.target_at(t)[0], stream.scored_at(t)

    return jax.vmap(at)(jnp.arange(steps))

  return run


@cache
def sequences(name, length, draw='draw', lanes=2000):
  """`(inputs [lanes, T], targets [lanes, T], scored, lengths)` in numpy."""
  episode = episodes(name, lanes, length, draw)
  run = reading(name, TASKS[name].longest(length), lanes)
  return *(np.asarray(a).T for a in run(episode)), episode.length


def check(inputs, length, informative, classes):
  """The target of a sequence with a clean start; raises on a broken rule."""
  assert length <= len(inputs) <= length + length // 10
  start = inputs[:informative].tolist()
  assert start in ([1.0] * informative, [-1.0] * informative)
  rest = inputs[informative:]
  assert np.all(np.isfinite(rest)) and not np.any(np.abs(rest) == 1)
  return classes[start[0]]


@pytest.mark.parametrize('length', (3, 9, 100, 1000))
@pytest.mark.parametrize(
  'name, informative, classes',
  (
    ('3a', 3, {1.0: 1.0, -1.0: 0.0}),
    ('3a, N=1', 1, {1.0: 1.0, -1.0: 0.0}),
    ('3c', 3, {1.0: 0.2, -1.0: 0.8}),
  ),
)
def test_targets_follow_from_the_inputs(length, name, informative, classes):
  # With noisy targets: of the sequences of an evaluation.
  draws = ('draw', 'evaluation', 'fresh')[name == '3c' :]
  for draw in draws:
    arrays = sequences(name, length, draw, lanes=300)
    seen = set()
    for x, target, scored, steps in zip(*arrays, strict=True):
      expected = check(x[:steps], length, informative, classes)
      assert target[steps - 1] == np.float32(expected)
      assert np.flatnonzero(scored[:steps]).tolist() == [steps - 1]
      seen.add(expected)
    assert seen == set(classes.values())


@pytest.mark.parametrize('broken', ('sign', 'short', 'start', 'long'))
def test_the_checker_can_fail(broken):
  x, target, _, lengths = (a[0] for a in sequences('3a', 100, lanes=300))
  x = x[:lengths].copy()
  if broken == 'sign':
    x[:3] *= -1
  elif broken == 'short':
    x[2] = 0.25
  elif broken == 'start':
    x[0] *= -1
  else:
    x = np.append(x, np.zeros(11))
  try:
    assert check(x, 100, 3, {1.0: 1.0, -1.0: 0.0}) != target[lengths - 1]
  except AssertionError:
    assert broken != 'sign'


def uniform_p(sample, low, high):
  """p-value of `sample` being uniform on the integers low, ..., high."""
  if sample.min() < low or sample.max() > high:
    return 0.0
  counts = np.bincount(sample - low, minlength=high - low + 1)
  return stats.chisquare(counts).pvalue


def test_lengths_and_classes_are_uniform_and_independent():
  # Power: one draw in fifty replaced by one value, a range off by one.
  size = 2**20
  e = episodes('3a', size)
  classes = (e.sign > 0).astype(int)
  assert np.array_equal(classes, e.target)
  fiftieth = np.arange(size) % 50 == 0
  for sample, low, high in ((e.length, 100, 110), (classes, 0, 1)):
    assert uniform_p(sample, low, high) > ALPHA
    assert uniform_p(np.where(fiftieth, low, sample), low, high) < ALPHA
    assert uniform_p(sample + 1, low, high) < ALPHA
  table = np.zeros((11, 2))
  np.add.at(table, (e.length - 100, classes), 1)
  assert stats.chi2_contingency(table).pvalue > ALPHA


def is_normal(x, variance):
  """Whether the sample fits a Gaussian with mean 0 and this variance."""
  x = x.ravel() / variance**0.5
  moment = abs(np.mean(x**2) - 1) < 5 * math.sqrt(2 / x.size)
  return bool(moment) and stats.kstest(x, 'norm').pvalue > ALPHA


@pytest.mark.parametrize('name', ('3a', '3b', '3c'))
def test_the_noise_is_gaussian_with_the_variance_of_the_paper(name):
  inputs, _, _, _ = sequences(name, 100)
  noise = inputs[:, 3:100].astype(np.float64)
  assert is_normal(noise, 0.2)
  # Power: 3 % of the variance, 2 % of a deviation off, a quarter of the values
  # from a uniform distribution of the same variance.
  for variance in (0.2 * 1.03, 0.2 / 1.03, 0.2**2):
    assert not is_normal(noise, variance)
  assert not is_normal(noise + 0.02 * 0.2**0.5, 0.2)
  uniform = np.random.default_rng(0).uniform(-1, 1, noise.shape) * 0.6**0.5
  assert not is_normal(np.where(np.arange(97) % 4 == 0, uniform, noise), 0.2)
  # Neighbouring steps and sequences.
  for a, b in ((noise[1:], noise[:-1]), (noise[:, 1:], noise[:, :-1])):
    for f in (np.array, np.abs):  # values, sizes
      r = np.corrcoef(f(a).ravel(), f(b).ravel())[0, 1]
      assert abs(r) < 5 / math.sqrt(a.size)


def gaussian(bits_radius, bits_angle):
  """The definition of the noise in float64, from its two words."""
  u = (bits_radius // 2 + 0.5) * 2.0**-31
  turn = bits_angle.astype(np.int32) * 2.0**-31
  return np.sqrt(-2 * np.log(u)) * -np.cos(np.pi * turn)


def test_the_gaussian_is_accurate_at_every_radius_and_angle(monkeypatch):
  random = np.random.default_rng(1)
  # Radii of all magnitudes, angles near every multiple of a quarter turn.
  radius = random.integers(0, 2**32, 2**20) >> random.integers(0, 32, 2**20)
  radius[:8] = 0, 1, 2, 2**32 - 1, 2**32 - 2, 2**31, 2**31 - 1, 2**32 - 300
  angle = random.integers(0, 2**32, 2**20)
  near = random.integers(-200, 200, 2**18) + 2**30 * np.arange(2**18)
  angle[: 2**18] = near % 2**32
  words = radius.astype(np.uint32), angle.astype(np.uint32)
  monkeypatch.setattr(module, 'fold_in', lambda key, t: key)
  x = np.asarray(jax.jit(lambda key: module._gaussian_at(key, None))(words))
  exact = gaussian(*words)
  assert np.all(np.isfinite(x))
  # Next to u = 1, float32 has no more digits of it.
  usual = words[0] < 2**32 - 2**12
  assert np.abs(x - exact)[usual].max() < 6e-6
  assert np.abs(x - exact).max() < 3e-4
  # The tails are there, and end where they are said to.
  assert 6.6 < np.abs(x).max() <= math.sqrt(64 * math.log(2)) + 1e-5


def test_the_gaussian_has_its_tails():
  size = 2**22
  draw = jax.jit(lambda key: module._gaussian_at(key, jnp.arange(size)))
  x = np.asarray(draw(keys_of(())))
  edges = [-4.5, -4, -3, -2, -1, -0.1, 0, 0.1, 1, 2, 3, 4, 4.5]
  seen = np.bincount(np.digitize(x, edges), minlength=14)
  share = np.diff(stats.norm.cdf([-np.inf, *edges, np.inf]))
  p = lambda counts: stats.chisquare(counts, size * share).pvalue
  assert p(seen) > ALPHA
  # Power: a third of what lies beyond 4 is cut.
  cut = np.where(np.abs(x) > 4, np.where(np.arange(size) % 3, x, 0), x)
  assert p(np.bincount(np.digitize(cut, edges), minlength=14)) < ALPHA


@pytest.mark.parametrize('name', ('3b', 'both'))
def test_every_program_draws_the_same_noise(name):
  task = TASKS[name]
  key, steps = keys_of((3,)), 50

  def whole(key):
    stream = task.stream(task.draw(key, jnp.full(3, 100)))
    at = lambda t: stream.input_at(jnp.full(3, t))
    return jax.vmap(at)(jnp.arange(steps)), stream.target_at(jnp.zeros(3))

  def step_by_step(key):
    stream = task.stream(task.draw(key, jnp.full(3, 100)))
    put = lambda i, x: x.at[i].set(stream.input_at(jnp.full(3, i)))
    x = jax.lax.fori_loop(0, steps, put, jnp.zeros((steps, 1, 3)))
    return x, stream.target_at(jnp.zeros(3))

  first = jax.jit(whole)(key)
  for run in (
    whole, cheap_jit(whole), jax.jit(step_by_step), cheap_jit(step_by_step)
  ):  # fmt: skip
    jax.tree.map(np.testing.assert_array_equal, run(key), first)
  # Sequences without noise in them are those of 3a and 3c.
  assert np.abs(np.asarray(first[0])[:3]).max() > 1


def test_noise_on_the_informative_elements_has_the_bayes_error_of_the_paper():
  # N = 1, by the sign of the first element: 1.267 %.
  task, size = TASKS['3b, N=1'], 2**22

  @jax.jit
  def wrong(key):
    episode = task.draw(key, jnp.full(size, 100))
    x = task.stream(episode).input_at(jnp.zeros(size, jnp.int32))[0]
    return jnp.mean((x > 0) != (episode.target == 1)), jnp.var(x - episode.sign)

  share, variance = (float(a) for a in wrong(keys_of((size,))))
  expected = stats.norm.sf(1 / math.sqrt(0.2))
  assert round(100 * expected, 3) == 1.267
  spread = math.sqrt(expected * (1 - expected) / size)
  assert abs(share - expected) < 5 * spread
  assert abs(variance - 0.2) < 5 * 0.2 * math.sqrt(2 / size)
  # Power: 2 % of the variance moves the error by 4 %, above ten spreads.
  for other in (0.2 * 0.98, 0.2 * 1.02):
    assert abs(stats.norm.sf(1 / math.sqrt(other)) - expected) > 5 * spread
  # With N = 3 the mean decides: 0.005 %.
  assert round(100 * stats.norm.sf(math.sqrt(3 / 0.2)), 3) == 0.005


@pytest.mark.parametrize('name', ('3c', 'both'))
def test_noisy_targets_are_in_training_alone(name):
  size = 2**18
  e = episodes(name, size)
  noise = (e.taught - e.target).astype(np.float64)
  assert set(e.target.tolist()) == {np.float32(0.2), np.float32(0.8)}
  assert is_normal(noise, 0.1)
  for variance in (0.1 * 1.03, 0.1 / 1.03, 0.1**2):
    assert not is_normal(noise, variance)
  assert is_normal(noise[e.sign > 0], 0.1)
  assert np.mean((e.taught < 0) | (e.taught > 1)) > 0.2  # not clipped
  # Not the noise of a step.
  x, taught, _, _ = sequences(name, 100)
  target = episodes(name, len(x)).target
  noise = (taught[:, 0] - target)[:, None]
  noise, x = noise / np.std(noise), x[:, 3:100] / np.std(x[:, 3:100])
  assert np.abs(np.mean(noise * x, axis=0)).max() < 5 / math.sqrt(len(x))
  for draw in ('evaluation', 'fresh'):
    clean = episodes(name, size, draw=draw)
    np.testing.assert_array_equal(clean.taught, clean.target)
    np.testing.assert_array_equal(clean.target, e.target)
    np.testing.assert_array_equal(clean.length, e.length)


def test_without_noisy_targets_every_draw_is_the_same():
  for name in ('3a', '3b'):
    draws = 'draw', 'evaluation', 'fresh'
    drawn = [episodes(name, 100, draw=d) for d in draws]
    for other in drawn[1:]:
      jax.tree.map(np.testing.assert_array_equal, drawn[0], other)


@every_task
def test_correct_is_a_strict_tolerance_around_the_clean_target(name):
  task = TASKS[name]
  tolerance = 0.1 if name == '3c' else 0.2
  e = episodes(name, 100)
  judge = jax.jit(lambda y_k: task.correct(e, e.length - 1, y_k))
  right = lambda move: judge(e.target[None] + np.float32(move))
  assert right(0).all()
  assert right(tolerance - 1e-4).all() and right(1e-4 - tolerance).all()
  assert not right(tolerance + 1e-4).any()
  assert not right(-1e-4 - tolerance).any()
  assert not right(np.nan).any()


@pytest.mark.parametrize(
  'name, tolerance, most_wrong, mean_error',
  (
    ('3a', 0.2, 0, 0.01),
    ('3a, N=1', 0.2, 0, 0.01),
    ('3b', 0.2, 5, 0.04),
    ('3c', 0.1, 0, 0.015),
    ('both', 0.2, 5, 0.04),
  ),
)
def test_the_evaluation_is_that_of_the_paper(
  name, tolerance, most_wrong, mean_error
):
  asked = stop_rules.asked(TASKS[name].stop_rule, mean_error)
  assert asked == (256, 1000, most_wrong, mean_error, True)
  given = two_sequence(
    noisy_signal='b' in name, noisy_target='c' in name, tolerance=0.3,
    most_wrong=0, mean_error=0.5, exam_every=7, exam_sequences=9,
    exam_set='fixed',
  )  # fmt: skip
  assert stop_rules.asked(given.stop_rule, 0.5) == (9, 7, 0, 0.5, False)
  e = episodes('3a', 10)
  y_k = e.target[None] + np.float32(0.29)
  right = jax.jit(given.correct)(e, e.length - 1, y_k)
  assert right.all() and tolerance < 0.29


@every_task
def test_a_lane_is_what_it_is_alone(name):
  task = TASKS[name]
  keys, lengths = keys_of((2, 3)), np.array([[3, 30, 100], [20, 21, 1000]])

  @jax.jit
  def facts(key, length, t):
    episode = task.draw(key, length)
    examined = stop_rules.evaluation_draw(
      task, key, length, jnp.zeros_like(length)
    )
    stream = task.stream(episode)
    y_k = jnp.full((1, *length.shape), 0.5)
    return (
      episode, examined, stream.length, stream.input_at(t),
      stream.target_at(t), stream.scored_at(t), task.correct(episode, t, y_k),
    )  # fmt: skip

  assert_each_is_alone(facts, keys, lengths, (0, 2, 3, 19))


@every_task
def test_shapes_and_types(name, x64):
  task = TASKS[name]
  assert (task.num_inputs, task.num_outputs, task.error_at_end) == (1, 1, True)

  def facts(keys, length, t):
    episode = task.draw(keys, length)
    stream = task.stream(episode)
    right = task.correct(episode, t, stream.target_at(t))
    scored = stream.scored_at(t)
    return stream.length, stream.input_at(t), stream.target_at(t), scored, right

  t = np.arange(3)
  assert jax.device_put(t).dtype == np.int64
  shapes = jax.eval_shape(facts, keys_of((3,)), np.full(3, 100), t)
  assert [(s.shape, s.dtype) for s in shapes] == [
    ((3,), jnp.int32),
    ((1, 3), jnp.float32),
    ((1, 3), jnp.float32),
    ((3,), bool),
    ((3,), bool),
  ]


@every_task
def test_one_call_of_the_generator_a_step(name):
  task = TASKS[name]
  episode = jax.eval_shape(task.draw, keys_of((4,)), np.full(4, 100))
  step = jax.make_jaxpr(lambda e, t: task.stream(e).input_at(t))
  text = str(step(episode, np.arange(4)))
  # Twenty rounds of threefry shift left twenty times.
  assert text.count('shift_left') == 20
  assert 'erf_inv' not in text and ' cos ' not in text and ' log ' not in text


@pytest.mark.parametrize('name', ('3a', '3b', '3c'))
def test_the_trivial_levels(name):
  # The mean of training sequences, by which the best constant goes.
  size = 2**20
  task, e = TASKS[name], episodes(name, size)
  options = {
    'noisy_target': name == '3c', 'target_variance': 0.1,
  }  # fmt: skip
  (levels,) = (
    found
    for condition, found in module.TRIVIAL
    if all(options[k] == v for k, v in condition.items())
  )
  taught = np.asarray(e.taught, np.float64)
  y_k = np.full((1, size), 0.5, np.float32)
  wrong = 1 - np.asarray(jax.jit(task.correct)(e, e.length - 1, y_k))
  for sample, level in (
    (np.abs(taught - 0.5), levels['absolute']),
    ((taught - 0.5) ** 2, levels['squared']),
    (wrong, levels['wrong']),
  ):
    error = 5 * np.std(sample) / math.sqrt(size)
    assert abs(np.mean(sample) - level) <= error + 1e-9
    assert error < 0.01 * level  # would see 1 %
  assert abs(np.mean(taught) - 0.5) < 5 * np.std(taught) / math.sqrt(size)


def test_mean_steps():
  a, b = module.MEAN_STEPS
  for length in (100, 1000):
    steps = episodes('3a', 2**18, length).length
    error = 5 * np.std(steps) / 2**9
    assert abs(np.mean(steps) - (a * length + b)) < error < 0.01 * length


@pytest.mark.parametrize(
  'options, message',
  (
    ({'output': 'softmax'}, "output='softmax'.*logistic, linear"),
    ({'exam_set': 'old'}, "exam_set='old' must be one of fresh, fixed"),
    ({'informative': 0}, 'informative=0 must be at least 1'),
    ({'variance': -0.1}, 'variance=-0.1 must be at least 0'),
    ({'target_variance': math.nan}, 'target_variance=nan must be at least 0'),
    ({'tolerance': 0.0}, 'tolerance=0.0 must be above 0'),
    ({'mean_error': -1.0}, 'mean_error=-1.0 must be above 0'),
    ({'most_wrong': -1}, 'most_wrong=-1 must be at least 0'),
    ({'exam_every': 0}, 'exam_every=0 must be at least 1'),
    ({'exam_sequences': 0}, 'exam_sequences=0 must be at least 1'),
  ),
)
def test_refusals_name_option_value_and_choices(options, message):
  with pytest.raises(ValueError, match=message):
    two_sequence(**options)


def test_longest_is_a_tenth_more_and_refuses_short_lengths():
  task = TASKS['3a']
  assert [task.longest(n) for n in (3, 99, 100, 1000)] == [3, 108, 110, 1100]
  with pytest.raises(ValueError, match='length=2 must be at least 3'):
    task.longest(2)
  with pytest.raises(ValueError, match='length=9 must be at least 10.*=10'):
    two_sequence(informative=10).longest(9)
