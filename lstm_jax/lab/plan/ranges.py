"""Ranges among which tuning draws, as modules of cells and learners hold them.

  RANGES = {
    'init_range': (0.03, 1.0, 'log'),       a number, even on a log scale
    'forget_bias': (0.0, 5.0, 'linear'),    or on its own
    'recurrent_init': ['uniform', 'identity'],   one of some values
    'learning_rate': {                      one that belongs to its optimizer
      'optimizer': {'sgd': (0.01, 10.0, 'log'), 'adam': (3e-4, 0.1, 'log')},
    },
  }

A literal, so that a plan reads it without JAX. It says what is searched and
nothing of what runs: the digest of a source leaves it out.
"""

import math
from collections.abc import Mapping

from lstm_jax.lab.store.catalog_entry import Option, Range
from lstm_jax.lab.store.documents import Number, Value

SCALES = ('log', 'linear')
_FORMS = (
  "write (low, high, 'log' or 'linear') with low < high, [value, ...], or "
  '{option: {value: range}}'
)
_POSITIVE = ('_rate', '_range')


def read(
  literal: object, options: Mapping[str, Option], numbers: Mapping[str, Number]
) -> dict[str, Range]:
  """Name -> `Range` of a module's literal.

  Args:
    literal: what `RANGES` stands for.
    options: name -> `Option` of the factory.
    numbers: name -> default of its traced numbers.

  Raises:
    ValueError: with the name and what it must be.

  Example:
    >>> read({'init_range': (0.1, 1.0, 'log')}, {}, {'init_range': 0.1})
    {'init_range': Range(low=0.1, high=1.0, scale='log', choices=(), by='',
    cases={})}
  """
  if not isinstance(literal, dict):
    raise ValueError(f'RANGES = {literal!r}: must be {{name: range, ...}}')
  for name in literal:
    if name not in options and name not in numbers:
      choices = ', '.join(map(str, (*options, *numbers))) or 'nothing'
      raise ValueError(
        f'RANGES: {name!r}: is neither an option nor a number; there is '
        f'{choices}'
      )
  return {
    name: _range(f'RANGES: {name}', name, value, options)
    for name, value in literal.items()
  }


def _range(where, name, value, options):
  """The `Range` of one name."""
  match value:
    case (low, high, str(scale)) if isinstance(value, tuple):
      if _is_scale(low, high, scale, name):
        return Range(float(low), float(high), scale)
    case list() if len(value) > 1 and all(
      _is_taken(options.get(name), one) for one in value
    ):
      return Range(choices=tuple(value))
    case dict() if len(value) == 1:
      ((by, cases),) = value.items()
      is_known = isinstance(cases, dict) and by in options and by != name
      if is_known and all(_is_taken(options[by], case) for case in cases):
        return Range(
          by=by,
          cases={
            case: _range(f'{where}, {by}={case}', name, one, {})
            for case, one in cases.items()
          },
        )
  raise ValueError(f'{where} = {value!r}: {_FORMS}')


def _is_scale(low, high, scale, name):
  """Tells whether two ends make a scale for a name."""
  ends = (low, high)
  if scale not in SCALES or not all(type(end) in (int, float) for end in ends):
    return False
  needs_sign = scale == 'log' or name.endswith(_POSITIVE)
  return -math.inf < low < high < math.inf and (low > 0 or not needs_sign)


def _is_taken(option, value):
  """Tells whether an option takes a value; a number takes any of its own."""
  if option is None:
    return value is None or type(value) in (int, float)
  if value is None:
    return option.optional
  return value in option.choices or type(value).__name__ in option.types


def of_values(
  ranges: Mapping[str, Range], values: Mapping[str, Value]
) -> dict[str, Range]:
  """The ranges that hold where options have values, without cases.

  Args:
    ranges: name -> `Range`, of an entry.
    values: option -> value.

  Returns:
    Name -> `Range`; one that depends on an option whose value it does not name
    is left out.
  """
  plain = {}
  for name, one in ranges.items():
    chosen = one.cases.get(values.get(one.by)) if one.by else one
    if chosen is not None:
      plain[name] = chosen
  return plain


def text_of(one: Range) -> str:
  """A range as `--list` has it: `0.03 to 1 (log)`."""
  if one.by:
    cases = (f'{text_of(r)} of {case}' for case, r in one.cases.items())
    return ', '.join(cases)
  if one.choices:
    return ' or '.join('none' if c is None else str(c) for c in one.choices)
  return f'{one.low:g} to {one.high:g} ({one.scale})'
