"""Reads what somebody else's cell, learner or task is.

From its source where that says it. What is decorated, imported or made by a
call says nothing there: it is imported and asked. Options are all arguments
that have a default; what one takes follows from its annotation, or else from
the default. A factory whose result is annotated as `Dataset` or `Trainer` makes
one of those, any other a `Task` or a `Learner`.
"""

import ast
import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from lstm_jax.choices import type_words, unknown
from lstm_jax.lab.plan import factory_source
from lstm_jax.lab.store.catalog_entry import Entry, Option

# What a factory takes, besides its options.
ARGUMENTS = {
  'cells': ('num_inputs', 'num_outputs'),
  'tasks': (),
  'datasets': (),
  'learners': ('cell', 'task'),
  'trainers': ('make_cell', 'dataset'),
}
# The name of a type -> what a factory makes that says it returns one.
_KINDS = {
  'Cell': 'cells',
  'Task': 'tasks',
  'Dataset': 'datasets',
  'Learner': 'learners',
  'Trainer': 'trainers',
}
_PACKAGE = 'lstm_jax'
_SOURCE = 'source'  # where data lie: of data sets, no option


class Untold(Exception):
  """The source does not say what a factory is."""


def read(kinds: Sequence[str], name: str, path: Path, where: str) -> Entry:
  """The `Entry` of a factory, from the source of its file alone.

  Args:
    kinds: what it may make.
    name: the factory.
    path: the file.
    where: what messages call it.

  Raises:
    Untold: the source does not say it.
    Broken: a file that is no Python, without its factory, or with arguments
      that such a factory cannot have.
  """
  with factory_source.readable(where):
    module = factory_source.parse(path, where)
    factory = factory_source.function(module, name)
    names = factory_source.assigned(module)
    if factory is None:
      if name in names or _brings(module, name):
        raise Untold
      choices = [n.name for n in module.body if isinstance(n, ast.FunctionDef)]
      raise ValueError(f'{where} has no {name}; {unknown(name, choices)}')
    if not all(
      _is_ours(decorator, module) for decorator in factory.decorator_list
    ):
      raise Untold
    of = factory.args
    positional = [*of.posonlyargs, *of.args]
    nothing = [None] * (len(positional) - len(of.defaults))
    arguments = [*positional, *of.kwonlyargs]
    defaults = [*nothing, *of.defaults, *of.kw_defaults]
    literal = functools.partial(_literal, names)
    returns = factory.returns and ast.unparse(factory.returns)
    return _entry(
      kinds,
      returns,
      name,
      ast.get_docstring(factory) or '',
      [
        (
          decorator.arg,
          default is not None,
          functools.partial(_option_from, decorator, default, names),
        )
        for decorator, default in zip(arguments, defaults, strict=True)
      ],
      literal,
    )


