"""From flags and grids to a plan of settings."""
