"""Keeps the daemons of a cluster, and counts what all of their jobs cost.

    python -m tests.cluster.keeper CPU_FILE

Reads commands, one a line, as JSON lists of words; starts each as a child. What
these leave behind, daemons and jobs that part from their parents included, are
children of this process (PR_SET_CHILD_SUBREAPER), so that the processor time of
everything that has ended is known, and nothing outlives it.
"""

import ctypes
import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def main(cpu_file):
  ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
  signal.signal(signal.SIGTERM, lambda *_: sys.exit())
  lines = selectors.DefaultSelector()
  lines.register(sys.stdin, selectors.EVENT_READ)
  begun = b''
  try:
    while True:
      if lines.select(timeout=0.2):
        data = os.read(sys.stdin.fileno(), 1 << 16)
        if not data:
          return
        *whole, begun = (begun + data).split(b'\n')
        for line in whole:
          subprocess.Popen(
            json.loads(line), stdin=subprocess.DEVNULL, start_new_session=True
          )
      _reap()
      used = resource.getrusage(resource.RUSAGE_CHILDREN)
      part = Path(f'{cpu_file}.part')
      part.write_text(str(used.ru_utime + used.ru_stime))
      part.replace(cpu_file)
  finally:
    _end_all()


def _reap():
  try:
    while os.waitpid(-1, os.WNOHANG)[0]:
      pass
  except ChildProcessError:
    pass


def _end_all():
  """Kills children until there are none: each leaves us its own."""
  for _ in range(200):
    children = children_of(os.getpid())
    if not children:
      return
    for pid in children:
      try:
        os.kill(pid, signal.SIGKILL)
      except ProcessLookupError:
        pass
    _reap()
    time.sleep(0.05)


def children_of(parent):
  """Ids of the processes whose parent is `parent`."""
  children = []
  for folder in Path('/proc').glob('[0-9]*'):
    try:
      # The name, in brackets, may hold anything.
      fields = (folder / 'stat').read_text().rpartition(')')[2].split()
    except OSError:
      continue
    if int(fields[1]) == parent:
      children.append(int(folder.name))
  return children


def descendants_of(parent):
  """Ids of all processes below `parent`."""
  below = children_of(parent)
  return below + [pid for child in below for pid in descendants_of(child)]


if __name__ == '__main__':
  main(sys.argv[1])
