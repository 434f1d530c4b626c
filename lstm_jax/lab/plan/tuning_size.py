"""Sizes of a search: settings of a row, and seeds that each is tried on."""

from lstm_jax.lab.plan import values

SETTINGS, SEEDS = 16, 5
# A flag without a value; from Python it is True.
_BARE = 'true'
MOST_SETTINGS, _MOST_SEEDS = 1024, 1000


def settings(value: object, source: str) -> int:
  """Settings of a row; `true` stands for the default.

  Example:
    >>> settings('true', '--tune'), settings('8', '--tune')
    (16, 8)
  """
  if value is True or value == _BARE:
    return SETTINGS
  return values.integer(value, source, 1, MOST_SETTINGS)


def seeds(value: object, source: str) -> int:
  """Seeds that a setting is tried on."""
  return values.integer(value, source, 1, _MOST_SEEDS)


def futility(value: object, source: str) -> int:
  """Fresh seeds of a row of which no setting solved any tuning seed."""
  return values.integer(value, source, 1)
