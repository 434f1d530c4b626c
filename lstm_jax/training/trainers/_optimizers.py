"""Optimizers of the published supervised runs, without a learning rate.

Each is an optax transformation whose update is added to the weights after it
has been multiplied by a rate, which may differ from lane to lane.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class _Moments(NamedTuple):
  """State of `keras_adam`."""

  steps: jax.Array
  mean: optax.Updates
  square: optax.Updates


def keras_adam(
  b1: float = 0.9, b2: float = 0.999, eps: float = 1e-7
) -> optax.GradientTransformation:
  r"""Adam with the constant of Keras, added before the second correction.

    w <- w - alpha sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)

  The `epsilon hat` of Kingma & Ba (2015), end of section 2; optax and torch add
  theirs after the correction. Early in training the two differ: at t = 1 this
  eps counts as 1 / sqrt(1 - b2) = 32 times as much.
  """

  def init(params):
    zeros = jax.tree.map(jnp.zeros_like, params)
    return _Moments(jnp.zeros((), jnp.int32), zeros, zeros)

  def update(grads, state, params=None):
    del params
    steps = state.steps + 1
    mean = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mean, grads)
    square = jax.tree.map(
      lambda v, g: b2 * v + (1 - b2) * g * g, state.square, grads
    )
    t = steps.astype(jnp.float32)
    scale = jnp.sqrt(1 - b2**t) / (1 - b1**t)
    moves = jax.tree.map(
      lambda m, v: -scale.astype(m.dtype) * m / (jnp.sqrt(v) + eps),
      mean,
      square,
    )
    return moves, _Moments(steps, mean, square)

  return optax.GradientTransformation(init, update)


def _down(transform):
  return optax.chain(transform, optax.scale(-1.0))


# RMSprop as in the Keras of TensorFlow 2, 1e-7 outside the root; Keras 3 has it
# inside.
OPTIMIZERS = {
  'sgd': lambda: optax.scale(-1.0),
  'adam': lambda: _down(optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8)),
  'keras_adam': keras_adam,
  'keras_rmsprop': lambda: _down(
    optax.scale_by_rms(decay=0.9, eps=1e-7, eps_in_sqrt=False)
  ),
}
