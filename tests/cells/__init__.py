"""Tests of lstm_jax.cells."""
