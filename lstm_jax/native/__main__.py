"""Compiles the library and says where it is."""

from lstm_jax.native import library

if __name__ == '__main__':
  print(library.build())
