"""Experiment 1: the embedded Reber grammar.

Source: Hochreiter & Schmidhuber (1997), section 5.1 and Table 1; the grammar is
that of Cleeremans et al. (1989), the sizes of the sets are Fahlman's (1991). A
string is B, then T or P, then a string of the Reber grammar, then the second
symbol again, then E; wherever two symbols may follow, both are equally
probable. The net sees a string symbol by symbol and names the next symbol at
each step; the last symbol, E, is a target only. Choices that the paper leaves
open:

* `targets`: the symbol that follows, or all that may follow.
* Each trial draws 256 training and 256 test strings of its own; the paper has
  30 trials of three pairs of sets. A training sequence is any of the 256
  training strings, each time anew.
* A test string that is in the training set is drawn again, which leaves the
  test set the longer strings. A string may occur twice in a set: of 256
  training strings about a hundred are different.
* Strings of more than 64 symbols, of which the grammar has 3.3e-8, are drawn
  again.
* The exam is all strings of both sets, hence the same each time. The paper does
  not say when it tests (`exam_every`).
* A step is right if each symbol that may follow has a larger output than each
  that may not; an equal one is wrong.

There is no free length: the task's T is ignored.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.draw import Key, fold_in, integer_at
from lstm_jax.outputs import output_unit
from lstm_jax.types import Array, Exam, Stream, Task
from lstm_jax.unroll import select

PROVIDES = {'next_symbol': {'targets': 'next_symbol'}}
# A string has 12 symbols on average; the last one has no step.
MEAN_STEPS = (0, 11)
# Of a sequence the mean over its steps: a short one counts as much as a long.
TRIVIAL = (
  (
    {'targets': 'next_symbol'},
    {
      'predictor': "each symbol's share of the targets",
      'absolute': 0.23957,
      'squared': 0.11978,
      'wrong': 1.0,
    },
  ),
  (
    {'targets': 'legal_symbols'},
    {
      'predictor': "each symbol's share of the steps where it may follow",
      'absolute': 0.33574,
      'squared': 0.16787,
      'wrong': 1.0,
    },
  ),
)
_SYMBOLS = 'BTSXVPE'
_STRINGS = 256  # in each of the two sets
_MOST = 64  # symbols of a string
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
_NEXT = np.array([n[1:] for n in _NODES], np.int32).ravel()


def _words_of(test):
  """`[7]` uint32, one a symbol: bit n answers `test` for the four bits n."""
  codes = [(s, i) for s in _SETS for i in range(2)]
  return np.array(
    [sum(test(*c, x) << n for n, c in enumerate(codes)) for x in _SYMBOLS],
    np.uint32,
  )


_IS = _words_of(lambda s, i, x: s[i : i + 1] == x)
_LEGAL = _words_of(lambda s, i, x: x in s)


class Strings(NamedTuple):
  """Strings of the grammar; one without the axis N."""

  words: Array  # [8, N, *] uint32, four bits a symbol, the first ones lowest
  symbols: Array  # [N, *] int32, how many


def reber(
  *,
  targets: Literal['next_symbol', 'legal_symbols'] = 'next_symbol',
  output: Literal[
    'logistic', 'linear', 'logistic_without_derivative', 'wide_logistic'
  ] = 'logistic',
  exam_every: int = 100,
) -> Task:
  """Embedded Reber grammar (1): the next symbol, at each step of a string.

  Inputs and targets `[7, *]` are one-hot over B, T, S, X, V, P, E.

  Args:
    targets: whether the target is 1 for the symbol that follows, or for all
      that may follow.
    output: output unit, see `outputs.output_unit`.
    exam_every: training sequences between two exams.

  Returns:
    The task. Its data are a trial's `Strings`, N = 512, training set first; an
    episode is one of them.

  Raises:
    ValueError: an option outside its choices, an `exam_every` below 1.
  """
  if targets not in ('next_symbol', 'legal_symbols'):
    raise ValueError(
      f'targets={targets!r} must be one of next_symbol, legal_symbols'
    )
  if exam_every < 1:
    raise ValueError(f'exam_every={exam_every} must be at least 1')
  unit = output_unit(output)
  taught = _IS if targets == 'next_symbol' else _LEGAL

  def draw(key, length, data):
    del length
    return _string(data, integer_at(key, 0, 0, _STRINGS))

  def examine(key, length, n, data):
    del key, length
    return _string(data, n)

  def fresh(key, length):
    del length
    return _draw_strings(key, lambda strings: True)

  def stream(episode):
    return Stream(
      length=episode.symbols - 1,
      input_at=lambda t: _rows(_IS, _code_at(episode, t)),
      target_at=lambda t: _rows(taught, _code_at(episode, t + 1)),
      scored_at=lambda t: jnp.full(jnp.shape(t), True),
    )

  def correct(episode, t, y_k):
    legal = _rows(_LEGAL, _code_at(episode, t + 1)) > 0
    least = jnp.min(jnp.where(legal, y_k, jnp.inf), axis=0)
    return least > jnp.max(jnp.where(legal, -jnp.inf, y_k), axis=0)

  return Task(
    num_inputs=len(_SYMBOLS),
    num_outputs=len(_SYMBOLS),
    draw=draw,
    stream=stream,
    longest=lambda length: _MOST - 1,
    error_at_end=False,
    output=unit.output,
    loss=unit.loss,
    correct=correct,
    criterion=Exam(every=exam_every, sequences=2 * _STRINGS, draw=examine),
    prepare=_prepare,
    fresh=fresh,
  )


def _string(strings, n):
  """String `n` `[*]` of `strings`."""
  axis = strings.symbols.ndim - 1 - jnp.ndim(n)

  def pick(values):
    at = axis + values.ndim - strings.symbols.ndim
    shape = (*values.shape[:at], 1, *values.shape[at + 1 :])
    index = jnp.broadcast_to(n, shape)
    return jnp.take_along_axis(values, index, at, mode='clip').squeeze(at)

  return jax.tree.map(pick, strings)


def _code_at(string, t):
  """`[*]` uint32, the four bits of symbol `t` `[*]` of a string."""
  word = string.words[0]
  for i in range(1, len(string.words)):
    word = jnp.where(t // 8 == i, string.words[i], word)
  return (word >> (4 * (t % 8)).astype(jnp.uint32)) & np.uint32(15)


def _rows(table, code):
  """`[7, *]` float32, for each symbol the bit `code` `[*]` of its word."""
  table = table.reshape((-1,) + (1,) * code.ndim)
  return ((table >> code[None]) & np.uint32(1)).astype(jnp.float32)


def _prepare(key, length):
  """A trial's `Strings`; of `length` `[*]` only the lanes matter."""
  shape = (2 * _STRINGS, *jnp.shape(length))
  n = jnp.arange(shape[0]).reshape((-1,) + (1,) * jnp.ndim(length))
  wide = lambda a: jnp.broadcast_to(a, shape)
  keys = fold_in(Key(wide(key[0]), wide(key[1])), wide(n))
  half = lambda *ends: Key(*(word[slice(*ends)] for word in keys))
  training = _draw_strings(half(_STRINGS), lambda strings: True)
  seen = _choices(training)

  def unseen(strings):
    pairs = zip(seen, _choices(strings), strict=True)
    low, high = (old[:, None] == new[None] for old, new in pairs)
    return ~jnp.any(low & high, axis=0)

  test = _draw_strings(half(_STRINGS, None), unseen)
  join = lambda a, b: jnp.concatenate([a, b], axis=a.ndim - len(shape))
  return jax.tree.map(join, training, test)


