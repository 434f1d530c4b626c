"""The report of a run, or of several: what was measured, what was published."""
