"""Optuna's part in the search: what is drawn, what goes on, the study of a row.

Drawing and early stopping are Optuna's, asked and told in a fixed order. The
sampler is Sobol's sequence, scrambled by a fixed seed: what it draws depends on
how many were drawn before and on no result. Successive halving judges a rung
when all of it has ended: of each setting it is asked as if its result were the
last to come, since Optuna's own rule, asked as results arrive, lets the first
through whatever it is.

Optuna is imported where it is used: it is an extra.
"""

import contextlib
import importlib.util
import types
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lstm_jax.extras import EXTRAS
from lstm_jax.lab.plan import tuned_rows, tuning, values
from lstm_jax.lab.store.catalog_entry import Range
from lstm_jax.lab.store.documents import Value

if TYPE_CHECKING:
  import optuna

SEED = 0
# Digits of a number that is drawn: as many as anybody would type.
_DIGITS = 3


def check(is_tuned: bool, export_study: str) -> None:
  """Refuses what a plan cannot have of a search.

  Args:
    is_tuned: whether rows of the plan are tuned.
    export_study: the file for their studies; '' for none.

  Raises:
    Refused: Optuna is not installed; there is nothing to write.
  """
  if is_tuned:
    check_package()
  elif export_study:
    raise values.Refused(
      f'--export_study={export_study}: nothing is tuned; needs --tune=N'
    )


def check_package() -> None:
  """Refuses to tune where Optuna is not installed.

  Raises:
    Refused: with the command that installs it.
  """
  for package, extra in EXTRAS.items():
    if extra == 'tune' and importlib.util.find_spec(package) is None:
      raise values.Refused(
        f"--tune needs {package}: pip install 'lstm_jax[{extra}]'"
      )


def draws(
  space: Mapping[str, Range], count: int, seed: int = SEED
) -> list[dict[str, Value]]:
  """Values drawn from a space, one after another.

  Args:
    space: dotted name -> `Range`.
    count: how many.
    seed: of the sampler.

  Returns:
    Dotted name -> value, of those that count where the others are as they are.
  """
  if not space:
    return [{} for _ in range(count)]
  flat = tuned_rows.drawn_space(space)
  distributions = {name: distribution(one) for name, one in flat.items()}
  with quiet() as optuna:
    study = _study(optuna, seed)
    return _asked(study, space, flat, distributions, count)


def _asked(study, space, flat, distributions, count):
  """Values that a study gives when it is asked, one after another."""
  found = []
  for _ in range(count):
    drawn = study.ask(fixed_distributions=distributions).params
    row = {
      name: _rounded(drawn[name], flat[name])
      for name, one in space.items()
      if not one.by
    }
    for name, one in space.items():
      case = row.get(f'{name.partition(".")[0]}.{one.by}')
      if one.by and case in one.cases:
        flat_name = f'{name}[{case}]'
        row[name] = _rounded(drawn[flat_name], flat[flat_name])
    found.append(row)
  return found


def finalists(scores: Sequence[float]) -> list[int]:
  """The settings that go on, by successive halving, in the order of drawing.

  Args:
    scores: of a rung that has ended, in the order of drawing; of equal ones
      the first is taken for the better.
  """
  order = sorted(range(len(scores)), key=lambda i: (scores[i], i))
  places = [order.index(i) for i in range(len(scores))]
  going_on = []
  with quiet() as optuna:
    for last in range(len(places)):
      pruner = optuna.pruners.SuccessiveHalvingPruner(1, tuning.REDUCTION)
      study = _study(optuna, SEED, pruner)
      is_pruned = True
      for i in (*(j for j in range(len(places)) if j != last), last):
        trial = study.ask()
        trial.report(places[i], 1)
        is_pruned = trial.should_prune()
      if not is_pruned:
        going_on.append(last)
  return going_on


@contextlib.contextmanager
def quiet() -> Iterator[types.ModuleType]:
  """Optuna, which says nothing of the studies that are made meanwhile.

  Yields:
    The module.
  """
  import optuna

  verbosity = optuna.logging.get_verbosity()
  optuna.logging.set_verbosity(optuna.logging.WARNING)
  try:
    with warnings.catch_warnings():
      # Of the sampler, that it may change: the version is bounded.
      warnings.simplefilter('ignore', optuna.exceptions.ExperimentalWarning)
      yield optuna
  finally:
    optuna.logging.set_verbosity(verbosity)


def _study(optuna, seed, pruner=None):
  """An empty study, in memory."""
  sampler = optuna.samplers.QMCSampler(scramble=True, seed=seed)
  return optuna.create_study(sampler=sampler, pruner=pruner)


def distribution(one: Range) -> 'optuna.distributions.BaseDistribution':
  """A range without cases as Optuna has it."""
  import optuna

  if one.choices:
    return optuna.distributions.CategoricalDistribution(one.choices)
  return optuna.distributions.FloatDistribution(
    one.low, one.high, log=one.scale == 'log'
  )


def _rounded(value, one):
  return value if one.choices else float(f'{value:.{_DIGITS}g}')
