"""Ends an epoch: patience runs out, and a phase follows."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.learners._cascade import candidate_pool, epoch_pass, quickprop
from lstm_jax.ops.arrays import select
from lstm_jax.ops.prng import Key
from lstm_jax.types import Array, Episode, Params

# Phases of a lane.
OUTPUTS, MEASURE, CANDIDATES = range(3)


class State(NamedTuple):
  """A network and its pool in training.

  Attributes:
    params: the network; weights of units that are not installed are 0.
    learning_rate, init_range: `[*]`.
    key: of the pools.
    installed: `[*]` int32, units in the network.
    phase: `[*]` int32, OUTPUTS, MEASURE or CANDIDATES.
    n: `[*]` int32, sequences of this epoch.
    epoch: `[*]` int32, epochs of this phase.
    quit: `[*]` int32, the epoch at which patience ends.
    level: `[*]` error or score at the last change.
    memory: of Quickprop, a `Readout`.
    pool: the candidates.
    pool_memory: of Quickprop, a `Pool`.
    aim: what the epoch before says to the candidates.
    sums: of this epoch.
    training_set: the sequences of the first epoch, `[N, ..., *]`.
    filled: `[*]` bool, whether they are complete.
  """

  params: Params
  learning_rate: Array
  init_range: Array
  key: Key
  installed: Array
  phase: Array
  n: Array
  epoch: Array
  quit: Array
  level: Array
  memory: quickprop.Memory[epoch_pass.Readout]
  pool: candidate_pool.Pool
  pool_memory: quickprop.Memory[candidate_pool.Pool]
  aim: candidate_pool.Aim
  sums: epoch_pass.Sums
  training_set: Episode | tuple[()]
  filled: Array


class Settings(NamedTuple):
  """Options of `cascade.cascade` that the end of an epoch reads."""

  candidates: int
  patience: int
  output_change: float
  candidate_change: float
  most_epochs: int
  candidate_rate: float
  mu: float
  decay: float


def turned(settings: Settings, mask: Params, state: State) -> State:
  """The state after the end of an epoch, as if every lane had come to one.

  Args:
    settings: the settings.
    mask: of the cell.
    state: with the sums of the epoch.
  """
  sums, phase = state.sums, state.phase
  training, pooled = phase == OUTPUTS, phase == CANDIDATES
  readout, memory, pool, pool_memory = _descended(settings, state)
  correlation = candidate_pool.correlations(
    sums.products, sums.error, sums.square, sums.steps
  )
  epoch, quit, level, is_over = _patience(settings, state, correlation)

  installed = state.installed
  is_full = installed >= len(state.params._asdict()['b'])
  joins = is_over & pooled
  begins = is_over & training & ~is_full
  goes_on = ~joins & ~begins & (phase != MEASURE)
  phase = jnp.where(begins, MEASURE, jnp.where(joins, OUTPUTS, phase))
  phase = jnp.where(state.phase == MEASURE, CANDIDATES, phase)
  params = state.params._replace(**readout._asdict())
  grown = candidate_pool.install(params, pool, correlation, installed)
  new_pool = candidate_pool.draw_pool(
    state.key, installed, mask, settings.candidates, state.init_range, installed
  )
  mean = sums.error / jnp.maximum(sums.steps, 1)[None]
  return State(
    params=select(joins, grown, params),
    learning_rate=state.learning_rate,
    init_range=state.init_range,
    key=state.key,
    installed=installed + joins,
    phase=phase,
    n=jnp.zeros_like(state.n),
    epoch=jnp.where(goes_on, epoch, 0),
    quit=quit,
    level=level,
    memory=memory,
    pool=select(begins, new_pool, pool),
    pool_memory=select(begins, quickprop.nothing(pool), pool_memory),
    aim=candidate_pool.Aim(correlation, mean, sums.square),
    sums=jax.tree.map(jnp.zeros_like, sums),
    training_set=state.training_set,
    filled=jnp.ones_like(state.filled),
  )


def _descended(settings, state):
  """`(readout, memory, pool, pool_memory)` after the step of the phase."""
  sums = state.sums
  training, pooled = state.phase == OUTPUTS, state.phase == CANDIDATES
  epsilon = state.learning_rate / jnp.maximum(sums.steps, 1)
  readout = epoch_pass.Readout(
    *(getattr(state.params, n) for n in epoch_pass.Readout._fields)
  )
  update = quickprop.move(
    readout, state.memory, sums.slope, epsilon, settings.mu, settings.decay
  )
  readout, memory = select(training, update, (readout, state.memory))
  update = quickprop.move(
    state.pool, state.pool_memory, sums.products.slope,
    settings.candidate_rate * epsilon, settings.mu, 0.0,
  )  # fmt: skip
  pools = select(pooled, update, (state.pool, state.pool_memory))
  return readout, memory, *pools


def _patience(settings, state, correlation):
  """`(epoch, quit, level, done)`: whether the phase has come to its end."""
  training, pooled = state.phase == OUTPUTS, state.phase == CANDIDATES
  _, score = candidate_pool.best(correlation)
  epoch = state.epoch + 1
  value = jnp.where(training, state.sums.squared, score)
  change = jnp.where(
    training, settings.output_change, settings.candidate_change
  )
  change = change.astype(value.dtype) * state.level
  first = epoch == 1
  improves = ~first & (jnp.abs(value - state.level) > change)
  quit = jnp.where(first & training, settings.patience, state.quit)
  quit = jnp.where(first & pooled, settings.most_epochs, quit)
  quit = jnp.where(improves, epoch + settings.patience, quit)
  is_stale = ~first & ~improves & (epoch >= quit)
  is_over = (
    is_stale | (epoch >= settings.most_epochs) | (state.phase == MEASURE)
  )
  level = jnp.where(first | improves, value, state.level)
  return epoch, quit, level, is_over
