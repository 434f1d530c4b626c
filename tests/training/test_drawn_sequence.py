"""A drawn sequence holds what the stream of the task says, step by step."""

import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.lab.plan import catalog
from lstm_jax.ops import prng
from lstm_jax.ops.arrays import to_dense

# Inputs that are numbers, and that are symbols. The function is one for all.
ALWAYS = ('first_symbol', 'multiplication')


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(name, marks=() if name in ALWAYS else pytest.mark.slow)
    for name in catalog.names('tasks')
  ],
)
def test_it_is_the_stream_of_the_task(name):
  task = getattr(lj, name)()
  numbers = catalog.describe('tasks', name).numbers
  length = numbers.get('length')
  sequence = lj.draw_sequence(task, length, seed=2)
  key = prng.Key(*map(jnp.asarray, prng.key_of(2)))
  stream = task.stream(task.fresh(key, jnp.int32(length or 1)))
  steps = int(stream.length)
  assert sequence.inputs.shape == (steps, task.num_inputs)
  assert sequence.targets.shape == (steps, task.num_outputs)
  assert sequence.mask.shape == (steps,) and sequence.mask[-1] == 1
  for t in {0, steps // 2, steps - 1}:
    at = jnp.int32(t)
    np.testing.assert_array_equal(
      sequence.inputs[t], to_dense(stream.input_at(at))
    )
    if sequence.mask[t]:
      np.testing.assert_array_equal(sequence.targets[t], stream.target_at(at))
  again = lj.draw_sequence(task, length, seed=2)
  np.testing.assert_array_equal(again.inputs, sequence.inputs)


def test_a_length_is_asked_for():
  with pytest.raises(ValueError, match='length=None: this task needs its T'):
    lj.draw_sequence(lj.adding())
  with pytest.raises(ValueError, match='length=3: this task has no length'):
    lj.draw_sequence(lj.reber(), 3)


def test_keys_made_as_one_array_are_those_of_each_seed():
  seeds = [0, 1, 7, 2**31 - 1, 2**31, 2**32 - 1, 2**40 + 5, -1]
  high, low = prng.keys_of(seeds)
  assert high.dtype == low.dtype == np.uint32
  assert [*zip(high, low, strict=True)] == [*map(prng.key_of, seeds)]
