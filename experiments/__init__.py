"""Commands from a checkout; `lstm-jax` has the same ones once installed."""
