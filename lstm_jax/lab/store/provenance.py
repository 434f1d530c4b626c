"""Provenance of results: versions, device, flags, commit; an allow-list.

Nothing is collected but what is named here: no environment, no command line,
no host or user name, no path.
"""

import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'numpy', 'lstm_jax')

# A difference in one of these can change the bits of a result.
COMPARED = (
  'jax',
  'jaxlib',
  'optax',
  'numpy',
  'lstm_jax',
  'machine',
  'cpu',
  'device_kind',
  'xla_flags',
  'jax_config',
  # Of runs on data sets: what was read, and which code runs the layers.
  'data',
  'layer_code',
  'compiler',
)


class Facts(TypedDict, total=False):
  """Facts that results on data sets depend on besides the program."""

  data: Mapping[str, str]  # name of a data set -> checksum
  layer_code: Mapping[str, str]  # cell -> which code runs its layers
  compiler: str | None  # of the C++ loops


def provenance(
  device_kind: str | None = None,
  device_count: int | None = None,
  data: Mapping[str, str] | None = None,
  layer_code: Mapping[str, str] | None = None,
  compiler: str | None = None,
  jax_config: Mapping[str, object] | None = None,
  xla_flags: Mapping[str, str] | None = None,
) -> dict[str, object]:
  """Returns what makes the results of this process, as a flat dict.

  The sources that were run are not here: see `sources`.

  Args:
    device_kind: as jax names it; an argument, so that jax is not imported.
    device_count: how many of them.
    data: name of a data set -> checksum of what was read.
    layer_code: cell -> which code runs its layers.
    compiler: of the C++ loops, where they run.
    jax_config: option of jax -> value, of those that act on results.
    xla_flags: part of the plan -> its flags, where they are not those of this
      process for all of it.

  Returns:
    dict with a key for every package of `PACKAGES` (version or None), and
    python, system, machine, cpu, cores, device_kind, device_count, xla_flags,
    jax_config, data, layer_code, compiler, commit, changes (hash of what
    differs from the commit, None if nothing; both None outside a checkout).
  """
  commit, changes = _checkout()
  return {
    'python': platform.python_version(),
    **versions(),
    'commit': commit,
    'changes': changes,
    'system': platform.system(),
    'machine': platform.machine(),
    'cpu': _cpu(),
    'cores': os.cpu_count(),
    'device_kind': device_kind,
    'device_count': device_count,
    'xla_flags': _xla_flags(os.environ.get('XLA_FLAGS', ''))
    if xla_flags is None
    else {part: _xla_flags(text) for part, text in xla_flags.items()},
    'data': data,
    'layer_code': layer_code,
    'compiler': compiler,
    'jax_config': jax_config,
  }


def versions() -> dict[str, str | None]:
  """Package of `PACKAGES` -> its version, None where it is not installed."""
  return {name: _version(name) for name in PACKAGES}


def _version(package):
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:
    return None


def _cpu():
  """The processor's name; of ARM under Linux, which has none, its numbers."""
  try:
    text = Path('/proc/cpuinfo').read_text()
  except OSError:  # not Linux: macOS has it elsewhere
    name = _output_of('sysctl', '-n', 'machdep.cpu.brand_string')
    return (name and name.decode().strip()) or platform.processor() or None
  if match := re.search(r'^model name\s*:\s*(.*)$', text, re.MULTILINE):
    return match[1]
  numbers = r'^(CPU (?:implementer|part))\s*:\s*(.*)$'
  parts = sorted(set(re.findall(numbers, text, re.MULTILINE)))
  return ', '.join(map(' '.join, parts)) or platform.machine() or None


def _xla_flags(text):
  """The flags that act on results; paths and addresses are left out.

  Of one that is given twice the last counts, as XLA has it; their order does
  not matter.
  """
  # How many devices the processor plays is `device_count`, not compared.
  count = '--xla_force_host_platform_device_count'
  flags = {}
  for word in text.split():
    if word.startswith('--') and not word.startswith(count):
      flags[word.partition('=')[0]] = re.sub(r'=.*[/\\@].*', '=(path)', word)
  return [flags[name] for name in sorted(flags)]


def _checkout():
  """(commit, hash of the changes) of the git checkout this file belongs to."""
  this_file = Path(__file__)
  if (
    _git(this_file.parent, 'ls-files', '--error-unmatch', this_file.name)
    is None
  ):
    return None, None  # no git, no checkout, or somebody else's
  commit = _git(this_file.parent, 'rev-parse', 'HEAD')
  changes = _git(
    this_file.parent,
    'diff',
    'HEAD',
    '--binary',
    '--no-ext-diff',
    '--no-textconv',
  )
  return (
    commit.decode().strip() if commit else None,
    hashlib.sha256(changes).hexdigest() if changes else None,
  )


def _git(directory, *arguments):
  """Returns what git prints, or None where it fails."""
  return _output_of('git', '-C', str(directory), *arguments)


def _output_of(*words):
  """Returns what a program prints, or None where it fails."""
  try:
    process = subprocess.run(
      words,
      capture_output=True,
      check=True,
      timeout=10,
    )
  except (OSError, subprocess.SubprocessError):
    return None
  return process.stdout
