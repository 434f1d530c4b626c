"""Exams: tests taken between training sequences, lane by lane.

Table 11 of the 1997 paper stops a trial when a test is passed (`types.Exam`).
The lanes of a program do not sit it at the same time: each takes the sequences
of its exam in the same lock-step in which the others train.
"""

from typing import NamedTuple

import jax.numpy as jnp

from lstm_jax.types import Array


class Sitting(NamedTuple):
  """How far a lane is with its exams; `[*]` each."""

  now: Array  # bool, whether it sits one
  number: Array  # int32, exams begun
  n: Array  # int32, sequences of this one taken
  wrong: Array  # int32, of these
  absolute: Array  # sum of their mean absolute errors


def begin(lanes, dtype):
  """The `Sitting` of lanes that have not sat any exam yet."""
  none = jnp.zeros(lanes, jnp.int32)
  return Sitting(none != 0, none, none, none, jnp.zeros(lanes, dtype))


def sit(exam, sitting, judgement, seen, reached):
  """One sequence on, for lanes that sit an exam and lanes that train.

  Args:
    exam: the exam.
    sitting: the `Sitting` before the sequence.
    judgement: of the sequence.
    seen: `[*]` training sequences, this one included.
    reached: `[*]` bool, whether the milestone lies behind.

  Returns:
    `(sitting, first, passed)`: `first` where this was the last sequence of an
    exam with no more than the wrong ones it may have, `passed` where its mean
    error is small enough too.
  """
  n = sitting.n + 1
  wrong = sitting.wrong + ~judgement.right
  absolute = sitting.absolute + judgement.absolute.astype(
    sitting.absolute.dtype
  )
  bound = exam.mean_error * exam.sequences
  complete = sitting.now & (n >= exam.sequences)
  first = complete & (wrong <= exam.most_wrong)
  passed = first & (absolute < bound)
  # No sequence more once it cannot be passed, nor add to what is known.
  hopeless = (wrong > exam.most_wrong) | (reached & (absolute >= bound))
  goes_on = sitting.now & ~complete & ~hopeless
  begins = ~sitting.now & (seen % exam.every == 0)
  return (
    Sitting(
      now=goes_on | begins,
      number=sitting.number + begins,
      n=jnp.where(goes_on, n, 0),
      wrong=jnp.where(goes_on, wrong, 0),
      absolute=jnp.where(goes_on, absolute, 0),
    ),
    first,
    passed,
  )
