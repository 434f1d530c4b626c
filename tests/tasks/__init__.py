"""Tests of lstm_jax.tasks."""
