"""Strings of the embedded Reber grammar as a network sees them, and its graph.

`follow` walks the graph as it is drawn in the paper, for one string, and knows
nothing of how the task draws or keeps strings.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks._grammar import Strings
from lstm_jax.tasks.reber import reber

SYMBOLS = 'BTSXVPE'
TASK, LEGAL = reber(), reber(targets='legal_symbols')
LANES = 12
# The Reber grammar's edges between its numbered nodes.
EDGES = {
  1: {'B': 2},
  2: {'T': 3, 'P': 4},
  3: {'S': 3, 'X': 5},
  4: {'T': 4, 'V': 6},
  5: {'X': 4, 'S': 7},
  6: {'P': 5, 'V': 7},
  7: {'E': 'end'},
}


@cache
def follow(string):
  """For each symbol of an embedded string, the set it was chosen from."""
  sets, node = [], 1
  for i, symbol in enumerate(string):
    if i == 0:
      choice = {'B'}
    elif i == 1:
      choice = {'T', 'P'}
    elif node == 'end':
      choice = {string[1]}
      node = 'after'
    elif node == 'after':
      choice = {'E'}
      node = 'done'
    else:
      assert node != 'done', f'{string} goes on after its end'
      choice = set(EDGES[node])
      node = EDGES[node].get(symbol)
    assert symbol in choice, f'{string}: no {symbol} at {i}'
    sets.append(choice)
  assert node == 'done', f'{string} has no end'
  return sets


@cache
def chance(string):
  """Probability of a string."""
  return 0.5 ** sum(len(choice) == 2 for choice in follow(string))


def keys_of(lanes, seed=0):
  random = np.random.default_rng(seed)
  return random.integers(2**32, size=(2, *lanes), dtype=np.uint32)


@cache
def prepared(seed=0, lanes=(LANES,)):
  made = jax.jit(TASK.prepare)(keys_of(lanes, seed), np.ones(lanes, np.int32))
  return jax.tree.map(np.asarray, made)


@cache
def walked(task):
  """Compiled: rows of 63 steps as bits, one word a step, and the lengths."""

  def bits(rows):
    number = jnp.arange(7, dtype=jnp.int32).reshape(7, *(1,) * (rows.ndim - 1))
    binary = jnp.all((rows == 0) | (rows == 1), axis=0)
    return jnp.where(binary, jnp.sum(rows.astype(jnp.int32) << number, 0), -1)

  @jax.jit
  def run(episode):
    stream = task.stream(episode)

    def at(t):
      t = jnp.full(episode.symbols.shape, t)
      x, target = stream.input_at(t), stream.target_at(t)
      return bits(x), bits(target), stream.scored_at(t)

    return *jax.vmap(at)(jnp.arange(63)), stream.length

  return run


def texts(episodes):
  """The strings that a network would see, with the last target; lanes flat."""
  words, symbols = map(np.asarray, episodes)
  rows = np.concatenate([words.reshape(len(words), -1), symbols.reshape(1, -1)])
  # Each kind once, and any number of kinds by one of a few programs.
  kinds, which = np.unique(rows.astype(np.uint32), axis=1, return_inverse=True)
  more = (0, max(512, 1 << (kinds.shape[1] - 1).bit_length()) - kinds.shape[1])
  padded = np.pad(kinds, ((0, 0), more), 'edge')
  flat = Strings(padded[:-1], padded[-1].astype(np.int32))
  inputs, targets, scored, lengths = (
    np.asarray(a)[..., : kinds.shape[1]] for a in walked(TASK)(flat)
  )
  assert scored.all()
  there = np.arange(len(inputs))[:, None] < lengths
  letter = np.full(2**7, '?')
  letter[2 ** np.arange(7)], letter[0] = list(SYMBOLS), ''
  assert inputs[there].min() > 0 and targets[there].min() > 0
  shown, named = (
    letter[np.where(there, rows, 0)] for rows in (inputs, targets)
  )
  assert not np.any(shown == '?') and not np.any(named == '?')
  assert np.all(shown[1:] == np.where(there[1:], named[:-1], ''))
  whole = np.concatenate([shown[:1], named]).T
  strings = np.ascontiguousarray(whole).view(f'U{whole.shape[1]}')[:, 0]
  return strings[which.ravel()].tolist()


@cache
def sets(seed=0):
  """`(training, test)` strings, a list of 256 for each lane."""
  data = prepared(seed)
  found = np.array(texts(data)).reshape(512, LANES).T.tolist()
  return [(lane[:256], lane[256:]) for lane in found]


def all_sets():
  return [pair for seed in range(6) for pair in sets(seed)]


@cache
def fresh(size=2**17, seed=1):
  """Strings of the test after success."""
  made = jax.jit(TASK.fresh)(keys_of((size,), seed), np.ones(size, np.int32))
  episodes = jax.tree.map(np.asarray, made)
  return episodes, texts(episodes)
