"""`python -m experiments.bench`: what a lane-step costs, and what limits it."""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while


from lstm_jax.lab import console

main = console.subcommand('bench')

if __name__ == '__main__':
  mains.run(main)
