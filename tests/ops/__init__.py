"""Tests of lstm_jax.ops."""
