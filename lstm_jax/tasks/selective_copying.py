"""Selective copying: symbols scattered in silence, and then in their order.

Source: Gu & Dao, "Mamba: linear-time sequence modeling with selective state
spaces" (2023, arXiv 2312.00752), section 4.1; before it the denoising task of
Jing et al. (2019, arXiv 1706.02761). Of the first T + 16 steps 16 have a
symbol, any 16 of them with equal probability, and T are blank; at each of 16
steps more a marker asks for the next symbol. Published, with T = 4096: accuracy
of 18.3 % (S4), 57.0 % (H3), 30.1 % (Hyena), 97.0 % (S6, the selective layer)
and 99.8 % (Mamba), Table 1 there. Choices:

* 14 symbols: the vocabulary of 16 has blank and marker too.
* A lag is from 16 steps to T + 16, and the position of a symbol says nothing.
* A sequence is right where all its answers are, which is more than an accuracy
  of answers; the stop rule is the project's own (see `_classes`).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.checked import Count, checked, shared
from lstm_jax.ops.prng import KeyData, integer_at
from lstm_jax.tasks import _classes
from lstm_jax.tasks._outputs import ClassOutput
from lstm_jax.types import Array, Task, Trivial

NUMBERS = {'length': 100}
SHORTEST = 1
# With the 16 symbols of the publication.
MEAN_STEPS = (1, 32)
TRIVIAL: Trivial = (
  (
    {'symbols': 14},
    {
      'predictor': '1/14 for every output, one a bit larger',
      'absolute': 0.132653,
      'squared': 0.0663265,
      'wrong': 1.0,
    },
  ),
)
# Positions of the sequence's random numbers. The i-th symbol is at i; those of
# the places are from here on.
_PLACES = np.uint32(2**31)


class Episode(NamedTuple):
  """The facts of one sequence: its symbols follow from the key."""

  key: KeyData  # [*]
  length: Array  # [*] int32, T
  positions: Array  # [N, *] int32, the steps of the symbols, in any order


@shared
@checked
def selective_copying(
  *,
  symbols: Count = 14,
  items: Count = 16,
  output: ClassOutput = 'softmax',
  streak: Count = 1000,
) -> Task:
  """Selective copying of 2023: scattered symbols are given in their order.

  Inputs are a `OneHot` of size S + 2 over the S symbols, blank and marker;
  targets one-hot over the symbols; the answers are scored.

  Args:
    symbols: S.
    items: how many of them a sequence has.
    output: output unit, see `outputs.output_unit`.
    streak: right sequences in a row that the stop rule asks for.

  Returns:
    The task; its length T is the number of blanks.

  Raises:
    ValueError: an option outside its choices, fewer than two symbols, a number
      below 1. The task's `longest` raises it for a length below 1.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.selective_copying()
    >>> task.num_inputs, task.num_outputs, task.longest(4096)
    (16, 14, 4128)
  """
  _classes.at_least_two('symbols', symbols)
  blank, marker, size = symbols, symbols + 1, symbols + 2

  def draw(key, length):
    positions = _classes.different_integers(key, _PLACES, items, length + items)
    return Episode(key, length, positions)

  def steps(episode):
    answers = episode.length + items  # step of the first

    def symbol_at(t):
      # Of those before the answers the next one: one draw for both.
      num_before = jnp.sum(episode.positions < t[None], axis=0)
      place = jnp.where(t < answers, num_before, t - answers)
      return integer_at(episode.key, place, 0, symbols)

    def input_at(t):
      is_symbol = jnp.any(episode.positions == t[None], axis=0)
      index = jnp.where(is_symbol, symbol_at(t), blank)
      return _classes.symbol(jnp.where(t < answers, index, marker), size)

    return _classes.Steps(
      length=answers + items,
      input_at=input_at,
      class_at=symbol_at,
      asked_at=lambda t: t >= answers,
    )

  return _classes.class_task(
    num_inputs=size,
    num_classes=symbols,
    draw=draw,
    steps=steps,
    longest=lambda length: (
      _classes.at_least(length, SHORTEST, 'selective_copying') + 2 * items
    ),
    error_at_end=False,
    output=output,
    streak=streak,
  )
