"""Copy memory: symbols, a long silence, and then the symbols again.

Source: Arjovsky, Shah & Bengio, "Unitary evolution recurrent neural networks"
(2016, arXiv 1511.06464), with a relative in Hochreiter & Schmidhuber (1997).
Ten symbols, each one of eight and equally probable, are followed by T - 1
blanks, a delimiter and ten blanks more, during which the network must give the
symbols in their order: T + 20 steps. Every symbol waits for T + 10 steps.
Choices:

* `scored`: the publication has an error at every step, of nine classes: before
  the answers the blank is asked for. A net without memory that knows the
  delimiter reaches a cross-entropy of 10 log(8) / (T + 20) a step there, the
  level that the publication compares with. Or the answers alone are scored.
* `output`: softmax, whose loss is the cross-entropy of the publication; its
  mean over the steps is 1 / (T + 20) of ours, which is their sum.
* A sequence is right where all its scored steps are; the stop rule is the
  project's own (see `_classes`).
"""

from typing import Literal, NamedTuple

import jax.numpy as jnp

from lstm_jax.ops.checked import Count, checked, shared
from lstm_jax.ops.prng import KeyData, integer_at
from lstm_jax.tasks import _classes
from lstm_jax.tasks._outputs import ClassOutput
from lstm_jax.types import Array, Task, Trivial

NUMBERS = {'length': 100}
SHORTEST = 1
# With the ten symbols of the publication.
MEAN_STEPS = (1, 20)
# Of eight symbols. At every step, the errors are those of T = 100: of 120 steps
# ten have one, of nine outputs.
TRIVIAL: Trivial = (
  (
    {'scored': 'every_step', 'symbols': 8, 'items': 10},
    {
      'predictor': 'blank until the answers, then 1/8 for every symbol',
      'absolute': 0.0162037,
      'squared': 0.00810185,
      'wrong': 1.0,
    },
  ),
  (
    {'scored': 'answers', 'symbols': 8},
    {
      'predictor': '1/8 for every output, one a bit larger',
      'absolute': 0.21875,
      'squared': 0.109375,
      'wrong': 1.0,
    },
  ),
)


class Episode(NamedTuple):
  """The facts of one sequence: its symbols follow from the key."""

  key: KeyData  # [*]
  length: Array  # [*] int32, T


@shared
@checked
def copying(
  *,
  symbols: Count = 8,
  items: Count = 10,
  scored: Literal['every_step', 'answers'] = 'every_step',
  output: ClassOutput = 'softmax',
  streak: Count = 1000,
) -> Task:
  """Copy memory task of 2016: symbols are given again after a long silence.

  Inputs are a `OneHot` of size S + 2 over the S symbols, blank and delimiter;
  targets one-hot over the symbols and, where every step is scored, the blank.

  Args:
    symbols: S.
    items: how many of them a sequence has.
    scored: whether every step has an error or the answers alone.
    output: output unit, see `outputs.output_unit`.
    streak: right sequences in a row that the stop rule asks for.

  Returns:
    The task; its length T is the lag: the steps from the last symbol to the
    delimiter.

  Raises:
    ValueError: an option outside its choices, fewer than two symbols, a number
      below 1. The task's `longest` raises it for a length below 1.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.copying()
    >>> task.num_inputs, task.num_outputs, task.longest(100)
    (10, 9, 120)
  """
  _classes.at_least_two('symbols', symbols)
  blank, delimiter, size = symbols, symbols + 1, symbols + 2

  def steps(episode):
    answers = episode.length + items  # step of the first

    def symbol_at(t):
      # One draw for what is shown and what is asked for.
      place = jnp.where(t < items, t, t - answers)
      return integer_at(episode.key, place, 0, symbols)

    def input_at(t):
      later = jnp.where(t == answers - 1, delimiter, blank)
      return _classes.symbol(jnp.where(t < items, symbol_at(t), later), size)

    return _classes.Steps(
      length=answers + items,
      input_at=input_at,
      class_at=lambda t: jnp.where(t < answers, blank, symbol_at(t)),
      asked_at=lambda t: (t >= answers) | (scored == 'every_step'),
    )

  return _classes.class_task(
    num_inputs=size,
    num_classes=symbols + (scored == 'every_step'),
    draw=Episode,
    steps=steps,
    longest=lambda length: (
      _classes.at_least(length, SHORTEST, 'copying') + 2 * items
    ),
    error_at_end=False,
    output=output,
    streak=streak,
  )
