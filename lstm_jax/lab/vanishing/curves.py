"""Curves of errors over lags, of networks before and after training."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lstm_jax.lab.plan.text_columns import aligned

_LAGS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
WHEN = ('before', 'after')
BOUND = 'bound'


class Curve(NamedTuple):
  """Decimal logarithms of factors over lags, `[Q]` each; -inf for 0.

  Attributes:
    mean: over seeds, of each net's mean over sequences.
    low, high: quartiles over seeds.
  """

  mean: np.ndarray
  low: np.ndarray
  high: np.ndarray


class Net(NamedTuple):
  """The measurements of the networks of one setting.

  Attributes:
    curves: (what, when) -> `Curve`; what is 'all fields', the name of the
      internal state, that with the rule of 1997, or `BOUND`.
    summary: one line: how many networks, how training ended, whether there is a
      bound.
  """

  curves: dict[tuple[str, str], Curve]
  summary: str


def curves_of(logs: Mapping[str, np.ndarray]) -> dict[tuple[str, str], Curve]:
  """The curves of a `Net` from what -> `[Q, 2 L]`, lanes of `TrainedNets`."""
  curves = {}
  for i, when in enumerate(WHEN):
    for name, of_both in logs.items():
      values = np.split(of_both, len(WHEN), axis=1)[i]
      # Not interpolated: what lies below the smallest number is -inf.
      low, high = np.quantile(
        values, (0.25, 0.75), axis=1, method='inverted_cdf'
      )
      curves[name, when] = Curve(np.mean(values, axis=1), low, high)
  return curves


def table(networks: Mapping[str, Net], word: str = 'factor') -> str:
  """The factors of all networks as text, a line a curve.

  Args:
    networks: name -> `Net`.
    word: the word for what is measured.
  """
  last = min(
    len(c.mean) for net in networks.values() for c in net.curves.values()
  )
  lags = sorted({q for q in _LAGS if q < last} | {last - 1})
  lines = [[f'{word} after q steps, q =', '', *map(str, lags), '']]
  for name, net in networks.items():
    for (word, when), curve in net.curves.items():
      factors = [_factor(curve.mean[q]) for q in lags]
      lines.append([f'{name}, {word}', when, *factors, ''])
  return '\n'.join(aligned(lines))


def _factor(log):
  return '0' if log == -np.inf else f'{10**log:.3g}'
