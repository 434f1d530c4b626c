"""Learning rules and algorithms, one file each."""
