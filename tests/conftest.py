"""Tests run as the commands do: with their XLA flags, and on two devices.

Silent broadcasting is an error.
"""

import pytest

from experiments import launch


def pytest_configure():
  launch.set_flags(devices=2)
  import jax  # not before

  jax.config.update('jax_numpy_rank_promotion', 'raise')


@pytest.fixture
def x64():
  """Runs the test in float64, where identities hold to rounding."""
  import jax

  with jax.enable_x64(True):
    yield
