"""Text and TOML values: numbers, options, comma lists, seeds.

Every function takes what was written and where (`source`, a flag's or a key's
name) and either returns a value or raises `Refused` with one line that names
both and says what is allowed.
"""

import contextlib
import itertools
import math
import os
import re
from collections.abc import Sequence

from lstm_jax.choices import one_of, unknown
from lstm_jax.lab.plan.catalog import Option
from lstm_jax.lab.store.documents import Number, Value

MAX_INT = 2**31 - 1
MAX_SIZE = 4096
MAX_SEEDS = 1_000_000
# Options that size a network: past `MAX_SIZE` it fits into no memory.
_SIZES = ('hidden', 'blocks', 'block_size')
# How None is written; the plain word where a meaning has a better one.
_NONE_WORDS = {'window': 'full'}


_INTEGER = re.compile('-?[0-9]{1,20}')
_REAL = re.compile(r'-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,4})?')
_SCHEME = re.compile('[A-Za-z][A-Za-z0-9+.-]*://')


class Refused(ValueError):
  """A request that cannot be met; `args` are the reasons, one line each."""


def split(text: object, source: str) -> tuple[str, ...]:
  """The items of a comma list; commas inside brackets do not separate."""
  items, depth = [''], 0
  for character in str(text):
    depth += {'[': 1, ']': -1}.get(character, 0)
    if character == ',' and depth <= 0:
      items.append('')
    else:
      items[-1] += character
  if len(items) > 1:
    items = [item.strip(' ') for item in items]
  items = tuple(items)
  if '' in items:
    reason = 'is empty' if len(items) == 1 else 'has an empty item'
    raise Refused(f'{source}={text}: the list {reason}; write {source}=A,B,C')
  check_once(items, f'{source}={text}')
  return items


def check_once(items: Sequence[object], text: str) -> None:
  """Refuses a list that has something twice; `text` is how it stands."""
  for i, item in enumerate(items):
    if item in items[:i]:
      raise Refused(f'{text}: {item} is listed twice')


def integer(
  value: object, source: str, low: int = 1, high: int = MAX_INT
) -> int:
  """An integer from `low` to `high`, from text or an int."""
  requirement = f'must be {_integers(low, high)}'
  number = value
  if isinstance(value, str):
    # Not what `int` takes as well: digits of other scripts, 1_0, +1, blanks.
    number = int(value) if _INTEGER.fullmatch(value) else None
  if not isinstance(number, int) or isinstance(number, bool):
    raise Refused(f'{source}={value}: {requirement}')
  if not low <= number <= high:
    limit = f', at most {high}' * (number > high == MAX_INT)
    raise Refused(f'{source}={value}: {requirement}{limit}')
  return number


def place(text: str, source: str) -> str:
  """The path of a file or folder, with `~` written out."""
  if not text:
    raise Refused(f'{source}=: is empty; see --help')
  if '\0' in text:
    raise Refused(f'{source}={text}: no path holds a character NUL')
  if scheme := _SCHEME.match(text):
    raise Refused(
      f'{source}={text}: {scheme[0]} is an address and no path; name a folder '
      'of this machine, and copy from or to it'
    )
  path = os.path.expanduser(text)
  if path.startswith('~'):
    raise Refused(
      f'{source}={text}: there is no such home folder; write the whole path, '
      f'or ./{text} for one that is called so'
    )
  return path


def folder(text: str, source: str) -> str:
  """The path of a folder that is there."""
  path = place(text, source)
  if not os.path.isdir(path):
    raise Refused(f'{source}={text}: there is no such folder')
  return path


def real(value: object, source: str, positive: bool = False) -> float:
  """A finite float, above 0 where `positive`, from text or a number."""
  requirement = 'must be a ' + (
    'finite number above 0' if positive else 'number'
  )
  number = math.nan
  if isinstance(value, str):
    number = float(value) if _REAL.fullmatch(value) else math.nan
  elif isinstance(value, int | float) and not isinstance(value, bool):
    with contextlib.suppress(OverflowError):  # of an int
      number = float(value)
  # The figures are float32 in the trial: 1e39 is infinite there, 1e-50 zero.
  if not abs(number) < 3e38 or (positive and number < 1e-30):
    raise Refused(f'{source}={value}: {requirement}')
  return number + 0.0  # -0.0 becomes 0.0: one setting, one identity


