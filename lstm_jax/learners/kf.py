"""The extended Kalman filter on the weights: a rule of second order.

Puskorius & Feldkamp, "Neurocontrol of nonlinear dynamical systems with Kalman
filter trained recurrent networks", IEEE Transactions on Neural Networks 5(2),
1994; with LSTM: Gers, Perez-Ortiz, Eck & Schmidhuber, "Kalman filters improve
LSTM network performance in problems unsolvable by traditional recurrent nets",
Neural Networks 16(2), 2003.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.learners import _judge
from lstm_jax.learners._forward import influence_matrix, loop
from lstm_jax.ops.checked import checked
from lstm_jax.ops.initial import initial_params
from lstm_jax.types import Array, Cell, Learner, Params, Task

# The variance of a measurement is 1 / learning_rate.
NUMBERS = {
  'learning_rate': 100.0,
  'initial_variance': 3.0,
  'process_noise': 1e-4,
}
RANGES = {
  'learning_rate': (1.0, 1e4, 'log'),
  'initial_variance': (0.1, 100.0, 'log'),
  'process_noise': (1e-6, 1e-2, 'log'),
}


class State(NamedTuple):
  """The belief about the weights: a normal distribution.

  Attributes:
    params: its mean, `[..., *]`.
    covariance: P `[W, W, *]`, of the weights that exist.
    learning_rate: `[*]`, 1 over the variance of a measured output.
    process_noise: `[*]`, variance added to each weight at every update.
  """

  params: Params
  covariance: Array
  learning_rate: Array
  process_noise: Array


class Sight(NamedTuple):
  """A sequence under weights that stand still, and what it has taught."""

  params: Params
  mean: Array  # [W, *]
  covariance: Array  # [W, W, *]


@checked
def kf(
  cell: Cell,
  task: Task,
  *,
  update: Literal['every_step', 'sequence'] = 'every_step',
  most_weights: int = 2000,
) -> Learner:
  """Extended Kalman filter: every output is a measurement of the weights.

  The target of a scored step is taken for a measurement of y_k(w) with variance
  R = 1 / learning_rate, and y is linear in w near the mean: h = dy_k/dw, exact
  derivatives through all steps as in `rtrl`. For each output unit in turn

    gain = P h / (h^T P h + R)
    w <- w + gain (target - y_k),   P <- P - gain h^T P,

  which is the joint update by all K outputs, since their noises are
  independent, without a matrix to invert; then P <- P + q 1. P starts as
  `initial_variance` times the unit matrix.

  Second-order information for the price of O(K W^2) a scored step and W^2
  numbers, W the weights that exist, beside the O(n^2 W) of the sensitivities:
  for the networks of 1997, with about a hundred weights, nothing.

  Args:
    cell: any cell with few weights.
    task: the task, for its output unit and its sequences. Its error function is
      not used: the filter minimises squared errors.
    update: 'every_step' moves the weights after every scored step. 'sequence'
      leaves them in place until the end and takes all measurements of the
      sequence as linear in w around one point: a step of Gauss and Newton,
      damped by P. The same where only the last step is scored.
    most_weights: weights that a network may have; P has their square.

  Numbers: `learning_rate` 1/R, `initial_variance` and `process_noise` q. q is
  added once an update: with 'sequence' once a sequence. Without it only the
  product of the other two matters, and the filter learns ever less.

  Returns:
    The learner. P lives on from sequence to sequence.

  Raises:
    ValueError: an unknown `update`, more weights than `most_weights`.

  Source: Puskorius & Feldkamp (1994), section III (global filter, learning rate
  and process noise); Gers et al. (2003), section 3.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.adding()
    >>> cell = lj.srn(2, 1, hidden=4)
    >>> learner = lj.kf(cell, task)
    >>> sorted(learner._fields)
    ['extra_weights', 'foreign', 'init', 'judge', 'update']
  """
  weights = influence_matrix.vector(cell.mask)
  if weights.size > most_weights:
    raise ValueError(
      f'kf: the network has {weights.size} weights, more than '
      f'most_weights={most_weights}; the filter stores their square'
    )
  past = influence_matrix.past(cell)
  rule = influence_matrix.full(past)

  def init(key, numbers):
    rate, variance, noise = (jnp.asarray(numbers[name]) for name in NUMBERS)
    covariance = _diagonal(weights.size, variance)
    return State(initial_params(cell, key, numbers), covariance, rate, noise)

  def measure(params, carry_tm1, influence, x_t):
    """`(y_k [K, *], net_k, h [K, W, *])` of the step to come."""

    def outputs(params, fields):
      _, net_k = cell.step(params, carry_tm1._replace(**fields), x_t)
      return task.output(net_k), net_k

    fields = {name: getattr(carry_tm1, name) for name in past.fields}
    y_k, back, net_k = jax.vjp(outputs, params, fields, has_aux=True)

    def sight(e_k):
      grads, e = back(e_k)
      e = influence_matrix.pack(past.fields, e)
      recurrent = past.weights.tree(rule.credit(influence, e))
      return weights.flat(jax.tree.map(jnp.add, grads, recurrent))

    basis = _diagonal(len(y_k), jnp.ones_like(y_k[0]))
    return y_k, net_k, jax.vmap(sight)(basis)

  def learn(state, episode):
    def filter_step(sight, carry_tm1, influence, x_t, target, scored):
      y_k, net_k, h = measure(sight.params, carry_tm1, influence, x_t)
      rate = jnp.where(scored, state.learning_rate, 0)
      mean, covariance = assimilate(
        sight.mean, sight.covariance, weights.flat(sight.params),
        h, jnp.where(scored[None], target - y_k, 0), rate,
      )  # fmt: skip
      return sight._replace(mean=mean, covariance=covariance), net_k

    def drift(covariance, by):
      return covariance + _diagonal(weights.size, by)

    def at_once(sight, *step):
      sight, net_k = filter_step(sight, *step)
      noise = jnp.where(step[-1], state.process_noise, 0)
      return Sight(
        weights.tree(sight.mean), sight.mean, drift(sight.covariance, noise)
      ), net_k

    sight = Sight(state.params, weights.flat(state.params), state.covariance)
    absorb = at_once if update == 'every_step' else filter_step
    sight, judgement = loop.through(task, past, rule, sight, episode, absorb)
    covariance = sight.covariance
    if update == 'sequence':
      covariance = drift(covariance, state.process_noise)
    return state._replace(
      params=weights.tree(sight.mean), covariance=covariance
    ), judgement

  def judge(params, episode):
    return _judge.judge_forward(cell, task, params, episode)

  return Learner(init, learn, judge)


def assimilate(
  mean: Array,
  covariance: Array,
  weights: Array,
  h: Array,
  error: Array,
  rate: Array,
) -> tuple[Array, Array]:
  """The normal distribution of the weights after K scalar measurements.

  Args:
    mean: `[W, *]`.
    covariance: P `[W, W, *]`.
    weights: `[W, *]`, the weights at which `h` and `error` were taken.
    h: `[K, W, *]`, derivatives of the outputs.
    error: `[K, *]`, targets minus outputs.
    rate: `[*]`, 1 over the variance of each; 0 measures nothing.

  Returns:
    `(mean, covariance)`.
  """

  # P is many times as large as all else. It is read for all measurements at
  # once, and changed once: what those before took from P takes from P h too.
  directions = influence_matrix.product(h, covariance)  # P is symmetric

  def add_measurement(belief, measurement):
    mean, directions = belief
    h_k, error, k = measurement
    direction = jax.lax.dynamic_index_in_dim(directions, k, keepdims=False)
    # Not below 0, where rounding may bring it.
    variance = jnp.maximum(jnp.sum(h_k * direction, axis=0), 0)
    gain = rate / (1 + rate * variance)
    surprise = error - jnp.sum(h_k * (mean - weights), axis=0)
    mean = mean + direction * (gain * surprise)[None]
    share = gain[None] * jnp.sum(h * direction[None], axis=1)
    directions = directions - share[:, None] * direction[None]
    return (mean, directions), (direction, gain)

  (mean, _), (directions, gains) = jax.lax.scan(
    add_measurement, (mean, directions), (h, error, jnp.arange(len(h)))
  )
  # Products of a vector with itself stay symmetric to the last bit.
  squares = directions[:, :, None] * directions[:, None]
  return mean, covariance - jnp.sum(gains[:, None, None] * squares, axis=0)


def _diagonal(size, value):
  """`[size, size, *]`: `value` `[*]` on the diagonal, zeros elsewhere."""
  unit = jnp.eye(size, dtype=value.dtype)
  return unit.reshape(size, size, *(1,) * value.ndim) * value[None, None]
