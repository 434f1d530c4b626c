"""Data sets, one file each; see `lstm_jax.dataset`."""
