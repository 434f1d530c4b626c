"""Answers of a solved network to fresh sequences of its task."""

from collections.abc import Mapping

import numpy as np

from lstm_jax.lab.plan import values
from lstm_jax.lab.report import trace
from lstm_jax.lab.run.predict_request import FEW, Request
from lstm_jax.lab.store.setting import Setting


def answers(
  setting: Setting,
  params: Mapping[str, np.ndarray],
  request: Request,
  details: Mapping[str, object],
) -> tuple[list[str], list[tuple[str, ...]]]:
  """Draws sequences and follows the network over them.

  Args:
    setting: of the trial.
    params: path -> array.
    request: what is asked for.
    details: of the record; not looked at.

  Returns:
    (lines that sum it up, rows of text with their headings first: a line for
    each judged step of each sequence).
  """
  del details
  if request.given:
    raise values.Refused(
      f'{request.given}: {setting.task} draws its own sequences'
    )
  tolerance = dict(setting.task_options).get('tolerance')
  rows: list[tuple[str, ...]] = [
    ('sequence', 'step', 'of', 'target', 'answer', 'largest error')
  ]
  right = 0
  follow = trace.tracer(setting, params)
  count = request.count or FEW
  for i in range(count):
    arrays = follow(request.seed + i)
    judged_steps = np.flatnonzero(arrays['mask'])
    errors = np.abs(arrays['outputs'] - arrays['targets'])[judged_steps].max(
      axis=1
    )
    right += bool(tolerance) and bool(errors.max() < tolerance)
    for t, error in zip(judged_steps, errors, strict=True):
      rows.append(
        (
          str(request.seed + i),
          str(t + 1),
          str(len(arrays['mask'])),
          _text_of(arrays['targets'][t]),
          _text_of(arrays['outputs'][t]),
          f'{error:.3f}',
        )
      )
  head = []
  if tolerance:
    head.append(
      f'{right}/{count} fresh sequences right: every output within '
      f'{tolerance:g} of its target.'
    )
  return head, rows


def _text_of(numbers):
  return ' '.join(f'{x:.2f}' for x in numbers)
