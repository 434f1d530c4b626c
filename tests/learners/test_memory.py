"""What a sequence's length costs: nothing, or arrays as long as it is."""

import jax
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from tests.gradients import cheap_jit

LANES = (2,)


def program(name, **options):
  """One update on the adding problem, lowered; lengths are traced."""
  task = catalog.build('tasks', 'adding')
  cell = catalog.build('cells', 'lstm1997', 2, 1, blocks=1, block_size=1)
  learner = catalog.build('learners', name, cell, task, **options)
  init = jax.vmap(learner.init, in_axes=-1, out_axes=-1)
  numbers = {
    name: np.stack([value] * 2, axis=-1).astype(np.float32)
    for name, value in {**cell.numbers, 'learning_rate': 0.5}.items()
  }
  keys = jax.random.split(jax.random.key(0), LANES)
  state = jax.eval_shape(init, keys, numbers)
  words = (jax.ShapeDtypeStruct(LANES, np.uint32),) * 2
  lengths = jax.ShapeDtypeStruct(LANES, np.int32)
  update = lambda state, words, lengths: learner.update(
    state, task.draw(words, lengths)
  )
  return cheap_jit(update).lower(state, words, lengths)


def temporary_bytes(lowered):
  return lowered.compile().memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize('name', ['truncated1997', 'elman'])
def test_one_program_serves_every_length(name):
  """Lengths are traced, so a length a million times as long costs no byte."""
  used = temporary_bytes(program(name))
  # A few kilobytes. One number a step would be 4 MB for a million of them.
  assert 0 < used < 50_000


@pytest.mark.parametrize(
  ('name', 'options'), [('bptt', {}), ('truncated1997', {'form': 'batched'})]
)
def test_what_is_stored_grows_with_the_length(name, options):
  one, two = (
    temporary_bytes(program(name, length=length, **options))
    for length in (1000, 2000)
  )
  assert 1.9 < two / one < 2.1
  # At least the internal state of every step and lane, in float32.
  assert one > 4 * 1000 * LANES[0]
