"""`python -m experiments.bench`: what a lane-step costs, and what limits it.

A lane-step is one time step of one trial: its share of drawing the sequence,
judging it and updating the weights included. Compile time is apart; the best of
several repeats counts, as a process that shares its core only gets slower.
"""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while


from experiments.bench import command


@mains.guarded('bench')
def main(argv=None):
  """Runs the command line `argv` and returns its exit code."""
  return command.run(argv)


if __name__ == '__main__':
  mains.run(main)
