"""Tests of lstm_jax.testing."""
