"""Gradient by lag, and credit assignment by lag."""
