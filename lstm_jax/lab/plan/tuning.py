"""The search for the rows of a plan: how large it is, what it costs.

`lab.tune` gives each row of `tuned_rows` the same number of settings, whatever
it is of.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lstm_jax.choices import count_of
from lstm_jax.lab.plan import catalog, estimate, tuning_size, values
from lstm_jax.lab.plan.points import Point
from lstm_jax.lab.plan.programs import learner_of, programs, unit_of
from lstm_jax.lab.plan.tuned_rows import TunedRow, setting_of
from lstm_jax.lab.store.setting import Setting

# Seeds that no plan is judged on, from here on.
FIRST_SEED = 2_000_000_000
# Of all settings so many go on, from a budget that is so much smaller.
REDUCTION = 4


class Tuning(NamedTuple):
  """The size of the search, the same for all rows.

  Attributes:
    settings: of each row.
    seeds: that each setting is tried on.
    futility: fresh seeds of a row of which no setting solved any of them; 0:
      as many as of any other.
  """

  settings: int = tuning_size.SETTINGS
  seeds: int = tuning_size.SEEDS
  futility: int = 0

  @property
  def seed_list(self) -> tuple[int, ...]:
    """The tuning seeds."""
    return tuple(range(FIRST_SEED, FIRST_SEED + self.seeds))


def short_budget(budget: int) -> int:
  """The budget of the rounds in which all settings are tried."""
  return max(1, budget // REDUCTION)


def num_finalists(tuning: Tuning) -> int:
  """The number of settings that are tried to the end of the budget."""
  return max(1, tuning.settings // REDUCTION)


def size_of(
  points: Sequence[Point],
  settings: int | None,
  seeds: int | None,
  futility: int | None = None,
) -> Tuning | None:
  """The size of the search that flags, or the rows of a grid, ask for.

  Args:
    points: of the plan.
    settings: of `--tune`, None where it is not given.
    seeds: of `--tune_seeds`, likewise.
    futility: of `--futility`, likewise.

  Returns:
    None where nobody asks for one.

  Raises:
    Refused: rows ask for different ones, which would not be fair.
  """
  rows = [point.row for point in points]
  asking_rows = [row for row in rows if row.tune]
  if asking_rows or settings is None:
    rows = asking_rows  # the others have nothing to say of it
  sizes = {
    Tuning(
      settings or row.tune, seeds or row.tune_seeds, futility or row.futility
    ): row.name
    for row in rows
  }
  if len(sizes) > 1:
    (first, name), (second, other) = [*sizes.items()][:2]
    raise values.Refused(
      f'tune: row {name} has {_words_of_size(first)} and row {other} '
      f'{_words_of_size(second)}: rows of a plan have as many each; give '
      '--tune=N, --tune_seeds=N and --futility=N'
    )
  for name, number in (('tune_seeds', seeds), ('futility', futility)):
    if not sizes and number is not None:
      raise values.Refused(f'--{name}={number}: needs --tune=N')
  return next(iter(sizes), None)


def _words_of_size(size):
  text = f'{size.settings} settings on {size.seeds} seeds'
  return text + f', futility={size.futility}' * bool(size.futility)


def check(
  rows: Sequence[TunedRow], settings: Sequence[Setting], size: Tuning
) -> None:
  """Refuses a plan that cannot be tuned.

  Args:
    rows: of the plan.
    settings: of the rows, before anything is chosen.
    size: of the search.

  Raises:
    Refused: nothing is left to tune; a row is judged on tuning seeds; tasks and
      data sets; futility of data sets, which nothing solves.
  """
  asked = f'--tune={size.settings}'
  if not any(row.space for row in rows):
    raise values.Refused(
      f'{asked}: nothing to tune, as all that has a range is fixed; leave out '
      '--learning_rate or a --set, or see --list for what has a range'
    )
  if len({learner_of(setting).xla_profile for setting in settings}) > 1:
    raise values.Refused(
      f'{asked}: tasks and data sets need other flags of XLA, which a process '
      'reads once; tune one kind at a time'
    )
  if size.futility and any(unit_of(s) == 'epochs' for s in settings):
    raise values.Refused(
      f'--futility={size.futility}: runs on a data set solve nothing, so that '
      'each would be given up; leave it out'
    )
  reserved = set(size.seed_list)
  for row in rows:
    for seed in row.point.row.seeds:
      if seed in reserved:
        raise values.Refused(
          f'--seeds: seed {seed} of row {row.point.row.name} is one of the '
          f'tuning seeds, {seeds_text(size)}: what is judged on them was '
          'chosen by them; choose seeds below'
        )


def seeds_text(size: Tuning) -> str:
  """The tuning seeds as text, `2000000000-2000000004`."""
  seeds = size.seed_list
  return '-'.join(dict.fromkeys(map(str, (seeds[0], seeds[-1]))))


def num_trials(rows: Iterable[TunedRow], tuning: Tuning) -> int:
  """Most trials that the search of rows takes."""
  tuned = sum(bool(row.space) for row in rows)
  return tuned * tuning.seeds * (tuning.settings + num_finalists(tuning))


def seconds(rows: Sequence[TunedRow], tuning: Tuning, cores: int) -> float:
  """Estimated wall time of the search, as of `estimate.seconds`."""
  counts, num_programs = [], 0
  for row in rows:
    if not row.space:
      continue
    budget = row.point.row.budget
    for count, budget_of_round in (
      (tuning.settings, short_budget(budget)),
      (num_finalists(tuning), budget),
    ):
      setting = setting_of(row.point, {}, budget_of_round)
      # A last trial takes the lanes of as many as would fill them.
      full = -(-count * tuning.seeds // estimate.FULL_LANES)
      counts.append((setting, full * estimate.FULL_LANES))
    num_programs += min(tuning.settings, _num_programs(row, setting))
  shared = len(programs([setting for setting, _ in counts]))
  return estimate.seconds(counts, max(shared, num_programs), cores)


def _num_programs(row, setting):
  """Most programs that the settings of a row make, however many they are.

  A number is drawn within one; each value of an option is a program.
  """
  count = 1
  for name, one in row.space.items():
    role, _, option = name.partition('.')
    if option in catalog.of(setting, role).options:
      count *= len(one.choices) or tuning_size.MOST_SETTINGS
  return count


def words_of(rows: Sequence[TunedRow], tuning: Tuning) -> str:
  """Says in a clause what is searched, for the title of a plan."""
  tuned = sum(bool(row.space) for row in rows)
  names = dict.fromkeys(name for row in rows for name in row.space)
  fixed = len(rows) - tuned
  return (
    f'; {count_of(tuned, "row")} tuned: {tuning.settings} settings each on '
    f'{count_of(tuning.seeds, "seed")}, of {", ".join(names)}'
    + f'; {count_of(tuning.futility, "fresh seed")} where none is solved'
    * bool(tuning.futility)
    + f'; nothing to tune in {count_of(fixed, "row")}' * bool(fixed)
  )
