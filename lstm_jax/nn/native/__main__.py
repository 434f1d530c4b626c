"""Compiles the library and says where it is."""

import mmap
import sys

# Bytes of address space that importing JAX takes, with some to spare.
_ROOM = 500 * 2**20
_HELP = """\
usage: python -m lstm_jax.nn.native

Compiles the loops of layers for this processor, with $CXX or c++ or g++ or
clang++, into $XDG_CACHE_HOME/lstm_jax (else ~/.cache/lstm_jax), and prints
where they are. A good library that is there already stays; a damaged one is
compiled again.

Exit codes: 0 it is there, 1 it cannot be made, 2 bad arguments."""


def main(arguments: list[str]) -> int:
  """Builds the library; returns the exit code."""
  if arguments in (['--help'], ['-h']):
    print(_HELP)
    return 0
  if arguments:
    print(
      f'native: {arguments[0]!r} is no argument: see --help', file=sys.stderr
    )
    return 2
  try:
    # Reserved and given back: without it, OpenBLAS would ask for ever.
    mmap.mmap(-1, _ROOM).close()
  except OSError:
    print(
      f'native: JAX needs {_ROOM >> 20} MiB of address space, and this process '
      'has less (ulimit -v)',
      file=sys.stderr,
    )
    return 1
  try:
    from lstm_jax.nn.native import library  # not before

    print(library.build())
  except (RuntimeError, MemoryError) as error:
    print(f'native: {error}', file=sys.stderr)
    return 1
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
