"""`python -m experiments.sweep`: trains recurrent networks over long lags.

Nothing here imports JAX before the plan is made: a wrong flag is answered in a
fraction of a second.
"""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while

import sys

from lstm_jax.lab.plan import (
  catalog,
  flags,
  listing,
  plan,
  text_columns,
  usage,
  values,
)
from lstm_jax.lab.run import signals

# Not a plan of trials to be counted: a measurement with a command of its own.
_VANISHING = '--grid=vanishing'


@mains.guarded('sweep')
def main(argv=None):
  """Runs the command line `argv` and returns its exit code."""
  argv = sys.argv if argv is None else argv
  if _VANISHING in argv:
    from experiments.vanishing import __main__ as vanishing

    return vanishing.main([word for word in argv if word != _VANISHING])
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


if __name__ == '__main__':
  mains.run(main)
