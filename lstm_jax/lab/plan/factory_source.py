"""Reads what a cell, learner or task is from its source, without importing it.

Descriptions are read by `ast`, so that a command can list and check names,
options and numbers without the seconds that importing JAX takes.

Besides the factory a module may hold these literals:

  NUMBERS = {name: default}
      Numbers that are traced: trials that differ in them share a program. A
      name that ends in `_bias` takes one value, or one per block or cell, or
      None: drawn like every other weight. One that ends in `_rate` or `_range`
      is above 0; `length` is an integer.
  PROVIDES = (name, ...) or {name: {option: value, ...}}
      What a cell or a task has that a learner may need, and under which of its
      options (`ops.parts`).
  NEEDS = (name, ...) or {name: reason}
      What a learner needs of its cell; `(reason, {option: value, ...})` where
      it does so under some of its options only, a list where for several
      reasons. Its factory refuses other cells by the same literal
      (`ops.checked`).
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
  LATER = (name, ...)
      Options that came after run folders had been written, whose defaults do
      what was done before. A setting leaves them out at their default, so that
      its trials keep their ids and such folders go on.
  AUTO = {option: (word, other word)}
      Options of ours that a plan chooses where they are written `auto`: the
      first word where nothing is against it, see `lab.plan.automatic`.
  RANGES = {name: range}
      Among which values tuning draws an option or a number, see `ranges`. Those
      of the module that an option's type comes from count where it has none.
"""

import ast
import contextlib
import functools
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from lstm_jax import public
from lstm_jax.lab.plan import ranges
from lstm_jax.lab.store import files, machine
from lstm_jax.lab.store.catalog_entry import Entry, Option
from lstm_jax.lab.store.documents import Number
from lstm_jax.lab.store.faults import StoreError
from lstm_jax.ops.conditions import needs_of

# What an option takes: plain types, words, and whether None.
Types = tuple[tuple[str, ...], tuple[str, ...], bool]
TYPES = ('bool', 'int', 'float')
# Where annotations of options and literals have names.
_ALIASES = (
  'lstm_jax.lab.data._audio',
  'lstm_jax.lab.data._spectra',
  'lstm_jax.learners._optimizer',
  'lstm_jax.learners._restarts',
  'lstm_jax.ops.checked',
  'lstm_jax.tasks._outputs',
)
_RANGES = 'RANGES'
_LONGEST = 2**24  # bytes of a source
# Python's parser does not bear two threads at once.
_PARSER = threading.Lock()
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


_Value = TypeVar('_Value')


class Literals(Protocol):
  """Literals of a module: title, and what it is where there is none."""

  def __call__(self, title: str, default: _Value, /) -> _Value:
    """The literal of a title."""


class Broken(ValueError):
  """The source of a cell, learner or task cannot be read; says where."""


def entry(kind: str, name: str, path: Path, where: str) -> Entry:
  """The `Entry` of a factory of ours.

  Args:
    kind: what the factory makes.
    name: the factory.
    path: the file.
    where: what messages call it.

  Raises:
    Broken: a file that is no Python, without its factory, or with an option or
      literal that cannot be read.
    MemoryError, OSError: the machine is at fault, not the file.
  """
  with readable(where):
    module = parse(path, where)
    factory = function(module, name)
    if factory is None:
      raise ValueError(f'{where} has no function {name}')
    names = assigned(module)
    literal = functools.partial(_value_of, names, where)
    keywords = zip(
      factory.args.kwonlyargs, factory.args.kw_defaults, strict=True
    )
    static = literal('STATIC', ())
    options = [
      _option(argument, default, names, where)
      for argument, default in keywords
      if argument.arg not in static
    ]
    docstring = ast.get_docstring(factory) or ''
    return described(kind, name, docstring, options, literal)


@contextlib.contextmanager
def readable(where: str) -> Iterator[None]:
  """Raises what a source says wrongly as `Broken`; `where` names the file."""
  try:
    yield
  except Broken:
    raise
  except SyntaxError as error:
    raise Broken(f'{where}, line {error.lineno}: {error.msg}') from None
  except _UNREADABLE as error:
    if machine.fault(error) and not _too_deep(error):
      raise  # says nothing about the source
    text = f'{error}'
    message = text if where in text else f'{where}: {text}'
    raise Broken(' '.join(message.split())) from error


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


def assigned(module: ast.Module) -> dict[str, ast.expr]:
  """Name -> what it stands for, of a module and of names it has from ours."""
  expressions = {}
  for node in module.body:
    match node:
      case (
        ast.Assign(targets=[ast.Name(id=title), *_], value=ast.expr() as value)
        | ast.AnnAssign(target=ast.Name(id=title), value=ast.expr() as value)
      ):
        expressions[title] = value
      case ast.ImportFrom(module=str(of), names=aliases) if of in _ALIASES:
        other_aliases = _aliases_in(of)
        if _RANGES in other_aliases:
          expressions.setdefault(_RANGES, other_aliases[_RANGES])
        for alias in aliases:
          if alias.name in other_aliases:
            expressions[alias.asname or alias.name] = other_aliases[alias.name]
  return expressions


