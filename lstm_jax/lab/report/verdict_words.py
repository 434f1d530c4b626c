"""The verdicts there are, the same for every rule."""

from typing import NamedTuple

from lstm_jax.ops.intervals import Interval

REPRODUCED, NOT, UNDER = 'reproduced', 'not reproduced', 'under-powered'
NO_VERDICT = 'no verdict'
WORDS = (REPRODUCED, UNDER, NOT, NO_VERDICT)  # best first
WIDEST = 2.0  # factor that an interval may reach from our mean


class Verdict(NamedTuple):
  """The verdict on one reading.

  Attributes:
    word: one of `WORDS`.
    reason: why, a clause without a full stop.
    ratio: our mean over the published one, None where none is compared.
    reach: the factor r of the rule of means, None for fewer than two solved.
    p: of the test for equal shares, None where they are not compared.
    expected: where one more run is expected, in the unit of records; None for
      another rule, or fewer than two seeds.
  """

  word: str
  reason: str
  ratio: float | None = None
  reach: float | None = None
  p: float | None = None
  expected: Interval | None = None


def summed(words: list[str]) -> str:
  """Counts each verdict, the best first."""
  return ', '.join(
    f'{words.count(word)} {word}' for word in WORDS if word in words
  )
