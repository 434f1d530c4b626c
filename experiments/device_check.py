"""`python -m experiments.device_check`: checks a GPU or TPU, and records it."""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while


from lstm_jax.lab import console

main = console.subcommand('device_check')

if __name__ == '__main__':
  mains.run(main)