@functools.cache
def _aliases_in(module):
  """Name -> the annotation that it stands for in a module of `_ALIASES`."""
  path = (
    Path(public.__file__)
    .parent.joinpath(*module.split('.')[1:])
    .with_suffix('.py')
  )
  return assigned(parse(path, module))


def parse(path: Path, where: str) -> ast.Module:
  """The syntax tree of a file, which messages call `where`."""
  text = files.read_text(path, _LONGEST)
  with _PARSER:
    return ast.parse(text, where)


def function(module: ast.Module, name: str) -> ast.FunctionDef | None:
  """The function of a name; None where the module defines none."""
  return next(
    (
      node
      for node in module.body
      if isinstance(node, ast.FunctionDef) and node.name == name
    ),
    None,
  )


def described(
  kind: str,
  name: str,
  docstring: str,
  options: Iterable[Option | None],
  literal: Literals,
) -> Entry:
  """The `Entry` of what is known of a factory.

  Args:
    kind: what it makes.
    name: its name.
    docstring: of the factory.
    options: its arguments; None: one that text cannot express.
    literal: `(title, default) -> value` of the literals of its module.
  """

  def mapping(title, value):
    table: dict[str, object] = literal(title, {})
    return table if isinstance(table, dict) else dict.fromkeys(table, value)

  named_options = {option.name: option for option in options if option}
  later: tuple[str, ...] = literal('LATER', ())
  names = [*named_options]
  if not isinstance(later, tuple) or not all(name in names for name in later):
    choices = ', '.join(names) or 'no name'
    raise ValueError(
      f'LATER = {later!r}: must be a tuple of names of options, of {choices}'
    )
  numbers: dict[str, Number] = literal('NUMBERS', {})
  return Entry(
    kind=kind,
    name=name,
    summary=docstring.strip().partition('\n')[0],
    options=named_options,
    numbers=numbers,
    provides=mapping('PROVIDES', {}),
    needs=needs_of(literal('NEEDS', ())),
    task_needs=needs_of(literal('TASK_NEEDS', ())),
    static=mapping('STATIC', {}),
    shortest=literal('SHORTEST', 1),
    mean_steps=literal('MEAN_STEPS', (1.0, 0.0)),
    trivial=tuple(literal('TRIVIAL', ())),
    refuses=tuple(literal('REFUSES', ())),
    later=later,
    auto=literal('AUTO', {}),
    unit=literal('UNIT', 'sequences'),
    xla_profile=literal('XLA_PROFILE', 'auto'),
    ranges=ranges.read(literal(_RANGES, {}), named_options, numbers),
  )


def _value_of(names, where, title, default):
  """The literal of a title in a module of ours."""
  if title not in names:
    return default
  return _literal(_resolved(names[title], names), f'{where}: {title}')


def _resolved(node, names):
  """A literal with what its names stand for in their place."""
  match node:
    case ast.Name(id=name) if name in names:
      return names[name]
    case ast.Dict(keys=keys, values=values):
      return ast.Dict(keys, [_resolved(value, names) for value in values])
    case ast.List(elts=parts):
      return ast.List([_resolved(part, names) for part in parts], ast.Load())
  return node


def _literal(node, where):
  try:
    return ast.literal_eval(node)
  except ValueError:
    raise ValueError(
      f'{where} must be a literal, not {ast.unparse(node)}'
    ) from None


def _option(argument, default, names, where):
  """The `Option` of a keyword argument, None if text cannot express it."""
  kinds = annotation(argument.annotation, names)
  if kinds is None:
    return None
  if default is None:
    raise ValueError(f'{where}: option {argument.arg} has no default')
  types, choices, allows_none = kinds
  return Option(
    argument.arg,
    _literal(default, f'{where}: default of {argument.arg}'),
    types,
    choices,
    allows_none,
  )


def annotation(
  node: ast.expr | None, names: Mapping[str, ast.expr]
) -> Types | None:
  """`(types, choices, optional)` of an annotation, None for any other."""
  match node:
    case ast.Name(id=name) if name in TYPES:
      return (name,), (), False
    case ast.Name(id=name) if name in names:
      return annotation(names[name], names)
    case ast.Subscript(
      value=ast.Name(id='Annotated'), slice=ast.Tuple(elts=[first, *_])
    ):
      return annotation(first, names)
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
      # What text cannot express may stand beside what it can.
      sides = (annotation(side, names) for side in (left, right))
      parts = [side for side in sides if side is not None]
      types = tuple(name for part in parts for name in part[0])
      choices = tuple(word for part in parts for word in part[1])
      if types or choices or len(parts) == 2:
        return types, choices, any(part[2] for part in parts)
  return None
