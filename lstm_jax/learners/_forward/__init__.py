"""Influence of the weights, carried forwards: RTRL and what stands for it."""
