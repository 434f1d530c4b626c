"""A task and a learner that follow a script: what a trial does is known."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.tasks._stop_rules.streak import streak
from lstm_jax.types import Judgement, Learner, Stream, Task

RIGHT, WRONG = 0.125, 2.0  # errors of a sequence
NEVER = 2**30
# At which sequences, counted from 0: the first right one, a later wrong one,
# the one whose error is nan, the one that makes the weights infinite.
SCRIPT = {'right_from': 0, 'slip': NEVER, 'nan': NEVER, 'burst': NEVER}


class Facts(NamedTuple):
  key: tuple  # two words, [*] each
  length: jax.Array  # [*]


class State(NamedTuple):
  params: jax.Array  # [2, *]
  shown: jax.Array  # [*] sequences
  script: dict
  log: jax.Array  # [N, 2, *] keys of the first N sequences


def task(sequences=3, mean_error=0.5):
  """Sequences of T, T + 1 or T + 2 steps; only their keys matter."""

  def draw(key, length, data=()):
    high, low = key
    return Facts((high, low), length + (low % 3).astype(jnp.int32))

  return Task(
    num_inputs=1,
    num_outputs=1,
    draw=draw,
    fresh=draw,
    stream=lambda facts: Stream(facts.length, None, None, None),
    longest=lambda length: length + 2,
    error_at_end=True,
    output=None,
    loss=None,
    correct=None,
    stop_rule=streak(sequences, mean_error),
  )


def fraction(word):
  """A uint32 as a float32 in [0, 1)."""
  return (word >> 8).astype(jnp.float32) * jnp.float32(2**-24)


def learner(logged=1, on_trace=lambda: None):
  """Weights that wander with the keys; right or wrong as in the script.

  Args:
    logged: how many keys are kept.
    on_trace: called whenever the update is traced.
  """

  def init(key, numbers):
    return State(
      params=fraction(jax.random.key_data(key)),
      shown=jnp.int32(0),
      script={name: jnp.float32(numbers[name]) for name in SCRIPT},
      log=jnp.zeros((logged, 2), jnp.uint32),
    )

  def update(state, facts):
    on_trace()
    now = state.shown.astype(jnp.float32)
    at = lambda name: now == state.script[name]
    right = (now >= state.script['right_from']) & ~at('slip')
    error = jnp.where(right, RIGHT, WRONG)
    error = jnp.where(at('nan'), jnp.nan, error)
    params = 0.75 * state.params + fraction(facts.key[0])[None]
    params = jnp.where(at('burst')[None], jnp.inf, params)
    rows = jnp.arange(logged).reshape((-1,) + (1,) * (now.ndim + 1))
    log = jnp.where(
      rows == state.shown[None, None], jnp.stack(facts.key)[None], state.log
    )
    judgement = Judgement(right, error, error * error)
    return State(params, state.shown + 1, state.script, log), judgement

  def judge(params, facts):
    u = fraction(facts.key[0])
    return Judgement(u < 0.25 * params[0], u, u * u)

  return Learner(init, update, judge)
