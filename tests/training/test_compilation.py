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
