"""Imports run one way, and the library changes nothing outside itself."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = 'lstm_jax'
# Each layer may import those before it and nothing of its own.
LAYERS = (
  ('types', 'squash', 'draw', 'batches', 'snapshot', 'initial'),
  ('recurrences',),
  ('blindness', 'criteria', 'exams', 'outputs', 'promises', 'unroll'),
  ('cells', 'tasks', 'learners'),
  ('_layer_loop', 'convert', 'native', 'noise'),
  ('_whole_loop',),
  ('_fused', 'kernels', 'layer_checks'),
  ('layer',),
  ('stack', 'flax_layers', 'sequence_model'),
  ('stack_weights',),
  ('training',),
  ('trainers',),
  ('epochs',),
  ('trial', 'backflow', 'credit'),
  ('lanes',),
  ('shared',),
  ('workers',),
)
# Catalogs: folders of modules that are chosen by name and given as values.
FOLDERS = ('cells', 'tasks', 'learners', 'trainers')
# They serve commands that must not wait for JAX; '' is the package itself.
LIGHT = (
  '', 'catalog', 'collect', 'datasets', 'reruns', 'results', 'statistics',
  'store',
)  # fmt: skip
# What both sides speak of: plain types without JAX.
SHARED = ('choices', 'examples', 'machine')
FORBIDDEN = ('experiments', 'absl', 'tests')
HEAVY = ('jax', 'jaxlib', 'flax', 'optax')


def library():
  """Module name without the package -> its source."""
  files = sorted((ROOT / PACKAGE).rglob('*.py'))
  return {name_of(f): f.read_text(encoding='utf-8') for f in files}


def name_of(path):
  parts = path.relative_to(ROOT / PACKAGE).with_suffix('').parts
  return '.'.join(part for part in parts if part != '__init__')


def imports(source, known):
  """`(name, whether at module level)` of everything that is imported.

  `from a import b` imports module `a.b` where there is one, else `a`.
  """
  tree = ast.parse(source)
  inside = {
    id(node)
    for function in ast.walk(tree)
    if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for node in ast.walk(function)
  }
  for node in ast.walk(tree):
    top = id(node) not in inside
    if isinstance(node, ast.Import):
      for alias in node.names:
        yield alias.name, top
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, 'imports are absolute'
      for alias in node.names:
        child = f'{node.module}.{alias.name}'
        yield (child if child in known else node.module), top


def layer_of(module):
  head = module.partition('.')[0]
  return next((i for i, layer in enumerate(LAYERS) if head in layer), None)


def broken_rules(sources):
  """One line for every import or write that the design does not allow."""
  known = {f'{PACKAGE}.{name}'.rstrip('.') for name in sources}
  for module, source in sources.items():
    for name, top in imports(source, known):
      head, _, rest = name.partition('.')
      if head in FORBIDDEN:
        yield f'{module} imports {name}'
      elif head in HEAVY and top and module.partition('.')[0] in LIGHT:
        yield f'{module} imports {name}, which is slow, at module level'
      elif head == PACKAGE and (reason := against(module, rest)):
        yield f'{module} imports {name}: {reason}'
    yield from (f'{module} {what}' for what in effects(source))


def against(module, other):
  """Why `module` may not import `other`, both inside the package."""
  folder, _, _ = module.partition('.')
  other_folder, _, file = other.partition('.')
  mine, theirs = layer_of(module), layer_of(other)
  if other_folder in SHARED:
    return None
  if mine is None and theirs is not None:
    return 'it serves commands that run without JAX'
  if mine is not None and theirs is None:
    return 'the engine knows nothing of files'
  if mine is None:
    return None
  if theirs > mine:
    return 'it is above'
  if folder == other_folder and folder not in FOLDERS:
    return None  # a part of the same package
  if other_folder in FOLDERS:
    shared = folder == other_folder and file.startswith('_')
    return None if shared else 'it is chosen by name'
  return None if theirs < mine else 'it is beside'


def effects(source):
  """Writes to what every program in the process shares."""
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Call):
      called = ast.unparse(node.func)
      if called.startswith('jax.config.') or called in (
        'os.putenv',
        'os.environ.update',
        'os.environ.setdefault',
        'os.environ.pop',
        'os.environ.clear',
      ):
        yield f'calls {called}'
      if '.DEFINE_' in f'.{called}':
        yield f'defines a flag with {called}'
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


def test_imports_run_one_way():
  assert list(broken_rules(library())) == []


def test_every_module_has_its_place():
  placed = {name for layer in LAYERS for name in layer}
  placed |= {*LIGHT, *SHARED}
  assert {name.partition('.')[0] for name in library()} == placed


@pytest.mark.parametrize(
  'module, line',
  [
    ('types', 'from lstm_jax import draw'),
    ('unroll', 'from lstm_jax.cells import srn'),
    ('unroll', 'from lstm_jax import outputs'),
    ('epochs', 'from lstm_jax.training.trainers import minibatch'),
    ('training', 'from lstm_jax import collect'),
    ('collect.audio', 'import jax'),
    ('datasets.imdb', 'from lstm_jax import epochs'),
    ('cells.gru', 'from lstm_jax.cells import srn'),
    ('cells.gru', 'from lstm_jax.cells.srn import srn'),
    ('cells.gru', 'import lstm_jax.tasks.adding'),
    ('tasks.adding', 'from lstm_jax.learners import _descend'),
    ('learners.bptt', 'def f():\n  from lstm_jax.cells import srn'),
    ('learners.bptt', 'from lstm_jax import trial'),
    ('trial', 'from lstm_jax.lanes import Job'),
    ('trial', 'from lstm_jax.tasks import adding'),
    ('lanes', 'from lstm_jax import workers'),
    ('workers', 'from lstm_jax import results'),
    ('workers', 'from lstm_jax.lab.store import seal'),
    ('store.seal', 'from lstm_jax import trial'),
    ('results', 'def f():\n  from lstm_jax import lanes'),
    ('statistics', 'import jax'),
    ('catalog', 'import jax.numpy as jnp'),
    ('store.files', 'from jax import tree'),
    ('', 'import optax'),
    ('workers', 'from experiments import launch'),
    ('store.lock', 'def f():\n  import absl.flags'),
    ('squash', 'import absl'),
    ('draw', 'jax.config.update("jax_enable_x64", True)'),
    ('draw', 'jax.config.jax_enable_x64 = True'),
    ('lanes', 'def f():\n  os.environ["XLA_FLAGS"] = ""'),
    ('lanes', 'os.environ.setdefault("XLA_FLAGS", "")'),
    ('workers', 'del os.environ["XLA_FLAGS"]'),
    ('criteria', 'flags.DEFINE_string("a", "b", "c")'),
    ('criteria', 'DEFINE_bool("a", True, "c")'),
    ('lanes', 'def f():\n  global x\n  x = 1'),
  ],
)
def test_a_planted_line_is_found(module, line):
  # The modules alone: what else they say is another test's.
  sources = dict.fromkeys(library(), '')
  sources[module] = f'{line}\n'
  (found,) = broken_rules(sources)
  assert found.startswith(f'{module} ')


def test_what_serves_commands_may_import_jax_when_called():
  sources = dict.fromkeys(library(), '')
  sources['statistics'] = 'def f():\n  import jax\n'
  assert list(broken_rules(sources)) == []
