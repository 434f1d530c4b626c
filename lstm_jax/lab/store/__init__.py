"""The run folder on disk: sealed files, plan, locks, checkpoints.

None of it imports jax, and all but `checkpoints` do without numpy: what a
finished run holds is read at once.
"""
