"""Tests of lstm_jax.lab.report."""
