"""Arrays, the scan over time, random numbers by position, activations."""
