"""`python -m experiments.vanishing`: errors that flow back, against the lag."""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while


from lstm_jax.lab import console

main = console.subcommand('vanishing')

if __name__ == '__main__':
  mains.run(main)
