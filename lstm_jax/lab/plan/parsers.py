"""Types of flags for `absl.flags`, and how a command line is read by them.

A `Reader` is absl's parser of one flag: lists, seeds, shards, places, numbers,
words. What it refuses, absl reports with the flag and its value. `read` turns
whatever absl finds wrong into one `Refused` line.
"""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Generic, TypeVar

from absl import flags

from lstm_jax.choices import unknown
from lstm_jax.lab.plan import values

T = TypeVar('T')
# Before the message of a validator: absl writes all values in front of it.
_LINE_MARK = '\x1f'
# absl's message on a switch that is given a value.
_NO_BOOLEAN = re.compile(r"\('Non-boolean argument to boolean flag', .*\)")


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


def comma_list(value: object) -> str:
  """A value as text; the items of a tuple with commas between them."""
  return ','.join(map(str, value)) if isinstance(value, tuple) else str(value)


def define(
  flag_values: flags.FlagValues,
  name: str,
  kind: str,
  function: Callable[[str, str], T],
  words: str,
  default: T | None = None,
  is_repeated: bool = False,
  writer_of: Callable[[T], str] = comma_list,
) -> None:
  """Defines a flag.

  Args:
    flag_values: where.
    name: of the flag.
    kind: what `--helpxml` calls the type.
    function: `(text, source) -> value`, or a `Refused`.
    words: for `--help`.
    default: the value where the flag is not given.
    is_repeated: the flag may be given more than once; its value is a list.
    writer_of: value -> text.
  """
  reader, writer = Reader(name, kind, function), Writer(writer_of)
  if is_repeated:
    flags.DEFINE_multi(reader, writer, name, [], words, flag_values=flag_values)
  else:
    flags.DEFINE(
      reader, name, default, words, flag_values=flag_values, serializer=writer
    )


def switch(flag_values: flags.FlagValues, name: str, words: str) -> None:
  """Defines a flag that is given or not."""
  flags.DEFINE_boolean(name, False, words, flag_values=flag_values)


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
  parser = word(choices)

  def function(value, source):
    return tuple(parser(item, source) for item in values.split(value, source))

  return function


def integers(value: str, source: str) -> tuple[int, ...]:
  """Integers above 0 of a comma list."""
  return tuple(
    values.integer(item, source) for item in values.split(value, source)
  )


def forbid(
  flag_values: flags.FlagValues,
  names: Sequence[str],
  reason: Callable[[dict[str, object]], str],
) -> None:
  """Has flags that contradict each other refused, as absl validates them.

  Args:
    flag_values: where the flags are.
    names: of the flags that are looked at.
    reason: name -> value to the one line that says what is wrong, or to ''.
  """

  def check(flag_set):
    if line := reason(flag_set):
      raise flags.ValidationError(_LINE_MARK + line)
    return True

  flags.register_multi_flags_validator(
    list(names), check, flag_values=flag_values
  )


def read(flag_values: flags.FlagValues, argv: Sequence[str]) -> list[str]:
  """Reads a command line into the flags; returns the words that are none.

  Args:
    flag_values: flags, as they were defined.
    argv: the program's name and its arguments.

  Raises:
    Refused: an unknown flag, a value that it cannot have, a flag given twice,
      flags that contradict each other.
  """
  flag_values.set_gnu_getopt(True)
  try:
    leftovers = flag_values(list(argv))[1:]
  except flags.UnrecognizedFlagError as error:
    near = unknown(error.flagname, tuple(flag_values)).partition('; ')[2]
    raise values.Refused(
      f'--{error.flagname}: no such flag; {near or "see --help"}'
    ) from None
  except flags.CantOpenFlagFileError as error:
    line = str(error).removeprefix('ERROR:: ')
    raise values.Refused(f'--flagfile: {" ".join(line.split())}') from None
  except (flags.Error, ValueError) as error:
    line = str(error).rpartition(_LINE_MARK)[2]
    line = _NO_BOOLEAN.sub('must be true or false', line)
    raise values.Refused(' '.join(line.split()).removeprefix('flag ')) from None
  for name in flag_values:
    flag = flag_values[name]
    if flag.present > 1 and not isinstance(flag, flags.MultiFlag):
      is_list = isinstance(flag.parser, Reader) and flag.flag_type() == 'list'
      raise values.Refused(
        f'--{name} is given {flag.present} times; write it once'
        + ', with a comma list' * is_list
      )
  return leftovers


def no_words(leftovers: Sequence[str]) -> None:
  """Refuses words that are no flags."""
  if leftovers:
    raise values.Refused(
      f'{leftovers[0]}: not a flag; write --NAME=VALUE without spaces, see '
      '--help'
    )


def given_names(flag_values: flags.FlagValues) -> list[str]:
  """Names of the flags that a command line has."""
  return [name for name in flag_values if flag_values[name].present]
