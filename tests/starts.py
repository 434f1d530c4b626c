"""Weights that do not start between -r and r, r the cell's `init_range`.

All others do, or are set by a number of the cell.
"""

# At one value in every network, whatever its key.
STARTS = {
  'lstm_layernorm': {'alpha_1': 1, 'alpha_2': 1, 'alpha_3': 1, 'beta_3': 0},
}
# Weights that are drawn in a range of their own -> the numbers that say it;
# none: options of the cell do.
SPANS = {
  'indrnn': {'u': ('recurrent_low', 'recurrent_high')},
  'janet': {'b': ('t_max',)},
  'lru': {'nu_log': (), 'theta_log': (), 'gamma_log': ()},
}
