"""Reads the flags of the benchmark, and runs what they ask for.

A lane-step is one time step of one trial: its share of drawing the sequence,
judging it and updating the weights included. Compile time is apart; the best of
several repeats counts, as a process that shares its core only gets slower.
"""

import functools
import json
import sys
from collections.abc import Sequence

from absl import flags

from lstm_jax.lab.bench import epochs as bench_epochs
from lstm_jax.lab.bench import forms, learners, libraries, rows
from lstm_jax.lab.bench import layers as bench_layers
from lstm_jax.lab.plan import values
from lstm_jax.lab.plan.text_columns import item, show
from lstm_jax.lab.run import mains, xla_flags
from lstm_jax.lab.store import faults, files, provenance

_HELP = """\
Times what this package does, compile time apart; the best of several repeats
counts. Other work on the machine makes every figure worse: stop it first.

  python -m experiments.bench                  the two forms of the 1997 rule
  python -m experiments.bench --grid=table3    the rows of a grid
  python -m experiments.bench --learners=all   each learner, by size of network
  python -m experiments.bench --layers=lstm    layers against torch, Keras,
                                               flax, haiku, equinox
  python -m experiments.bench --epochs=imdb    an epoch against Keras and torch
"""
_PLACEHOLDERS = {'int': 'N', 'float': 'X', 'bool': 'true|false'}
_FLAGS = flags.FlagValues()


class _Number(flags.ArgumentParser[float]):
  """Numbers as the sweep reads them: ASCII digits, above 0."""

  def __init__(self, kind, read):
    self._kind, self._read = kind, read

  def parse(self, argument):
    """The number that is written, or a ValueError."""
    return self._read(argument, 'it')

  def flag_type(self):
    """`int` or `float`, for `--help`."""
    return self._kind


def _number(name, default, words, kind='int'):
  read = values.integer
  if kind == 'float':
    read = functools.partial(values.real, positive=True)
  return flags.DEFINE(
    _Number(kind, read), name, default, words, flag_values=_FLAGS
  )


_LENGTH = _number('length', 100, 'T of the adding problem')
_REPEATS = _number('repeats', 5, 'timed repeats; the best counts')
_SECONDS = _number('seconds', 0.5, 'length of one repeat', 'float')
_LANES = flags.DEFINE_list(
  'lanes', [], 'numbers of trials (1,16,64,256; with --learners 1,16)',
  flag_values=_FLAGS,
)  # fmt: skip
_LONG = flags.DEFINE_boolean(
  'long', True, 'also sequences of up to a million steps', flag_values=_FLAGS
)
_GRID = flags.DEFINE_string(
  'grid', '', 'the rows of this grid instead, one after another in turn',
  flag_values=_FLAGS,
)  # fmt: skip
_COMPILES = _number(
  'compiles', 1, 'with --grid: programs of each row; the best counts'
)
_LEARNERS = flags.DEFINE_list(
  'learners', [], 'these learners instead (all: every one), by size',
  flag_values=_FLAGS,
)  # fmt: skip
_LAYERS = flags.DEFINE_list(
  'layers', [], 'these layers (lstm, gru, srn) against other libraries instead',
  flag_values=_FLAGS,
)  # fmt: skip
_EPOCHS = flags.DEFINE_list(
  'epochs', [], 'an epoch of these data sets (imdb, urban_sound) against Keras '
  'and torch instead', flag_values=_FLAGS,
)  # fmt: skip
_CELLS = flags.DEFINE_list(
  'cells', list(bench_epochs.KINDS), 'with --epochs: layers (lstm, gru, srn)',
  flag_values=_FLAGS,
)  # fmt: skip
_SIZES = flags.DEFINE_list(
  'sizes', ['4', '8', '16', '32', '64', '128'],
  'with --learners: hidden units', flag_values=_FLAGS,
)  # fmt: skip
_RECORD = flags.DEFINE_string(
  'record', '', 'also write the figures to this JSON file', flag_values=_FLAGS
)


def usage() -> str:
  """The text of `--help`."""
  lines = [_HELP]
  for name in _FLAGS:
    flag = _FLAGS[name]
    several = ',...' * isinstance(flag.default, list)
    value = _PLACEHOLDERS.get(flag.flag_type(), 'WORD') + several
    lines += item(f'--{name}={value}', flag.help)
  return '\n'.join([*lines, '', faults.EXIT_CODES])


def run(argv: Sequence[str] | None = None) -> int:
  """Prints the benchmark; returns the exit code."""
  argv = sys.argv if argv is None else argv
  if '--help' in argv or '-h' in argv:
    return show(usage())
  for name in _FLAGS:
    _FLAGS[name].unparse()  # a call before this one may have set it
  try:
    if rest := _FLAGS(argv)[1:]:
      raise values.Refused(f'{rest[0]}: not a flag; write --NAME=VALUE')
    record = _RECORD.value and values.place(_RECORD.value, '--record')
    settings = rows.settings(_GRID.value) if _GRID.value else []
    sizes = [values.integer(n, '--sizes') for n in _SIZES.value]
    lanes = [values.integer(n, '--lanes') for n in _LANES.value]
    plans = learners.plan(_LEARNERS.value, sizes)
    for flag, known in (
      (_LAYERS, bench_layers.KINDS),
      (_EPOCHS, bench_epochs.SIZES),
      (_CELLS, bench_epochs.KINDS),
    ):
      for word in flag.value:
        if word not in known:
          choices = ', '.join(known)
          raise values.Refused(f'--{flag.name}={word}: choose from {choices}')
  except (flags.Error, values.Refused) as error:
    mains.say('bench', error)
    return 2
  pace = rows.Pace(_REPEATS.value, _SECONDS.value)
  # Each in processes of its own, with flags of their own.
  if _LAYERS.value:
    bench_layers.compile_loops()
  layers = [
    figure
    for kind in _LAYERS.value
    for figure in bench_layers.measure(kind, bench_layers.SIZES, pace)
  ]
  epochs = bench_epochs.measure(_EPOCHS.value, 2, _CELLS.value)
  xla_flags.set_flags()
  devices = xla_flags.devices()
  made_by = provenance.provenance(devices[0].device_kind, len(devices))
  print(
    f'jax {made_by["jax"]}, {len(devices)} x {made_by["device_kind"]},'
    f' {made_by["cpu"]}\nXLA_FLAGS {made_by["xla_flags"]}\n'
  )
  figures: dict[str, object] = {'provenance': made_by}
  if layers:
    figures |= {'libraries': libraries.versions(), 'layers': layers}
  elif epochs:
    figures['epochs'] = epochs
  elif settings:
    figures['rows'] = rows.measure(settings, devices[0], pace, _COMPILES.value)
  elif plans:
    figures['learners'] = learners.measure(
      plans, devices[0], lanes or [1, 16], pace
    )
  else:
    figures |= forms.measure(
      devices, _LENGTH.value, lanes or [1, 16, 64, 256], pace, _LONG.value
    )
  if record:
    text = json.dumps(figures, indent=1) + '\n'
    files.write(record, text.encode())
    mains.tell(f'Recorded in {record}')
  return 0
