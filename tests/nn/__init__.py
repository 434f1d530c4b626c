"""Tests of lstm_jax.nn."""
