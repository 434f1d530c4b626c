"""Reads the flags of the vanishing study, and runs it.

It trains networks by the sweep's program and measures, before and after, how
large the error of a sequence's last step is q steps earlier. A wrong flag is
answered before JAX is imported.
"""

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from absl import flags as absl_flags

from lstm_jax.choices import unknown
from lstm_jax.lab.plan import (
  catalog,
  flags,
  from_values,
  parsers,
  plan,
  values,
)
from lstm_jax.lab.plan.from_values import Values
from lstm_jax.lab.plan.references import Axis
from lstm_jax.lab.plan.text_columns import item
from lstm_jax.lab.plan.usage import GROUPS
from lstm_jax.lab.run import command, mains
from lstm_jax.lab.store import faults
from lstm_jax.lab.store.setting import Setting

# The networks of the default run: of Experiment 4 at T = 100 the reading that
# is learned soonest (table7, T100-cells), and a simple net of logistic units.
_CELLS = 'srn,lstm1997'
_Choices = tuple[dict[str, Values], dict[str, Values]]  # axes, options
_TASK: _Choices = (
  {'task': 'adding', 'length': 100},
  {'task.output': 'linear'},
)
_NETS: dict[str, _Choices] = {
  'srn': ({'hidden': 8}, {'cell.activation': 'logistic'}),
  'lstm1997': (
    {'learning_rate': 0.5},
    {
      'cell.input_gate_bias': (-3, -6),
      'cell.cells_hear': 'cells',
      'cell.bias': 'gates_outputs',
    },
  ),
}
_SEQUENCES, _SEEDS = 50_000, 16
# What a learner in the place of another cannot take over from it.
_LEARNERS_OWN = re.compile('learner|learning_rate|window')
_OWN_FLAGS = {
  'sequences': ('N', f'training sequences of a network ({_SEQUENCES:,})'),
  'learners': ('NAMES|all', 'also how far back these learners look'),
  'out': ('FOLDER', 'where vanishing.csv, .svg and .png go (runs/vanishing)'),
}
_KINDS: dict[str, tuple[str, Callable[[str, str], object]]] = {
  'sequences': ('int', values.integer),
  'learners': ('string', parsers.text),
  'out': ('place', values.place),
}
_LABEL = 'size of the error, relative to q = 0'
_SIGNAL = 'size of the error signal used, relative to q = 0'
_TRAIN = next(iter(GROUPS.values()))
_FLAGS = {
  name: _TRAIN[name] for name in _TRAIN if name != 'budget'
} | _OWN_FLAGS

_HELP = """\
Measures the error that flows back: its size q steps before the end of a
sequence, relative to where it enters the network (q = 0), before and after
training; for simple networks of logistic units the bound n (n w_max / 4)^q too.

  lstm-jax vanishing
  lstm-jax vanishing --learners=all
  lstm-jax vanishing --task=temporal_order --cell=srn,gru,lstm \\
      --set=cell.activation=logistic --sequences=20000

Without any flag but --cell, --seeds, --sequences and --out the networks are
those of Experiment 4 (srn: 8 logistic units); with others, defaults are the
sweep's.
A setting that only some of the cells have is given to these alone.

With --learners the same networks are also given to other learners, for one
update: how large the error signal is that each of them has for the units, q
steps before the end (learners.csv, .svg and .png).
"""


class Request(NamedTuple):
  """A command line, read.

  Attributes:
    nets: name of a network -> its settings, which differ in the seed alone.
    out: folder for the files.
    learners: name of a network -> learner -> its setting on the net's cell.
    refused: why learners are left out, a line each.
  """

  nets: dict[str, tuple[Setting, ...]]
  out: str
  learners: dict[str, dict[str, Setting]]
  refused: tuple[str, ...]


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  return command.run(_COMMAND, argv)


def _act(request):
  from lstm_jax.lab.vanishing import curves
  from lstm_jax.lab.vanishing import learners as vanishing_learners
  from lstm_jax.lab.vanishing import nets as vanishing_nets

  networks, signals = {}, {}
  for name, settings in request.nets.items():
    networks_trained = vanishing_nets.train(name, settings)
    networks[name] = vanishing_nets.measure(networks_trained)
    print(networks[name].summary, flush=True)
    if request.learners[name]:
      signals[name] = vanishing_learners.measure(
        name, networks_trained, request.learners[name]
      )
      print(signals[name].summary, flush=True)
  print(*request.refused, '', curves.table(networks), sep='\n')
  folder = Path(request.out)
  paths = vanishing_nets.write(networks, folder, 'vanishing', _LABEL)
  if signals:
    print('', curves.table(signals, 'signal'), sep='\n')
    paths += vanishing_nets.write(signals, folder, 'learners', _SIGNAL)
  print()
  mains.tell(*paths)
  return 0


