"""Shows run folders in a browser while trials run."""

import contextlib
import os
import sys
import threading
from collections.abc import Sequence

from lstm_jax.lab.plan import values
from lstm_jax.lab.plan.catalog import unknown
from lstm_jax.lab.plan.text_columns import show
from lstm_jax.lab.run import mains
from lstm_jax.lab.store import faults

_HELP = """\
Shows run folders in a browser, as they are while trials run.

  python -m experiments.serve FOLDER               prints the address of a page
  python -m experiments.serve FOLDER FOLDER ...    several, side by side

  --port=N      port (8050; any free one where that is taken)
  --host=NAME   who may connect: 127.0.0.1, this machine alone; 0.0.0.0,
                everybody who can reach it. What is sent is not encrypted:
                rather go through ssh -L

The page has rows as they fill, time to go, learning curves, and one network on
one sequence: inputs, gates, cell states, outputs and the error that flows back,
step by step and through training. The address carries a token; who does not
have it sees nothing. Folders are only read: the page can be closed or opened
ten times, and no run notices. Ctrl-C ends it.

Needs pip install 'lstm_jax[serve]'.

"""
_FLAGS = ('--host', '--port')
_HOST, _PORT = '127.0.0.1', 8050
# Its standard input is a pipe of the process that started it: it ends with it.
CHILD = '--until_stdin_ends'


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  words = list(sys.argv if argv is None else argv)[1:]
  if '--help' in words or '-h' in words:
    return show(_HELP + faults.EXIT_CODES)
  try:
    paths, host, port, is_child = _read(words)
    server, address = _server(paths, host, port)
  except values.Refused as refused:
    mains.say('serve', ' '.join(str(refused.args[0]).split()))
    return int(faults.Exit.USAGE)
  mains.tell(f'The page: {address}')
  if not is_child:
    mains.tell('Ctrl-C ends it.')
  else:
    threading.Thread(target=_end_with_stdin, daemon=True).start()
  server.run()
  return int(faults.Exit.OK)


def _read(words):
  """(folders, host, port or None, whether a process has started it)."""
  given: dict[str, str] = {}
  paths: list[str] = []
  for word in words:
    name, _, value = word.partition('=')
    if word == CHILD:
      given[CHILD] = word
    elif name in _FLAGS:
      if not value:
        raise values.Refused(f'{name}: write {name}=VALUE; see --help')
      if name in given:
        raise values.Refused(f'{name} is given twice; write it once')
      given[name] = value
    elif word.startswith('-'):
      raise values.Refused(f'{name}: {unknown(name, (*_FLAGS, "--help"))}')
    else:
      path = values.place(word, 'folder')
      if os.path.realpath(path) not in map(os.path.realpath, paths):
        paths.append(path)
  if not paths:
    raise values.Refused('no folder: give one run folder or more, or --help')
  port = None
  if '--port' in given:
    port = values.integer(given['--port'], '--port', 0, 65535)
  return paths, given.get('--host', _HOST), port, CHILD in given


def _server(paths, host, port):
  """The server, listening, and the address of the page."""
  import jax
  import waitress

  from lstm_jax.lab.serve import guard, page
  from lstm_jax.lab.serve.watching import Watch

  # What is looked at runs on the processor, behind everything else: no device
  # that trials train on is touched.
  jax.config.update('jax_platforms', 'cpu')
  if mains.is_process():
    with contextlib.suppress(OSError):
      os.nice(10)
  app = page.build([Watch(path) for path in paths])
  server = None
  for number in (_PORT, 0) if port is None else (port,):
    try:
      server = waitress.create_server(
        app.server, host=host, port=number, threads=8, ident=None
      )
      break
    except OSError as error:
      reason = error.strerror or error
  if server is None:
    raise values.Refused(f'--host={host} --port={number}: {reason}')
  number = int(server.effective_port)
  token = guard.new_token()
  guard.install(app.server, token, number, (host,))
  shown = _HOST if host in ('0.0.0.0', '::', '') else host
  shown = f'[{shown}]' if ':' in shown else shown
  return server, f'http://{shown}:{number}/?token={token}'


def _end_with_stdin():
  """Ends this process when nobody can write to its standard input any more."""
  with contextlib.suppress(OSError, ValueError):
    while sys.stdin and sys.stdin.buffer.read(1):
      pass
  os._exit(int(faults.Exit.OK))
