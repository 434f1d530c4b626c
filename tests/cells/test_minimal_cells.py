"""Cells without recurrent weights: their loops, their sums, their sizes."""

import jax
import numpy as np
import pytest

from lstm_jax.cells.gru import gru
from lstm_jax.cells.mingru import mingru
from lstm_jax.ops.unroll import unroll

I, K, C, T = 3, 2, 4, 9


def drawn(cell, seed=0):
  """Weights of order one that exist, and inputs `[T, I]`."""
  random = np.random.default_rng(seed)
  params = jax.tree.map(lambda m: m * random.normal(size=m.shape), cell.mask)
  return params, random.normal(size=(T, I))


def logistic(x):
  return 1 / (1 + np.exp(-x))


def mingru_loop(p, inputs):
  """The states `[T, C]`, unit by unit."""
  h, states = np.zeros(C), []
  for x in inputs:
    for c in range(C):
      z = logistic(p.w_x[c] @ x + p.b[c])
      candidate = p.w_x[C + c] @ x + p.b[C + c]
      h[c] = (1 - z) * h[c] + z * candidate
    states.append(h.copy())
  return np.array(states)


def test_mingru_is_its_loop(x64):
  cell = mingru(I, K, hidden=C)
  p, xs = drawn(cell)
  _, nets = unroll(cell, p, xs)
  expected = mingru_loop(p, xs) @ p.w_out.T + p.b_out
  np.testing.assert_allclose(nets, expected, rtol=0, atol=1e-12)


def test_mingru_is_a_weighted_sum_of_its_candidates(x64):
  """What the parallel form of the paper computes; no step follows another."""
  cell = mingru(I, K, hidden=C)
  p, xs = drawn(cell)
  z, candidates = np.split(xs @ p.w_x.T + p.b, 2, axis=1)
  z = logistic(z)
  kept = np.array([np.prod(1 - z[k + 1 :], axis=0) for k in range(T)])
  carry, _ = unroll(cell, p, xs)
  np.testing.assert_allclose(
    carry.h, np.sum(kept * z * candidates, axis=0), rtol=0, atol=1e-12
  )


def without_biases(cell):
  """Weights of the hidden layer but for biases."""
  names = ('w_x', 'w_h')
  return sum(int(np.sum(getattr(cell.mask, n, 0))) for n in names)


@pytest.mark.parametrize(
  ('alpha', 'percent'), [(1, 33), (2, 22), (3, 17), (4, 13)]
)
def test_mingru_has_the_published_part_of_the_weights_of_a_gru(alpha, percent):
  """Of C = alpha I; section 3.1 of the paper."""
  minimal, full = (
    without_biases(make(I, 0, hidden=alpha * I)) for make in (mingru, gru)
  )
  assert round(100 * minimal / full) == percent
