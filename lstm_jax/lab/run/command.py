"""The one way in which all commands read their line and run.

Flags are absl's. As a process a command runs by `app.run`, with absl's own
flags beside its own and its messages through absl's logging; called from Python
it does the same without changing what the process has set up.
"""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from absl import app, flags, logging

from lstm_jax import public
from lstm_jax.lab.plan import catalog, parsers, values
from lstm_jax.lab.plan.text_columns import show
from lstm_jax.lab.run import mains
from lstm_jax.lab.store.faults import Exit

T = TypeVar('T')
# Modules of absl whose flags every command has, but for absl's own help.
_ADOPTED = ('absl.app', 'absl.logging')
_HELPS = {
  'h': 'the same as --help',
  'helpshort': "print this command's flags as absl does",
  'helpfull': "print all flags, absl's too",
  'helpxml': 'the same as XML',
  'version': 'print the version of this package',
}
_FOOTER = """
As elsewhere with absl: --helpfull (which lists them all), --helpshort,
--version, --flagfile=FILE, --undefok=NAMES, --verbosity=N (0 says more, -2 only
errors), --log_dir=FOLDER, --only_check_args (0 or 2: would this line run?)."""


class Command(NamedTuple, Generic[T]):
  """A command.

  Attributes:
    name: which its messages begin with.
    define: its flags, in a new `FlagValues`, `help` among them.
    usage: the text of `--help`.
    read: (flags that are read, words that are none) -> the request, with
      everything checked that can be before anything runs; raises `Refused`.
    act: runs a request and returns the exit code.
  """

  name: str
  define: Callable[[], flags.FlagValues]
  usage: Callable[[], str]
  read: Callable[[flags.FlagValues, list[str]], T]
  act: Callable[[T], int]


def run(command: Command[T], argv: Sequence[str] | None = None) -> int:
  """Runs a command line and returns the exit code.

  Args:
    command: the command.
    argv: the program's name and its arguments; None for those of the process.
  """
  argv = list(sys.argv if argv is None else argv)
  flag_values = _with_common(command.define(), argv[0])
  parser = functools.partial(_request, command, flag_values)
  try:
    if mains.is_process():
      _log_in_lines()
      app.run(command.act, argv=argv, flags_parser=parser)  # ends by an exit
    with _as_before(flag_values):
      request = parser(argv)
      return 0 if flag_values['only_check_args'].value else command.act(request)
  except SystemExit as end:
    return end.code if isinstance(end.code, int) else bool(end.code)
  except (values.Refused, catalog.Broken) as refused:
    for reason in refused.args:
      # One line each, whatever was typed.
      mains.say(command.name, ' '.join(str(reason).split()))
    return int(Exit.USAGE)


def _with_common(own_flags, program):
  """A command's flags, those that all have, and absl's."""
  common_flags = flags.FlagValues()
  for name, words in _HELPS.items():
    parsers.switch(common_flags, name, words)
  flag_values = flags.FlagValues()
  by_module = flags.FLAGS.flags_by_module_dict()
  adopted = [
    (module, flag)
    for module in _ADOPTED
    for flag in by_module.get(module, ())
    if flag.name not in ('help', *_HELPS, 'only_check_flags')
  ]
  flag_list = [own_flags[name] for name in own_flags] + [
    common_flags[name] for name in common_flags
  ]
  for module, flag in [*((program, flag) for flag in flag_list), *adopted]:
    flag_values[flag.name] = flag
    flag_values.register_flag_by_module(module, flag)
  for flag in flag_list:
    flag_values.register_key_flag_for_module(program, flag)
  return flag_values


def _request(command, flag_values, argv):
  """The request of a command line; ends the program where it asks for help."""
  words = parsers.read(flag_values, argv)
  text = None
  if flag_values['help'].value or flag_values['h'].value:
    text = f'{command.usage()}\n{_FOOTER}'
  elif flag_values['helpshort'].value:
    text = flag_values.module_help(argv[0])
  elif flag_values['helpfull'].value:
    text = flag_values.get_help()
  elif flag_values['version'].value:
    text = f'lstm-jax {public.VERSION}'
  elif flag_values['helpxml'].value:
    flag_values.write_help_in_xml_format(sys.stdout)
    text = ''
  if text is not None:
    show(text)
    raise SystemExit(0)
  request = command.read(flag_values, words)
  if mains.is_process():
    _set_up_logging(command.name)
  return request


@contextlib.contextmanager
def _as_before(flag_values: flags.FlagValues) -> Iterator[None]:
  """A context after which absl's own flags are what they were."""
  shared = [
    flag
    for flag in map(flag_values.__getitem__, flag_values)
    if _is_absls(flag)
  ]
  states = [(f, f.value, f.present, f.using_default_value) for f in shared]
  for flag in shared:
    flag.present = 0
  try:
    yield
  finally:
    for flag, value, is_present, is_default in states:
      flag.value, flag.present = value, is_present
      flag.using_default_value = is_default


def _is_absls(flag):
  return flag.name in flags.FLAGS and flags.FLAGS[flag.name] is flag


class _Lines(logging.PythonFormatter):
  """Writes our messages as they are, and those of others as absl does."""

  writes_lines = True

  def format(self, record):
    """The text of a record."""
    if hasattr(record, 'is_line'):
      return record.getMessage()
    return super().format(record)


def _log_in_lines():
  """Has messages go through absl's logging, in this process."""
  handler = logging.get_absl_handler()
  handler.python_handler.stream = sys.stderr
  handler.setFormatter(_Lines())
  flags.FLAGS.mark_as_parsed()


def _set_up_logging(name):
  """Does what absl's flags say of messages; warnings and errors by default."""
  absl_flags = flags.FLAGS
  if absl_flags['verbosity'].using_default_value:
    # Else `app.run` has INFO of all that is imported.
    logging.set_verbosity(logging.WARNING)
  if not absl_flags.log_dir:
    return
  folder = values.folder(absl_flags.log_dir, '--log_dir')
  try:
    logging.get_absl_handler().use_absl_log_file(f'lstm-jax-{name}', folder)
  except OSError as error:
    raise values.Refused(
      f'--log_dir={absl_flags.log_dir}: it cannot be written to'
    ) from error
  if absl_flags['stderrthreshold'].using_default_value:
    # What is wrong is said on stderr in any case.
    logging.set_stderrthreshold('warning')
