"""Stop rules: when a trial is solved, and when it is futile."""
