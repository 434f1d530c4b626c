"""A wrong task for each promise of tasks, and words of what is said of it."""

import itertools

import jax
import jax.numpy as jnp

import lstm_jax as lj

TASK = lj.adding()
count = itertools.count()


def with_key(change):
  """The task that draws, and draws afresh, from another key."""

  def draw(key, length, data=()):
    return TASK.draw(lj.Key(*map(change, key)), length, data)

  return TASK._replace(draw=draw, fresh=draw)


def always_scored(episode):
  stream = TASK.stream(episode)
  return stream._replace(scored_at=lambda t: t >= 0)


def never(state, shown):
  return state, lj.Verdict(solved=jnp.zeros(shown.seen.shape))


WRONG = {
  'sequences': (
    TASK._replace(longest=lambda length: length),
    r'must have 1 to 10 \(longest\)',
  ),
  'longest': (
    TASK._replace(longest=lambda length: length * 1.1),
    'a float; must be an int',
  ),
  'keys': (
    with_key(jnp.zeros_like),
    'draw gives one sequence whatever the key',
  ),
  'purity': (
    with_key(lambda word: word + jnp.uint32(next(count))),
    'draw is not pure',
  ),
  'lanes': (
    with_key(lambda word: word + jnp.sum(word) if word.ndim else word),
    'the sequence of lane 0 is another one when it is alone',
  ),
  'error_at_end': (
    TASK._replace(stream=always_scored),
    'a step before the last one is scored',
  ),
  'next_symbol': (
    TASK._replace(next_symbol=True),
    'the target of a step is not the input of the next',
  ),
  'tolerance': (
    TASK._replace(correct=lambda episode, t, y_k: t >= 0),
    'correct takes outputs of 1,000,000 for right',
  ),
  'loss': (
    TASK._replace(
      loss=lambda net, target: TASK.loss(jax.lax.stop_gradient(net), target)
    ),
    'the derivative of the loss is not its slope',
  ),
  'stop_rule': (
    TASK._replace(stop_rule=TASK.stop_rule._replace(update=never)),
    r'gives solved as float32\[8\], must be bool\[8\]',
  ),
}
