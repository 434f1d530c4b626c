"""A collection of sounds for tests: hums and hisses, two clips a recording."""

import numpy as np

from lstm_jax.lab.data.files import prepared as prepared_lib

RATE = 8000
CLASSES = ('hum', 'hiss')


def sound(label, random, rate=RATE, seconds=0.3):
  """A hum is low, a hiss is noise."""
  t = np.arange(int(rate * seconds)) / rate
  if label:
    wave = random.normal(0, 3000, len(t))
  else:
    wave = 8000 * np.sin(2 * np.pi * random.uniform(200, 400) * t)
  return np.rint(wave).astype(np.int16)[:, None]


class Collection:
  """Stands for `files.opened.Prepared`: two clips a recording."""

  name = 'urban_sound'
  classes = CLASSES
  citation, licence = 'cite', 'CC BY-NC 3.0'
  left_out = ('fold1/a.wav: truncated',)

  def __init__(self, folds=(1, 2, 3, 10), clips=12, change=None):
    self.checksum = f'{folds} {clips} {change}'
    random = np.random.RandomState(0)
    self.splits = {
      f'fold{fold}': [
        {
          'samples': sound(i // 2 % 2, random, seconds=0.2 + 0.1 * (i % 3)),
          'rate': RATE,
          'label': i // 2 % 2,
          'fold': fold,
          'name': f'{fold}-{i}.wav',
          'group': 1000 * fold + i // 2,
        }
        for i in range(clips)
      ]
      for fold in folds
    }
    if change:
      change(self.splits)


def loader(monkeypatch):
  """Makes the loader give a collection; `(**options)` gives it another one."""

  def use(**options):
    collection = Collection(**options)
    monkeypatch.setattr(
      prepared_lib, 'load', lambda *args, **kwargs: collection
    )
    return collection

  use()
  return use


def longer(splits):
  for records in splits.values():
    for record in records:
      record['samples'] = np.tile(record['samples'], (5, 1))


OPTIONS = {'rate': RATE, 'split': 'official', 'features': 'same_band'}