def entry_of(
  kinds: Sequence[str],
  name: str,
  factory: Callable[..., object],
  module: types.ModuleType,
  where: str,
) -> Entry:
  """The `Entry` of a factory that was imported.

  Args:
    kinds: what it may make.
    name: the factory's name.
    factory: what the module has under it.
    module: the module, whose literals count, or else those of the module in
      which the factory was written.
    where: what messages call it.

  Raises:
    Broken: it cannot be called, or with arguments that such a factory cannot
      have.
  """
  with factory_source.readable(where):
    if not callable(factory):
      raise ValueError(f'{name} is {type_words(factory)}, no function')
    function = inspect.unwrap(factory)
    function = getattr(function, 'func', function)
    try:
      signature = inspect.signature(factory, eval_str=True)
    except NameError:
      signature = inspect.signature(factory)
    home = inspect.getmodule(function)

    def literal(title, default):
      value = getattr(module, title, None)
      return getattr(home, title, default) if value is None else value

    no_annotation = inspect.Parameter.empty
    returns = signature.return_annotation
    parameters = [
      parameter
      for parameter in signature.parameters.values()
      if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    return _entry(
      kinds,
      None
      if returns is no_annotation
      else getattr(returns, '__name__', str(returns)),
      name,
      inspect.getdoc(factory) or '',
      [
        (
          parameter.name,
          parameter.default is not no_annotation,
          functools.partial(_option_of, parameter),
        )
        for parameter in parameters
      ],
      literal,
    )


def _entry(kinds, returns, name, docstring, arguments, literal):
  """The `Entry` of `(name, has a default, () -> Option or None)`s."""
  kind = _KINDS.get((returns or '').strip('\'"').rpartition('.')[2], kinds[0])
  if kind not in kinds:
    words = ' or '.join(_type_of(one) for one in kinds)
    raise ValueError(f'{name} returns a {_type_of(kind)}, must return {words}')
  arguments_needed = ARGUMENTS[kind]
  static = literal('STATIC', ())
  names_ignored = {*static} | ({_SOURCE} if kind == 'datasets' else set())
  options_only = [
    one
    for one in arguments[len(arguments_needed) :]
    if one[0] not in names_ignored
  ]
  if len(arguments) < len(arguments_needed) or not all(
    has for _, has, _ in options_only
  ):
    without = [name for name, has, _ in options_only if not has]
    tail = f'{without[0]} has none' if without else 'it takes fewer'
    raise ValueError(
      f'{name} must take {", ".join(arguments_needed) or "nothing"} and '
      f'options with defaults; {tail}'
    )
  entry = factory_source.described(
    kind, name, docstring, [option() for _, _, option in options_only], literal
  )
  if kind == 'trainers':
    entry = entry._replace(
      unit=literal('UNIT', 'epochs'), xla_profile=literal('XLA_PROFILE', 'none')
    )
  _check(entry)
  return entry


def _type_of(kind):
  return next(title for title, of in _KINDS.items() if of == kind)


def _check(entry):
  """Refuses literals that are not what they must be."""
  number = lambda v: isinstance(v, int | float) and not isinstance(v, bool)
  numbers = entry.numbers
  if not isinstance(numbers, dict) or not all(
    isinstance(name, str) and name.isidentifier() for name in numbers
  ):
    raise ValueError(f'NUMBERS={numbers!r} must be {{name: default, ...}}')
  for name, value in numbers.items():
    items = value if isinstance(value, tuple) else (value,)
    if not all(item is None or number(item) for item in items):
      raise ValueError(f'NUMBERS: {name}={value!r} must be a number')
    if name in entry.options:
      raise ValueError(f'{name} is an option and among NUMBERS; keep one')
  if entry.unit not in ('sequences', 'epochs'):
    raise ValueError(f'UNIT={entry.unit!r} must be sequences or epochs')
  if not isinstance(entry.shortest, int) or entry.shortest < 1:
    raise ValueError(f'SHORTEST={entry.shortest!r} must be an integer from 1')
  steps = entry.mean_steps
  if len(steps) != 2 or not all(map(number, steps)):
    raise ValueError(f'MEAN_STEPS={steps!r} must be two numbers')


def _option_from(argument, default, names):
  """The `Option` of an argument in a source; None: text cannot express it."""
  hint = argument.annotation
  types = factory_source.annotation(hint, names)
  try:
    value = ast.literal_eval(default)
  except ValueError:
    if types is None and hint is not None:
      return None
    raise Untold from None
  if hint is None:
    return _option(argument.arg, value, _taken_by(value))
  if types is None and isinstance(hint, ast.Name) and hint.id not in names:
    if hint.id not in ('str', 'tuple', 'list', 'dict', 'object'):
      raise Untold  # an alias from elsewhere
  return _option(argument.arg, value, types)


def _option_of(parameter):
  """The `Option` of a parameter of a signature; None as of `_option_from`."""
  hint, value = parameter.annotation, parameter.default
  if hint is parameter.empty:
    return _option(parameter.name, value, _taken_by(value))
  return _option(parameter.name, value, _types_of(hint))


def _option(name, default, types):
  if types is None or not isinstance(default, bool | int | float | str | None):
    return None
  return Option(name, default, *types)


def _taken_by(value):
  """Kinds of values of an argument of which only the default is known."""
  kind = type(value).__name__
  return ((kind,), (), False) if kind in factory_source.TYPES else None


def _types_of(hint):
  """`(types, choices, optional)` of an annotation, None for any other."""
  if hint in (bool, int, float):
    return (hint.__name__,), (), False
  if hint in (None, types.NoneType):
    return (), (), True
  origin, inner = typing.get_origin(hint), typing.get_args(hint)
  if origin is typing.Annotated:
    return _types_of(inner[0])
  if origin is typing.Literal:
    choices = tuple(word for word in inner if word is not None)
    return (), choices, None in inner
  if origin in (types.UnionType, typing.Union):
    # What text cannot express may stand beside what it can.
    parts = [part for part in map(_types_of, inner) if part is not None]
    kinds, words, allows_none = zip(*parts, strict=True) if parts else ((),) * 3
    result = sum(kinds, ()), sum(words, ()), any(allows_none)
    return result if result[0] or result[1] else None
  return None


def _literal(names, title, default):
  """The value of a literal of the module; `Untold` where it is computed."""
  if title not in names:
    return default
  try:
    return ast.literal_eval(names[title])
  except ValueError:
    raise Untold from None


def _brings(module, name):
  """Tells whether a module may have a name from somewhere else."""
  return any(
    isinstance(node, ast.Import | ast.ImportFrom)
    and any((a.asname or a.name) in (name, '*') for a in node.names)
    or isinstance(node, ast.ClassDef | ast.AsyncFunctionDef)
    and node.name == name
    or isinstance(node, ast.If | ast.Try | ast.With | ast.For)
    and name in _bound(node)
    for node in module.body
  )


def _bound(node):
  """All names that are bound anywhere within a statement."""
  names: set[str] = set()
  for node_ in ast.walk(node):
    if isinstance(node_, ast.FunctionDef | ast.ClassDef):
      names.add(node_.name)
    elif isinstance(node_, ast.Name) and isinstance(node_.ctx, ast.Store):
      names.add(node_.id)
    elif isinstance(node_, ast.alias):
      names.add(node_.asname or node_.name)
  return names


def _is_ours(decorator, module):
  """Tells whether a decorator is one of ours, which keep signatures."""
  names: Collection[str] = {
    alias.asname or alias.name
    for node in module.body
    if isinstance(node, ast.Import | ast.ImportFrom)
    for alias in node.names
    if (getattr(node, 'module', None) or alias.name).partition('.')[0]
    == _PACKAGE
  }
  node = decorator
  while isinstance(node, ast.Attribute):
    node = node.value
  return isinstance(node, ast.Name) and node.id in names
