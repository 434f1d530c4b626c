"""Tests of lstm_jax.lab.data."""
