"""`python -m experiments.predict`: what the networks of a run answer."""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while


from lstm_jax.lab import console

main = console.subcommand('predict')

if __name__ == '__main__':
  mains.run(main)
