"""Errors by lag: the derivative by the carry, eq. (41), the bound of 3.1."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_jax.analysis import gradient_flow
from lstm_jax.cells.srn import srn
from lstm_jax.lab.plan import catalog
from lstm_jax.ops.prng import Key
from lstm_jax.tasks.adding import adding
from lstm_jax.types import Sequence, Stream
from tests.gradients import cheap_jit, distance, random_net

T = 7
CELLS = ('srn', 'lstm', 'lstm1997', 'gru')
UNITS = 6  # of the simple net with logistic units


def stream_of(sequence):
  """Arrays `[T, ., *]` as a stream; here the episode is the sequence."""
  at = lambda a: (
    lambda t: jnp.take_along_axis(
      a, jnp.broadcast_to(t, (1, a.shape[1], *t.shape)), axis=0
    )[0]
  )
  return Stream(
    sequence.length,
    at(sequence.inputs),
    at(sequence.targets),
    lambda t: t == sequence.length - 1,
  )


TASK = adding(output='linear')._replace(stream=stream_of)


def sequences(seed, lengths=(), steps=T):
  random = np.random.default_rng(seed)
  lengths = np.asarray(lengths, np.int32)
  return Sequence(
    random.normal(size=(steps, 2, *lengths.shape)),
    random.normal(size=(steps, 1, *lengths.shape)),
    np.ones((steps, *lengths.shape)),
    lengths,
  )


@functools.cache
def made(name):
  if name == 'logistic':
    return srn(2, 1, hidden=UNITS, activation='logistic')
  return catalog.build('cells', name, 2, 1)


@functools.cache
def flow(name, num_steps=T, cut=()):
  run = cheap_jit(
    lambda params, episode: gradient_flow.error_by_lag(
      made(name), TASK, params, episode, num_steps, cut=cut
    )
  )
  return lambda *given: jax.tree.map(np.asarray, run(*given))


@pytest.mark.parametrize('name', CELLS)
def test_the_error_is_the_slope_of_the_loss_by_the_carry(x64, name):
  cell, episode = made(name), sequences(1, T)
  params = random_net(cell, 2)
  errors = flow(name)(params, episode)

  step = cheap_jit(cell.step)
  carries = [cell.initial_carry((), jnp.float64)]
  for t in range(T - 1):
    carries.append(step(params, carries[-1], episode.inputs[t])[0])
  carries = jax.tree.map(np.asarray, carries)

  def loss_from(t, carry):
    """The last step's error when step t starts from `carry`."""
    for x_t in episode.inputs[t:]:
      carry, net_k = step(params, carry, x_t)
    y = float(np.asarray(net_k)[0]) - float(episode.targets[-1, 0])
    return 0.5 * y * y

  h = 1e-5
  for q in (0, 1, 3, T - 1):
    t = T - 1 - q
    for field, e in errors._asdict().items():
      value = getattr(carries[t], field)
      for i, unit in enumerate(np.eye(len(value))):
        up, down = (
          loss_from(t, carries[t]._replace(**{field: value + by * unit}))
          for by in (h, -h)
        )
        assert (up - down) / (2 * h) == pytest.approx(
          float(e[q, i]), rel=1e-6, abs=1e-10
        )


def test_the_internal_state_keeps_its_error_under_the_rule_of_1997(x64):
  cell, episode = made('lstm1997'), sequences(3, T)
  cut = ('y_c', 'y_gates')
  params = random_net(cell, 4)
  errors = flow('lstm1997', cut=cut)(params, episode)
  assert np.all(np.abs(errors.s_c[0]) > 1e-6)
  # Eq. (41): exactly the same at every lag, and in nothing else.
  assert np.all(np.asarray(errors.s_c) == np.asarray(errors.s_c[:1]))
  assert not np.any(errors.y_c) and not np.any(errors.y_gates)
  # Without the cut it is not: what the gates send back is added.
  whole = flow('lstm1997')(params, episode)
  assert distance(whole.s_c[0], errors.s_c[0]) < 1e-15
  assert distance(whole.s_c[-1], errors.s_c[-1]) > 1e-3


def test_a_conventional_net_keeps_no_error(x64):
  cell, episode = made('srn'), sequences(3, T)
  params = random_net(cell, 4)
  size = np.asarray(gradient_flow.error_size(flow('srn')(params, episode)))
  assert np.all(np.abs(np.diff(np.log(size))) > 1e-3)


