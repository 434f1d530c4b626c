"""Trials on-line, and epochs of minibatches."""
