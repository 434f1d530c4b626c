"""Loops in C++ for CPUs, an extra that no one needs: see `library`."""
