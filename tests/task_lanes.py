"""A lane of a task beside others is what it is alone."""

import jax
import numpy as np


def assert_each_is_alone(facts, keys, lengths, steps):
  """Holds every lane to what the same key and length give without lanes.

  Args:
    facts: `(key, length, t) -> tree` of all that a task says of step t.
    keys: words `[*]` of the keys.
    lengths: `[*]`.
    steps: the t that are looked at.
  """
  for t in steps:
    together = jax.tree.map(
      np.asarray, facts(keys, lengths, np.full(lengths.shape, t))
    )
    for lane in np.ndindex(*lengths.shape):
      key = tuple(word[lane] for word in keys)
      alone = facts(key, lengths[lane], np.array(t))
      jax.tree.map(
        lambda a, b, lane=lane: np.testing.assert_array_equal(a[..., *lane], b),
        together,
        alone,
      )
