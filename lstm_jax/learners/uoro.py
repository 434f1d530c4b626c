"""Unbiased online recurrent optimization: a random rank-one influence.

Tallec & Ollivier, "Unbiased online recurrent optimization", ICLR 2018
(arXiv:1702.05043).
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from lstm_jax.learners import _descend
from lstm_jax.learners._forward import influence_matrix, loop
from lstm_jax.learners._optimizer import Optimizer
from lstm_jax.ops import prng
from lstm_jax.ops.checked import checked
from lstm_jax.ops.prng import Key
from lstm_jax.types import Array, Cell, Learner, Params, Task

NUMBERS = {'learning_rate': 0.1}
# The paper's, in its algorithm 1.
_EPSILON = 1e-7


class State(NamedTuple):
  """A network in training and where its random signs come from.

  Attributes:
    inner: weights and optimizer.
    key: of the trial.
    sequences: `[*]` int32, sequences learned from; each has its own signs.
  """

  inner: _descend.State
  key: Key
  sequences: Array

  @property
  def params(self) -> Params:
    """The weights."""
    return self.inner.params


@checked
def uoro(
  cell: Cell,
  task: Task,
  *,
  update: Literal['every_step', 'sequence'] = 'every_step',
  optimizer: Optimizer = 'sgd',
) -> Learner:
  """Unbiased online recurrent optimization: RTRL with a rank-one influence.

  In place of S = d carry/dw two vectors s `[n]` and v `[W]` with E[s v^T] = S:

    s(t) = rho_0 D(t) s(t-1) + rho_1 nu
    v(t) = v(t-1) / rho_0 + nu^T I(t) / rho_1

  with nu independent random signs, D and I as in `rtrl`. What the signs mix
  vanishes on average, whatever the two factors are; they balance the norms:
  rho_0 = sqrt(|v(t-1)| / (|D s(t-1)| + eps)) + eps and rho_1 = sqrt(|nu^T I| /
  (|nu| + eps)) + eps, eps = 1e-7. A step costs O(W) time and memory, a gradient
  has the right mean and a variance that grows with n and T. With updates at
  every step the mean is that of real-time recurrent learning only as far as the
  weights stand still.

  Args:
    cell: any cell.
    task: the task, for its error and its sequences.
    update: when the weights move: after every scored step, or once with the
      sum over the sequence. The same where only the last step is scored.
    optimizer: what turns the gradient into an update: a name, or a
      transformation of optax with a learning rate of its own.

  Returns:
    The learner. s and v are 0 at the start of every sequence.

  Raises:
    ValueError: an unknown `update` or optimizer.

  Source: Tallec & Ollivier (2018), section 3, algorithm 1; D s by exact
  derivatives in place of a finite difference.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.adding()
    >>> cell = lj.srn(2, 1, hidden=4)
    >>> learner = lj.uoro(cell, task)
    >>> sorted(learner._fields)
    ['extra_weights', 'foreign', 'init', 'judge', 'update']
  """
  past = influence_matrix.past(cell)
  start, learn, judge = loop.descend(cell, task, past, update, optimizer)

  def init(key, numbers):
    # Not the key itself, from which the weights are drawn.
    words = jax.random.bits(jax.random.fold_in(key, 1), (2,), jnp.uint32)
    inner = start(key, numbers)
    num_zero = jnp.zeros(inner.learning_rate.shape, jnp.int32)
    return State(inner, Key(words[0], words[1]), num_zero)

  def step(state, episode):
    rule = rank_one(past, prng.fold_in(state.key, state.sequences))
    inner, judgement = learn(state.inner, episode, rule)
    return State(inner, state.key, state.sequences + 1), judgement

  return Learner(init, step, judge)


def rank_one(past: influence_matrix.Past, key: Key) -> influence_matrix.Rule:
  """The `Rule` that carries s and v; signs from `key`, one of a sequence.

  The signs of the next step are carried, too: drawn where they are used, they
  would be drawn again for every weight, in the kernel that they are fused into.
  """

  def start(lanes, dtype):
    return (
      jnp.zeros((past.size, *lanes), dtype),
      jnp.zeros((past.weights.size, *lanes), dtype),
      signs(key, jnp.zeros(lanes, jnp.int32), past.size, dtype),
    )

  def advance(params, carry_tm1, x_t, t, memory):
    s, v, nu = memory
    carry_t, push, pull = past.step(params, carry_tm1, x_t)
    s = push(s)
    _, at_once = pull(nu)
    rho_0 = _balance(v, s)
    rho_1 = _balance(at_once, nu)
    next_nu = signs(key, t + 1, past.size, s.dtype)
    return carry_t, (
      rho_0 * s + rho_1 * nu,
      v / rho_0 + at_once / rho_1,
      next_nu,
    )

  def credit(memory, e):
    s, v, _ = memory
    return jnp.sum(e * s, axis=0, keepdims=True) * v

  return influence_matrix.Rule(start, advance, credit)


def signs(key: Key, t: Array, size: int, dtype: DTypeLike) -> Array:
  """`[size, *]` of -1 and 1, independent for every step `t` `[*]`."""
  row = np.arange(size).reshape(-1, *(1,) * t.ndim)
  bits = prng.bits_at(Key(*(word[None] for word in key)), t[None] * size + row)
  return jnp.where(bits >> jnp.uint32(31), 1, -1).astype(dtype)


def _balance(a, b):
  """The factor for b that makes b as long as a over it, `[1, *]`."""
  length = lambda x: jnp.sqrt(jnp.sum(x * x, axis=0, keepdims=True))
  return jnp.sqrt(length(a) / (length(b) + _EPSILON)) + _EPSILON