def seeds(value: object, source: str) -> tuple[int, ...]:
  """Seeds: an integer n for 0, ..., n - 1, or items such as `3,5-9`."""
  written = f'{source}={value}'
  hint = 'write a count (10) or a list (3,5-9), seeds from 0 to 2147483647'
  text = str(value)
  if text.isascii() and text.isdigit():
    return tuple(range(integer(text, source, 1, MAX_SEEDS)))
  spans = []
  items = text.split(',')
  for item in items if len(items) == 1 else [i.strip(' ') for i in items]:
    ends = item.split('-')
    if not all(end.isascii() and end.isdigit() for end in ends):
      raise Refused(f'{written}: {item.strip() or "an empty item"}? {hint}')
    # Python refuses to read an integer of thousands of digits.
    low, high = (int(end[-20:]) for end in (ends[0], ends[-1]))
    is_long = max(map(len, ends)) > 20
    if is_long or len(ends) > 2 or high > MAX_INT or low > high:
      raise Refused(f'{written}: {item.strip()} is no range; {hint}')
    spans.append((low, high))
  if sum(high - low + 1 for low, high in spans) > MAX_SEEDS:
    raise Refused(f'{written}: more than {MAX_SEEDS} seeds')
  seed_list = tuple(s for low, high in spans for s in range(low, high + 1))
  ordered = sorted(seed_list)
  for seed, other in itertools.pairwise(ordered):
    if seed == other:
      raise Refused(f'{written}: seed {seed} is listed twice')
  return seed_list


def choices_text(option: Option) -> str:
  """Says what an option takes."""
  return ', '.join(_choice_words(option))


def _choice_words(option):
  """All that an option takes, a text each."""
  words = [str(choice) for choice in option.choices]
  if 'bool' in option.types:
    words += ['true', 'false']
  if 'float' in option.types:
    words.append('a number' + ' above 0' * _positive(option))
  elif 'int' in option.types:
    low, high = _limits(option)
    words.append(_integers(low, high))
  if option.optional:
    words.append(_NONE_WORDS.get(option.name, 'none'))
  return words


def option(option: Option, value: object, source: str) -> Value:
  """The value of a factory's option from text or TOML."""
  if option.optional and value == _NONE_WORDS.get(option.name, 'none'):
    return None
  for choice in option.choices:
    if type(value) is type(choice) and value == choice:
      return choice
    if isinstance(value, str) and value == str(choice):
      return choice
  if 'bool' in option.types:
    if isinstance(value, bool):
      return value
    if value in ('true', 'false'):
      return value == 'true'
  try:
    if 'int' in option.types:
      return integer(value, source, *_limits(option))
    if 'float' in option.types:
      return real(value, source, _positive(option))
  except Refused:
    pass  # the message below names every other way to write it
  words = tuple(map(str, option.choices))
  near = unknown(str(value), words).partition('; ')[2] if words else ''
  tail = f'; {near}' if near else ''
  raise Refused(f'{source}={value}: {one_of(_choice_words(option))}{tail}')


def bias_of_lag(length: int) -> float:
  """The gate bias `-log T - 2.3`, written `lag`.

  A gate that nothing else opens then lets in a tenth of the sum of what T steps
  bring, whatever T is.

  Args:
    length: T.

  Returns:
    The bias, to four digits after the point.

  Example:
    >>> bias_of_lag(1000)
    -9.2078
  """
  return round(-math.log(length) - 2.3, 4)


def number(name: str, value: object, source: str) -> Number:
  """A traced number, read by the conventions of `catalog` for its name.

  Text gives one value per block as `-3:-6`.
  """
  if name == 'length':
    return integer(value, source)
  if name.endswith('_bias'):
    if value == 'none':
      return None
    if isinstance(value, str) and ':' in value:
      return tuple(real(v, source) for v in value.split(':'))
  return real(value, source, positive=name.endswith(('_rate', '_range')))


def text_of(name: str, value: object) -> str:
  """A value as text that reads back as itself."""
  if value is None:
    return _NONE_WORDS.get(name, 'none')
  if isinstance(value, bool):
    return str(value).lower()
  if isinstance(value, tuple | list):
    return ':'.join(text_of(name, v) for v in value)
  return str(value).removesuffix('.0')


def _integers(low, high):
  return f'an integer from {low}' + f' to {high}' * (high < MAX_INT)


def _limits(option):
  # An option whose default is 0 may be 0; every other counts something.
  low = 0 if option.default == 0 else 1
  return low, MAX_SIZE if option.name in _SIZES else MAX_INT


def _positive(option):
  return not (option.default is not None and option.default <= 0)
