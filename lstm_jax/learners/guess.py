"""Random weight guessing: no learning at all, the control of every claim.

Hochreiter & Schmidhuber (1996), "Bridging long time lags by weight guessing and
'Long Short-Term Memory'"; Schmidhuber, Hochreiter & Bengio (2001), "Evaluating
benchmark problems by random guessing". All weights are drawn again until the
network is right; a task that is solved so within few sequences says little
about a learning rule.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.learners import _judge
from lstm_jax.ops import prng
from lstm_jax.ops.arrays import select
from lstm_jax.ops.checked import Whole, checked
from lstm_jax.ops.prng import Key
from lstm_jax.types import Array, Cell, Learner, Params, Task

# All weights are uniform in [-guess_range, guess_range].
NUMBERS = {'guess_range': 100.0}
RANGES = {'guess_range': (1.0, 1000.0, 'log')}


class State(NamedTuple):
  """The present guess.

  Attributes:
    params: its weights, `[..., *]`.
    key: what guess n is drawn from, together with n.
    guess_range: `[*]`, r.
    guesses: `[*]` int32, nets drawn so far, the present one included; it is
      number `guesses - 1`.
    mistakes: `[*]` int32, sequences that the present one got wrong.
  """

  params: Params
  key: Key
  guess_range: Array
  guesses: Array
  mistakes: Array


@checked
def guess(cell: Cell, task: Task, *, most_wrong: Whole = 0) -> Learner:
  """Random weight guessing: a network is kept until it is wrong.

  Guess n has all its weights, biases too, uniform in [-r, r], r the number
  `guess_range` (100 in the papers). A network is shown training sequences as
  long as it gets them right, by the tolerance of the task, and is then thrown
  away for guess n + 1. One that is right stays until the task's stop rule ends
  the trial. A sequence counts as in every trial: the one that a network fails
  at too. The papers show a network all of a fixed set of a hundred sequences; a
  network that fails does so at one of the first.

  The cell's own initial range and biases are not used: the weights are those
  of its mask.

  Args:
    cell: any cell.
    task: the task, for its sequences and what is right.
    most_wrong: sequences that a network may get wrong before it is thrown away,
      for tasks whose noise no net is free of.

  Returns:
    The learner.

  Raises:
    ValueError: `most_wrong` below 0.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.adding()
    >>> cell = lj.srn(2, 1, hidden=4)
    >>> learner = lj.guess(cell, task)
    >>> sorted(learner._fields)
    ['extra_weights', 'foreign', 'init', 'judge', 'update']
  """

  def init(key, numbers):
    words = jax.random.bits(key, (2,), jnp.uint32)
    key, r = Key(words[0], words[1]), jnp.asarray(numbers['guess_range'])
    first = jnp.zeros(r.shape, jnp.int32)
    return State(draw_net(cell.mask, key, first, r), key, r, first + 1, first)

  def update(state, episode):
    judgement = judge(state.params, episode)
    mistakes = state.mistakes + ~judgement.right
    fails = mistakes > most_wrong
    new = draw_net(cell.mask, state.key, state.guesses, state.guess_range)
    return state._replace(
      params=select(fails, new, state.params),
      guesses=state.guesses + fails,
      mistakes=jnp.where(fails, 0, mistakes),
    ), judgement

  def judge(params, episode):
    return _judge.judge_forward(cell, task, params, episode)

  return Learner(init, update, judge)


def draw_net(mask: Params, key: prng.KeyData, n: Array, r: Array) -> Params:
  """Net number n of a key: every weight that exists uniform in [-r, r).

  Args:
    mask: pytree of numpy arrays, 1 where a weight exists.
    key: a `draw.Key` `[*]`.
    n: `[*]` integers.
    r: `[*]`; its dtype is that of the weights.

  Returns:
    A pytree like `mask`, `[..., *]`, 0 where no weight exists. A weight's value
    has 23 random bits.
  """
  arrays, structure = jax.tree.flatten(mask)
  lanes = (1,) * r.ndim
  key = Key(*(word[None] for word in prng.fold_in(key, n)))
  parts = []
  end = 0
  for exists in arrays:
    place = np.arange(end, end + exists.size).reshape(-1, *lanes)
    end += exists.size
    u = prng.uniform_at(key, place).astype(r.dtype)
    w = (r[None] * (2 * u - 1)).reshape(*exists.shape, *r.shape)
    parts.append(w * exists.reshape(*exists.shape, *lanes))
  return jax.tree.unflatten(structure, parts)
