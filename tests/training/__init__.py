"""Tests of lstm_jax.training."""
