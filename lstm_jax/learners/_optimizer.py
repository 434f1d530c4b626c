"""The optimizers of gradient rules: a name, or any transformation of optax."""

from typing import Literal, TypeAlias

import jax
import numpy as np
import optax

from lstm_jax.choices import one_of, type_words
from lstm_jax.learners._normalised_step import normalised_step
from lstm_jax.types import Cell

Optimizer: TypeAlias = (
  Literal['sgd', 'adam', 'rmsprop', 'normalised'] | optax.GradientTransformation
)
# Name -> its factory, of a learning rate.
_FACTORIES = {
  'sgd': optax.sgd,
  'adam': optax.adam,
  'rmsprop': optax.rmsprop,
  'normalised': normalised_step,
}
OPTIMIZERS = tuple(_FACTORIES)
# Among which tuning draws, for every learner that takes an `Optimizer`. What
# 'rmsprop' finds 'adam' finds: three share the settings, not four.
RANGES = {
  'optimizer': ['sgd', 'adam', 'normalised'],
  'learning_rate': {
    'optimizer': {
      'sgd': (0.01, 10.0, 'log'),
      'adam': (3e-4, 0.1, 'log'),
      'rmsprop': (3e-4, 0.1, 'log'),
      'normalised': (0.01, 3.0, 'log'),
    }
  },
}


def has_own_rate(optimizer: Optimizer) -> bool:
  """Tells whether an optimizer has its learning rate in it: no name has."""
  return not isinstance(optimizer, str)


def transformation(
  optimizer: Optimizer, cell: Cell
) -> optax.GradientTransformationExtraArgs:
  """The transformation of optax that turns a gradient into an update.

  Args:
    optimizer: one of `OPTIMIZERS` (its updates are those of the rate 1, with
      default constants), or a transformation, taken as it is. One that takes
      extra arguments gets `error_norm`, the root of the mean square of the
      error that a gradient is of.
    cell: whose weights it moves.

  Raises:
    ValueError: an unknown name, what is no transformation, one that wants more
      than gradients and weights or draws random numbers.
  """
  if not has_own_rate(optimizer):
    if optimizer not in OPTIMIZERS:
      raise ValueError(f'optimizer={optimizer!r} {one_of(OPTIMIZERS)}')
    rule = _FACTORIES[optimizer](learning_rate=1.0)
    return optax.with_extra_args_support(rule)
  if not isinstance(optimizer, optax.GradientTransformation):
    raise ValueError(
      f'optimizer is {type_words(optimizer)}; {one_of(OPTIMIZERS)}, or a '
      'GradientTransformation of optax'
    )
  like = jax.tree.map(
    lambda mask: jax.ShapeDtypeStruct(np.shape(mask), np.float32), cell.mask
  )
  optimizer = optax.with_extra_args_support(optimizer)
  norm = jax.ShapeDtypeStruct((), np.float32)
  try:
    state = jax.eval_shape(
      lambda w, norm: optimizer.update(
        w, optimizer.init(w), w, error_norm=norm
      )[1],
      like,
      norm,
    )
  except Exception as error:
    why = str(error).partition('\n')[0]
    raise ValueError(
      'optimizer: a rule gives it gradients, weights and error_norm, and '
      f'this transformation fails on them: {type(error).__name__}: {why}'
    ) from error
  for leaf in jax.tree.leaves(state):
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
      raise ValueError(
        'optimizer: its state holds a random key, which is the same for every '
        'seed and cannot be kept: no noise is drawn from there'
      )
  return optimizer
