"""Tests run as the commands do: with their XLA flags, and on two devices.

Silent broadcasting is an error.
"""

import pytest
from hypothesis import HealthCheck, settings

from experiments import launch

# A busy machine is no failure, and a test that fails must fail again: the
# examples follow from the test's source.
settings.register_profile(
  'unhurried',
  deadline=None,
  derandomize=True,
  suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile('unhurried')


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
