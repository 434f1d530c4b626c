"""Experiments 3a, 3b and 3c: a class shown at the start, noise on its channel.

Source: Hochreiter & Schmidhuber (1997), section 5.3 and Tables 4 to 6 (3a is
from Bengio et al., 1994). One real input. The first N elements are 1 in class 1
and -1 in class 2, all others Gaussian with mean 0 and variance 0.2; at the end
the network must name the class. 3b adds the same noise to the first N elements;
3c adds Gaussian noise of variance 0.1 to the targets. Choices that the paper
leaves open:

* Lengths are integers, uniform on T, ..., T + T//10. Shorter sequences, which
  Bengio et al. had too, do not occur.
* The classes are equally probable. Targets are 1 and 0; in 3c 0.2 and 0.8, and
  a noisy target is not clipped, so that it may leave [0, 1].
* The target noise of 3c is in the training targets alone. What is right is
  judged by the target without noise, and evaluations and the test after success
  have no noisy targets.
* The evaluation is the criterion ST2 (3c: its only one), of 256 sequences: at
  most as many wrong as ST1 allows, and a mean absolute error below a bound.
* `exam_every`, `exam_set`: the paper does not say when it tests, nor whether
  the 256 sequences stay the same.
* A sequence is right if |t - y| is below the tolerance, not at it.
* Both kinds of noise together, which the paper does not have, take the more
  lenient of the usual bounds.
"""

import math
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.lax import bitcast_convert_type

from lstm_jax.ops.checked import Amount, Count, Positive, Whole, checked, shared
from lstm_jax.ops.prng import bits_at, fold_in, integer_at
from lstm_jax.tasks._outputs import Output, output_unit
from lstm_jax.tasks._stop_rules.evaluation import evaluation
from lstm_jax.types import Array, Drawn, Signal, Stream, Task

NUMBERS = {'length': 100}
SHORTEST = 3
PROVIDES = ('error_at_end', 'drawn_inputs')
MEAN_STEPS = (1.05, 0)
# Of training sequences: in 3c the errors are against noisy targets.
TRIVIAL = (
  (
    {'noisy_target': False},
    {'predictor': '1/2', 'absolute': 0.5, 'squared': 0.25, 'wrong': 1.0},
  ),
  (
    {'noisy_target': True, 'target_variance': 0.1},
    {'predictor': '1/2', 'absolute': 0.35805, 'squared': 0.19, 'wrong': 1.0},
  ),
)
# Of an evaluation: tolerance, wrong sequences it may have, bound on its error.
_CLEAN_BOUNDS, _SIGNAL, _TARGET = (
  (0.2, 0, 0.01),
  (0.2, 5, 0.04),
  (0.1, 0, 0.015),
)
# Positions of the sequence's random numbers. The noise of step t is at t; these
# lie past every t.
_LENGTH, _CLASS, _NOISE = np.uint32(2**31) + np.arange(3, dtype=np.uint32)
# log(1 + x) = x - x**2 (1/2 - x (_LOG[0] + _LOG[1] x + ...)), to 4e-6 for
# 1/sqrt(2) <= 1 + x <= sqrt(2).
_LOG = (0.33272487, -0.25252153, 0.21924386, -0.14702436)
# sin(pi x) = x (_SINE[0] + _SINE[1] x**2 + ...), to 6e-7 for |x| <= 1/2.
_SINE = (3.14158202, -5.1671428, 2.54189903, -0.55463621)
_SQRT_HALF = np.float32(0.5**0.5).view(np.int32)


class Episode(NamedTuple):
  """The facts of one sequence."""

  key: tuple[Array, Array]  # each [*] uint32, what the noise is drawn from
  length: Array  # [*] int32, steps
  sign: Array  # [*] float32, 1 in class 1 and -1 in class 2
  target: Array  # [*] float32, the class's
  taught: Array  # [*] float32, what the error is against: with noise in 3c


