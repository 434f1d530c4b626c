"""`python -m experiments.bench`: what a lane-step costs, and what limits it.

A lane-step is one time step of one trial: its share of drawing the sequence,
judging it and updating the weights included. Compile time is apart; the best of
several repeats counts, as a process that shares its core only gets slower.
"""

from experiments import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while


import json
import sys
from pathlib import Path

from absl import flags

from experiments import (
  bench_epochs,
  bench_forms,
  bench_layers,
  bench_learners,
  bench_libraries,
  bench_rows,
  launch,
  values,
)
from experiments.layout import item, show
from lstm_jax.store import files, provenance

_HELP = """\
Times what this package does, compile time apart; the best of several repeats
counts. Other work on the machine makes every figure worse: stop it first.

  python -m experiments.bench                  the two forms of the 1997 rule
  python -m experiments.bench --grid=table3    the rows of a grid
  python -m experiments.bench --learners=all   each learner, by net size
  python -m experiments.bench --layers=lstm    layers against torch, Keras,
                                               flax, haiku, equinox
  python -m experiments.bench --epochs=imdb    an epoch against Keras and torch
"""
_PLACEHOLDERS = {'int': 'N', 'float': 'X', 'bool': 'true|false'}
_FLAGS = flags.FlagValues()
_LENGTH = flags.DEFINE_integer(
  'length', 100, 'T of the adding problem', flag_values=_FLAGS
)
_REPEATS = flags.DEFINE_integer(
  'repeats', 5, 'timed repeats; the best counts', flag_values=_FLAGS
)
_SECONDS = flags.DEFINE_float(
  'seconds', 0.5, 'length of one repeat', flag_values=_FLAGS
)
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
_COMPILES = flags.DEFINE_integer(
  'compiles', 1, 'with --grid: programs of each row; the best counts',
  lower_bound=1, flag_values=_FLAGS,
)  # fmt: skip
_LEARNERS = flags.DEFINE_list(
  'learners', [], 'these learners instead (all: every one), by net size',
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


def usage():
  """The text of `--help`."""
  lines = [_HELP]
  for name in _FLAGS:
    flag = _FLAGS[name]
    several = ',...' * isinstance(flag.default, list)
    value = _PLACEHOLDERS.get(flag.flag_type(), 'WORD') + several
    lines += item(f'--{name}={value}', flag.help)
  return '\n'.join([*lines, '', mains.EXIT_CODES])


@mains.guarded('bench')
def main(argv=None):
  """Prints the benchmark; returns the exit code."""
  argv = sys.argv if argv is None else argv
  if '--help' in argv or '-h' in argv:
    return show(usage())
  try:
    _FLAGS(argv)
    settings = bench_rows.settings(_GRID.value) if _GRID.value else []
    sizes = [values.integer(n, '--sizes') for n in _SIZES.value]
    lanes = [values.integer(n, '--lanes') for n in _LANES.value]
    plans = bench_learners.plan(_LEARNERS.value, sizes)
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
  pace = bench_rows.Pace(_REPEATS.value, _SECONDS.value)
  # Each in processes of its own, with flags of their own.
  if _LAYERS.value:
    bench_layers.compile_loops()
  layers = [
    figure
    for kind in _LAYERS.value
    for figure in bench_layers.measure(kind, bench_layers.SIZES, pace)
  ]
  epochs = bench_epochs.measure(_EPOCHS.value, 2, _CELLS.value)
  launch.set_flags()
  devices = launch.devices()
  made_by = provenance.provenance(devices[0].device_kind, len(devices))
  print(
    f'jax {made_by["jax"]}, {len(devices)} x {made_by["device_kind"]},'
    f' {made_by["cpu"]}\nXLA_FLAGS {made_by["xla_flags"]}\n'
  )
  figures = {'provenance': made_by}
  if layers:
    figures |= {'libraries': bench_libraries.versions(), 'layers': layers}
  elif epochs:
    figures['epochs'] = epochs
  elif settings:
    figures['rows'] = bench_rows.measure(
      settings, devices[0], pace, _COMPILES.value
    )
  elif plans:
    figures['learners'] = bench_learners.measure(
      plans, devices[0], lanes or [1, 16], pace
    )
  else:
    figures |= bench_forms.measure(
      devices, _LENGTH.value, lanes or [1, 16, 64, 256], pace, _LONG.value
    )
  if _RECORD.value:
    text = json.dumps(figures, indent=1) + '\n'
    files.write(Path(_RECORD.value), text.encode())
    print(f'Recorded in {_RECORD.value}')
  return 0


if __name__ == '__main__':
  mains.run(main)
