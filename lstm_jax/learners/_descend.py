"""The base of gradient rules: a gradient of one sequence, an optax update."""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from lstm_jax.learners._optimizer import (
  Optimizer,
  has_own_rate,
  transformation,
)
from lstm_jax.ops.arrays import (
  add_column,
  differentiable,
  gather_column,
  select,
)
from lstm_jax.ops.initial import initial_params
from lstm_jax.types import (
  Array,
  Carry,
  Cell,
  Episode,
  Judgement,
  Learner,
  OneHot,
  Params,
  Source,
  Task,
)


class State(NamedTuple):
  """A network in training."""

  params: Params  # [..., *]
  optimizer: optax.OptState  # optax state, a copy a lane
  learning_rate: Array  # [*]
  # [*] bool, whether every weight is trained yet; None: from the start.
  grown: Array | None = None


def descend(
  cell: Cell,
  gradient: Callable[[Params, Episode], tuple[Params, Judgement]],
  judge: Callable[[Params, Episode], Judgement],
  optimizer: Optimizer = 'sgd',
) -> Learner:
  """A learner that follows a gradient: w <- w - alpha dE/dw, once a sequence.

  Args:
    cell: the cell; its mask keeps weights that do not exist at zero.
    gradient: `(params, episode) -> (grads, judgement)`.
    judge: `(params, episode) -> judgement`.
    optimizer: of `stepper`.

  Returns:
    The learner.

  Raises:
    ValueError: an unknown optimizer.

  Example:
    >>> import jax, lstm_jax as lj
    >>> task, cell = lj.adding(), lj.gru(2, 1)
    >>> judge = lambda params, episode: lj.judge_forward(
    ...   cell, task, params, episode)
    >>> def nothing(params, episode):
    ...   grads = jax.tree.map(jax.numpy.zeros_like, params)
    ...   return grads, judge(params, episode)
    >>> lazy = lj.descend(cell, nothing, judge)  # a rule that learns nothing
  """
  start, move = stepper(cell, optimizer)

  def update(state, episode):
    grads, judgement = gradient(state.params, episode)
    return move(state, grads, judgement.squared), judgement

  return Learner(start, update, judge)


def stepper(
  cell: Cell, optimizer: Optimizer, first: Params | None = None
) -> tuple[
  Callable[[Array, Mapping[str, ArrayLike]], State],
  Callable[[State, Params, Array], State],
]:
  """Makes the functions by which a gradient moves the weights.

  Args:
    cell: the cell; its mask keeps weights that do not exist at zero.
    first: like the mask: the weights that are trained while `State.grown` does
      not hold; None: all, always.
    optimizer: 'sgd' (the paper's plain gradient descent), 'adam' or 'rmsprop',
      from optax with their default constants, or 'normalised', the diagonal
      Gauss-Newton step, each with a learning rate a lane; or a transformation
      of optax, whose learning rate is its own.

  Returns:
    `init(key, numbers) -> State` and `move(state, grads, squared) -> State`,
    where `squared` `[*]` is the mean squared error, over output units and the
    scored steps that the gradient is of.

  Raises:
    ValueError: an unknown optimizer, one that does not fit; of `init`, a
      learning rate besides the optimizer's own.
  """
  transform = transformation(optimizer, cell)

  def init(key, numbers):
    params = initial_params(cell, key, numbers)
    if not has_own_rate(optimizer):
      rate = jnp.asarray(numbers['learning_rate'])
    elif 'learning_rate' in numbers:
      raise ValueError(
        'learning_rate with an optimizer that has one of its own: choose one'
      )
    else:
      rate = jnp.ones((), jax.tree.leaves(params)[0].dtype)
    grown = None if first is None else jnp.zeros(rate.shape, bool)
    return State(params, transform.init(params), rate, grown)

  def move(state, grads, squared):
    rate = state.learning_rate
    grads = jax.tree.map(_existing, grads, cell.mask)
    if first is not None:
      mask = jax.tree.map(_existing, grads, first)
      grads = select(state.grown, grads, mask)

    # optax knows no lanes; mapped over them its step counts are a lane's own.
    def step(grads, moments, params, norm):
      return transform.update(grads, moments, params, error_norm=norm)

    for _ in rate.shape:
      step = jax.vmap(step, in_axes=-1, out_axes=-1)
    norm = jnp.sqrt(squared.astype(rate.dtype))
    updates, moments = step(grads, state.optimizer, state.params, norm)
    scale = lambda u: (
      u * jnp.reshape(rate, (1,) * (u.ndim - rate.ndim) + rate.shape)
    )
    params = optax.apply_updates(state.params, jax.tree.map(scale, updates))
    # Arrays without a single weight are ignored: for a thousand input lines,
    # adding nothing to each is a tenth of an update.
    keep = lambda new, old, mask: new if np.any(mask) else old
    params = jax.tree.map(keep, params, state.params, cell.mask)
    return State(params, moments, rate, state.grown)

  return init, move


def _existing(grad, mask):
  """`grad` `[..., *]` with zeros where the mask has no weight."""
  if np.all(mask):
    return grad
  return grad * mask.reshape(mask.shape + (1,) * (grad.ndim - mask.ndim))


def scored_step(
  cell: Cell,
  task: Task,
  params: Params,
  carry_tm1: Carry,
  x_t: Source,
  target: Array,
  weight: Array | float = 1.0,
  keep: Collection[str] = (),
  total: Params | None = None,
) -> tuple[Params, dict[str, Array], Array]:
  """Error and gradient of one step, everything before it held constant.

  Args:
    cell, task: the network and the task.
    params: `[..., *]`.
    carry_tm1: the carry before the step.
    x_t: `[I, *]` or a `OneHot`.
    target: `[K, *]`.
    weight: factor on the error, `[*]` or 1.
    keep: names of carry fields whose derivative is wanted too.
    total: like the params, what the gradient is added to; None: zeros.

  Returns:
    `(total, e, net_k)`: `total` + dE/dw; dE/d(field)(t-1) for each name in
    `keep`; the outputs `[K, *]`.
  """
  if total is None:
    total = jax.tree.map(jnp.zeros_like, params)
  x_t = differentiable(x_t, jax.tree.leaves(params)[0].dtype)
  weights, x = params, x_t
  if isinstance(x_t, OneHot):
    weights, x = gather_column(params, x_t)

  def error(params, fields):
    carry = carry_tm1._replace(**fields)
    _, net_k = cell.step(params, carry, x)
    return jnp.sum(weight * task.loss(net_k, target)), net_k

  fields = {name: getattr(carry_tm1, name) for name in keep}
  (grads, e), net_k = jax.grad(error, argnums=(0, 1), has_aux=True)(
    weights, fields
  )
  if isinstance(x_t, OneHot):
    return add_column(total, grads, x_t), e, net_k
  return jax.tree.map(jnp.add, total, grads), e, net_k
