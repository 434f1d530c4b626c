"""Checks a GPU or TPU: its tests, small benchmarks, one record of both."""

import functools
import json
import re
import subprocess
import sys
import time
import types
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from lstm_jax.choices import count_of
from lstm_jax.lab.bench import device as bench_device
from lstm_jax.lab.bench import device_tests, rows
from lstm_jax.lab.plan import parsers, values
from lstm_jax.lab.plan.text_columns import item
from lstm_jax.lab.run import command, mains, xla_flags
from lstm_jax.lab.store import faults, files, provenance

PARTS = ('tests', 'trials', 'layers')
_HELP = """\
Checks this package on a GPU or TPU, in five minutes at most: runs the tests
that are of such a device, times trials and layers of small sizes, and writes
one JSON record of versions, device, tests and figures. A record belongs into
benchmarks/ of a checkout, from any machine that has such a device.

  lstm-jax device_check
  lstm-jax device_check --allow_cpu     all of it on a CPU, to try it
"""
# What the record says is looked for by name in a process of its own: a TPU is
# held by one process, and the tests have theirs.
_PROBE = (
  'import jax, json; d = jax.local_devices(); '
  'print(json.dumps([d[0].platform, d[0].device_kind, len(d)]))'
)
# Of the time, the tests' share, and that after which nothing is begun: what is
# begun is compiled, timed and ended.
_TESTS_SHARE, _BEGINS = 0.5, 0.85


class NoAccelerator(faults.StoreError):
  """There is no device to be checked."""

  exit_code = faults.Exit.USAGE


def define() -> flags.FlagValues:
  """The flags in a new `FlagValues`."""
  flag_values = flags.FlagValues()
  seconds = functools.partial(values.real, positive=True)
  parsers.switch(
    flag_values, 'allow_cpu', 'check a CPU where there is nothing else'
  )
  for name, kind, function, default, words in (
    (
      'parts', 'list', parsers.words(PARTS), PARTS,
      'which of tests, trials, layers',
    ),
    ('seconds', 'float', seconds, 300.0, 'seconds that all of it may take'),
    (
      'record', 'place', values.place, None,
      'the JSON file to write (device_KIND.json in benchmarks/, or here)',
    ),
  ):  # fmt: skip
    parsers.define(flag_values, name, kind, function, words, default)
  parsers.switch(flag_values, 'help', 'print this')
  return flag_values


def usage() -> str:
  """The text of `--help`."""
  lines, flag_values = [_HELP], define()
  value = {'parts': 'WORD,...', 'seconds': 'X', 'record': 'FILE'}
  for name in flag_values:
    head = f'--{name}={value[name]}' if name in value else f'--{name}'
    lines += item(head, flag_values[name].help)
  return '\n'.join([*lines, '', faults.EXIT_CODES])


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  return command.run(_COMMAND, argv)


def _read(flag_values, words):
  parsers.no_words(words)
  options = {name: flag_values[name].value for name in define()}
  return types.SimpleNamespace(**options)


def _act(options):
  began = time.monotonic()
  end = began + _BEGINS * options.seconds
  platform, kind, count = _probe()
  if platform == 'cpu' and not options.allow_cpu:
    raise NoAccelerator(
      'JAX has only a CPU here: this check needs a GPU (pip install '
      "'jax[cuda13]' and an NVIDIA driver) or a TPU (pip install 'jax[tpu]'); "
      '--allow_cpu does all of it on a CPU'
    )
  mains.tell(f'Checking {count} x {kind} ({platform}).')
  outcome = device_tests.Outcome(error='not asked for')
  if 'tests' in options.parts:
    mains.tell('Tests ...')
    outcome = device_tests.run(options.seconds * _TESTS_SHARE)
    mains.tell(*_words_of(outcome))
  xla_flags.set_flags()
  devices = xla_flags.devices()
  record: dict[str, object] = {
    'provenance': provenance.provenance(kind, count),
    'device': {'platform': platform, 'kind': kind, 'count': count},
    'tests': outcome._asdict(),
  }
  pace = rows.Pace(3, min(0.3, options.seconds / 1000))
  left_out: list[str] = []
  for part, cases in (
    ('trials', bench_device.trials(devices[0], pace)),
    ('layers', bench_device.layers(devices[0], pace)),
  ):
    if part in options.parts:
      left = end - time.monotonic()
      # Layers have a time of their own.
      share = 0.5 if part == 'trials' and 'layers' in options.parts else 1.0
      until = time.monotonic() + share * left
      record[part] = _figures(cases, until, left_out)
  if left_out:
    mains.tell(f'No time was left for {count_of(len(left_out), "figure")}.')
  record |= {'left_out': left_out, 'seconds': time.monotonic() - began}
  path = options.record or _place(kind)
  files.write(path, (json.dumps(record, indent=1) + '\n').encode())
  mains.tell(f'Recorded in {path}: please add it to benchmarks/.')
  is_bad = outcome.failed or (outcome.error and 'tests' in options.parts)
  return int(faults.Exit.FAILED if is_bad else faults.Exit.OK)


def _probe():
  """Platform, kind and number of JAX's devices, asked in another process."""
  done = subprocess.run(
    [sys.executable, '-c', _PROBE],
    capture_output=True,
    text=True,
    errors='replace',
  )
  if done.returncode:
    lines = done.stderr.strip().split('\n')
    raise NoAccelerator(f'JAX finds no device: {lines[-1][:300]}')
  return json.loads(done.stdout.strip().split('\n')[-1])


def _figures(
  cases: Iterator[bench_device.Case], end: float, left_out: list[str]
) -> list[rows.Figure]:
  """The figures of cases, told as they come, while there is time."""
  figures: list[rows.Figure] = []
  for case in cases:
    if time.monotonic() > end:
      left_out.append(case.name)
      continue
    figure: rows.Figure = {'case': case.name}
    try:
      figure |= case.time()
    except Exception as error:  # the next one may run: an outcome of the check
      figure['error'] = str(error).split('\n')[0][:300]
    shown = (
      f'{name} {value:.4g}'
      for name, value in figure.items()
      if isinstance(value, float)
    )
    mains.tell(f'{case.name}: {", ".join(shown) or figure.get("error")}')
    figures.append(figure)
  return figures


def _words_of(outcome):
  """Lines on what came of the tests."""
  lines = [f'failed: {name}: {why}' for name, why in outcome.failed.items()]
  lines.append(
    f'{count_of(len(outcome.passed), "test")} passed, '
    f'{len(outcome.failed)} failed, {len(outcome.left_out)} left out'
  )
  return [*lines, outcome.error] if outcome.error else lines


def _place(kind):
  """The file of a record, in benchmarks/ where there is such a folder."""
  slug = re.sub(r'[^a-z0-9]+', '_', kind.lower()).strip('_')
  folder = Path('benchmarks')
  return (folder if folder.is_dir() else Path()) / f'device_{slug}.json'


_COMMAND = command.Command('device_check', define, usage, _read, _act)
