"""Measures the error signal by lag in networks as they start: lag_theory.csv.

  python docs/_figures/lag_theory.py

Of each cell of `--grid=lag_law_others` under full back-propagation, with the
weights it starts from there: how far one step of plain descent moves the
weights of an input line that is on at one step alone, by how long ago that was
(`lstm_jax/analysis/credit.py`), as decimal logarithm in that of the last step;
mean over 16 networks and their sequences. It is the envelope of the effective
learning rate of L. Livi (arXiv 2512.05790), measured and not bounded.
"""

import csv
import dataclasses

import lag_others

from lstm_jax.lab.plan import flags, plan
from lstm_jax.lab.vanishing import learners, nets

LENGTH, NETWORKS = 316, 16
LAGS = (0, 10, 32, 100, 316)


def main():
  """Measures all cells and writes the table."""
  request = flags.Request(
    grid='lag_law_others', rows=tuple(f'bptt-{c}' for c in lag_others.CELLS)
  )
  first = {}
  for setting in plan.expand(request).trials:
    if setting.length == LENGTH:
      setting = with_no_restarts(setting)
      first.setdefault(setting.row_name.removeprefix('bptt-'), setting)
  with lag_others.THEORY.open('w', newline='', encoding='utf-8') as file:
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(('cell', 'lag', 'log10_signal'))
    for name in lag_others.CELLS:
      setting = first[name]
      trials = [
        dataclasses.replace(setting, seed=seed, budget=1)
        for seed in range(NETWORKS)
      ]
      networks = nets.train(name, trials)
      net = learners.measure(name, networks, {'bptt': setting})
      mean = net.curves['bptt', 'before'].mean
      for lag in LAGS:
        at = min(lag, len(mean) - 1)
        writer.writerow((name, lag, f'{mean[at]:.4f}'))
      print(name, [round(float(mean[min(q, len(mean) - 1)]), 2) for q in LAGS])


def with_no_restarts(setting):
  """The setting, of which one step is taken."""
  options = dict(setting.learner_options) | {'restart': 'never'}
  return dataclasses.replace(setting, learner_options=tuple(options.items()))


if __name__ == '__main__':
  main()