def define() -> absl_flags.FlagValues:
  """The flags in a new `FlagValues`: those of the sweep, and its own."""
  flag_values = flags.define(
    [name for name in _FLAGS if name not in _OWN_FLAGS]
  )
  for name, (_, words) in _OWN_FLAGS.items():
    kind, function = _KINDS[name]
    parsers.define(flag_values, name, kind, function, words)
  parsers.switch(flag_values, 'help', 'print this')
  return flag_values


def usage() -> str:
  """The text of `--help`."""
  lines = [_HELP]
  for name, (placeholder, words) in _FLAGS.items():
    lines += item(f'  --{name}={placeholder}', words, 0, 30)
  return '\n'.join([*lines, '', faults.EXIT_CODES])


def parse(arguments: Iterable[str]) -> Request:
  """Reads a command line, settings by the rules of the sweep.

  Args:
    arguments: `--NAME=VALUE` words.

  Returns:
    The `Request`.

  Raises:
    Refused: an unknown flag, a value that no plan can have, a setting that no
      cell has.
  """
  flag_values = define()
  return _read(
    flag_values, parsers.read(flag_values, ['vanishing', *arguments])
  )


def _read(flag_values, leftovers):
  parsers.no_words(leftovers)
  # A Slurm array job has no part in this.
  request = flags.request(flag_values, environ={})
  axes = tuple(axis for axis in request.axes if axis.name != 'cell')
  cells = flag_values['cell'].value or values.split(_CELLS, '--cell')
  choices = catalog.names('cells')
  for cell in cells:
    if cell not in choices:
      raise values.Refused(f'--cell={cell}: {unknown(cell, choices)}')
  learner_text, learners = flag_values['learners'].value, ()
  if learner_text:
    from lstm_jax.lab.vanishing import learners as vanishing_learners

    learners = vanishing_learners.choose(learner_text)
  nets: dict[str, list[Setting]] = {}
  by_network: dict[str, dict[str, Setting]] = {}
  refusals = []
  for cell in cells:
    concerns = functools.partial(_concerns, cell=cell, cells=cells)
    if axes or request.sets:
      own_request = request._replace(
        axes=tuple(filter(concerns, axes)),
        sets=tuple(filter(concerns, request.sets)),
      )
    else:
      own_axes, own_options = _NETS.get(cell, ({}, {}))
      own_request = from_values.request_of(
        _TASK[0] | own_axes, _TASK[1] | own_options
      )
    own_request = own_request._replace(
      axes=(Axis('cell', (cell,), '--cell'), *own_request.axes),
      grid=None,
      seeds=request.seeds or values.seeds(_SEEDS, '--seeds'),
      budget=flag_values['sequences'].value or _SEQUENCES,
    )
    for name, setting in _expanded(own_request, cell):
      nets.setdefault(name, []).append(setting)
    for learner in learners:
      try:
        for name, setting in _expanded(_of_learner(own_request, learner), cell):
          by_network.setdefault(name, {})[learner] = setting
      except values.Refused as why:
        if learner_text != 'all':
          raise
        refusals += [f'left out: {" ".join(w.split())}' for w in why.args]
  return Request(
    {name: tuple(settings) for name, settings in nets.items()},
    flag_values['out'].value or 'runs/vanishing',
    {name: by_network.get(_without_learner(name), {}) for name in nets},
    tuple(refusals),
  )


def _expanded(request, cell):
  """`(name of the net, setting)` of each trial of a request."""
  for setting in plan.expand(request).trials:
    # A row is called by its name and by the axes that vary in it.
    yield ' '.join([cell, *setting.row.split(' ')[1:]]), setting


def _of_learner(request, learner):
  """The request with another learner, without what was the first one's."""
  axes, sets = (
    tuple(axis for axis in axes if not axis.name.startswith('learner'))
    for axes in (request.axes, request.sets)
  )
  axes += (Axis('learner', (learner,), '--learner'),)
  return request._replace(axes=axes, sets=sets)


def _without_learner(name):
  """A network's name without the axes of the rule that trains it."""
  return ' '.join(
    word for word in name.split(' ') if not _LEARNERS_OWN.match(word)
  )


def _concerns(axis, cell, cells):
  """Tells whether an axis is for this cell: not if only another can have it."""
  kind, _, option = axis.name.partition('.')
  if kind != 'cell' or not option:
    return True

  def has(cell):
    entry = catalog.describe('cells', cell)
    return option in entry.options or option in entry.numbers

  return has(cell) or not any(map(has, cells))


_COMMAND = command.Command('vanishing', define, usage, _read, _act)
