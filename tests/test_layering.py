"""Imports run one way, and effects stay in the laboratory."""

import ast
import functools

import pytest

from lstm_jax.lab import console
from lstm_jax.lab.plan import catalog
from lstm_jax.nn.native import loops
from tests.children import ROOT

PACKAGE = 'lstm_jax'
# A room may import from those before it. '' is the package itself, with what
# belongs to all.
ROOMS = (
  '', 'ops', 'nn.native', 'cells', 'tasks', 'learners', 'nn', 'analysis',
  'testing', 'training', 'lab', 'lab.store', 'lab.data', 'lab.plan',
  'lab.tune', 'lab.report', 'lab.standings', 'lab.serve', 'lab.run',
  'lab.cluster', 'lab.vanishing', 'lab.bench', 'lab.commands', 'lab.console',
)  # fmt: skip
# Folders of entries: each is chosen by name and given as a value, so that a new
# one is a file and nothing else. What they share stands behind a `_`.
ENTRIES = ('cells', 'tasks', 'learners', 'lab.data', 'training.trainers')
# Rooms of commands that must answer without the second that JAX takes.
LIGHT = (
  'lab.store', 'lab.data', 'lab.plan', 'lab.tune', 'lab.report',
  'lab.standings', 'lab.serve',
)  # fmt: skip
HEAVY = ('jax', 'jaxlib', 'flax', 'optax')
# What of the rest they may import: plain types without JAX.
PLAIN = (
  'public', 'choices', 'dataset', 'extras', 'nn', 'nn.native',
  'nn.native.library', 'ops', 'ops.checked', 'ops.conditions',
  'ops.intervals', 'ops.parts',
)  # fmt: skip
FORBIDDEN = ('experiments', 'tests')
# Outside the laboratory nothing has effects, but for these.
EFFECTS = {
  'nn.native.library': 'the build of the compiled loops',
  'nn.native.__main__': 'its command',
  '__main__': 'the commands',
}
# Calls that reach a file, a process, a thread, a clock or a terminal.
_CALLS = (
  'open', 'print', 'input', 'exit', 'quit', 'os._exit', 'os.open', 'os.system',
  'os.remove', 'os.unlink', 'os.replace', 'os.rename', 'os.mkdir',
  'os.makedirs', 'os.listdir', 'os.scandir', 'os.getenv', 'os.kill', 'sys.exit',
  'np.load', 'np.save', 'np.savez', 'np.memmap', 'np.fromfile',
  'os.environ.setdefault',
)  # fmt: skip
_METHODS = (
  'read_text', 'read_bytes', 'write_text', 'write_bytes', 'mkdir', 'iterdir',
  'glob', 'rglob', 'unlink', 'touch',
)  # fmt: skip
_MODULES = (
  'threading', 'multiprocessing', 'concurrent', 'subprocess', 'time', 'signal',
  'socket', 'shutil', 'tempfile', 'logging', 'absl',
)  # fmt: skip


@functools.cache
def library():
  """Module name without the package -> its source."""
  files = sorted((ROOT / PACKAGE).rglob('*.py'))
  return {name_of(f): f.read_text(encoding='utf-8') for f in files}


def name_of(path):
  parts = path.relative_to(ROOT / PACKAGE).with_suffix('').parts
  return '.'.join(part for part in parts if part != '__init__')


def room_of(module):
  """The room of a module, named without the package; None: there is none."""
  if module == '__main__':  # the door of the commands
    return ROOMS[-1]
  if (ROOT / PACKAGE / f'{module}.py').is_file() or not module:
    return ''
  return max(
    (r for r in ROOMS if r and f'{module}.'.startswith(f'{r}.')),
    key=len,
    default=None,
  )


@functools.cache
def nodes(source):
  """All nodes of a source, which several tests look at."""
  return [*ast.walk(ast.parse(source))]


@functools.cache
def calls(source):
  """What is called, as text."""
  return [
    ast.unparse(node.func) for node in nodes(source) if type(node) is ast.Call
  ]


@functools.cache
def imports(source, known):
  """`(name, whether at module level)` of everything that is imported.

  `from a import b` imports module `a.b` where there is one, else `a`. What only
  a type checker imports is not at module level.
  """
  places = []
  inside = {
    id(node)
    for function in nodes(source)
    if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    or isinstance(function, ast.If)
    and ast.unparse(function.test) == 'TYPE_CHECKING'
    for node in ast.walk(function)
  }
  for node in nodes(source):
    top = id(node) not in inside
    if isinstance(node, ast.Import):
      for alias in node.names:
        places.append((alias.name, top))
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, 'imports are absolute'
      for alias in node.names:
        child = f'{node.module}.{alias.name}'
        places.append((child if child in known else node.module, top))
  return places


def modules(sources):
  """The names that can be imported, with the package."""
  return frozenset(f'{PACKAGE}.{name}'.rstrip('.') for name in sources)


