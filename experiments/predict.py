"""`python -m experiments.predict FOLDER`: what the networks of a run answer.

A run folder keeps solved nets of tasks, one a row, and of a run on data sets
the net of the best epoch of every trial. A task draws fresh sequences; a data
set has its test part, or a file of yours.
"""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while


from lstm_jax.lab.run.commands import predict as command


@mains.guarded('predict')
def main(argv=None):
  """Runs the command line `argv` and returns its exit code."""
  return command.run(argv)


if __name__ == '__main__':
  mains.run(main)
