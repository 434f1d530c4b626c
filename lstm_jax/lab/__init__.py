"""All that has effects: files, threads, clocks, flags; for Linux and macOS."""

import importlib.util

if importlib.util.find_spec('fcntl') is None:
  raise ImportError(
    'the laboratory needs Linux or macOS (this Python has no fcntl to lock '
    'files): in Windows take WSL; layers, cells and tasks work without it',
    name='fcntl',
  )
