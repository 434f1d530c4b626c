"""Trains recurrent networks over long time lags.

Nothing here imports JAX before the plan is made: a wrong flag is answered in a
fraction of a second.
"""

import sys
from collections.abc import Sequence

from lstm_jax.lab.plan import (
  catalog,
  flags,
  listing,
  plan,
  text_columns,
  usage,
  values,
)
from lstm_jax.lab.run import mains, signals

# Not a plan of trials to be counted: a measurement with a command of its own.
_VANISHING = '--grid=vanishing'


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  argv = list(sys.argv if argv is None else argv)
  if _VANISHING in argv:
    from lstm_jax.lab.commands import vanishing

    return vanishing.run([word for word in argv if word != _VANISHING])
  try:
    request = flags.parse(argv)
    if request.action == 'help':
      return text_columns.show(usage.text())
    if request.action == 'list':
      return text_columns.show(listing.everything())
    made = plan.expand(request)
  except (values.Refused, catalog.Broken) as refused:
    for reason in refused.args:
      # One line each, whatever was typed.
      mains.say('sweep', ' '.join(str(reason).split()))
    return 2
  if request.action == 'dry_run':
    return text_columns.show(listing.plan(made))
  from lstm_jax.lab.run import engine

  return engine.run(made, request.run, signals.current())
