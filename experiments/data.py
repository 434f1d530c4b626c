"""`python -m experiments.data`: prepares data sets and says what is there."""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while


from lstm_jax.lab import console

main = console.subcommand('data')

if __name__ == '__main__':
  mains.run(main)
