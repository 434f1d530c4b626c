"""`python -m experiments.film`: a network before, during and after learning."""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while


from lstm_jax.lab import console

main = console.subcommand('film')

if __name__ == '__main__':
  mains.run(main)
