"""Tests a network of a task on fresh sequences, also longer than its own."""

from collections.abc import Mapping

import numpy as np

from lstm_jax.lab.plan import values
from lstm_jax.lab.report import trace
from lstm_jax.lab.run.predict_request import Request
from lstm_jax.lab.store import memory
from lstm_jax.lab.store.setting import Setting
from lstm_jax.ops.intervals import wilson

# Sequences side by side: a step of so many costs little more than one of one.
_LANES = 32
_COUNT = 256
_HEAD = (
  'T', 'shortest lag', 'right', '95 %', 'mean error', 'largest error'
)  # fmt: skip


def answers(
  setting: Setting,
  params: Mapping[str, np.ndarray],
  asked: Request,
  details: Mapping[str, object],
) -> tuple[list[str], list[tuple[str, ...]]]:
  """Asks a network sequences of several lengths that it has never seen.

  Args:
    setting: of the trial.
    params: path -> array.
    asked: what is asked for; without a length that of the trial and ten times
      that.
    details: of the record; not looked at.

  Returns:
    (lines that sum it up, rows of text with their headings first: a line for
    each length). An error is the mean over outputs of one sequence's, the lag
    the steps from the last mark or symbol to the end, where the task has one.

  Raises:
    Machine: this process may have too little memory for JAX.
  """
  del details
  if asked.given:
    raise values.Refused(
      f'{asked.given}: {setting.task} draws its own sequences'
    )
  memory.check()
  own = setting.length or 1
  count = asked.count or _COUNT
  judged = _asker(setting, params)
  rows: list[tuple[str, ...]] = [_HEAD]
  for length in asked.length or (own, 10 * own):
    right, errors, lag = judged(length, asked.seed, count)
    solved = int(right.sum())
    low, high = wilson(solved, count)
    rows.append(
      (
        f'{length:,}', f'{lag:,}' if lag else '-', f'{solved:,}/{count:,}',
        f'{100 * low:.1f} to {100 * high:.1f} %', f'{errors.mean():.4f}',
        f'{errors.max():.4f}',
      )
    )  # fmt: skip
  return [f'Learned at T = {own:,}; {count:,} fresh sequences each:'], rows


def _asker(setting, params):
  """`(length, seed, count) -> (right [N], mean errors [N], shortest lag)`."""
  import jax
  import jax.numpy as jnp

  from lstm_jax.learners._judge import judge_forward
  from lstm_jax.ops import prng

  task, cell = trace.parts_of(setting)
  net = trace.net_of(cell, params)

  @jax.jit
  def judge(words, length):
    episode = task.fresh(prng.Key(*words), jnp.full(_LANES, length, jnp.int32))
    wide = jax.tree.map(
      lambda w: jnp.broadcast_to(w[..., None], (*w.shape, _LANES)), net
    )
    return judge_forward(cell, task, wide, episode), _lags(task, episode)

  def ask(length, seed, count):
    try:
      task.longest(length)
    except ValueError as error:
      raise values.Refused(f'--length={length}: {error}') from error
    judgements = []
    for first in range(0, count, _LANES):
      keys = [prng.key_of(seed + first + i) for i in range(_LANES)]
      words = tuple(np.asarray(w, np.uint32) for w in zip(*keys, strict=True))
      judgements.append(
        jax.tree.map(np.asarray, judge(words, np.int32(length)))
      )
    judgement, lags = jax.tree.map(
      lambda *a: np.concatenate(a)[:count], *judgements
    )
    return judgement.right, judgement.absolute, int(lags.min(initial=2**31 - 1))

  return ask


def _lags(task, episode):
  """Steps from the last mark or symbol to the end, `[L]`; 0: it has none."""
  import jax.numpy as jnp

  facts = episode._asdict()
  marks = [facts[name] for name in ('first', 'second') if name in facts]
  marks += facts.get('positions', ())
  end = task.stream(episode).length
  if not marks:
    return jnp.zeros_like(end)
  return end - 1 - jnp.stack(marks).max(axis=0)
