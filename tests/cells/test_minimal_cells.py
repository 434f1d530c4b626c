"""Cells without recurrent weights: their loops, their sums, their sizes."""

import jax
import numpy as np
import pytest

from lstm_jax.cells.gru import gru
from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.mingru import mingru
from lstm_jax.cells.minlstm import minlstm
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


def minlstm_loop(p, inputs, normalised):
  """The states `[T, C]`, unit by unit, and the gates."""
  h, states = np.zeros(C), []
  for x in inputs:
    for c in range(C):
      i = logistic(p.w_x[c] @ x + p.b[c])
      f = logistic(p.w_x[C + c] @ x + p.b[C + c])
      candidate = p.w_x[2 * C + c] @ x + p.b[2 * C + c]
      total = i + f if normalised else 1
      h[c] = f / total * h[c] + i / total * candidate
    states.append(h.copy())
  return np.array(states)


@pytest.mark.parametrize('normalised', [True, False])
def test_minlstm_is_its_loop(normalised, x64):
  cell = minlstm(I, K, hidden=C, normalised_gates=normalised)
  p, xs = drawn(cell)
  _, nets = unroll(cell, p, xs)
  expected = minlstm_loop(p, xs, normalised) @ p.w_out.T + p.b_out
  np.testing.assert_allclose(nets, expected, rtol=0, atol=1e-12)


def test_minlstm_with_gates_of_one_size_is_mingru_half_open(x64):
  """i = o makes both gates a half, whatever they see."""
  cell, other = minlstm(I, K, hidden=C), mingru(I, K, hidden=C)
  p, xs = drawn(cell)
  gates, g = np.split(p.w_x, [2 * C])
  p = p._replace(
    w_x=np.concatenate([gates[:C], gates[:C], g]),
    b=np.concatenate([p.b[:C], p.b[:C], p.b[2 * C :]]),
  )
  q = other.mask._replace(
    w_x=np.concatenate([np.zeros((C, I)), g]),
    b=np.concatenate([np.zeros(C), p.b[2 * C :]]),
    w_out=p.w_out,
    b_out=p.b_out,
  )
  _, ours = unroll(cell, p, xs)
  _, theirs = unroll(other, q, xs)
  np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_gates_that_are_both_shut_are_normalised_all_the_same():
  """Their sum is 0 in float32."""
  cell = minlstm(1, 1, hidden=1)
  p = cell.mask._replace(w_x=np.zeros((3, 1), np.float32))
  carry = cell.initial_carry()._replace(h=np.ones(1, np.float32))
  for b_in, b_f, expected in (
    (-200, -200, (1 + 7) / 2),
    (-210, -200, 1.0),
    (-200, -210, 7.0),
  ):
    p = p._replace(b=np.array([b_in, b_f, 7], np.float32))
    after, _ = cell.step(p, carry, np.zeros(1, np.float32))
    np.testing.assert_allclose(after.h, expected, rtol=1e-3)


def without_biases(cell):
  """Weights of the hidden layer but for biases."""
  names = ('w_x', 'w_h')
  return sum(int(np.sum(getattr(cell.mask, n, 0))) for n in names)


@pytest.mark.parametrize(
  ('minimal', 'full', 'percents'),
  [(mingru, gru, (33, 22, 17, 13)), (minlstm, lstm, (38, 25, 19, 15))],
)
def test_the_published_part_of_the_weights_is_left(minimal, full, percents):
  """Of C = 1, 2, 3, 4 times I; sections 3.1 and 3.2 of the paper."""
  for alpha, percent in enumerate(percents, 1):
    ours, theirs = (
      without_biases(make(8, 0, hidden=alpha * 8)) for make in (minimal, full)
    )
    assert abs(100 * ours / theirs - percent) <= 0.5
