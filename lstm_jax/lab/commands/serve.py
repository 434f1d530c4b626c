"""Shows run folders in a browser while trials run."""

import contextlib
import functools
import importlib.util
import os
import socket
import sys
import threading
from collections.abc import Sequence

from absl import flags

from lstm_jax.extras import EXTRAS
from lstm_jax.lab.plan import parsers, run_folders, values
from lstm_jax.lab.run import command, mains, page_process
from lstm_jax.lab.store import faults

_HELP = """\
Shows run folders in a browser, as they are while trials run.

  lstm-jax serve FOLDER               prints the address of a page
  lstm-jax serve FOLDER FOLDER ...    several, side by side

  --port=N      port (8050; any free one where that is taken)
  --host=NAME   who may connect: 127.0.0.1, this machine alone; 0.0.0.0,
                everybody who can reach it. What is sent is not encrypted:
                rather go through ssh -L
  --data_dir=FOLDER  where data sets are, or data of your own (the working
                folder): networks of a run on data are shown on what it held out

The page has rows as they fill, time to go, learning curves, and one network on
one sequence: inputs, gates, cell states, outputs and the error that flows back,
step by step and through training. The address carries a token; who does not
have it sees nothing. Folders are only read: the page can be closed or opened
ten times, and no run notices. Ctrl-C ends it.

Needs pip install 'lstm_jax[serve]'.

"""
_HOST, _PORT = '127.0.0.1', 8050


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  return command.run(_COMMAND, argv)


def define() -> flags.FlagValues:
  """The flags in a new `FlagValues`."""
  flag_values = flags.FlagValues()
  port = functools.partial(values.integer, low=0, high=65535)
  parsers.define(flag_values, 'port', 'int', port, 'port of the page')
  parsers.define(
    flag_values, 'host', 'string', parsers.text, 'who may connect', _HOST
  )
  parsers.define(
    flag_values, 'data_dir', 'place', values.place, 'where data sets are'
  )
  parsers.switch(
    flag_values,
    page_process.UNTIL_STDIN_ENDS,
    'end where the standard input does',
  )
  parsers.switch(flag_values, 'help', 'print this')
  return flag_values


def _read(flag_values, words):
  """(folders, host, port, data_dir, whether a process has started it)."""
  names = ('host', 'port', 'data_dir', page_process.UNTIL_STDIN_ENDS)
  host, port, data_dir, is_child = (flag_values[name].value for name in names)
  if is_child:  # of a sweep, which may not have made its folder yet
    paths = words
  else:
    paths = run_folders.paths_of(words, may_be_empty=True, may_be_tuned=True)
    data_dir = data_dir and values.folder(data_dir, '--data_dir')
  return paths, host, port, data_dir, is_child


def _act(request):
  *where, is_child = request
  server, address = _server(*where)
  mains.tell(f'The page: {address}')
  if not is_child:
    mains.tell('Ctrl-C ends it.')
  else:
    threading.Thread(target=_end_with_stdin, daemon=True).start()
  server.run()
  return int(faults.Exit.OK)


def _server(paths, host, port, data_dir):
  """The server, listening, and the address of the page."""
  import jax
  import waitress

  from lstm_jax.lab.run import inside_data
  from lstm_jax.lab.serve import guard, page
  from lstm_jax.lab.serve.turn import Turn
  from lstm_jax.lab.serve.watching import Watch

  # What is looked at runs on the processor, behind everything else: no device
  # that trials train on is touched.
  jax.config.update('jax_platforms', 'cpu')
  if mains.is_process():
    with contextlib.suppress(OSError):
      os.nice(10)
  listening, number = _listening(host, port)
  turn = Turn()
  follower = inside_data.followers(data_dir or '', turn.let_go)
  watches = [Watch(path) for path in paths]
  app = page.build(watches, follower=follower, turn=turn)
  server = waitress.create_server(
    app.server, sockets=[listening], threads=8, ident=None
  )
  token = guard.new_token()
  guard.install(app.server, token, number, (host,))
  host_text = _HOST if host in ('0.0.0.0', '::', '') else host
  host_text = f'[{host_text}]' if ':' in host_text else host_text
  return server, f'http://{host_text}:{number}/?token={token}'


def _listening(host, port):
  """A socket that listens, and its port."""
  family = socket.AF_INET6 if ':' in host else socket.AF_INET
  for number in (_PORT, 0) if port is None else (port,):
    try:
      listener = socket.create_server((host, number), family=family)
      return listener, listener.getsockname()[1]
    except OSError as error:
      reason = error.strerror or error
  raise values.Refused(f'--host={host} --port={number}: {reason}')


def check_packages() -> None:
  """Refuses `--serve` where the packages of the page are not installed."""
  for package, extra in EXTRAS.items():
    if extra == 'serve' and importlib.util.find_spec(package) is None:
      raise values.Refused(
        f"--serve needs {package}: pip install 'lstm_jax[{extra}]'"
      )


def _end_with_stdin():
  """Ends this process when nobody can write to its standard input any more."""
  with contextlib.suppress(OSError, ValueError):
    while sys.stdin and sys.stdin.buffer.read(1):
      pass
  os._exit(int(faults.Exit.OK))


_COMMAND = command.Command(
  'serve', define, lambda: _HELP + faults.EXIT_CODES, _read, _act
)
