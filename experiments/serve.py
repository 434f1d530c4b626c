"""`python -m experiments.serve`: run folders in a browser while trials run."""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while


from lstm_jax.lab import console

main = console.subcommand('serve')

if __name__ == '__main__':
  mains.run(main)
