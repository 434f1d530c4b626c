"""Words of a table on the search by which a setting was chosen.

Of the record of `tune.search`, as a plan and results.csv have it.
"""

from collections.abc import Mapping

from lstm_jax.choices import count_of
from lstm_jax.lab.report.cells import EMPTY, Cell

# Name -> value, of `Setting.tuning`.
Tuning = Mapping[str, object]


def chosen_cell(tuning: Tuning) -> Cell:
  """The setting that was chosen, and where its ranges were too narrow."""
  return Cell(str(tuning.get('chosen', EMPTY)), remark(tuning))


def spent_cell(tuning: Tuning, seconds: object) -> Cell:
  """The size of the search, and what it took."""
  if not tuning:
    return Cell(EMPTY)
  taken = f'{count_of(int(str(tuning["trials"])), "trial")}, {seconds} s'
  return Cell(spent(tuning), f'{taken}, {size(tuning)}')


def sharpness_cell(tuning: Tuning) -> Cell:
  """The share of settings that would have done, and how far the second is."""
  if not tuning:
    return Cell(EMPTY)
  second = f'second best × {tuning["second"]}' if 'second' in tuning else ''
  return Cell(solving(tuning) or second, second if solving(tuning) else '')


def size(tuning: Tuning) -> str:
  """`16 settings on 5 seeds`."""
  counts = (int(str(tuning[name])) for name in ('settings', 'seeds'))
  settings, seeds = counts
  return f'{count_of(settings, "setting")} on {count_of(seeds, "seed")}'


def spent(tuning: Tuning) -> str:
  """`12,345 sequences`, or epochs."""
  unit = 'sequences' if 'sequences' in tuning else 'epochs'
  return f'{int(str(tuning[unit])):,} {unit}'


def solving(tuning: Tuning) -> str:
  """`3 of 16 solve`; '' where nothing can be solved."""
  if 'solving' not in tuning:
    return ''
  return f'{tuning["solving"]} of {tuning["settings"]} solve'


def remark(tuning: Tuning) -> str:
  """Says which ranges were extended, what is still at an edge, what was futile.

  '' where there is nothing to say.
  """
  parts = []
  if 'extended' in tuning:
    parts.append(f'range extended: {tuning["extended"]}')
  if 'edge' in tuning:
    parts.append(f'still at the edge: {tuning["edge"]}')
  return '; '.join((*parts, *futility_words(tuning)))


def futility_words(tuning: Tuning) -> tuple[str, ...]:
  """Says that a row has few fresh seeds, and why; () where it has all."""
  if 'futility' not in tuning:
    return ()
  seeds = count_of(int(str(tuning['futility'])), 'fresh seed')
  return (f'no tuning seed was solved, so {seeds}',)
