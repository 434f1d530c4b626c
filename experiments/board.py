"""`python -m experiments.board`: who solves what of a benchmark."""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while

from lstm_jax.lab import console

main = console.subcommand('board')

if __name__ == '__main__':
  mains.run(main)
