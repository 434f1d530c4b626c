"""The copy task: symbols, a long silence, and then the symbols again.

Hochreiter & Schmidhuber (1997) have relatives of it; in this form it is from
Arjovsky, Shah & Bengio, "Unitary evolution recurrent neural networks", 2016.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

import lstm_jax as lj
from lstm_jax.ops import prng

# The steps between the last symbol and the first answer.
NUMBERS = {'length': 10}
MEAN_STEPS = (1, 4)


class Episode(NamedTuple):
  """What is drawn of a sequence."""

  key: lj.Key  # [*] of the symbols
  length: jax.Array  # [*] int32, T


def copying(
  *, symbols: int = 2, items: int = 2, tolerance: float = 0.3
) -> lj.Task:
  """Copy task: the first symbols are asked for again after T silent steps.

  Inputs are one-hot: the symbols, silence, and the cue that asks for answers.

  Args:
    symbols: how many there are.
    items: how many of them a sequence has.
    tolerance: a sequence is right where every output is nearer to its target.
  """
  if symbols < 2 or items < 1:
    raise ValueError(f'symbols={symbols} must be 2 or more, items={items} 1')
  silence, cue = symbols, symbols + 1
  unit = lj.output_unit('logistic_without_derivative')

  def draw(key, length, data=()):
    return Episode(lj.Key(*key), length)

  def symbol_at(episode, t):
    return prng.integer_at(episode.key, t, 0, symbols)

  def first_answer(episode):
    return items + episode.length

  def input_at(episode, t):
    later = jnp.where(t == first_answer(episode) - 1, cue, silence)
    return lj.OneHot(
      jnp.where(t < items, symbol_at(episode, t), later), symbols + 2
    )

  def target_at(episode, t):
    asked = symbol_at(episode, t - first_answer(episode))
    return jnp.stack([asked == s for s in range(symbols)]).astype(jnp.float32)

  def stream(episode):
    return lj.Stream(
      first_answer(episode) + items,
      lambda t: input_at(episode, t),
      lambda t: target_at(episode, t),
      lambda t: t >= first_answer(episode),
    )

  def correct(episode, t, y_k):
    return jnp.all(jnp.abs(target_at(episode, t) - y_k) < tolerance, axis=0)

  return lj.Task(
    num_inputs=symbols + 2,
    num_outputs=symbols,
    draw=draw,
    fresh=draw,
    stream=stream,
    longest=lambda length: length + 2 * items,
    error_at_end=False,
    output=unit.output,
    loss=unit.loss,
    correct=correct,
    stop_rule=lj.streak(100, mean_error=0.2),
  )
