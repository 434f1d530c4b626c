"""The cells, learners and tasks that exist, read from their source.

The catalog is the folders themselves: `lstm_jax/cells/gru.py` with a public
function `gru` is the cell `gru`. Descriptions are read by `ast`, so that a
command can list and check names, options and numbers without the seconds that
importing JAX takes. Only `build` imports.

Besides the factory a module may hold these literals:

  NUMBERS = {name: default}
      Numbers that are traced: trials that differ in them share a program. A
      name that ends in `_bias` takes one value, or one per block or cell, or
      None: drawn like every other weight. One that ends in `_rate` or `_range`
      is above 0; `length` is an integer.
  PROVIDES = (name, ...) or {name: {option: value, ...}}
      What a cell or a task has that a learner may need, and under which of its
      options.
  NEEDS = (name, ...) or {name: reason}
      What a learner needs of its cell; `(reason, {option: value, ...})` where
      it does so under some of its options only.
  TASK_NEEDS
      What a learner needs of its task, as NEEDS.
  STATIC = (name, ...) or {name: {option: value, ...}}
      Traced numbers that a learner must have when it is made, as a keyword, and
      under which of its options: its program is compiled for their values.
  SHORTEST = n
      The smallest length a task is defined for.
  MEAN_STEPS = (a, b)
      A task's sequences of length T have a T + b steps on average, a data
      set's epochs.
  TRIVIAL = (({option: value, ...}, {'predictor': words, 'absolute': x,
      'squared': x, 'wrong': x}), ...)
      What the best predictor that ignores its input reaches on a task: mean
      errors as in a judgement, fraction wrong. The first whose options hold.
  UNIT = name
      What a learner's budget counts: 'sequences', or 'epochs'.
  XLA_PROFILE = name
      With which flags XLA compiles a learner's programs, see `xla_flags`.
  REFUSES = (({name: value, ...}, reason), ...)
      Options and numbers of this module that do not go together; the value
      `...` stands for any value but None.
"""

import ast
import contextlib
import functools
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, overload

import lstm_jax
from lstm_jax.choices import unknown
from lstm_jax.lab.store import files, machine
from lstm_jax.lab.store.documents import Number, Value
from lstm_jax.lab.store.faults import StoreError

if TYPE_CHECKING:
  from lstm_jax.training.examples import Dataset
  from lstm_jax.training.trainer import Trainer
  from lstm_jax.types import Cell, Learner, Task

# What takes part in a trial -> the kinds that can. Data sets are trained on by
# trainers, tasks by learners.
ROLES = {
  'task': ('tasks', 'datasets'),
  'cell': ('cells',),
  'learner': ('learners', 'trainers'),
}
# Where the files of a kind are, from the package on.
FOLDERS = {
  'tasks': 'tasks',
  'datasets': 'lab/data',
  'cells': 'cells',
  'learners': 'learners',
  'trainers': 'training/trainers',
}
KINDS = tuple(FOLDERS)
_ROOT = Path(lstm_jax.__file__).parent
_TYPES = ('bool', 'int', 'float')
# Where annotations of options have names.
_ALIASES = ('lstm_jax.ops.checked', 'lstm_jax.tasks._outputs')
_LONGEST = 2**24  # bytes of a source
_ENOUGH = 2**26  # bytes of memory
# What a source that says something else than we expect comes to.
_UNREADABLE = (
  SyntaxError,
  ValueError,
  TypeError,
  AttributeError,
  LookupError,
  RecursionError,
  MemoryError,
  OSError,
  StoreError,
)


class Broken(ValueError):
  """The source of a cell, learner or task cannot be read; says where."""


class Option(NamedTuple):
  """A keyword of a factory that can be written as text.

  Attributes:
    name: the keyword.
    default: its default.
    types: the plain types it takes, of 'bool', 'int', 'float'.
    choices: the words it takes.
    optional: whether it takes None.
  """

  name: str
  default: Value
  types: tuple[str, ...]
  choices: tuple[str, ...]
  optional: bool


class Need(NamedTuple):
  """A part that a learner needs of its cell or task.

  Attributes:
    why: the reason, for messages.
    when: the learner's options under which it does; {} always.
  """

  why: str = ''
  when: dict[str, object] = {}


class Entry(NamedTuple):
  """One cell, learner or task, as its source says.

  Attributes:
    kind: one of `KINDS`.
    name: the file's and the factory's name.
    summary: first line of the factory's docstring.
    options: name -> `Option`, in the order of the signature. Keywords that
      take anything but bool, int, float, words and None are left out: they
      can be given in Python only.
    numbers: name -> default of the traced numbers.
    provides: what the cell or task offers to learners -> the options it takes.
    needs: what the learner needs of its cell -> `Need`.
    task_needs: what the learner needs of its task -> `Need`.
    static: what else fixes the compiled program -> the options it takes.
    shortest: smallest length.
    mean_steps: `(a, b)`, a task's mean steps a T + b.
    trivial: `(condition, levels)` pairs of a task's best constant predictor.
    refuses: `(condition, reason)` pairs.
    unit: what a learner's budget counts.
    xla_profile: the flags of XLA for a learner's programs.
  """

  kind: str
  name: str
  summary: str
  options: dict[str, Option]
  numbers: dict[str, Number]
  provides: dict[str, dict[str, object]]
  needs: dict[str, Need]
  task_needs: dict[str, Need]
  static: dict[str, dict[str, object]]
  shortest: int
  mean_steps: tuple[float, float]
  trivial: tuple[tuple[dict[str, object], dict[str, object]], ...]
  refuses: tuple[tuple[dict[str, object], str], ...]
  unit: str = 'sequences'
  xla_profile: str = 'auto'


