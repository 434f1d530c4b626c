"""Tests of the vanishing study."""
