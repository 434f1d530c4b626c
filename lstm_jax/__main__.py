"""The command `lstm-jax`; `python -m lstm_jax` is the same."""

import sys


def main() -> int:
  """Runs the command line of the process, which ends with it.

  Returns:
    The exit code, where this system has no laboratory.
  """
  try:
    from lstm_jax.lab import console
  except ImportError as error:
    if error.name != 'fcntl':
      raise
    print(f'lstm-jax: {error}', file=sys.stderr)
    return 2
  console.run()


if __name__ == '__main__':
  sys.exit(main())
