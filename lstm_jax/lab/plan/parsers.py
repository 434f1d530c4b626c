"""Types of flags for `absl.flags`, and how a command line is read by them.

A `Reader` is absl's parser of one flag: lists, seeds, shards, places, numbers,
words. What it refuses, absl reports with the flag and its value. `read` turns
whatever absl finds wrong into one `Refused` line.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Generic, TypeVar

from absl import flags

from lstm_jax.lab.plan import values
from lstm_jax.lab.plan.catalog import unknown

T = TypeVar('T')
# Before the message of a validator: absl writes all values in front of it.
_WHOLE = '\x1f'


class Reader(flags.ArgumentParser[T], Generic[T]):
  """The parser of one flag, by a function of `values`.

  Args:
    name: of the flag.
    kind: what `--helpxml` calls the type.
    function: `(text, source) -> value`, or a `Refused`.
  """

  def __init__(
    self, name: str, kind: str, function: Callable[[str, str], T]
  ) -> None:
    self._source, self._kind, self._function = f'--{name}', kind, function

  def parse(self, argument: str | T) -> T:
    """Reads the text of a flag; a default is a value already.

    Raises:
      ValueError: the reason, without the flag and what was given.
    """
    if not isinstance(argument, str):
      return argument
    if not argument:
      raise ValueError('is empty; see --help')
    try:
      return self._function(argument, self._source)
    except values.Refused as refused:
      # absl writes the flag and its value in front.
      reason = str(refused.args[0]).removeprefix(f'{self._source}={argument}: ')
      raise ValueError(reason.removeprefix(f'{self._source}=')) from None

  def flag_type(self) -> str:
    """The name of the type."""
    return self._kind


class Writer(flags.ArgumentSerializer[T], Generic[T]):
  """Writes the value of a flag as a command line has it.

  Args:
    function: value -> text.
  """

  def __init__(self, function: Callable[[T], str]) -> None:
    self._function = function

  def serialize(self, value: T | list[T]) -> str:
    """The text of a value, or of all the values of a flag that is repeated."""
    if isinstance(value, list):
      return ' '.join(map(self._function, value))
    return self._function(value)


def listed(value: object) -> str:
  """A value as text; the items of a tuple with commas between them."""
  return ','.join(map(str, value)) if isinstance(value, tuple) else str(value)


def define(
  defined: flags.FlagValues,
  name: str,
  kind: str,
  function: Callable[[str, str], T],
  words: str,
  default: T | None = None,
  repeated: bool = False,
  written: Callable[[T], str] = listed,
) -> None:
  """Defines a flag.

  Args:
    defined: where.
    name: of the flag.
    kind: what `--helpxml` calls the type.
    function: `(text, source) -> value`, or a `Refused`.
    words: for `--help`.
    default: the value where the flag is not given.
    repeated: the flag may be given more than once; its value is a list.
    written: value -> text.
  """
  reader, writer = Reader(name, kind, function), Writer(written)
  if repeated:
    flags.DEFINE_multi(reader, writer, name, [], words, flag_values=defined)
  else:
    flags.DEFINE(
      reader, name, default, words, flag_values=defined, serializer=writer
    )


def switch(defined: flags.FlagValues, name: str, words: str) -> None:
  """Defines a flag that is given or not."""
  flags.DEFINE_boolean(name, False, words, flag_values=defined)


def text(value: str, source: str) -> str:
  """Any text but none."""
  del source
  return value


def word(choices: Collection[str]) -> Callable[[str, str], str]:
  """A reader of one of some words."""

  def function(value, source):
    if value not in choices:
      raise values.Refused(f'{source}={value}: {unknown(value, choices)}')
    return value

  return function


def words(choices: Collection[str]) -> Callable[[str, str], tuple[str, ...]]:
  """A reader of a comma list of some words."""
  one = word(choices)

  def function(value, source):
    return tuple(one(item, source) for item in values.split(value, source))

  return function


def integers(value: str, source: str) -> tuple[int, ...]:
  """Integers above 0 of a comma list."""
  return tuple(
    values.integer(item, source) for item in values.split(value, source)
  )


def forbid(
  defined: flags.FlagValues,
  names: Sequence[str],
  reason: Callable[[dict[str, object]], str],
) -> None:
  """Has flags that contradict each other refused, as absl validates them.

  Args:
    defined: where the flags are.
    names: of the flags that are looked at.
    reason: name -> value to the one line that says what is wrong, or to ''.
  """

  def check(given):
    if line := reason(given):
      raise flags.ValidationError(_WHOLE + line)
    return True

  flags.register_multi_flags_validator(list(names), check, flag_values=defined)


def read(defined: flags.FlagValues, argv: Sequence[str]) -> list[str]:
  """Reads a command line into the flags; returns the words that are none.

  Args:
    defined: flags, as they were defined.
    argv: the program's name and its arguments.

  Raises:
    Refused: an unknown flag, a value that it cannot have, a flag given twice,
      flags that contradict each other.
  """
  defined.set_gnu_getopt(True)
  try:
    rest = defined(list(argv))[1:]
  except flags.UnrecognizedFlagError as error:
    near = unknown(error.flagname, tuple(defined)).partition('; ')[2]
    raise values.Refused(
      f'--{error.flagname}: no such flag; {near or "see --help"}'
    ) from None
  except flags.CantOpenFlagFileError as error:
    line = str(error).removeprefix('ERROR:: ')
    raise values.Refused(f'--flagfile: {" ".join(line.split())}') from None
  except (flags.Error, ValueError) as error:
    line = str(error).rpartition(_WHOLE)[2]
    raise values.Refused(' '.join(line.split()).removeprefix('flag ')) from None
  for name in defined:
    flag = defined[name]
    if flag.present > 1 and not isinstance(flag, flags.MultiFlag):
      listed = isinstance(flag.parser, Reader) and flag.flag_type() == 'list'
      raise values.Refused(
        f'--{name} is given {flag.present} times; write it once'
        + ', with a comma list' * listed
      )
  return rest


def no_words(rest: Sequence[str]) -> None:
  """Refuses words that are no flags."""
  if rest:
    raise values.Refused(
      f'{rest[0]}: not a flag; write --NAME=VALUE without spaces, see --help'
    )


def given(defined: flags.FlagValues) -> list[str]:
  """Names of the flags that a command line has."""
  return [name for name in defined if defined[name].present]
