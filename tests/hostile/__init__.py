"""Files that nobody should have to read, made by code."""
