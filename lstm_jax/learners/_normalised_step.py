"""A step that does not depend on the scale of a weight's derivative.

Across a lag of T steps the derivative of the output by a gate's weight is some
thousand times smaller than that by an output weight, and smaller still where T
grows: the gate has to be shut so that T steps leak little through it. A plain
gradient moves such a weight never. Adam moves it as fast as any other, but by
the same step however small the error has become, so that its rate must be
brought down by a schedule. Here each weight is moved by

  w <- w - r m / sqrt(v),   m = E[g],   v = E[(g / |e|)^2],

running means over sequences, corrected for their start as Adam's are, where g
is the gradient of a sequence and |e| the norm of its error, the root of the
mean square over output units (one rate then suits tasks of one output and of
many: measured on adding and temporal order, T = 1,000). g / |e| is the
derivative of the output along the error, so that v is the diagonal of the
Gauss-Newton matrix. It is divided by its root, as in Adam: a weight whose
derivative has a steady sign moves by r |e|, whatever the size of the
derivative, and less as the error goes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from lstm_jax.types import Array, Params

# A derivative of 1e-14 squared is 0 in float32: what is squared is larger.
_SCALE = 2.0**30


class NormalisedState(NamedTuple):
  """Running means so far.

  Attributes:
    num_updates: int32.
    mean: like the params, of the gradients.
    square: like the params, of the squares of scaled gradients over errors.
  """

  num_updates: Array
  mean: Params
  square: Params


def normalised_step(
  learning_rate: float = 0.3,
  mean_decay: float = 0.9,
  square_decay: float = 0.99,
) -> optax.GradientTransformationExtraArgs:
  """The diagonal Gauss-Newton step, as a transformation of optax.

  Its `update` takes the norm of the error that the gradient is of as
  `error_norm`, a scalar. Where that is 0 the gradient is, and nothing is
  learned about v.

  Args:
    learning_rate: r, the step of a weight whose derivative has a steady sign
      over the error; 0.2 to 0.4 learn long lags, 0.6 unlearns.
    mean_decay: of the running mean of gradients.
    square_decay: of the running mean of squares.

  Returns:
    The transformation.

  Example:
    >>> import jax.numpy as jnp
    >>> step = normalised_step(0.1)
    >>> def trained(scale):  # y = scale x weight, to be scale
    ...   weight = jnp.float32(0)
    ...   state = step.init(weight)
    ...   for _ in range(60):
    ...     error = weight - 1
    ...     update, state = step.update(
    ...       error * scale, state, error_norm=abs(error))
    ...     weight = weight + update
    ...   return float(weight)
    >>> [round(trained(scale), 2) for scale in (1, 1e-12)]
    [0.98, 0.98]
  """

  def init(params):
    return NormalisedState(
      jnp.zeros((), jnp.int32),
      jax.tree.map(jnp.zeros_like, params),
      jax.tree.map(jnp.zeros_like, params),
    )

  def update(updates, state, params=None, *, error_norm: ArrayLike, **others):
    del params, others
    num_updates = state.num_updates + 1
    has_error = jnp.asarray(error_norm) > 0
    along = _SCALE / jnp.where(has_error, error_norm, 1)
    mean = jax.tree.map(
      lambda m, g: mean_decay * m + (1 - mean_decay) * g, state.mean, updates
    )
    square = jax.tree.map(
      lambda v, g: jnp.where(
        has_error, square_decay * v + (1 - square_decay) * (g * along) ** 2, v
      ),
      state.square,
      updates,
    )
    rate = learning_rate * _SCALE

    def move(m, v):
      n = num_updates.astype(m.dtype)
      size = jnp.sqrt(jnp.where(v > 0, v, 1) / (1 - square_decay**n))
      step_by = -rate * (m / (1 - mean_decay**n)) / size
      # A weight that the output does not depend on stays.
      return jnp.where(v > 0, step_by, 0)

    return jax.tree.map(move, mean, square), NormalisedState(
      num_updates, mean, square
    )

  return optax.GradientTransformationExtraArgs(init, update)
