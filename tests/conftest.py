"""Strict numerics and two devices for every test.

Silent broadcasting is an error. Two CPU devices stand for two cores.
"""

import jax
import pytest

jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_num_cpu_devices', 2)


@pytest.fixture
def x64():
  """Runs the test in float64, where identities hold to rounding."""
  with jax.enable_x64(True):
    yield
