"""Parity: whether the number of ones so far is odd.

A task as old as nets; as a test of recurrent ones at long lags random guessing
of weights solves it (Hochreiter & Schmidhuber, "LSTM can solve hard long time
lag problems", 1996), while a gradient has little to go by. Every bit counts: a
net that loses one of T bits is right half the time. Bits are 0 or 1 with equal
probability. Choices:

* `scored`: the answer is asked for at the last of T bits, or after every bit.
* The parity of each prefix is drawn, uniform and independent, and a bit is
  where two of them differ: the same distribution, and no step needs those
  before it. It is the word problem of the group of two elements, bit for bit
  (`word_problem`).
* A sequence is right where all its scored steps are; the stop rule is the
  project's own (see `_classes`).
"""

from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.checked import Count, checked, shared
from lstm_jax.ops.prng import KeyData, bits_at
from lstm_jax.tasks import _classes
from lstm_jax.tasks._outputs import ClassOutput
from lstm_jax.types import Array, Task, Trivial

NUMBERS = {'length': 100}
SHORTEST = 1
PROVIDES = {'error_at_end': {'scored': 'end'}}
MEAN_STEPS = (1, 0)
TRIVIAL: Trivial = (
  (
    {'scored': 'end'},
    {
      'predictor': '1/2 for both outputs, one a bit larger',
      'absolute': 0.5,
      'squared': 0.25,
      'wrong': 0.5,
    },
  ),
  # Of every step wrong: all but 2**-T.
  (
    {'scored': 'every_step'},
    {
      'predictor': '1/2 for both outputs, one a bit larger',
      'absolute': 0.5,
      'squared': 0.25,
    },
  ),
)


class Episode(NamedTuple):
  """The facts of one sequence: its parities follow from the key."""

  key: KeyData  # [*]
  length: Array  # [*] int32, steps


@shared
@checked
def parity(
  *,
  scored: Literal['end', 'every_step'] = 'end',
  output: ClassOutput = 'softmax',
  streak: Count = 1000,
) -> Task:
  """Parity of a sequence of bits, asked for at its end or after every bit.

  Inputs are a `OneHot` of size 2, the bit; targets one-hot over even and odd.

  Args:
    scored: whether the last step alone has an error or every one.
    output: output unit, see `outputs.output_unit`.
    streak: right sequences in a row that the stop rule asks for.

  Returns:
    The task; its length T is the number of bits.

  Raises:
    ValueError: an option outside its choices, a streak below 1. The task's
      `longest` raises it for a length below 1.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.parity()
    >>> task.num_inputs, task.num_outputs, task.longest(100)
    (2, 2, 100)
  """

  def steps(episode):
    def parity_at(t):
      leading = bits_at(episode.key, t) >> np.uint32(31)
      return jnp.where(t < 0, 0, leading.astype(jnp.int32))

    return _classes.Steps(
      length=episode.length,
      input_at=lambda t: _classes.symbol(parity_at(t) ^ parity_at(t - 1), 2),
      class_at=parity_at,
      asked_at=lambda t: (t == episode.length - 1) | (scored == 'every_step'),
    )

  return _classes.class_task(
    num_inputs=2,
    num_classes=2,
    draw=Episode,
    steps=steps,
    longest=lambda length: _classes.at_least(length, SHORTEST, 'parity'),
    error_at_end=scored == 'end',
    output=output,
    streak=streak,
  )
