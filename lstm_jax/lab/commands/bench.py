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
from lstm_jax.lab.bench import forms, learners, libraries, rows, scale
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
  lstm-jax bench --scale=10000    what many trials cost besides training
"""
_PLACEHOLDERS = {'int': 'N', 'float': 'X', 'switch': 'true|false'}


def define() -> flags.FlagValues:
  """The flags in a new `FlagValues`."""
  flag_values = flags.FlagValues()
  number, integers = values.integer, parsers.integers
  seconds = functools.partial(values.real, positive=True)
  kinds = parsers.words(bench_layers.KINDS)
  for name, kind, function, default, words in (
    ('length', 'int', number, 100, 'T of the adding problem'),
    ('repeats', 'int', number, 5, 'timed repeats; the best counts'),
    ('seconds', 'float', seconds, 0.5, 'length of one repeat'),
    (
      'lanes', 'list', integers, None,
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
      'scale', 'list', integers, (),
      'the bookkeeping of plans of these numbers of trials instead',
    ),
    (
      'cells', 'list', parsers.words(bench_epochs.KINDS), bench_epochs.KINDS,
      'with --epochs: layers (lstm, gru, srn)',
    ),
    (
      'sizes', 'list', integers, (4, 8, 16, 32, 64, 128),
      'with --learners: hidden units',
    ),
    (
      'record', 'place', values.place, None,
      'also write the figures to this JSON file',
    ),
  ):  # fmt: skip
    parsers.define(flag_values, name, kind, function, words, default)
  flags.DEFINE_boolean(
    'long', True, 'also sequences of up to a million steps',
    flag_values=flag_values,
  )  # fmt: skip
  parsers.switch(flag_values, 'help', 'print this')
  return flag_values


def usage() -> str:
  """The text of `--help`."""
  lines, flag_values = [_HELP], define()
  for name in flag_values:
    flag = flag_values[name]
    kind = 'switch' if flag.boolean else flag.flag_type()
    value = 'WORD,...' if kind == 'list' else _PLACEHOLDERS.get(kind, 'WORD')
    head = '--help' if name == 'help' else f'--{name}={value}'
    lines += item(head, flag.help)
  return '\n'.join([*lines, '', faults.EXIT_CODES])


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  return command.run(_COMMAND, argv)


def _read(flag_values, words):
  parsers.no_words(words)
  options = {name: flag_values[name].value for name in define()}
  options['plans'] = learners.plan(options['learners'], options['sizes'])
  options['settings'] = (
    rows.settings(options['grid']) if options['grid'] else []
  )
  return types.SimpleNamespace(**options)


def _act(options):
  pace = rows.Pace(options.repeats, options.seconds)
  # Each in processes of its own, with flags of their own.
  if options.layers:
    bench_layers.compile_loops()
  layers = [
    figure
    for kind in options.layers
    for figure in bench_layers.measure(kind, bench_layers.SIZES, pace)
  ]
  epochs = bench_epochs.measure(options.epochs, 2, options.cells)
  plan_figures = scale.measure(options.scale)
  xla_flags.set_flags()
  devices = xla_flags.workers(xla_flags.devices())
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
  elif plan_figures:
    figures['scale'] = plan_figures
  elif options.settings:
    figures['rows'] = rows.measure(
      options.settings, devices[0], pace, options.compiles
    )
  elif options.plans:
    figures['learners'] = learners.measure(
      options.plans, devices[0], options.lanes or [1, 16], pace
    )
  else:
    figures |= forms.measure(
      devices,
      options.length,
      options.lanes or [1, 16, 64, 256],
      pace,
      options.long,
    )
  if options.record:
    text = json.dumps(figures, indent=1) + '\n'
    files.write(options.record, text.encode())
    mains.tell(f'Recorded in {options.record}')
  return 0


_COMMAND = command.Command('bench', define, usage, _read, _act)