def _draw_strings(keys, accept):
  """A string of the grammar for each of the keys `[N, *]`, or `[*]`.

  One that is too long or that `accept` refuses (`Strings -> bool [N, *]`) is
  drawn again, from other numbers of the same key.
  """
  none = jnp.zeros(keys[0].shape, jnp.int32)

  def again(state):
    strings, drawn, attempt = state
    new = _walk(fold_in(keys, none + attempt))
    good = (new.symbols <= _MOST) & accept(new)
    return select(drawn, strings, new), drawn | good, attempt + 1

  nothing = jax.tree.map(jnp.zeros_like, jax.eval_shape(_walk, keys))
  start = nothing, none > 0, jnp.int32(0)
  return jax.lax.while_loop(lambda state: ~jnp.all(state[1]), again, start)[0]


def _walk(bits):
  """The string that 64 random bits choose, one bit a symbol.

  Args:
    bits: two words `[...]`.

  Returns:
    The string `[...]`; `symbols` is 65 where it is longer than 64.
  """
  nodes, forks, leads = (jnp.asarray(a) for a in (_SET, _FORKS, _NEXT))
  look = lambda table, index: jnp.take(table, index, mode='clip')
  none = jnp.zeros(bits[0].shape, jnp.int32)

  def eight_symbols(state, i):
    node, second, symbols = state
    half = jnp.where(i < 4, *bits)
    word = jnp.zeros_like(half)
    for j in range(8):
      bit = (half >> (8 * (i % 4) + j).astype(jnp.uint32)).astype(jnp.int32) & 1
      which = bit & look(forks, node)
      second = jnp.where(node == _SECOND, which, second)
      chosen_from = look(nodes, node) + jnp.where(node == _AGAIN, second, 0)
      code = jnp.where(node == _END, 0, 2 * chosen_from + which)
      word = word | (code << (4 * j)).astype(jnp.uint32)
      symbols = symbols + (node != _END)
      node = look(leads, 2 * node + which)
    return (node, second, symbols), word

  (node, _, symbols), words = jax.lax.scan(
    eight_symbols, (none, none, none), jnp.arange(_MOST // 8)
  )
  return Strings(words, symbols + (node != _END))


def _choices(strings):
  """Two uint32 words `[N, *]` that are equal for equal strings alone.

  They hold which of its set each symbol is. Of two different strings neither
  begins with the other, so they differ where both make a choice.
  """
  which = strings.words & np.uint32(0x11111111)
  low = which[0] | which[1] << 1 | which[2] << 2 | which[3] << 3
  high = which[4] | which[5] << 1 | which[6] << 2 | which[7] << 3
  return low, high