def broken_rules(sources):
  """One line for every import or effect that the design does not allow."""
  known = modules(sources)
  for module, source in sources.items():
    room = room_of(module)
    for name, top in imports(source, known):
      head, _, rest = name.partition('.')
      if head in FORBIDDEN:
        yield f'{module} imports {name}'
      elif head in HEAVY and top and room in LIGHT:
        yield f'{module} imports {name}, which is slow, at module level'
      elif head in _MODULES and not allowed(module, room):
        yield f'{module} imports {name}, which has effects'
      elif head == PACKAGE and (reason := against(module, rest, top)):
        yield f'{module} imports {name}: {reason}'
    yield from (f'{module} {said}' for said in shared_writes(source))
    if not allowed(module, room):
      yield from (f'{module} {said}' for said in effects(source))


def allowed(module, room):
  """Whether a module may have effects."""
  return (room or '').startswith('lab') or module in EFFECTS


def against(module, other, top):
  """Why `module` may not import `other`, both inside the package."""
  if not module:
    return None  # the package itself: its names are those of every room
  room, other_room = room_of(module), room_of(other)
  if ROOMS.index(other_room) > ROOMS.index(room):
    return 'it is above'
  folder, _, file = other.rpartition('.')
  entry = folder in ENTRIES and not file.startswith('_') and folder != other
  if entry and other not in ROOMS and f'{folder}.files' != other:
    return 'it is chosen by name'
  beside = ('cells', 'tasks', 'learners')
  if room != other_room and room in beside and other_room in beside:
    return 'it is beside'
  if room in LIGHT and top and other_room not in LIGHT and other not in PLAIN:
    return 'it serves commands that run without JAX'
  return None


def effects(source):
  """Calls that reach what is outside the program."""
  for called in calls(source):
    name = called.rpartition('.')[2]
    ours = called in _CALLS or name in _METHODS or name.startswith('DEFINE_')
    if ours or called.startswith('jax.config.'):
      yield f'calls {called}'


def shared_writes(source):
  """Writes to what every program in the process shares."""
  for called in calls(source):
    if called in (
      'os.putenv',
      'os.environ.update',
      'os.environ.pop',
      'os.environ.clear',
    ):
      yield f'calls {called}'
  for node in nodes(source):
    targets = {
      ast.Assign: lambda n: n.targets,
      ast.AugAssign: lambda n: [n.target],
      ast.AnnAssign: lambda n: [n.target],
      ast.Delete: lambda n: n.targets,
    }.get(type(node), lambda n: [])(node)
    for target in targets:
      text = ast.unparse(target)
      if text.startswith(('os.environ', 'jax.config')):
        yield f'writes {text}'
    if isinstance(node, ast.Global):
      yield f'changes the global {", ".join(node.names)}'


def test_imports_run_one_way_and_effects_stay_in_the_laboratory():
  assert list(broken_rules(library())) == []


def test_every_module_is_in_a_room():
  homeless = [name for name in library() if room_of(name) is None]
  assert homeless == []
  at_the_root = {name for name in library() if '.' not in name}
  at_the_root -= {room.partition('.')[0] for room in ROOMS}
  assert at_the_root == {
    'types', 'dataset', 'choices', 'extras', 'public', '__main__',
  }  # fmt: skip
  assert EFFECTS.keys() <= library().keys()


def test_nothing_imports_itself_in_a_circle():
  sources = library()
  known = modules(sources)
  needs = {
    module: {
      name.partition('.')[2]
      for name, _ in imports(source, known)
      if name in known and name != PACKAGE
    }
    for module, source in sources.items()
  }
  # What needs nothing that is left can go, and in the end all has gone.
  while free := [m for m, of in needs.items() if not of & needs.keys()]:
    for module in free:
      del needs[module]
  assert needs == {}