def names(kind: str, root: Path = _ROOT) -> tuple[str, ...]:
  """The names of one kind, sorted: the public module files of its folder."""
  if kind not in KINDS:
    raise ValueError(f'kind={kind!r} must be one of {", ".join(KINDS)}')
  folder = root / FOLDERS[kind]
  try:
    changed = folder.stat().st_mtime_ns
  except OSError:
    changed = None  # `files` says why
  return _names_in(folder, changed)


@functools.lru_cache(maxsize=64)
def _names_in(folder, changed):
  """`names` of a folder as it was at a time: a plan asks for them often."""
  del changed
  found = [
    name.removesuffix('.py')
    for name in files.names(folder, '.py')
    if (folder / name).is_file()
  ]
  # What editors and systems leave beside them can be no name of a module.
  return tuple(name for name in found if name.isidentifier() and name[0] != '_')


def module_of(kind: str, name: str) -> str:
  """The dotted name of an entry's module."""
  return f'{lstm_jax.__name__}.{FOLDERS[kind].replace("/", ".")}.{name}'


def kind_of(role: str, name: str, root: Path = _ROOT) -> str | None:
  """The kind in which a role has this name; None where it has not."""
  return next((k for k in ROLES[role] if name in names(k, root)), None)


def find(role: str, name: str) -> Entry:
  """The entry that plays a role under this name.

  Raises:
    ValueError: no kind of the role has it.
  """
  kind = kind_of(role, name)
  if kind is None:
    known = [n for kind in ROLES[role] for n in names(kind)]
    raise ValueError(f'{role} {name!r} is unknown: {unknown(name, known)}')
  return describe(kind, name)


@functools.cache
def describe(kind: str, name: str, root: Path = _ROOT) -> Entry:
  """Reads one entry from its source, once, without importing it.

  Args:
    kind: one of `KINDS`.
    name: the entry.
    root: folder that holds the folders of all kinds.

  Returns:
    The `Entry`.

  Raises:
    ValueError: an unknown kind or name.
    Broken: a file that is no Python, without its factory, or with an option or
      literal that cannot be read.
    MemoryError, OSError: the machine is at fault, not the file.
  """
  known = names(kind, root)
  if name not in known:
    raise ValueError(f'{kind[:-1]} {name!r} is unknown: {unknown(name, known)}')
  where = f'{FOLDERS[kind]}/{name}.py'
  try:
    return _described(kind, name, root / where, where)
  except SyntaxError as error:
    raise Broken(f'{where}, line {error.lineno}: {error.msg}') from None
  except _UNREADABLE as error:
    if machine.fault(error) and not _too_deep(error):
      raise  # says nothing about the source
    text = f'{error}'
    said = text if where in text else f'{where}: {text}'
    raise Broken(' '.join(said.split())) from error


def _too_deep(error):
  """Tells whether a MemoryError is Python's word for too deep a source.

  It is where there is memory, more than to read any source of ours takes.
  """
  if not isinstance(error, MemoryError):
    return False
  try:
    bytearray(_ENOUGH)
  except MemoryError:
    return False
  return True


def readable(kind: str, root: Path = _ROOT) -> Iterator[Entry]:
  """The entries of a kind, without those that are broken."""
  for name in names(kind, root):
    with contextlib.suppress(Broken):
      yield describe(kind, name, root)


def _assigned(module):
  """Name -> what it stands for, of a module and of names it has from ours."""
  found = {}
  for node in module.body:
    match node:
      case (
        ast.Assign(targets=[ast.Name(id=title), *_], value=ast.expr() as value)
        | ast.AnnAssign(target=ast.Name(id=title), value=ast.expr() as value)
      ):
        found[title] = value
      case ast.ImportFrom(module=str(of), names=aliases) if of in _ALIASES:
        theirs = _aliases_in(of)
        for alias in aliases:
          if alias.name in theirs:
            found[alias.asname or alias.name] = theirs[alias.name]
  return found


@functools.cache
def _aliases_in(module):
  """Name -> the annotation that it stands for in a module of `_ALIASES`."""
  path = _ROOT.joinpath(*module.split('.')[1:]).with_suffix('.py')
  return _assigned(ast.parse(files.read_text(path, _LONGEST), module))


