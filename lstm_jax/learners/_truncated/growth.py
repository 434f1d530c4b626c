"""Nets that grow: memory cells added once the error has stopped falling.

Hochreiter & Schmidhuber (1997), section 4, "abuse problem", solution (1), used
in Experiments 2a and 2b. The paper does not say how it is found out that the
error has stopped falling; here its mean over a run of sequences is compared
with that over the run before.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from lstm_jax.learners import _descend
from lstm_jax.learners._truncated import carousel
from lstm_jax.ops import step
from lstm_jax.ops.arrays import select
from lstm_jax.types import Array, Cell, Episode, Judgement, Learner, Params


class Growing(NamedTuple):
  """A learner's state and what it takes to see a plateau.

  Attributes:
    inner: the learner's state; weights that wait are 0 in it.
    reserve: the initial weights.
    n: `[*]` int32, sequences of the present run.
    total: `[*]` sum of their errors.
    mean_before: `[*]` mean error of the previous run; the largest number at
      first.
  """

  inner: _descend.State
  reserve: Params
  n: Array
  total: Array
  mean_before: Array

  @property
  def params(self) -> Params:
    return self.inner.params


def first_net(cell: Cell) -> Params:
  """1 for weights from input lines to output units, like the cell's mask."""
  (equations, _), mask = carousel.parts_of(cell), cell.mask
  zeros = jax.tree.map(np.zeros_like, mask)
  weights, b_out = step.output_weights(equations, mask)
  w_cells, *w_inputs = weights
  output = ((jnp.zeros_like(w_cells), *w_inputs), b_out)
  first = step.gather(
    equations, mask, step.hidden_weights(equations, zeros), output
  )
  return jax.tree.map(np.asarray, first)


def at_plateau(
  init: Callable[[Array, Mapping[str, ArrayLike]], _descend.State],
  learn: Callable[[_descend.State, Episode], tuple[_descend.State, Judgement]],
  judge: Callable[[Params, Episode], Judgement],
  first: Params,
  sequences: int,
  ratio: float,
) -> Learner:
  """A learner whose other weights join when the error has stopped falling.

  Args:
    init, learn, judge: of a `Learner` that holds every weight outside `first`
      still until `State.grown`.
    first: 1 for the weights that are trained from the start.
    sequences: length of a run.
    ratio: the error has stopped falling when its mean square over a run is
      above this fraction of that over the run before.

  Returns:
    The learner; its state is a `Growing`.
  """

  def only_first(params):
    def hold(w, m):
      return w * m.reshape(m.shape + (1,) * (w.ndim - m.ndim))

    return jax.tree.map(hold, params, first)

  def start(key, numbers):
    state = init(key, numbers)
    zeros = jnp.zeros_like(state.learning_rate)
    return Growing(
      inner=state._replace(params=only_first(state.params)),
      reserve=state.params,
      n=zeros.astype(jnp.int32),
      total=zeros,
      mean_before=jnp.full_like(zeros, jnp.finfo(zeros.dtype).max),
    )

  def update(state, episode):
    inner, judgement = learn(state.inner, episode)
    grown = jnp.asarray(inner.grown)
    n = state.n + 1
    total = state.total + judgement.squared.astype(state.total.dtype)
    over = n >= sequences
    mean = total / n
    grows = over & (mean > ratio * state.mean_before) & ~grown
    steps = jax.tree.map(jnp.subtract, state.reserve, only_first(state.reserve))
    params = select(
      grows, jax.tree.map(jnp.add, inner.params, steps), inner.params
    )
    inner = inner._replace(params=params, grown=grown | grows)
    return Growing(
      inner=inner,
      reserve=state.reserve,
      n=jnp.where(over, 0, n),
      total=jnp.where(over, 0, total),
      mean_before=jnp.where(over, mean, state.mean_before),
    ), judgement

  return Learner(start, update, judge)