@shared
@checked
def two_sequence(
  *,
  informative: Count = 3,
  noisy_signal: bool = False,
  noisy_target: bool = False,
  variance: Amount = 0.2,
  target_variance: Amount = 0.1,
  output: Output = 'logistic',
  tolerance: Positive | None = None,
  most_wrong: Whole | None = None,
  mean_error: Positive | None = None,
  exam_every: Count = 1000,
  exam_sequences: Count = 256,
  exam_set: Literal['fresh', 'fixed'] = 'fresh',
) -> Task:
  """Two-sequence problem (3a, 3b, 3c): the class of the start, after noise.

  Inputs `[1, *]`, targets `[1, *]`; only the last step is scored. The defaults
  that are None depend on the experiment.

  Args:
    informative: N, the elements that show the class.
    noisy_signal: whether they too have noise (3b).
    noisy_target: whether the training targets have noise (3c).
    variance: of the noise in the input.
    target_variance: of the noise in the target.
    output: output unit, see `outputs.output_unit`.
    tolerance: a sequence is right if |t - y| is below it, t without noise.
      None: 0.2, and 0.1 in 3c.
    most_wrong: wrong sequences that an evaluation may have. None: 0, and 5 in
      3b.
    mean_error: bound that an evaluation's mean absolute error must stay below.
      None: 0.01, in 3b 0.04, in 3c 0.015.
    exam_every: training sequences between two evaluations.
    exam_sequences: sequences of an evaluation.
    exam_set: 'fresh' sequences in each evaluation, or a trial's 'fixed' ones.

  Returns:
    The task; its length T is the minimal length.

  Raises:
    ValueError: an option outside its choices, fewer than one informative
      element, a variance or `most_wrong` below 0, a tolerance or mean error
      that is not positive, a number of sequences below 1. The task's `longest`
      raises it for a length below 3 or below N.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.two_sequence()
    >>> task.num_inputs, task.num_outputs, task.longest(100)
    (1, 1, 110)
  """
  kinds = ((_SIGNAL, noisy_signal), (_TARGET, noisy_target))
  bounds = [bounds for bounds, noisy in kinds if noisy] or [_CLEAN_BOUNDS]
  usual = [max(pair) for pair in zip(*bounds, strict=True)]
  tolerance = usual[0] if tolerance is None else tolerance
  most_wrong = int(usual[1]) if most_wrong is None else most_wrong
  mean_error = usual[2] if mean_error is None else mean_error
  unit = output_unit(output)
  first_class, second_class = (0.2, 0.8) if noisy_target else (1.0, 0.0)

  def longest(length):
    minimum = max(SHORTEST, informative)
    if length < minimum:
      raise ValueError(
        f'length={length} must be at least {minimum} for two_sequence with '
        f'informative={informative}'
      )
    return length + length // 10

  def draw_clean(key, length, data=()):
    del data
    length = jnp.asarray(length).astype(jnp.int32)
    first = bits_at(key, _CLASS) < np.uint32(2**31)
    pick = lambda a, b: jnp.where(first, jnp.float32(a), jnp.float32(b))
    target = pick(first_class, second_class)
    return Episode(
      key=key,
      length=integer_at(key, _LENGTH, length, length + length // 10 + 1),
      sign=pick(1, -1),
      target=target,
      taught=target,
    )

  def noisy(key, length, data=()):
    del data
    episode = draw_clean(key, length)
    noise = _round_product(target_variance**0.5 * _gaussian_at(key, _NOISE))
    return episode._replace(taught=episode.target + noise)

  def stream(episode):
    last = episode.length - 1

    def input_at(t):
      noise = _round_product(variance**0.5 * _gaussian_at(episode.key, t))
      shown = episode.sign + noise if noisy_signal else episode.sign
      return jnp.where(t < informative, shown, noise)[None]

    return Stream(
      length=episode.length,
      input_at=input_at,
      target_at=lambda t: episode.taught[None],
      scored_at=lambda t: t == last,
      drawn=Drawn(
        episode.key, (), variance**0.5,
        signal=Signal(informative, episode.sign, noisy_signal),
      ),
    )  # fmt: skip

  def correct(episode, t, y_k):
    return jnp.all(jnp.abs(y_k - episode.target[None]) < tolerance, axis=0)

  return Task(
    num_inputs=1,
    num_outputs=1,
    draw=noisy if noisy_target else draw_clean,
    fresh=draw_clean,
    stream=stream,
    longest=longest,
    error_at_end=True,
    output=unit.output,
    loss=unit.loss,
    correct=correct,
    stop_rule=evaluation(
      every=exam_every,
      sequences=exam_sequences,
      draw=lambda key, length, n, data: draw_clean(key, length),
      most_wrong=most_wrong,
      mean_error=mean_error,
      fresh=exam_set == 'fresh',
    ),
  )


def _gaussian_at(key, t):
  """`[*]` float32, standard normal, one for each position t `[*]`.

  The radius and angle of Box & Muller (1958), each from one word of a single
  call of the generator: sqrt(-2 log u) sin(pi b), u on a grid of 2**-32 near 0.
  No value lies beyond sqrt(64 log 2) = 6.66, where the normal distribution has
  3e-11 of its mass; values are exact to 6e-6, and to 3e-4 for the one in a
  million with the smallest radii. Every CPU program computes the same bits (see
  `_round_product`), and so does `nn/native/truncated_draw.h`.

  Measured on a CPU at 16 lanes, in ns a lane-step: 5.4, half of it the call of
  the generator; 5.3 with `jnp.log` and no rounding; with `jax.lax.erf_inv` 11,
  with the same polynomials written out 9; with `jnp.cos` for the sine 33.
  """
  radius, angle = fold_in(key, t)
  # Conversion from uint32 is slow, from int32 it is not.
  u = (radius >> np.uint32(1)).astype(jnp.int32).astype(jnp.float32) + 0.5
  # u 2**-31 = 2**-halvings (1 + x).
  bits = bitcast_convert_type(u, jnp.int32) - _SQRT_HALF
  halvings = (31 - (bits >> 23)).astype(jnp.float32)
  mantissa = (bits & 0x7FFFFF) + _SQRT_HALF
  x = bitcast_convert_type(mantissa, jnp.float32) - 1
  log = x - _round_product(
    x * x * (0.5 - _round_product(x * _polynomial(_LOG, x)))
  )
  square = _round_product(2 * math.log(2) * halvings) - 2 * log
  turn = bitcast_convert_type(angle, jnp.int32).astype(jnp.float32) * 2.0**-31
  b = jnp.abs(turn) - 0.5  # uniform on [-1/2, 1/2]
  # At u = 1 rounding could leave the square below 0.
  return jnp.sqrt(jnp.maximum(square, 0)) * (b * _polynomial(_SINE, b * b))


def _polynomial(c, x):
  """c[0] + c[1] x + c[2] x**2 + c[3] x**3, by pairs."""
  low, high = (c[i] + _round_product(c[i + 1] * x) for i in (0, 2))
  return low + _round_product(x * x * high)


def _round_product(product):
  """`product` to 23 bits; a sum with it is the same in every program.

  XLA:CPU contracts a product and a sum to one operation without rounding
  between, or does not, as a program happens to be compiled. A value changed in
  between can not be contracted.
  """
  bits = bitcast_convert_type(product, jnp.int32)
  return bitcast_convert_type(bits & -2, jnp.float32)
