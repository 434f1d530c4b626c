"""Looks inside a kept network over one sequence: what it does, what flows back.

Code that is not this package's is never imported: of a trial whose cell, task
or rule is somebody else's nothing but its numbers is shown.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from lstm_jax.lab.plan import catalog
from lstm_jax.lab.report import trace
from lstm_jax.lab.report.trace import Trace
from lstm_jax.lab.store.setting import Setting

# Learners whose errors do not pass through the carry's other fields.
_RULE_OF_1997 = ('truncated1997',)
_NO_WAY_BACK = ('elman',)
_LONGEST = 5_000  # steps that are followed back


class Inside(NamedTuple):
  """A network over a sequence of T steps.

  Attributes:
    trace: what it gets, does and answers.
    errors: carry field -> `[T, n]`: the derivative of the last step's error by
      that field after each step; NaN after the last one, where the error has
      not entered the recurrence yet. {} for very long sequences.
    cut: fields through which the learning rule lets no error pass.
    loss: mean absolute error where the error counts.
    words: on a sequence of a data set: which it is, what is asked for at its
      end, what the network answers; '' of a task.
  """

  trace: Trace
  errors: Mapping[str, np.ndarray]
  cut: tuple[str, ...]
  loss: float
  words: str = ''


# From the params of a network (path -> array) and the number of a sequence, of
# a task the seed that it is drawn from, to what goes on inside.
Follower = Callable[[Mapping[str, np.ndarray], int], Inside]


class Closed(ValueError):
  """A network that cannot be looked into; the message says why."""


def why_closed(setting: Setting) -> str:
  """Says why the networks of a trial cannot be followed; '' where they can."""
  roles = [('task', ('tasks', 'datasets')), ('cell', ('cells',))]
  if catalog.kind_of('task', setting.task) == 'datasets':
    # The rule of a trial on data says what its network is made of.
    roles.append(('learner', ('trainers',)))
  for role, kinds in roles:
    name = getattr(setting, role)
    is_ours = role not in setting.outside
    if not is_ours or catalog.kind_of(role, name) not in kinds:
      return (
        f'the {role} {name} is not part of this package: code that a folder '
        'names is never imported, so nothing inside its networks is shown'
      )
  return ''


def follower(setting: Setting) -> Follower:
  """Looks inside networks of a trial on a task.

  Args:
    setting: of the trial.

  Returns:
    The `Follower`. Networks of trials that differ in the seed share it.

  Raises:
    Closed: the networks cannot be followed.
    Machine: this process may have too little memory for JAX.
  """
  if reason := why_closed(setting):
    raise Closed(reason)
  if catalog.kind_of('task', setting.task) == 'datasets':
    raise Closed(f'{setting.task} is a data set: no sequences are drawn of it')
  return _follower(dataclasses.replace(setting, seed=0))


@functools.lru_cache(maxsize=8)
def _follower(setting):
  follow = trace.follower(setting)
  flow, cut = _flow(setting)

  def inside(params, seed):
    try:
      record = follow(params, seed)
      errors = flow(params, seed, len(record['mask']))
    except (KeyError, TypeError, ValueError) as error:
      raise Closed(f'the kept network does not fit its cell: {error}') from None
    wrong = np.abs(record['outputs'] - record['targets']).mean(axis=1)
    counts = record['mask'] > 0
    loss = float(wrong[counts].mean()) if counts.any() else 0.0
    return Inside(record, errors, cut, loss)

  return inside


def _flow(setting):
  """The function that gives the errors of a sequence, and the fields cut."""
  import jax
  import jax.numpy as jnp

  from lstm_jax.analysis import gradient_flow
  from lstm_jax.ops import prng

  task, cell = trace.parts_of(setting)
  fields = cell.initial_carry((), jnp.float32)._fields
  cut: tuple[str, ...] = ()
  rule = dict(setting.learner_options)
  if setting.learner in _NO_WAY_BACK:
    cut = fields
  elif cell.internal is not None and (
    setting.learner in _RULE_OF_1997 or rule.get('cut') == 'activations'
  ):
    cut = tuple(name for name in fields if name != cell.internal.field)
  length = jnp.int32(setting.length or 1)

  @functools.partial(jax.jit, static_argnums=2)
  def errors_of(net, key, count):
    episode = task.fresh(key, length)
    errors = gradient_flow.error_by_lag(
      cell, task, net, episode, count, cut=cut
    )
    return errors._asdict()

  def flow(params, seed, steps):
    if steps > _LONGEST:
      return {}
    key = prng.Key(*map(jnp.asarray, prng.key_of(seed)))
    net = trace.net_of(cell, params)
    by_lag = errors_of(net, key, 1 << (steps - 1).bit_length())
    # Lag q is the carry after step T-2-q, from the last step but one back.
    return {
      name: np.concatenate(
        (np.asarray(e)[: steps - 1][::-1], np.full((1, e.shape[1]), np.nan))
      )
      for name, e in by_lag.items()
    }

  return flow, cut
