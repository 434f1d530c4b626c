"""Reads the flags of the benchmark, and runs what they ask for.

A lane-step is one time step of one trial: its share of drawing the sequence,
judging it and updating the weights included. Compile time is apart; the best of
several repeats counts, as a process that shares its core only gets slower.
"""

import functools
import json
import types
from collections.abc import Sequence

from absl import flags

from lstm_jax.lab.bench import epochs as bench_epochs
from lstm_jax.lab.bench import forms, learners, libraries, rows
from lstm_jax.lab.bench import layers as bench_layers
from lstm_jax.lab.plan import parsers, values
from lstm_jax.lab.plan.text_columns import item
from lstm_jax.lab.run import command, mains, xla_flags
from lstm_jax.lab.store import faults, files, provenance

_HELP = """\
Times what this package does, compile time apart; the best of several repeats
counts. Other work on the machine makes every figure worse: stop it first.

  lstm-jax bench                  the forms of the 1997 rule
  lstm-jax bench --grid=table3    the rows of a grid
  lstm-jax bench --learners=all   each learner, by size of network
  lstm-jax bench --layers=lstm    layers against torch, Keras,
                                  flax, haiku, equinox
  lstm-jax bench --epochs=imdb    an epoch against Keras and torch
"""
_PLACEHOLDERS = {'int': 'N', 'float': 'X', 'switch': 'true|false'}


def define() -> flags.FlagValues:
  """The flags in a new `FlagValues`."""
  defined = flags.FlagValues()
  number, several = values.integer, parsers.integers
  seconds = functools.partial(values.real, positive=True)
  kinds = parsers.words(bench_layers.KINDS)
  for name, kind, function, default, words in (
    ('length', 'int', number, 100, 'T of the adding problem'),
    ('repeats', 'int', number, 5, 'timed repeats; the best counts'),
    ('seconds', 'float', seconds, 0.5, 'length of one repeat'),
    (
      'lanes', 'list', several, None,
      'numbers of trials (1,16,64,256; with --learners 1,16)',
    ),
    (
      'grid', 'string', parsers.text, None,
      'the rows of this grid instead, one after another in turn',
    ),
    (
      'compiles', 'int', number, 1,
      'with --grid: programs of each row; the best counts',
    ),
    (
      'learners', 'list', values.split, (),
      'these learners instead (all: every one), by size',
    ),
    (
      'layers', 'list', kinds, (),
      'these layers (lstm, gru, srn) against other libraries instead',
    ),
    (
      'epochs', 'list', parsers.words(bench_epochs.SIZES), (),
      'an epoch of these data sets (imdb, urban_sound) against Keras and torch '
      'instead',
    ),
    (
      'cells', 'list', parsers.words(bench_epochs.KINDS), bench_epochs.KINDS,
      'with --epochs: layers (lstm, gru, srn)',
    ),
    (
      'sizes', 'list', several, (4, 8, 16, 32, 64, 128),
      'with --learners: hidden units',
    ),
    (
      'record', 'place', values.place, None,
      'also write the figures to this JSON file',
    ),
  ):  # fmt: skip
    parsers.define(defined, name, kind, function, words, default)
  flags.DEFINE_boolean(
    'long', True, 'also sequences of up to a million steps',
    flag_values=defined,
  )  # fmt: skip
  parsers.switch(defined, 'help', 'print this')
  return defined


def usage() -> str:
  """The text of `--help`."""
  lines, defined = [_HELP], define()
  for name in defined:
    flag = defined[name]
    kind = 'switch' if flag.boolean else flag.flag_type()
    value = 'WORD,...' if kind == 'list' else _PLACEHOLDERS.get(kind, 'WORD')
    head = '--help' if name == 'help' else f'--{name}={value}'
    lines += item(head, flag.help)
  return '\n'.join([*lines, '', faults.EXIT_CODES])


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  return command.run(_COMMAND, argv)


def _read(defined, words):
  parsers.no_words(words)
  given = {name: defined[name].value for name in define()}
  given['plans'] = learners.plan(given['learners'], given['sizes'])
  given['settings'] = rows.settings(given['grid']) if given['grid'] else []
  return types.SimpleNamespace(**given)


def _act(asked):
  pace = rows.Pace(asked.repeats, asked.seconds)
  # Each in processes of its own, with flags of their own.
  if asked.layers:
    bench_layers.compile_loops()
  layers = [
    figure
    for kind in asked.layers
    for figure in bench_layers.measure(kind, bench_layers.SIZES, pace)
  ]
  epochs = bench_epochs.measure(asked.epochs, 2, asked.cells)
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
  elif asked.settings:
    figures['rows'] = rows.measure(
      asked.settings, devices[0], pace, asked.compiles
    )
  elif asked.plans:
    figures['learners'] = learners.measure(
      asked.plans, devices[0], asked.lanes or [1, 16], pace
    )
  else:
    figures |= forms.measure(
      devices, asked.length, asked.lanes or [1, 16, 64, 256], pace, asked.long
    )
  if asked.record:
    text = json.dumps(figures, indent=1) + '\n'
    files.write(asked.record, text.encode())
    mains.tell(f'Recorded in {asked.record}')
  return 0


_COMMAND = command.Command('bench', define, usage, _read, _act)