def test_lanes_of_any_length_are_as_alone(x64):
  lengths = (T, 3, 1, 5)
  cell, run = made('lstm1997'), flow('lstm1997')
  episode = sequences(5, lengths)
  params = random_net(cell, 6, (4,))
  together = run(params, episode)
  for i, length in enumerate(lengths):
    alone = run(*jax.tree.map(lambda x, i=i: x[..., i], (params, episode)))
    mine = jax.tree.map(lambda x, i=i: x[..., i], together)
    assert distance(alone, mine) < 1e-14
    sizes = np.asarray(gradient_flow.error_size(mine))
    assert np.all(sizes[:length] > 0) and not np.any(sizes[length:])


def test_size_is_the_norm_of_the_fields_asked_for(x64):
  cell = made('lstm')
  params = random_net(cell, 7)
  errors = flow('lstm')(params, sequences(8, T))
  flat = np.concatenate([errors.s_c, errors.y_c], axis=1)
  np.testing.assert_allclose(
    gradient_flow.error_size(errors), np.linalg.norm(flat, axis=1), rtol=1e-12
  )
  np.testing.assert_allclose(
    gradient_flow.error_size(errors, ('s_c',)),
    np.linalg.norm(errors.s_c, axis=1),
    rtol=1e-12,
  )


def test_a_field_that_is_not_there_is_refused(x64):
  cell = made('srn')
  with pytest.raises(ValueError, match='s_c.*the fields are h'):
    gradient_flow.error_by_lag(
      cell, TASK, random_net(cell, 0), sequences(0, T), T, cut=('s_c',)
    )


def test_it_reads_a_task_of_the_catalog():
  task, cell = adding(), made('srn')
  lanes = np.arange(3, dtype=np.uint32)

  @cheap_jit
  def run(key, lanes):
    episode = task.draw(lanes, np.full(3, 10, np.int32))
    params = cell.init(key, cell.numbers)
    params = jax.tree.map(lambda w: jnp.stack([w] * 3, axis=-1), params)
    return gradient_flow.error_by_lag(
      cell, task, params, episode, task.longest(10)
    )

  errors = run(jax.random.key(0), Key(lanes, lanes))
  assert errors.h.shape == (11, 4, 3) and errors.h.dtype == jnp.float32
  assert np.all(np.asarray(gradient_flow.error_size(errors))[0] > 0)


# A hundred nets of six units, weights of any size below 4/n and a little over.
@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1.2))
def test_the_bound_holds_for_logistic_units(seed, largest):
  with jax.enable_x64(True):
    size, bound = sizes_and_bound(seed, 4 * largest / UNITS)
  assert np.all(size <= bound * (1 + 1e-9))


def sizes_and_bound(seed, largest):
  random = np.random.default_rng(seed)
  params = random_net(made('logistic'), seed)
  w = random.uniform(-largest, largest, size=(UNITS, UNITS))
  params = params._replace(w_h=w)
  size = np.asarray(
    gradient_flow.error_size(flow('logistic')(params, sequences(seed, T)))
  )
  return size / size[0], np.asarray(
    gradient_flow.logistic_bound(params.w_h, np.arange(T))
  )


def test_the_bound_is_nearly_reached(x64):
  # Equal weights, units at rest (f' = 1/4): one direction shrinks by n w / 4.
  w, cell = 0.5, made('logistic')
  params = jax.tree.map(np.zeros_like, random_net(cell, 0))
  params = params._replace(
    w_h=np.full((UNITS, UNITS), w),
    b=np.full(UNITS, -w * UNITS / 2),
    w_out=np.ones((1, UNITS)),
  )
  episode = sequences(0, 400, steps=400)
  size = np.asarray(
    gradient_flow.error_size(flow('logistic', 400)(params, episode))
  )[:20]
  bound = np.asarray(gradient_flow.logistic_bound(params.w_h, np.arange(20)))
  np.testing.assert_allclose(size / size[0], bound / UNITS, rtol=1e-6)


def test_the_bound_in_numbers():
  w = np.array([[[0.5, 2.0], [-1.0, 0.0]], [[0.25, 1.0], [0.5, -4.0]]])
  bound = gradient_flow.logistic_bound(w, np.arange(3))
  # n = 2; w_max = 1 and 4 in the two lanes.
  np.testing.assert_allclose(bound, [[2, 2], [1, 4], [0.5, 8]])
