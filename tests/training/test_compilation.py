"""Programs of a device: what comes to the same code is compiled once."""

import jax
import numpy as np
import pytest

from lstm_jax.training.compilation import Compiled


@pytest.fixture
def compilations(monkeypatch):
  """The lowered programs that were compiled, as they come."""
  lowered = []
  compile_it = jax.stages.Lowered.compile

  def compile_and_tell(self, *args, **how):
    lowered.append(self)
    return compile_it(self, *args, **how)

  monkeypatch.setattr(jax.stages.Lowered, 'compile', compile_and_tell)
  return lowered


def scaled_by(factor, result=lambda y: y):
  def advance(x):
    return result(x * factor)

  return advance


def test_the_same_code_under_two_names_is_compiled_once(compilations):
  compiled = Compiled(jax.devices()[0])
  x = np.arange(3, dtype=np.float32)
  for name in ('window=3', 'window=full', 'window=3'):
    y, _ = compiled(name, scaled_by(2.0), x)
    np.testing.assert_array_equal(y, 2 * x)
  assert len(compilations) == 1


def test_constants_and_structures_tell_programs_apart(compilations):
  compiled = Compiled(jax.devices()[0])
  x = np.arange(20_000, dtype=np.float32)
  ones = np.ones_like(x)
  all_but_one = ones.copy()
  all_but_one[7_777] = 0  # what is printed of a large constant may be cut
  for i, factor in enumerate((ones, all_but_one)):
    y, _ = compiled(f'{i}', scaled_by(factor), x)
    np.testing.assert_array_equal(y, x * factor)
  # Their code has no word of what they return.
  (y,), _ = compiled('tuple', scaled_by(ones, lambda y: (y,)), x)
  in_a_list, _ = compiled('list', scaled_by(ones, lambda y: [y]), x)
  assert isinstance(in_a_list, list)
  np.testing.assert_array_equal([y, *in_a_list], [x, x])
  assert len(compilations) == 4


@pytest.mark.parametrize('left, is_refused', [(4, True), (2**20, False)])
def test_a_program_that_takes_more_than_is_left_is_not_run(left, is_refused):
  """A CPU's system lends what it has not, and ends the process later."""
  ran = []

  def twice(x):
    jax.debug.callback(lambda: ran.append(1))
    return 2 * x

  compiled = Compiled(jax.devices('cpu')[0], memory_left=lambda: left)
  for _ in range(2):  # a second call is refused, too
    if is_refused:
      with pytest.raises(MemoryError, match='takes 0.0 GiB, 0.0 are left'):
        compiled('name', twice, np.zeros(64, np.float32))
    else:
      compiled('name', twice, np.zeros(64, np.float32))
  jax.effects_barrier()
  assert len(ran) == (0 if is_refused else 2)


def test_nobody_says_what_is_left():
  compiled = Compiled(jax.devices()[0], memory_left=lambda: None)
  y, _ = compiled('name', scaled_by(2.0), np.ones(3, np.float32))
  np.testing.assert_array_equal(y, 2)
