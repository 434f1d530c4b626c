"""Commands: `python -m experiments.sweep` and its companions."""
