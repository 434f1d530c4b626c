"""Tests of lstm_jax.lab.store."""
