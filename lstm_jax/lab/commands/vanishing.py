"""Reads the flags of the vanishing study, and runs it.

It trains networks by the sweep's program and measures, before and after, how
large the error of a sequence's last step is q steps earlier. A wrong flag is
answered before JAX is imported.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from absl import flags as absl_flags

from lstm_jax.lab.plan import catalog, flags, parsers, plan, values
from lstm_jax.lab.plan.grid import AXES
from lstm_jax.lab.plan.text_columns import item
from lstm_jax.lab.plan.usage import GROUPS
from lstm_jax.lab.run import command, mains
from lstm_jax.lab.store import faults
from lstm_jax.lab.store.setting import Setting

# The nets of the default run: of Experiment 4 at T = 100 the reading that is
# learned soonest (table7, T100-cells), and a simple net of logistic units.
_CELLS = 'srn,lstm1997'
_TASK = ('--task=adding', '--length=100', '--set=task.output=linear')
_NETS = {
  'srn': ('--hidden=8', '--set=cell.activation=logistic'),
  'lstm1997': (
    '--learning_rate=0.5',
    '--set=cell.input_gate_bias=-3:-6',
    '--set=cell.cells_hear=cells',
    '--set=cell.bias=gates_outputs',
  ),
}
_SEQUENCES, _SEEDS = 50_000, 16
# What a learner in the place of another cannot take over from it.
_LEARNERS_OWN = re.compile('--(learner|learning_rate|window|(set=)?learner[.])')
_OWN = {
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
_FLAGS = {name: _TRAIN[name] for name in _TRAIN if name != 'budget'} | _OWN

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
    nets: name of a net -> its settings, which differ in the seed alone.
    out: folder for the files.
    learners: name of a net -> learner -> its setting on the net's cell.
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

  found, seen = {}, {}
  for name, settings in request.nets.items():
    trained = vanishing_nets.train(name, settings)
    found[name] = vanishing_nets.measure(trained)
    print(found[name].said, flush=True)
    if request.learners[name]:
      seen[name] = vanishing_learners.measure(
        name, trained, request.learners[name]
      )
      print(seen[name].said, flush=True)
  print(*request.refused, '', curves.table(found), sep='\n')
  folder = Path(request.out)
  paths = vanishing_nets.write(found, folder, 'vanishing', _LABEL)
  if seen:
    print('', curves.table(seen, 'signal'), sep='\n')
    paths += vanishing_nets.write(seen, folder, 'learners', _SIGNAL)
  print()
  mains.tell(*paths)
  return 0


def define() -> absl_flags.FlagValues:
  """The flags in a new `FlagValues`: those of the sweep, and its own."""
  defined = flags.define([name for name in _FLAGS if name not in _OWN])
  for name, (_, words) in _OWN.items():
    kind, function = _KINDS[name]
    parsers.define(defined, name, kind, function, words)
  parsers.switch(defined, 'help', 'print this')
  return defined


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
  defined = define()
  return _read(defined, parsers.read(defined, ['vanishing', *arguments]))


def _read(defined, rest):
  parsers.no_words(rest)
  own, words = {}, []
  for name in _FLAGS.keys() & {*parsers.given(defined)}:
    if name in ('cell', 'seeds', *_OWN):
      own[name] = parsers.listed(defined[name].value)
    else:
      words += defined[name].serialize().split('\n')
  # In the order of the flags, whatever that of the line was.
  words.sort(key=lambda word: [*_FLAGS].index(word[2:].partition('=')[0]))
  budget = defined['sequences'].value or _SEQUENCES
  cells = values.split(own.get('cell', _CELLS), '--cell')
  known = catalog.names('cells')
  for cell in cells:
    if cell not in known:
      raise values.Refused(f'--cell={cell}: {catalog.unknown(cell, known)}')
  always = (f'--seeds={own.get("seeds", _SEEDS)}', f'--budget={budget}')
  asked, learners = own.get('learners', ''), ()
  if asked:
    from lstm_jax.lab.vanishing import learners as vanishing_learners

    learners = vanishing_learners.choose(asked)
  nets: dict[str, list[Setting]] = {}
  theirs: dict[str, dict[str, Setting]] = {}
  refused = []
  for cell in cells:
    if words:
      mine = [word for word in words if _concerns(word, cell, cells)]
    else:
      mine = [*_TASK, *_NETS.get(cell, ())]
    line = ['vanishing', f'--cell={cell}', *mine, *always]
    for name, setting in _expanded(line, cell):
      nets.setdefault(name, []).append(setting)
    plain = [word for word in line if not _LEARNERS_OWN.match(word)]
    for learner in learners:
      try:
        for name, setting in _expanded([*plain, f'--learner={learner}'], cell):
          theirs.setdefault(name, {})[learner] = setting
      except values.Refused as why:
        if asked != 'all':
          raise
        refused += [f'left out: {" ".join(w.split())}' for w in why.args]
  return Request(
    {name: tuple(settings) for name, settings in nets.items()},
    own.get('out', 'runs/vanishing'),
    {name: theirs.get(_without_learner(name), {}) for name in nets},
    tuple(refused),
  )


def _expanded(line, cell):
  """`(name of the net, setting)` of each trial of a command line."""
  # A Slurm array job has no part in this.
  for setting in plan.expand(flags.parse(line, environ={})).trials:
    # A row is called by its name and by the axes that vary in it.
    yield ' '.join([cell, *setting.row.split(' ')[1:]]), setting


def _without_learner(name):
  """A network's name without the axes of the rule that trains it."""
  return ' '.join(
    word for word in name.split(' ') if not _LEARNERS_OWN.match(f'--{word}')
  )


def _concerns(word, cell, cells):
  """Tells whether a flag is for this cell: not if only another can have it."""
  name, _, rest = word.removeprefix('--').partition('=')
  name = rest.partition('=')[0] if name == 'set' else AXES[name]
  kind, _, option = name.partition('.')
  if kind != 'cell' or not option:
    return True

  def has(cell):
    entry = catalog.describe('cells', cell)
    return option in entry.options or option in entry.numbers

  return has(cell) or not any(map(has, cells))


_COMMAND = command.Command('vanishing', define, usage, _read, _act)
