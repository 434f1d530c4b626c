"""The optimizers of gradient rules: a name, or any transformation of optax."""

from typing import Literal, TypeAlias

import jax
import numpy as np
import optax

from lstm_jax.types import Cell

Optimizer: TypeAlias = (
  Literal['sgd', 'adam', 'rmsprop'] | optax.GradientTransformation
)
OPTIMIZERS = ('sgd', 'adam', 'rmsprop')


def has_own_rate(optimizer: Optimizer) -> bool:
  """Tells whether an optimizer has its learning rate in it: no name has."""
  return not isinstance(optimizer, str)


def transformation(
  optimizer: Optimizer, cell: Cell
) -> optax.GradientTransformation:
  """The transformation of optax that turns a gradient into an update.

  Args:
    optimizer: one of `OPTIMIZERS` (its updates are those of the rate 1, with
      optax's default constants), or a transformation, taken as it is.
    cell: whose weights it moves.

  Raises:
    ValueError: an unknown name, what is no transformation, one that wants more
      than gradients and weights.
  """
  if not has_own_rate(optimizer):
    if optimizer not in OPTIMIZERS:
      choices = ', '.join(OPTIMIZERS)
      raise ValueError(f'optimizer={optimizer!r} must be one of {choices}')
    return getattr(optax, optimizer)(learning_rate=1.0)
  if not isinstance(optimizer, optax.GradientTransformation):
    raise ValueError(
      f'optimizer is a {type(optimizer).__name__}; must be one of '
      f'{", ".join(OPTIMIZERS)}, or a GradientTransformation of optax'
    )
  like = jax.tree.map(
    lambda mask: jax.ShapeDtypeStruct(np.shape(mask), np.float32), cell.mask
  )
  try:
    jax.eval_shape(lambda w: optimizer.update(w, optimizer.init(w), w), like)
  except Exception as error:
    why = str(error).partition('\n')[0]
    raise ValueError(
      'optimizer: a rule gives it gradients and weights once a sequence, and '
      f'this transformation fails on them: {type(error).__name__}: {why}'
    ) from error
  return optimizer
