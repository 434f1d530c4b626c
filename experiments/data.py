"""`python -m experiments.data`: prepares data sets and says what is there.

A wrong flag is answered at once; nothing here imports JAX.
"""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while


from lstm_jax.lab.run.commands import data as command


@mains.guarded('data')
def main(argv=None):
  """Runs the command line `argv` and returns its exit code."""
  return command.run(argv)


if __name__ == '__main__':
  mains.run(main)