@pytest.mark.parametrize(
  'module, line',
  [
    ('types', 'from lstm_jax.ops import prng'),
    ('ops.unroll', 'from lstm_jax.cells import srn'),
    ('ops.unroll', 'from lstm_jax.nn import layer'),
    ('training.epochs', 'from lstm_jax.training.trainers import minibatch'),
    ('training.trainer', 'from lstm_jax.lab.data.files import audio'),
    ('lab.data.files.audio', 'import jax'),
    ('lab.data.imdb', 'from lstm_jax.training import epochs'),
    ('cells.gru', 'from lstm_jax.cells import srn'),
    ('cells.gru', 'from lstm_jax.cells.srn import srn'),
    ('cells.gru', 'import lstm_jax.tasks.adding'),
    ('tasks.adding', 'from lstm_jax.learners import _descend'),
    ('tasks.adding', 'from lstm_jax.cells import _build'),
    ('learners.bptt', 'def f():\n  from lstm_jax.cells import srn'),
    ('learners.bptt', 'from lstm_jax.training import online'),
    ('learners._forward.loop', 'from lstm_jax.nn import layer'),
    ('nn.layer', 'from lstm_jax.training import epochs'),
    ('training.online', 'from lstm_jax.lab.run.queue import Shared'),
    ('training.online', 'from lstm_jax.tasks import adding'),
    ('training.online', 'def f():\n  from lstm_jax.lab.store import machine'),
    ('lab.store.seal', 'from lstm_jax.lab.plan import programs'),
    ('nn.native.__main__', 'from lstm_jax.lab.store import machine'),
    ('lab.store.seal', 'from lstm_jax.training import online'),
    ('lab.plan.grid', 'from lstm_jax.lab.report import rows'),
    ('lab.plan.catalog', 'import jax.numpy as jnp'),
    ('lab.report.rows', 'from lstm_jax.lab.run import engine'),
    ('lab.report.statistics', 'import jax'),
    ('lab.store.files', 'from jax import tree'),
    ('lab.run.queue', 'from experiments import sweep'),
    ('lab.store.lock', 'def f():\n  import tests.soak'),
    ('ops.activations', 'from absl import flags'),
    ('ops.prng', 'jax.config.jax_enable_x64 = True'),
    ('ops.prng', 'jax.config.update("jax_enable_x64", True)'),
    ('nn.layer', 'os.environ.setdefault("XLA_FLAGS", "")'),
    ('training.online', 'flags.DEFINE_string("a", "b", "c")'),
    ('nn.layer', 'def f():\n  os.environ["XLA_FLAGS"] = ""'),
    ('lab.run.scheduler', 'del os.environ["XLA_FLAGS"]'),
    ('lab.run.queue', 'def f():\n  global x\n  x = 1'),
    ('tasks.adding', 'import threading'),
    ('tasks.adding', 'def f():\n  import time'),
    ('cells.gru', 'def f():\n  print(1)'),
    ('cells.gru', 'def f():\n  raise sys.exit(1)'),
    ('learners.bptt', 'open("x")'),
    ('training.online', 'Path("x").read_text()'),
    ('testing.cells', 'np.load("x")'),
  ],
)
def test_a_planted_line_is_found(module, line):
  # The modules alone: what else they say is another test's.
  sources = dict.fromkeys(library(), '')
  sources[module] = f'{line}\n'
  (places,) = broken_rules(sources)
  assert places.startswith(f'{module} ')


@pytest.mark.parametrize(
  'module, line',
  [
    ('lab.report.statistics', 'def f():\n  import jax'),
    (
      'lab.plan.catalog',
      'if TYPE_CHECKING:\n  from lstm_jax.types import Cell',
    ),
    ('lab.report.metric_rows', 'from lstm_jax.dataset import CURVES'),
    ('lab.data.imdb', 'from lstm_jax.lab.data import _text'),
    ('lab.data.imdb', 'from lstm_jax.lab.data.files import prepared'),
    ('training.trainers.minibatch', 'from lstm_jax.nn import layer'),
    ('lab.run.engine', 'import threading'),
    ('nn.native.library', 'import subprocess'),
  ],
)
def test_what_is_right_is_let_be(module, line):
  sources = dict.fromkeys(library(), '')
  sources[module] = f'{line}\n'
  assert list(broken_rules(sources)) == []


def test_every_module_is_imported_or_runs():
  sources = library()
  known = modules(sources)
  mains = (ROOT / 'experiments').rglob('*.py')
  readers = [*sources.values(), *(f.read_text('utf-8') for f in mains)]
  imported = {name for text in readers for name, _ in imports(text, known)}
  imported |= {module for module, _ in console.SUBCOMMANDS.values()}
  for name in sources:
    folder, _, file = name.rpartition('.')
    is_package = (ROOT / PACKAGE / name.replace('.', '/')).is_dir()
    is_entry = folder in ENTRIES and not file.startswith('_')
    is_program = "if __name__ == '__main__'" in sources[name]
    if not (is_package or is_entry or is_program):
      assert f'{PACKAGE}.{name}' in imported, f'nothing imports {name}'


MAX_BODY = 80  # lines of a function below its docstring


def long_bodies(source):
  """Functions whose statements, without the docstring, take too many lines."""
  for node in nodes(source):
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
      statements = node.body[ast.get_docstring(node, clean=False) is not None :]
      if statements:
        lines = statements[-1].end_lineno - statements[0].lineno + 1
        if lines > MAX_BODY:
          yield f'{node.name}: {lines} lines'


def test_functions_are_read_on_one_screen():
  planted = 'def f():\n  "Docstring."\n' + '  x = 1\n' * (MAX_BODY + 1)
  assert list(long_bodies(planted)) == [f'f: {MAX_BODY + 1} lines']
  assert not list(long_bodies(planted.replace('  x = 1\n', '', 1)))
  for folder in (PACKAGE, 'experiments'):
    for path in (ROOT / folder).rglob('*.py'):
      assert not list(long_bodies(path.read_text('utf-8'))), path


# Layers of other libraries and their weights are kept by the kind of a layer.
NAMING = ('nn.convert', 'lab.bench.libraries')


def asked_for(source, names):
  """Names of `names` that a value is compared with."""
  return {
    constant.value
    for node in nodes(source)
    if isinstance(node, ast.Compare | ast.Match)
    for constant in ast.walk(node)
    if isinstance(constant, ast.Constant) and constant.value in names
  }


def test_nobody_asks_for_a_cell_by_its_name():
  names = {*catalog.names('cells'), *loops.CELLS}
  assert asked_for("if kind == 'gru': ...", names) == {'gru'}
  for module, source in library().items():
    if not module.startswith(NAMING):
      assert not asked_for(source, names), module
