"""The standings of a benchmark: entries, and the courses that all meet."""
