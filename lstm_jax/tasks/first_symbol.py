"""Experiments 2a and 2b: the first symbol of a sequence is also its last.

Source: Hochreiter & Schmidhuber (1997), section 5.2 (Tasks 2a and 2b, Table 2).
The alphabet is a_1, ..., a_{p-1}, x, y. A sequence starts with x or y, equally
probable, goes on with symbols a_i and ends with the symbol it started with; at
each step the network must name the next symbol. The last symbol is a target
only: T steps show T symbols, and the first one is asked for T - 1 steps after
it was shown. Choices that the paper leaves open:

* `middle='fixed'` is 2a: a_1, ..., a_{p-1} in this order, hence two sequences
  in all and T = p steps. `middle='random'` is 2b: each of the T - 1 symbols
  drawn from all a_i, also the same one again. T is then free; the paper has
  T = p.
* `scored`: error at every step, as the text says, or at the last step only.
* 2a succeeds if all outputs are near their targets at all steps of 10,000
  random sequences. Of these there are two different ones, and 10,000 draws
  miss one of the two with probability 2**-9999: the evaluation is these two,
  each once. 2b looks at the end of 10,000 random sequences: the steps before it
  carry an error but are never wrong.
* `exam_every`, `exam_set`: the paper does not say when it tests, nor whether
  the test sequences stay the same.
* A sequence is right if the errors are below the tolerance, not at it.
* `blind_sequences` is not of the paper, whose failures ran for 5,000,000
  sequences: it gives up trials in which nothing of the first symbol arrives.
"""

import functools
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.checked import Positive, checked, shared
from lstm_jax.ops.prng import bits_at, integer_at
from lstm_jax.tasks._outputs import Output, output_unit
from lstm_jax.tasks._stop_rules.chain import chain
from lstm_jax.tasks._stop_rules.evaluation import evaluation
from lstm_jax.tasks._stop_rules.futility import futility
from lstm_jax.types import Array, OneHot, Stream, Task

NUMBERS = {'length': 100}
SHORTEST = 2
PROVIDES = {
  'next_symbol': {'scored': 'every_step'},
  'error_at_end': {'scored': 'end'},
}
MEAN_STEPS = (1, 0)
# At every step, the levels are those of T = 100: 99 targets with probability
# 1/100 and two with 1/200, over the steps.
TRIVIAL = (
  (
    {'scored': 'end'},
    {
      'predictor': '1/2 for x and y, 0 for all others',
      'absolute': 0.00990099,
      'squared': 0.0049505,
      'wrong': 1.0,
    },
  ),
  (
    {'scored': 'every_step', 'symbols': 100},
    {
      'predictor': "each symbol's share of the targets",
      'absolute': 0.019605,
      'squared': 0.0098025,
      'wrong': 1.0,
    },
  ),
)
# Position of the first symbol's random number. The middle symbol of step t is
# at t; this lies past every t.
_FIRST = np.uint32(2**31)
# Training sequences between two looks whether a trial is blind.
_LOOK_EVERY = 1000


class Episode(NamedTuple):
  """The facts of one sequence."""

  key: tuple[Array, Array]  # each [*] uint32, source of the middle symbols
  length: Array  # [*] int32, steps
  is_y: Array  # [*] int32, 1 if it starts and ends with y, 0 with x
  # [*] int32, of a probe: the same for the symbol it starts with. A probe is
  # scored at its last step alone. None: no probe.
  starts_with_y: Array | None = None


