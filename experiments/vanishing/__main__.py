"""`python -m experiments.vanishing`: errors that flow back, against the lag.

Trains networks by the sweep's program and measures, before and after, how large
the error of a sequence's last step is q steps earlier. A wrong flag is answered
before JAX is imported.
"""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while


from experiments.vanishing import command


@mains.guarded('vanishing')
def main(argv=None):
  """Runs the command line `argv` and returns its exit code."""
  return command.run(argv)


if __name__ == '__main__':
  mains.run(main)
