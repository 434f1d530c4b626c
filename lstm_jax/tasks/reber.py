"""Experiment 1: the embedded Reber grammar.

Source: Hochreiter & Schmidhuber (1997), section 5.1 and Table 1; the grammar is
that of Cleeremans et al. (1989), the sizes of the sets are Fahlman's (1991). A
string is B, then T or P, then a string of the Reber grammar, then the second
symbol again, then E; wherever two symbols may follow, both are equally
probable. The network sees a string symbol by symbol and names the next symbol
at each step; the last symbol, E, is a target only. Choices that the paper
leaves
open:

* `targets`: the symbol that follows, or all that may follow.
* Each trial draws 256 training and 256 test strings of its own; the paper has
  30 trials of three pairs of sets. A training sequence is any of the 256
  training strings, drawn every time.
* A test string that is in the training set is drawn again, which leaves the
  test set the longer strings.
* `sets`: whether a string may occur twice in a set. As the grammar gives them,
  about a hundred of 256 training strings are different; 256 different ones are
  longer.
* Strings of more than 64 symbols, of which the grammar has 3.3e-8, are drawn
  again.
* The evaluation is all strings of both sets, hence the same each time. The
  paper does not say when it tests (`exam_every`).
* A step is right if each symbol that may follow has a larger output than each
  that may not; an equal one is wrong.

There is no free length: the task's T is ignored.
"""

import functools
from typing import Literal

import jax.numpy as jnp

from lstm_jax.ops.checked import Count, checked, shared
from lstm_jax.ops.prng import integer_at
from lstm_jax.tasks import _grammar
from lstm_jax.tasks._outputs import Output, output_unit
from lstm_jax.tasks._stop_rules.evaluation import evaluation
from lstm_jax.types import Stream, Task

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


@shared
@checked
def reber(
  *,
  targets: Literal['next_symbol', 'legal_symbols'] = 'next_symbol',
  output: Output = 'logistic',
  sets: Literal['as_drawn', 'distinct'] = 'as_drawn',
  exam_every: Count = 100,
) -> Task:
  """Embedded Reber grammar (1): the next symbol, at each step of a string.

  Inputs and targets `[7, *]` are one-hot over B, T, S, X, V, P, E.

  Args:
    targets: whether the target is 1 for the symbol that follows, or for all
      that may follow.
    output: output unit, see `outputs.output_unit`.
    sets: whether a string may occur more than once in a set.
    exam_every: training sequences between two evaluations.

  Returns:
    The task. Its data are a trial's `Strings`, N = 512, training set first; an
    episode is one of them.

  Raises:
    ValueError: an option outside its choices, an `exam_every` below 1.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.reber()
    >>> task.num_inputs, task.num_outputs, task.longest(1)
    (7, 7, 63)
  """
  unit = output_unit(output)
  taught = _grammar.IS if targets == 'next_symbol' else _grammar.LEGAL

  def draw(key, length, data):
    del length
    return _grammar.string(data, integer_at(key, 0, 0, _grammar.STRINGS))

  def examine(key, length, n, data):
    del key, length
    return _grammar.string(data, n)

  def fresh(key, length):
    del length
    return _grammar.draw_strings(key)

  def stream(episode):
    return Stream(
      length=episode.symbols - 1,
      input_at=lambda t: _grammar.rows(
        _grammar.IS, _grammar.code_at(episode, t)
      ),
      target_at=lambda t: _grammar.rows(
        taught, _grammar.code_at(episode, t + 1)
      ),
      scored_at=lambda t: jnp.full(jnp.shape(t), True),
    )

  def correct(episode, t, y_k):
    legal = _grammar.rows(_grammar.LEGAL, _grammar.code_at(episode, t + 1)) > 0
    least_legal = jnp.min(jnp.where(legal, y_k, jnp.inf), axis=0)
    return least_legal > jnp.max(jnp.where(legal, -jnp.inf, y_k), axis=0)

  return Task(
    num_inputs=len(_grammar.SYMBOLS),
    num_outputs=len(_grammar.SYMBOLS),
    draw=draw,
    fresh=fresh,
    stream=stream,
    longest=lambda length: _grammar.MAX_SYMBOLS - 1,
    error_at_end=False,
    output=unit.output,
    loss=unit.loss,
    correct=correct,
    stop_rule=evaluation(
      every=exam_every, sequences=2 * _grammar.STRINGS, draw=examine
    ),
    prepare=functools.partial(_grammar.prepare, distinct=sets == 'distinct'),
    next_symbol=targets == 'next_symbol',
  )
