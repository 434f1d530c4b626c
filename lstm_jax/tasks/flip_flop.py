"""Flip-flop: a bit is written, and read after others were to be ignored.

Source: Liu et al., "Exposing attention glitches with flip-flop language
modeling" (2023, arXiv 2306.00946). A sequence is T instructions: the first is
`write`, the last is `read`, each between them is `ignore` with probability p,
else `write` or `read`, equally probable. A write and an ignore have a random
bit, and at a read the network must give the bit of the last write. Published
with T = 256: FFL(0.8), and FFL(0.98) and FFL(0.1) as tests of what was learned
on it, which small LSTMs pass and transformers do not. The lag, from the last
write to a read, is geometric: it is 2 / (1 - p) steps in the mean, and T - 1 at
most. Choices:

* An instruction and its bit are one input, at one step; a read shows no bit, so
  that its answer is nowhere in the input.
* `scored`: the read at the end, or every read, as published. The last write
  before a read is then searched for, instruction by instruction, at every step
  (about as many calls of the generator as the lag has steps).
* A sequence is right where all its scored reads are; the stop rule is the
  project's own (see `_classes`).
"""

import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.checked import Amount, Count, checked, shared
from lstm_jax.ops.prng import KeyData, bits_at, uniform_at
from lstm_jax.tasks import _classes
from lstm_jax.tasks._outputs import ClassOutput
from lstm_jax.types import Array, Task, Trivial

NUMBERS = {'length': 256}
SHORTEST = 2
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
  # How many sequences are wrong depends on the number of reads.
  (
    {'scored': 'reads'},
    {
      'predictor': '1/2 for both outputs, one a bit larger',
      'absolute': 0.5,
      'squared': 0.25,
    },
  ),
)
# Input lines: a write of 0 and of 1, an ignore with 0 and with 1, a read.
_WRITE, _IGNORE, _READ = 0, 2, 4
# Position of a random number past every t, those of the instructions.
_LAG = np.uint32(2**31)


class Episode(NamedTuple):
  """The facts of one sequence: its instructions follow from the key."""

  key: KeyData  # [*]
  length: Array  # [*] int32, instructions
  last_write: Array  # [*] int32, its step


@shared
@checked
def flip_flop(
  *,
  ignore: Amount = 0.8,
  scored: Literal['end', 'reads'] = 'end',
  output: ClassOutput = 'softmax',
  streak: Count = 1000,
) -> Task:
  """Flip-flop language of 2023: a read gives the bit that was written last.

  Inputs are a `OneHot` of size 5 over a write of 0, of 1, an ignore of 0, of 1,
  and a read; targets one-hot over 0 and 1.

  Args:
    ignore: probability that an instruction is to be ignored.
    scored: whether the read at the end has an error, or every read.
    output: output unit, see `outputs.output_unit`.
    streak: right sequences in a row that the stop rule asks for.

  Returns:
    The task; its length T is the number of instructions.

  Raises:
    ValueError: an option outside its choices, `ignore` outside [0, 1), a streak
      below 1. The task's `longest` raises it for a length below 2.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.flip_flop()
    >>> task.num_inputs, task.num_outputs, task.longest(256)
    (5, 2, 256)
  """
  if not ignore < 1:
    raise ValueError(f'ignore={ignore} must be at least 0 and below 1')
  # Of the 2**23 numbers that an instruction comes from those of a write, then
  # as many of a read. After the last write none is of a write.
  writes = round((1 - ignore) / 2 * 2**23)
  reads_after = round(writes / (1 - writes / 2**23))
  log_continue = math.log1p(-writes / 2**23)

  def draw(key, length):
    # Of the instructions between, counted from the last: geometric.
    num_after = jnp.log(1 - uniform_at(key, _LAG)) * (1 / log_continue)
    num_after = jnp.minimum(jnp.floor(num_after), 2.0**30).astype(jnp.int32)
    return Episode(key, length, jnp.maximum(length - 2 - num_after, 0))

  def steps(episode):
    last = episode.length - 1

    def instruction_at(t):
      """`(whether it is a write, whether it is a read, its bit)`."""
      word = bits_at(episode.key, t)
      number = (word >> np.uint32(9)).astype(jnp.int32)
      is_after = t > episode.last_write
      is_write = ~is_after & (number < writes)
      is_write |= (t == 0) | (t == episode.last_write)
      num_reads = jnp.where(is_after, reads_after, 2 * writes)
      is_read = (t == last) | (~is_write & (number < num_reads))
      return is_write, is_read, (word & np.uint32(1)).astype(jnp.int32)

    def input_at(t):
      is_write, is_read, bit = instruction_at(t)
      shown = jnp.where(is_write, _WRITE, _IGNORE) + bit
      return _classes.symbol(jnp.where(is_read, _READ, shown), _READ + 1)

    def written_at(t):
      """The step of the last write up to t: the first instruction is one."""
      step_back = lambda s: jnp.where(instruction_at(s)[0], s, s - 1)
      is_open = lambda s: ~jnp.all(instruction_at(s)[0])
      start = jnp.clip(t, 0, episode.last_write)
      return jax.lax.while_loop(is_open, step_back, start)

    at_end = scored == 'end'
    return _classes.Steps(
      length=episode.length,
      input_at=input_at,
      class_at=lambda t: instruction_at(
        episode.last_write if at_end else written_at(t)
      )[2],
      asked_at=lambda t: t == last if at_end else instruction_at(t)[1],
    )

  return _classes.class_task(
    num_inputs=_READ + 1,
    num_classes=2,
    draw=draw,
    steps=steps,
    longest=lambda length: _classes.at_least(length, SHORTEST, 'flip_flop'),
    error_at_end=scored == 'end',
    output=output,
    streak=streak,
  )
