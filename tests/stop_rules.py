"""Stop rules outside a trial: what they say, and what an evaluation asks."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.prng import Key
from lstm_jax.types import Evidence, Judgement

_MOST = 20_001  # sequences of an evaluation, and between two


def shown(judgement, seen=1):
  """What a rule is told of a sequence of which only this matters."""
  return Evidence(judgement, np.True_, seen, 0, None, None, None, None, None)


def says(rule, state, judgement):
  """`(state, solved)` after a training sequence."""
  state, verdict = rule.update(state, shown(judgement))
  return state, verdict.solved


class Asked(NamedTuple):
  """Of an evaluation: see `_stop_rules.evaluation`."""

  sequences: int
  every: int
  most_wrong: int
  mean_error: float
  fresh: bool


def asked(rule, mean_error=np.inf):
  """What an evaluation asks for, found by trying it.

  Args:
    rule: the stop rule.
    mean_error: that it should have; nan is returned where it has another.
  """

  @jax.jit
  def update(state, seen):
    fine = jnp.zeros(seen.shape)
    right = Judgement(jnp.full(seen.shape, True), fine, fine)
    return rule.update(state, shown(right, seen))

  def after(lanes, seen=1, **known):
    state = jax.tree.map(np.asarray, rule.init((lanes,), jnp.float32))
    known = {
      k: np.asarray(v, getattr(state, k).dtype) for k, v in known.items()
    }
    seen = np.broadcast_to(np.asarray(seen, np.int32), lanes)
    return update(state._replace(**known), seen)

  counts = np.arange(1, _MOST + 1)
  begins = np.asarray(after(_MOST, seen=counts)[0].is_running)
  every = int(np.argmax(begins)) + 1
  np.testing.assert_array_equal(begins, counts % every == 0)
  sits = np.full(_MOST, True)
  _, verdict = after(_MOST, is_running=sits, n=counts - 1)
  sequences = int(np.argmax(verdict.passed)) + 1
  last = {'is_running': sits, 'n': np.full(_MOST, sequences - 1)}
  passed = np.asarray(after(_MOST, num_wrong=counts - 1, **last)[1].passed)
  most_wrong = int(passed.sum()) - 1
  assert passed[: most_wrong + 1].all()
  bound = np.float32(min(mean_error * sequences, 1e38))
  beside = np.array([np.nextafter(bound, np.float32(0)), bound])
  beside = {k: v[:2] for k, v in last.items()} | {'absolute': beside}
  solved = np.asarray(after(2, **beside)[1].solved).tolist()
  holds = solved == [True, mean_error == np.inf]
  numbers = rule.init((2,), jnp.float32)._replace(
    is_running=np.full(2, True), number=np.array([1, 2])
  )
  key = Key(*np.full((2, 2), 5, np.uint32))
  high, _ = rule.next_key(numbers, key, key)
  return Asked(
    sequences, every, most_wrong, mean_error if holds else np.nan,
    bool(high[0] != high[1]),
  )  # fmt: skip


def evaluation_draw(task, key, length, n, data=()):
  """Sequence `n` of an evaluation of the task."""
  state = task.stop_rule.init(jnp.shape(length), jnp.float32)
  state = state._replace(is_running=state.n == 0, n=n)
  training = task.draw(key, length, data)
  return task.stop_rule.next_episode(state, training, key, length, data)
