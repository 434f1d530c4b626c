"""Strings of the embedded Reber grammar, drawn on the device.

The grammar is that of Cleeremans et al. (1989), embedded as in Hochreiter &
Schmidhuber (1997), section 5.1: `tasks.reber` says what is made of it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from lstm_jax.ops.arrays import select
from lstm_jax.ops.prng import Key, KeyData, fold_in
from lstm_jax.types import Array

SYMBOLS = 'BTSXVPE'
STRINGS = 256  # in each of the two sets
MAX_SYMBOLS = 64  # symbols of a string
# The sets of symbols that may come next. A symbol of a string is kept as four
# bits: three for the set it was chosen from, one for which of the set it is.
_SETS = ('B', 'TP', 'SX', 'TV', 'PV', 'E', 'T', 'P')
# The grammar's nodes: the set of what may come next, and the nodes it leads to.
# At _AGAIN the set is one further on where the second symbol was P.
_SECOND, _AGAIN, _END = 1, 9, 11
_NODES = (
  ('B', 1, 1),
  ('TP', 2, 2),
  ('B', 3, 3),
  ('TP', 4, 5),
  ('SX', 4, 6),
  ('TV', 5, 7),
  ('SX', 8, 5),
  ('PV', 6, 8),
  ('E', 9, 9),
  ('T', 10, 10),
  ('E', 11, 11),
  ('B', 11, 11),  # past the end
)
_SET = np.array([_SETS.index(s) for s, *_ in _NODES], np.int32)
_FORKS = np.array([len(s) - 1 for s, *_ in _NODES], np.int32)
_SUCCESSORS = np.array([n[1:] for n in _NODES], np.int32).ravel()


def _words_of(test):
  """`[7]` uint32, one a symbol: bit n answers `test` for the four bits n."""
  codes = [(s, i) for s in _SETS for i in range(2)]
  return np.array(
    [sum(test(*c, x) << n for n, c in enumerate(codes)) for x in SYMBOLS],
    np.uint32,
  )


IS = _words_of(lambda s, i, x: s[i : i + 1] == x)
LEGAL = _words_of(lambda s, i, x: x in s)


class Strings(NamedTuple):
  """Strings of the grammar; one without the axis N."""

  words: Array  # [8, N, *] uint32, four bits a symbol, the first ones lowest
  symbols: Array  # [N, *] int32, how many


def string(strings: Strings, n: ArrayLike) -> Strings:
  """String `n` `[*]` of `strings`."""
  axis = strings.symbols.ndim - 1 - jnp.ndim(n)

  def pick(values):
    at = axis + values.ndim - strings.symbols.ndim
    shape = (*values.shape[:at], 1, *values.shape[at + 1 :])
    index = jnp.broadcast_to(n, shape)
    return jnp.take_along_axis(values, index, at, mode='clip').squeeze(at)

  return jax.tree.map(pick, strings)


def code_at(string: Strings, t: Array) -> Array:
  """`[*]` uint32, the four bits of symbol `t` `[*]` of a string."""
  word = string.words[0]
  for i in range(1, len(string.words)):
    word = jnp.where(t // 8 == i, string.words[i], word)
  return (word >> (4 * (t % 8)).astype(jnp.uint32)) & np.uint32(15)


def rows(table: np.ndarray, code: Array) -> Array:
  """`[7, *]` float32, for each symbol the bit `code` `[*]` of its word."""
  table = table.reshape((-1,) + (1,) * code.ndim)
  bits = (table >> code[None]) & np.uint32(1)
  return jnp.asarray(bits).astype(jnp.float32)


def prepare(
  key: KeyData, length: ArrayLike, *, distinct: bool = False
) -> Strings:
  """A trial's `Strings`, N = 512, the training set first.

  Args:
    key: of the trial, a `draw.Key`.
    length: `[*]`, of which only the lanes matter.
    distinct: whether no string may occur twice in a set. A test string is never
      a training string.
  """
  shape = (2 * STRINGS, *jnp.shape(length))
  n = jnp.arange(shape[0]).reshape((-1,) + (1,) * jnp.ndim(length))
  broadcast = lambda a: jnp.broadcast_to(a, shape)
  keys = fold_in(Key(broadcast(key[0]), broadcast(key[1])), broadcast(n))
  half = lambda *ends: Key(*(word[slice(*ends)] for word in keys))
  training = draw_strings(half(STRINGS), distinct=distinct)
  test = draw_strings(half(STRINGS, None), training, distinct)
  join = lambda a, b: jnp.concatenate([a, b], axis=a.ndim - len(shape))
  return jax.tree.map(join, training, test)


def draw_strings(
  keys: Key, taken_strings: Strings | None = None, distinct: bool = False
) -> Strings:
  """A string of the grammar for each of the keys `[N, *]`, or `[*]`.

  One that may not be is drawn again, from other numbers of the same key.

  Args:
    keys: `draw.Key`s.
    taken_strings: `Strings` `[M, *]` that may not be drawn.
    distinct: no string may be drawn twice. The N strings are then the first N
      different ones of a row of draws: a round's draws count in the order of
      the keys, after those of the rounds before.

  Returns:
    The `Strings`.
  """
  zeros = jnp.zeros(keys[0].shape, jnp.int32)

  def again(state):
    strings, is_drawn, attempt = state
    new = walk(fold_in(keys, zeros + attempt))
    is_good = new.symbols <= MAX_SYMBOLS
    if taken_strings is not None:
      is_good &= ~jnp.any(_equal_pairs(taken_strings, new), axis=0)
    if distinct:
      # Of this round, too, one that is drawn before: whatever refused that one
      # refuses this one.
      first = np.triu(np.ones((len(zeros),) * 2, bool), 1)
      first = first.reshape(first.shape + (1,) * (zeros.ndim - 1))
      is_repeat = is_drawn[:, None] & _equal_pairs(strings, new)
      is_twin = ~is_drawn[:, None] & first & _equal_pairs(new, new)
      is_good &= ~jnp.any(is_repeat | is_twin, axis=0)
    return select(is_drawn, strings, new), is_drawn | is_good, attempt + 1

  nothing = jax.tree.map(jnp.zeros_like, jax.eval_shape(walk, keys))
  start = nothing, zeros > 0, jnp.int32(0)
  return jax.lax.while_loop(lambda state: ~jnp.all(state[1]), again, start)[0]


def _equal_pairs(strings, other_strings):
  """bool `[N, M, *]`: whether string n is the same as other m."""
  pairs = zip(choices(strings), choices(other_strings), strict=True)
  low, high = (mine_bits[:, None] == other[None] for mine_bits, other in pairs)
  return low & high


def walk(bits: Key) -> Strings:
  """The string that 64 random bits choose, one bit a symbol.

  Args:
    bits: two words `[...]`.

  Returns:
    The string `[...]`; `symbols` is 65 where it is longer than 64.
  """
  nodes, forks, leads = (jnp.asarray(a) for a in (_SET, _FORKS, _SUCCESSORS))
  look = lambda table, index: jnp.take(table, index, mode='clip')
  zeros = jnp.zeros(bits[0].shape, jnp.int32)

  def eight_symbols(state, i):
    node, second, symbols = state
    half = jnp.where(i < 4, *bits)
    word = jnp.zeros_like(half)
    for j in range(8):
      bit = (half >> (8 * (i % 4) + j).astype(jnp.uint32)).astype(jnp.int32) & 1
      branch = bit & look(forks, node)
      second = jnp.where(node == _SECOND, branch, second)
      chosen_from = look(nodes, node) + jnp.where(node == _AGAIN, second, 0)
      code = jnp.where(node == _END, 0, 2 * chosen_from + branch)
      word = word | (code << (4 * j)).astype(jnp.uint32)
      symbols = symbols + (node != _END)
      node = look(leads, 2 * node + branch)
    return (node, second, symbols), word

  (node, _, symbols), words = jax.lax.scan(
    eight_symbols, (zeros, zeros, zeros), jnp.arange(MAX_SYMBOLS // 8)
  )
  return Strings(words, symbols + (node != _END))


def choices(strings: Strings) -> tuple[Array, Array]:
  """Two uint32 words `[N, *]` that are equal for equal strings alone.

  They hold which of its set each symbol is. Of two different strings neither
  begins with the other, so they differ where both make a choice.
  """
  branches = strings.words & np.uint32(0x11111111)
  low = branches[0] | branches[1] << 1 | branches[2] << 2 | branches[3] << 3
  high = branches[4] | branches[5] << 1 | branches[6] << 2 | branches[7] << 3
  return low, high
