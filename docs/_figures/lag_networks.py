"""Keeps the networks that have learned the longest lags, a file each.

  python docs/_figures/lag_networks.py FOLDER...

Of each row of the run folders that has the recipe (`-longest` counts as its
row) the network of the longest sequences goes to docs/lag_networks, a file
ROW-T.safetensors in place of one of shorter sequences, but for those of 10,000
steps, which answer within seconds; `lstm-jax predict FILE` tests it.
"""

import sys
from pathlib import Path

from lstm_jax.lab.store import folder, nets, network_file, trial_records

ROWS = ('adding', 'adding-early', '6a', '6b', 'multiplication', 'two-sequence')
QUICK = 10_000  # steps
KEPT = Path(__file__).parent.parent / 'lag_networks'


def main(folders):
  """Writes the files."""
  for path in folders:
    opened = folder.open_folder(path)
    records, _ = trial_records.read_records(opened)
    for name, params in nets.load(opened).items():
      setting = opened.trials[name]
      if name in records and is_right(records[name]):
        keep(setting, records[name]['metrics'], params)


def is_right(record):
  """Tells whether a network is, on nearly all fresh sequences.

  The criterion of multiplication is met by some that are not.
  """
  metrics = record['metrics']
  is_solved = record['status'] == 'solved'
  return is_solved and metrics['test_wrong'] <= 0.02 * metrics['test_total']


def keep(setting, metrics, params):
  """Keeps a network, unless one of longer sequences is there."""
  row = setting.row_name.removesuffix('-longest')
  there = {
    length_of(path): path
    for path in KEPT.glob(f'{row}-*')
    if path.stem.removeprefix(f'{row}-').isdigit()
  }
  if row not in ROWS or max(there, default=0) >= setting.length:
    return
  KEPT.mkdir(exist_ok=True)
  path = KEPT / f'{row}-{setting.length}{network_file.ENDING}'
  network_file.save(path, setting, metrics, params)
  for length, shorter in there.items():
    if length != QUICK:
      shorter.unlink()


def length_of(path):
  """T of a kept network."""
  return int(path.stem.rpartition('-')[2])


if __name__ == '__main__':
  main(sys.argv[1:])
