"""Strict numerics for every test: silent broadcasting is an error."""

import jax
import pytest

jax.config.update('jax_numpy_rank_promotion', 'raise')


@pytest.fixture
def x64():
  """Runs the test in float64, where identities hold to rounding."""
  with jax.enable_x64(True):
    yield