@shared
@checked
def first_symbol(
  *,
  middle: Literal['fixed', 'random'] = 'fixed',
  symbols: int = 100,
  scored: Literal['every_step', 'end'] = 'every_step',
  output: Output = 'logistic',
  tolerance: Positive = 0.25,
  exam_every: int = 0,
  exam_sequences: int = 0,
  exam_set: Literal['fresh', 'fixed'] = 'fresh',
  blind_sequences: int = 0,
) -> Task:
  """Next symbol of a sequence (2a, 2b) that ends with its first symbol.

  Inputs, a `OneHot` of size p + 1, and targets `[p + 1, *]` are one-hot over
  a_1, ..., a_{p-1}, x, y.

  Args:
    middle: 'fixed' is 2a, the symbols between in a fixed order; 'random' is 2b.
    symbols: p.
    scored: whether every step has an error or the last one alone. At 'end' 2a
      too is right or wrong by its last step.
    output: output unit, see `outputs.output_unit`.
    tolerance: a step is right if |t - y| of every output is below it.
    exam_every: training sequences between two evaluations; 0: 100 in 2a and
      1000 in 2b.
    exam_sequences: sequences of an evaluation; 0: two in 2a, one of each kind,
      and 10,000 in 2b. In 2a the kinds take turns.
    exam_set: 'fresh' sequences in each evaluation, or a trial's 'fixed' ones.
    blind_sequences: a trial fails early ('given_up') when for so many training
      sequences the errors of the last step were the same to the last bit
      whichever symbol came first, at a look every 1000 sequences; 0: never.

  Returns:
    The task; its length T is the number of steps.

  Raises:
    ValueError: an option outside its choices, fewer than two symbols, a
      tolerance that is not positive, a number of sequences below 0. The task's
      `longest` raises it for a length below 2 and, with a fixed middle, for one
      that is not `symbols`; `draw` then takes `symbols` for it.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.first_symbol(symbols=20)
    >>> task.num_inputs, task.num_outputs, task.longest(20)
    (21, 21, 20)
  """
  if symbols < 2:
    raise ValueError(f'symbols={symbols} must be at least 2')
  for name, value in (
    ('exam_every', exam_every),
    ('exam_sequences', exam_sequences),
    ('blind_sequences', blind_sequences),
  ):
    if value < 0:
      usual = 'never' if name == 'blind_sequences' else 'the usual'
      raise ValueError(f'{name}={value} must be at least 1, or 0 for {usual}')
  unit = output_unit(output)
  is_fixed = middle == 'fixed'
  size = symbols + 1

  draw, examine, probe = _draws(is_fixed, symbols)

  def outer(episode):
    """Row of the last symbol, and of the first where it is no probe."""
    return symbols - 1 + episode.is_y

  def between(episode, t):
    """Row of the middle symbol that is shown at step t."""
    if is_fixed:
      return t.astype(jnp.int32) - 1
    return integer_at(episode.key, t, 0, symbols - 1)

  def stream(episode):
    last = episode.length - 1
    probing = episode.starts_with_y is not None
    first = symbols - 1 + episode.starts_with_y if probing else outer(episode)

    def input_at(t):
      return OneHot(jnp.where(t == 0, first, between(episode, t)), size)

    def target_at(t):
      middle = between(episode, t + 1)
      return _one_hot(jnp.where(t == last, outer(episode), middle), size)

    return Stream(
      length=episode.length,
      input_at=input_at,
      target_at=target_at,
      scored_at=lambda t: (
        (t == last) | (scored == 'every_step' and not probing)
      ),
    )

  def correct(episode, t, y_k):
    if is_fixed:
      error = jnp.abs(y_k - stream(episode).target_at(t))
      return jnp.all(error < tolerance, axis=0)
    error = jnp.abs(y_k - _one_hot(outer(episode), size))
    is_before_last = t < episode.length - 1
    return is_before_last | jnp.all(error < tolerance, axis=0)

  rule = evaluation(
    every=exam_every or (100 if is_fixed else 1000),
    sequences=exam_sequences or (2 if is_fixed else 10_000),
    draw=examine,
    fresh=exam_set == 'fresh',
  )
  if blind_sequences:
    rule = chain(rule, futility(_LOOK_EVERY, blind_sequences, probe))

  return Task(
    num_inputs=size,
    num_outputs=size,
    draw=draw,
    fresh=draw,
    stream=stream,
    longest=functools.partial(_longest, is_fixed, symbols),
    error_at_end=scored == 'end',
    output=unit.output,
    loss=unit.loss,
    correct=correct,
    stop_rule=rule,
    next_symbol=scored == 'every_step',
  )


def _longest(is_fixed, symbols, length):
  """Steps of the longest sequence for a length T; refuses those it cannot have.

  Args:
    is_fixed: whether the middle is.
    symbols: p.
    length: T.
  """
  if length < SHORTEST:
    raise ValueError(
      f'length={length} must be at least {SHORTEST} for first_symbol'
    )
  if is_fixed and length != symbols:
    raise ValueError(
      f'length={length} must be symbols={symbols} where middle=fixed '
      '(any length goes with middle=random)'
    )
  return length


def _draws(is_fixed, symbols):
  """Returns the draws of a training sequence, of an evaluation, of a probe."""

  def make(key, length, is_y):
    length = jnp.asarray(length).astype(jnp.int32)
    steps = jnp.full_like(length, symbols) if is_fixed else length
    return Episode(key, steps, is_y)

  def draw(key, length, data=()):
    del data
    first = bits_at(key, _FIRST) >> np.uint32(31)
    return make(key, length, first.astype(jnp.int32))

  def examine(key, length, n, data):
    del data
    if not is_fixed:
      return draw(key, length)
    is_y = (jnp.asarray(n) % 2).astype(jnp.int32)
    return make(key, length, jnp.broadcast_to(is_y, jnp.shape(length)))

  def probe(key, length, symbol):
    zeros = jnp.zeros(jnp.shape(length), jnp.int32)
    return make(key, length, zeros)._replace(starts_with_y=zeros + symbol)

  return draw, examine, probe


def _one_hot(index, size):
  """`[size, *]` float32, 1 in row `index` `[*]` and 0 elsewhere."""
  row = jnp.arange(size).reshape((size,) + (1,) * index.ndim)
  return (row == index[None]).astype(jnp.float32)
