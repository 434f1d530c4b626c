"""Settings drawn for each row, played off on tuning seeds, the best chosen."""
