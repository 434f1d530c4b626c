"""Examples in batches: which, in what order, and which of them count."""

import numpy as np


def order_of(
  seed: int, epoch: int, part: np.ndarray, batch: int
) -> tuple[np.ndarray, np.ndarray]:
  """The examples of an epoch in the order in which they are shown.

  Args:
    seed, epoch: what the order follows from.
    part: `[n]` indices into the pool.
    batch: B.

  Returns:
    `(order [ceil(n/B), B], weights)`: indices, and 1 where one counts; the last
    batch is filled up with the first example at weight 0.
  """
  random = np.random.Generator(np.random.Philox(key=[seed, epoch]))
  return in_batches(part[random.permutation(len(part))], batch)


def in_batches(
  index: np.ndarray, batch: int, multiple: int = 1
) -> tuple[np.ndarray, np.ndarray]:
  """Indices in batches of one size, filled up at weight 0.

  Args:
    index: `[n]`, at least one.
    batch: B.
    multiple: of which the number of batches is one.

  Returns:
    `(order, weights)`, both `[batches, B]`, as of `order_of`.
  """
  count = -(-len(index) // batch)
  count = -(-count // multiple) * multiple
  order = np.full(count * batch, index[0], np.int32)
  order[: len(index)] = index
  weights = np.zeros(count * batch, np.float32)
  weights[: len(index)] = 1
  return order.reshape(count, batch), weights.reshape(count, batch)
