"""Errors that flow back, against the lag: `python -m experiments.vanishing`."""
