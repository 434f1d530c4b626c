"""Experiment 5: the multiplication problem.

Source: Hochreiter & Schmidhuber (1997), section 5.5 and Table 8. As the adding
problem, but the values are uniform on [0, 1), X1 is 1 if the first pair is
marked, and at the end the network must give X1 X2, not rescaled. Choices that
the paper leaves open:

* Lengths, the places of the marks and the marker of a marked first pair are as
  in `adding`, whose docstring names the readings.
* "If the first pair is marked, X1 is set to 1": whichever of the two draws
  marked it. `first_marked` says whether the network sees the 1.
* `output`: the text has logistic units throughout; the experiment that this
  one resembles most, `adding`, suggests linear ones.
* `n_seq`: a trial of the paper is read twice, when fewer than 140 and when
  fewer than 13 of the last 2000 training sequences are wrong. Here it ends at
  one of the two.
* A sequence is wrong if its error is above the tolerance, right at it.
"""

from typing import Literal

import jax.numpy as jnp

from lstm_jax.ops.checked import Count, Positive, checked, shared
from lstm_jax.ops.prng import uniform_at
from lstm_jax.tasks import _marked
from lstm_jax.tasks._outputs import Output, output_unit
from lstm_jax.tasks._stop_rules.recent import recent as recent_sequences
from lstm_jax.types import Task, Trivial

NUMBERS = {'length': 100}
SHORTEST = 4
PROVIDES = ('error_at_end', 'drawn_inputs')
MEAN_STEPS = (1.05, 0)
# At T = 100, where the first pair is marked in 11.8 % of the sequences: in
# 1/10 + 9/10 / (T//2 - 1) of them.
TRIVIAL: Trivial = (
  (
    {'tolerance': 0.04},
    {
      'predictor': '0.27959, the mean target',
      'absolute': 0.20046,
      'squared': 0.059243,
      'wrong': 0.9004,
    },
  ),
  (
    {},  # the share wrong depends on the tolerance
    {
      'predictor': '0.27959, the mean target',
      'absolute': 0.20046,
      'squared': 0.059243,
    },
  ),
)


@shared
@checked
def multiplication(
  *,
  output: Output = 'logistic',
  first_marked: Literal[
    'one_input_and_target', 'one_target_only'
  ] = 'one_input_and_target',
  tolerance: Positive = 0.04,
  n_seq: int = 140,
  recent: Count = 2000,
) -> Task:
  """Multiplication problem: the product of two marked values, at the end.

  Values are uniform on [0, 1). Inputs `[2, *]` are (value, marker), with
  marker 1 at the two marked pairs, -1 at the first and last pair, 0 elsewhere.
  One output; only the last step is scored.

  Args:
    output: output unit, see `outputs.output_unit`.
    first_marked: whether a marked first pair has its value set to 1 in the
      input and the target, or in the target only.
    tolerance: a sequence is wrong if |t - y| is above it.
    n_seq: the trial ends when fewer than so many recent training sequences
      were wrong. The paper has 140 and 13.
    recent: how many training sequences are recent.

  Returns:
    The task; its length T is the minimal length.

  Raises:
    ValueError: an option outside its choices, a tolerance that is not positive,
      an `n_seq` outside 1, ..., `recent`. The task's `longest` raises it for a
      length below 4.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.multiplication()
    >>> task.num_inputs, task.num_outputs, task.longest(100)
    (2, 1, 110)
  """
  if not 1 <= n_seq <= recent:
    raise ValueError(f'n_seq={n_seq} must be from 1 to recent={recent}')
  unit = output_unit(output)
  start_value = 1 if first_marked == 'one_input_and_target' else None

  def draw(key, length, data=()):
    del data
    return _marked.draw(key, length, uniform_at, 1, _target)

  def stream(episode):
    return _marked.stream(episode, uniform_at, start_value, 1.0, 0.0)

  def correct(episode, t, y_k):
    return jnp.all(jnp.abs(y_k - episode.target[None]) <= tolerance, axis=0)

  return Task(
    num_inputs=2,
    num_outputs=1,
    draw=draw,
    fresh=draw,
    stream=stream,
    longest=lambda length: _marked.longest(length, SHORTEST, 'multiplication'),
    error_at_end=True,
    output=unit.output,
    loss=unit.loss,
    correct=correct,
    stop_rule=recent_sequences(recent, n_seq),
  )


def _target(x1, x2):
  return x1 * x2
