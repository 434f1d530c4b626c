"""Loops in C++ for CPUs, optional: see `library`."""
