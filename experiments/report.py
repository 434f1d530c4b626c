"""`python -m experiments.report`: run folders beside what was published."""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while


from lstm_jax.lab import console

main = console.subcommand('report')

if __name__ == '__main__':
  mains.run(main)
