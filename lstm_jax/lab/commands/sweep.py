"""Trains recurrent networks over long time lags.

Nothing here imports JAX before the plan is made: a wrong flag is answered in a
fraction of a second.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lstm_jax.lab.commands import serve
from lstm_jax.lab.plan import (
  flags,
  listing,
  parsers,
  plan,
  text_columns,
  usage,
)
from lstm_jax.lab.run import command, page_process, signals
from lstm_jax.lab.tune import study

# Not a plan of trials to be counted: a measurement with a command of its own.
_VANISHING = '--grid=vanishing'


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  argv = list(sys.argv if argv is None else argv)
  if _VANISHING in argv:
    from lstm_jax.lab.commands import vanishing

    return vanishing.run([word for word in argv if word != _VANISHING])
  return command.run(_COMMAND, argv)


def _read(flag_values, words):
  """`(request, plan)`; None in the place of a plan that nobody asks for."""
  parsers.no_words(words)
  request = flags.request(flag_values)
  if request.run.serve:
    serve.check_packages()
  if request.run.engine == 'dask':
    from lstm_jax.lab.cluster import connection

    connection.check(request.run)
  sweep_plan = None if request.action == 'list' else plan.expand(request)
  is_tuned = bool(sweep_plan and sweep_plan.tuned_rows)
  study.check(is_tuned, request.run.export_study)
  if sweep_plan and flag_values['only_check_args'].value:
    from lstm_jax.lab.run import tuned, verifying

    check = tuned.check_folder if is_tuned else verifying.check_folder
    check(sweep_plan, request.run)
  return request, sweep_plan


def _act(request_and_plan):
  request, sweep_plan = request_and_plan
  if request.action == 'list':
    return text_columns.show(listing.everything())
  if request.action == 'dry_run':
    shard = request.run.shard
    return text_columns.show(listing.plan(sweep_plan, request.run.out, shard))
  from lstm_jax.lab.run import engine

  options = request.run
  complete = None
  if sweep_plan.tuned_rows:
    from lstm_jax.lab.run import tuned

    complete = tuned.complete_run
  execute = _execute_of(options.engine)
  if not options.serve:
    return engine.run(
      sweep_plan,
      options,
      signals.current_stop(),
      execute=execute,
      complete=complete,
    )
  # Data of one's own lie where the command says, others in one folder.
  own = [os.path.dirname(path) for path in sweep_plan.paths.values()]
  data_dir = options.data_dir or next(iter(own), '')
  path = Path(options.out or sweep_plan.out)
  with page_process.beside(path, data_dir) as legacy:
    return engine.run(
      sweep_plan, options, signals.current_stop(), legacy, execute, complete
    )


def _execute_of(name):
  """The function that runs a plan, by its engine; None: this process does."""
  if name == 'local':
    return None
  from lstm_jax.lab.cluster import client

  return client.run


_COMMAND = command.Command('sweep', flags.define, usage.text, _read, _act)
