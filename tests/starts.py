"""Weights that every network of a cell starts with at one value, whatever its
key.

All others are drawn, or set by a number of the cell.
"""

STARTS = {
  'lstm_layernorm': {'alpha_1': 1, 'alpha_2': 1, 'alpha_3': 1, 'beta_3': 0},
}
