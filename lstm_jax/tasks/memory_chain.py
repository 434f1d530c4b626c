"""Memory chain: bits shown at the first step, one of them asked for at the end.

Source: the environment `memory_chain` of Osband et al., "Behaviour suite for
reinforcement learning" (2020, arXiv 1908.03568), experiments `memory_len`, one
bit and T of 1, ..., 100, and `memory_size`, T = 2 and 1, ..., 40 bits. There an
agent is rewarded for the right action at the end; here the right action is the
target, which is the memory alone without exploration. An observation is the
share of the time that is left, the number of the bit that is asked for, at the
last step alone, and the bits as 1 and -1, at the first step alone. Choices:

* The bits are shown at step 0 and asked for at step T. (The environment shows
  its first observation twice.)
* `clock`: whether the first line shows the time that is left, or 0.
* The stop rule is the project's own (see `_classes`); bsuite has a score of the
  mistakes in 10,000 episodes.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.checked import Count, checked, shared
from lstm_jax.ops.prng import KeyData, bits_at, integer_at
from lstm_jax.tasks import _classes
from lstm_jax.tasks._outputs import ClassOutput
from lstm_jax.types import Array, Drawn, Task, Trivial

NUMBERS = {'length': 100}
SHORTEST = 1
PROVIDES = {
  'error_at_end': {},
  'drawn_inputs': {'clock': False, 'bits': 1},
}
MEAN_STEPS = (1, 1)
TRIVIAL: Trivial = (
  (
    {},
    {
      'predictor': '1/2 for both outputs, one a bit larger',
      'absolute': 0.5,
      'squared': 0.25,
      'wrong': 0.5,
    },
  ),
)
# Input lines: the time that is left, the bit that is asked for, the bits.
_CLOCK, _QUERY, _BITS = 0, 1, 2
# Positions of the sequence's random numbers; bit i is at i.
_ASKED = np.uint32(2**31)


class Episode(NamedTuple):
  """The facts of one sequence."""

  key: KeyData  # [*]
  bits: Array  # [N, *] float32, 1 and -1
  length: Array  # [*] int32, T
  query: Array  # [*] int32, the bit that is asked for


@shared
@checked
def memory_chain(
  *,
  bits: Count = 1,
  clock: bool = True,
  output: ClassOutput = 'softmax',
  streak: Count = 1000,
) -> Task:
  """Memory chain of bsuite: a bit of the first step, asked for at the last.

  Inputs `[2 + N, *]` are time left, number of the bit, N bits; targets one-hot
  over 0 and 1; only the last step is scored.

  Args:
    bits: N.
    clock: whether the input shows how much time is left.
    output: output unit, see `outputs.output_unit`.
    streak: right sequences in a row that the stop rule asks for.

  Returns:
    The task; its length T is the lag: a sequence has T + 1 steps.

  Raises:
    ValueError: an option outside its choices, a number below 1. The task's
      `longest` raises it for a length below 1.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.memory_chain()
    >>> task.num_inputs, task.num_outputs, task.longest(100)
    (3, 2, 101)
  """

  def draw(key, length):
    signs = [
      jnp.where(bits_at(key, i + 0 * length) >> np.uint32(31), 1.0, -1.0)
      for i in range(bits)
    ]
    query = integer_at(key, _ASKED, 0, bits)
    return Episode(key, jnp.stack(signs).astype(jnp.float32), length, query)

  def steps(episode):
    last = episode.length
    asked = _classes.entry(episode.bits, episode.query) > 0

    def input_at(t):
      left = 1 - t.astype(jnp.float32) / last.astype(jnp.float32)
      query = jnp.where(t == last, episode.query, 0).astype(jnp.float32)
      shown = jnp.where(t[None] == 0, episode.bits, 0)
      return jnp.concatenate(
        [(left if clock else jnp.zeros_like(left))[None], query[None], shown]
      )

    return _classes.Steps(
      length=last + 1,
      input_at=input_at,
      class_at=lambda t: asked.astype(jnp.int32),
      asked_at=lambda t: t == last,
      drawn=_drawn(episode) if bits == 1 and not clock else None,
    )

  return _classes.class_task(
    num_inputs=_BITS + bits,
    num_classes=2,
    draw=draw,
    steps=steps,
    longest=lambda length: (
      _classes.at_least(length, SHORTEST, 'memory_chain') + 1
    ),
    error_at_end=True,
    output=output,
    streak=streak,
  )


def _drawn(episode):
  """Inputs of one bit without a clock: all 0 but for the bit, at step 0."""
  (sign,) = episode.bits
  line = 0 * episode.length + _BITS
  events = tuple(
    (jnp.where(sign == value, 0, -1), line, value) for value in (1.0, -1.0)
  )
  return Drawn(episode.key, events, scale=0.0, shift=0.0)
