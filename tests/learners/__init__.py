"""Tests of lstm_jax.learners."""
