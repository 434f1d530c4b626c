"""Tests of lstm_jax.analysis."""
