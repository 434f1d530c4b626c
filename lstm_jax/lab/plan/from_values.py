"""A request made of Python's values, as a command line makes one of text.

Messages name the flags, so that they are those of the command.
"""

import sys
from collections.abc import Callable, Iterable, Mapping

from lstm_jax import public
from lstm_jax.choices import unknown
from lstm_jax.lab.plan import contradictions, flags, tuning_size, values
from lstm_jax.lab.plan.flags import Request, Run
from lstm_jax.lab.plan.grid_check import AXES
from lstm_jax.lab.plan.references import Axis
from lstm_jax.lab.plan.usage import GROUPS

# One value of an axis: a number, a word, a factory; None: full, or none.
Value = bool | int | float | str | Callable[..., object] | None
# One value or several; of an option a tuple has one entry a block.
Values = Value | Iterable[object]
FLAGS = tuple(name for group in GROUPS.values() for name in group)


def request_of(
  axes: Mapping[str, Values],
  options: Mapping[str, Values],
  *,
  grid: str | None = None,
  row: str | Iterable[str] | None = None,
  size: str | None = None,
  seeds: int | str | Iterable[int] | None = None,
  budget: int | None = None,
  tune: bool | int = False,
  tune_seeds: int | None = None,
  futility: int | None = None,
  yes: bool = False,
  how: Run | None = None,
) -> Request:
  """The request that a command line with these values makes.

  Args:
    axes: flag -> value or values, of the flags of `grid_check.AXES`.
    options: dotted name -> value or values, as of `--set`.
    grid: name of a grid or path of one.
    row: names of rows of the grid.
    size: of a grid that comes in sizes; None: its first.
    seeds: a count, the text of `--seeds`, or the seeds one by one.
    budget: training sequences, or epochs.
    tune: settings that each row is tuned by; True for 16, False for none.
    tune_seeds: seeds that each is tried on; None for 5.
    futility: fresh seeds of a row that solves none of those; None for all.
    yes: whether a very large plan is wanted.
    how: how to run it.

  Raises:
    Refused: a name that there is not, a value that no plan can have, values
      that contradict each other.
  """
  for name in axes:
    if name not in AXES:
      near = unknown(name, (*FLAGS,)).partition('; ')[2]
      raise values.Refused(f'--{name}: no such flag; {near or "see --help"}')
  for name in options:
    flags.dotted(name, f'--set={name}')
    if line := contradictions.two_values(name, axes, grid):
      raise values.Refused(line)
  rows = () if row is None else tuple(map(str, _items(row)))
  if line := contradictions.row_alone(rows, grid):
    raise values.Refused(line)
  size = size or ''
  if line := contradictions.size_alone(size, grid):
    raise values.Refused(line)
  if not (grid or axes or options):
    grid = 'quickstart'
  if isinstance(seeds, Iterable) and not isinstance(seeds, str):
    seeds = ','.join(map(str, seeds))
    # A lone number would be a count.
    seeds = seeds if ',' in seeds else f'{seeds}-{seeds}'
  return Request(
    axes=tuple(
      _axis(AXES[flag], axes[flag], f'--{flag}')
      for flag in AXES
      if flag in axes
    ),
    sets=tuple(
      _axis(name, value, f'--set={name}', blocks=True)
      for name, value in options.items()
    ),
    grid=grid,
    rows=rows,
    size=size,
    seeds=None if seeds is None else values.seeds(seeds, '--seeds'),
    budget=None if budget is None else values.integer(budget, '--budget'),
    tune=None if tune is False else tuning_size.settings(tune, '--tune'),
    tune_seeds=None
    if tune_seeds is None
    else tuning_size.seeds(tune_seeds, '--tune_seeds'),
    futility=None
    if futility is None
    else tuning_size.futility(futility, '--futility'),
    yes=yes,
    run=Run() if how is None else how,
  )


def _axis(name, value, source, blocks=False):
  """The `Axis` of a value or several."""
  items = (value,) if blocks and isinstance(value, tuple) else _items(value)
  plain_items = tuple(_plain_value(name, value, source) for value in items)
  if not plain_items:
    raise values.Refused(f'{source}=: the list is empty; write {source}=A,B,C')
  values.check_once(plain_items, f'{source}={",".join(map(str, plain_items))}')
  return Axis(name, plain_items, source)


def _items(value):
  if isinstance(value, str) or not isinstance(value, Iterable):
    return (value,)
  return tuple(value)


def _plain_value(name, value, source):
  """A value as a grid has it: text, or a plain number."""
  if hasattr(value, 'item') and not isinstance(value, str):
    value = value.item()  # of numpy
  if callable(value):
    return _place(value, source)
  if value is None or isinstance(value, tuple | list):
    return values.text_of(name.partition('.')[2], value)
  # Its text is what the command line says, and what a message says of it.
  return values.text_of('', value)


def _place(factory, source):
  """The name by which a factory is found again."""
  module = getattr(factory, '__module__', '') or ''
  name = getattr(factory, '__qualname__', type(factory).__name__)
  public_place = f'{public.__package__}.{public.NAMES.get(name, "")}'
  if module == public_place and getattr(sys.modules[module], name) is factory:
    return name
  if module in ('', '__main__') or not name.isidentifier():
    raise values.Refused(
      f'{source}={name}: a run must find it again; put it into a '
      'file and write file.py:NAME, or module:NAME'
    )
  return f'{module}:{name}'
