"""Associative recall: the value that a key was shown with, asked for later.

Source: Ba et al., "Using fast weights to attend to the recent past" (2016,
arXiv 1610.06258), section 4.1; Graves, Wayne & Danihelka (2014, arXiv
1410.5401) have a form of it with vectors. Keys and values are shown one after
the other, c 9 k 8 j 3 f 1, then separators and one of the keys again, ? ? c:
the network must give its value, 9. Keys are different letters, every choice and
order of them equally probable, values are digits, and the key that is asked for
is any one of them. Choices:

* T separators; the publication has two.
* The step that shows the key again is the one that is scored.
* The stop rule is the project's own (see `_classes`).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.checked import Count, checked, shared
from lstm_jax.ops.prng import KeyData, integer_at
from lstm_jax.tasks import _classes
from lstm_jax.tasks._outputs import ClassOutput
from lstm_jax.types import Array, Task, Trivial

NUMBERS = {'length': 2}
SHORTEST = 1
PROVIDES = ('error_at_end',)
# With the four pairs of the publication's example.
MEAN_STEPS = (1, 9)
TRIVIAL: Trivial = (
  (
    {'values': 10},
    {
      'predictor': '1/10 for every output, one a bit larger',
      'absolute': 0.18,
      'squared': 0.09,
      'wrong': 0.9,
    },
  ),
)
# Positions of the sequence's random numbers. The value of step t is at t; these
# lie past every t.
_QUERY = np.uint32(2**31)
_KEYS = np.uint32(2**31 + 1)


class Episode(NamedTuple):
  """The facts of one sequence: its values follow from the key."""

  key: KeyData  # [*]
  length: Array  # [*] int32, T
  keys: Array  # [P, *] int32, the key of each pair
  query: Array  # [*] int32, the pair that is asked for


@shared
@checked
def associative_recall(
  *,
  pairs: Count = 4,
  keys: Count = 26,
  values: Count = 10,
  output: ClassOutput = 'softmax',
  streak: Count = 1000,
) -> Task:
  """Associative recall of 2016: of pairs of key and value, a key's value.

  Inputs are a `OneHot` over the keys, the values and the separator; targets
  one-hot over the values; only the last step is scored.

  Args:
    pairs: how many pairs a sequence has.
    keys: how many keys there are to choose from.
    values: how many values.
    output: output unit, see `outputs.output_unit`.
    streak: right sequences in a row that the stop rule asks for.

  Returns:
    The task; its length T is the lag: the separators between the last pair and
    the key that is asked for.

  Raises:
    ValueError: an option outside its choices, fewer keys than pairs, fewer than
      two values, a number below 1. The task's `longest` raises it for a length
      below 1.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.associative_recall()
    >>> task.num_inputs, task.num_outputs, task.longest(2)
    (37, 10, 11)
  """
  _classes.at_least_two('values', values)
  if keys < pairs:
    raise ValueError(f'keys={keys} must be at least pairs={pairs}')
  separator, size = keys + values, keys + values + 1

  def draw(key, length):
    return Episode(
      key,
      length,
      _classes.different_integers(key, _KEYS, pairs, keys),
      integer_at(key, _QUERY, 0, pairs),
    )

  def steps(episode):
    last = 2 * pairs + episode.length
    value_at = lambda t: integer_at(episode.key, t, 0, values)

    def input_at(t):
      pair = jnp.where(t == last, episode.query, t // 2)
      key = _classes.entry(episode.keys, pair)
      index = jnp.where(t % 2 == 0, key, keys + value_at(t))
      index = jnp.where(t < 2 * pairs, index, separator)
      return _classes.symbol(jnp.where(t == last, key, index), size)

    return _classes.Steps(
      length=last + 1,
      input_at=input_at,
      class_at=lambda t: value_at(2 * episode.query + 1),
      asked_at=lambda t: t == last,
    )

  return _classes.class_task(
    num_inputs=size,
    num_classes=values,
    draw=draw,
    steps=steps,
    longest=lambda length: (
      _classes.at_least(length, SHORTEST, 'associative_recall') + 2 * pairs + 1
    ),
    error_at_end=True,
    output=output,
    streak=streak,
  )
