"""Tests of lstm_jax.lab.run."""