def _described(kind, name, path, where):
  """The `Entry` of one file; any error is one of `_UNREADABLE`."""
  module = ast.parse(files.read_text(path, _LONGEST), where)
  assigned = _assigned(module)
  factory = next(
    (
      node
      for node in module.body
      if isinstance(node, ast.FunctionDef) and node.name == name
    ),
    None,
  )
  if factory is None:
    raise ValueError(f'{where} has no function {name}')

  def literal(title, default):
    if title not in assigned:
      return default
    return _literal(assigned[title], f'{where}: {title}')

  def mapping(title, value):
    found = literal(title, {})
    return found if isinstance(found, dict) else dict.fromkeys(found, value)

  def needs(title):
    return {
      name: Need(why) if isinstance(why, str) else Need(*why)
      for name, why in mapping(title, '').items()
    }

  static = mapping('STATIC', {})
  keywords = zip(factory.args.kwonlyargs, factory.args.kw_defaults, strict=True)
  options = [
    _option(argument, default, assigned, where)
    for argument, default in keywords
    if argument.arg not in static
  ]
  docstring = (ast.get_docstring(factory) or '').strip()
  return Entry(
    kind=kind,
    name=name,
    summary=docstring.partition('\n')[0],
    options={option.name: option for option in options if option},
    numbers=literal('NUMBERS', {}),
    provides=mapping('PROVIDES', {}),
    needs=needs('NEEDS'),
    task_needs=needs('TASK_NEEDS'),
    static=static,
    shortest=literal('SHORTEST', 1),
    mean_steps=literal('MEAN_STEPS', (1.0, 0.0)),
    trivial=tuple(literal('TRIVIAL', ())),
    refuses=tuple(literal('REFUSES', ())),
    unit=literal('UNIT', 'sequences'),
    xla_profile=literal('XLA_PROFILE', 'auto'),
  )


def holds(
  condition: Mapping[str, object], options: Mapping[str, object]
) -> bool:
  """Tells whether `options` meet a condition on some of them.

  Args:
    condition: name -> value; the value `...` asks for anything but None.
    options: name -> value of at least those.
  """
  return all(
    options[name] is not None if value is ... else options[name] == value
    for name, value in condition.items()
  )


@overload
def build(
  kind: Literal['cells'], name: str, *args: object, **options: object
) -> 'Cell': ...


@overload
def build(
  kind: Literal['tasks'], name: str, *args: object, **options: object
) -> 'Task': ...


@overload
def build(
  kind: Literal['learners'], name: str, *args: object, **options: object
) -> 'Learner': ...


@overload
def build(
  kind: Literal['datasets'], name: str, *args: object, **options: object
) -> 'Dataset': ...


@overload
def build(
  kind: Literal['trainers'], name: str, *args: object, **options: object
) -> 'Trainer': ...


def build(kind: str, name: str, *args: object, **options: object) -> object:
  """Imports an entry's module and calls its factory.

  Args:
    kind: one of `KINDS`.
    name: the entry.
    *args: the factory's positional arguments.
    **options: its keywords.

  Returns:
    What the factory makes: a `Cell`, `Learner`, `Task`, `Dataset`, `Trainer`.

  Raises:
    ValueError: an unknown kind or name, or what the factory refuses.
  """
  known = names(kind)
  if name not in known:
    raise ValueError(f'{kind[:-1]} {name!r} is unknown: {unknown(name, known)}')
  module = importlib.import_module(module_of(kind, name))
  return getattr(module, name)(*args, **options)


def _literal(node, where):
  try:
    return ast.literal_eval(node)
  except ValueError:
    raise ValueError(
      f'{where} must be a literal, not {ast.unparse(node)}'
    ) from None


def _option(argument, default, assigned, where):
  """The `Option` of a keyword argument, None if text cannot express it."""
  kinds = _annotation(argument.annotation, assigned)
  if kinds is None:
    return None
  if default is None:
    raise ValueError(f'{where}: option {argument.arg} has no default')
  types, choices, optional = kinds
  return Option(
    argument.arg,
    _literal(default, f'{where}: default of {argument.arg}'),
    types,
    choices,
    optional,
  )


def _annotation(node, assigned):
  """`(types, choices, optional)` of an annotation, None for any other."""
  match node:
    case ast.Name(id=name) if name in _TYPES:
      return (name,), (), False
    case ast.Name(id=name) if name in assigned:
      return _annotation(assigned[name], assigned)
    case ast.Subscript(
      value=ast.Name(id='Annotated'), slice=ast.Tuple(elts=[first, *_])
    ):
      return _annotation(first, assigned)
    case ast.Constant(value=None):
      return (), (), True
    case ast.Subscript(value=ast.Name(id='Literal'), slice=words) | (
      ast.Subscript(value=ast.Attribute(attr='Literal'), slice=words)
    ):
      words = words.elts if isinstance(words, ast.Tuple) else [words]
      values = list(map(ast.literal_eval, words))
      choices = tuple(value for value in values if value is not None)
      return (), choices, None in values
    case ast.BinOp(left=left, op=ast.BitOr(), right=right):
      parts = [_annotation(side, assigned) for side in (left, right)]
      if None in parts:
        return None
      (types_a, choices_a, none_a), (types_b, choices_b, none_b) = parts
      return types_a + types_b, choices_a + choices_b, none_a or none_b
  return None
