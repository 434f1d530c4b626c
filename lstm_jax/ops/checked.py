"""Checks what a factory takes: by annotations, by literals of its module."""

import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple, ParamSpec, TypeVar

import numpy as np

from lstm_jax.choices import one_of, with_article
from lstm_jax.ops import conditions, parts

_Inputs = ParamSpec('_Inputs')
_Product = TypeVar('_Product')


class Bound(NamedTuple):
  """The smallest number that is allowed; `is_open`: itself is not."""

  minimum: float
  is_open: bool = False


# As annotations: what may be how small.
Count = Annotated[int, Bound(1)]
Whole = Annotated[int, Bound(0)]
Amount = Annotated[float, Bound(0)]
Positive = Annotated[float, Bound(0, is_open=True)]


def checked(
  factory: Callable[_Inputs, _Product],
) -> Callable[_Inputs, _Product]:
  """Decorates a factory: arguments are held to what their annotations allow.

  A parameter that is annotated as `Literal[...]` takes one of these words or
  numbers, one that is annotated as `bool` True or False, each of them None as
  well where `| None` says so, or something of a class that is named beside it.
  One that is annotated as `Count`, `Whole`, `Amount` or `Positive` is no
  smaller than that. Other annotations are not looked at. Where the module of
  the factory has a `REFUSES`, `((condition, reason), ...)`, its options are
  not all as one of the conditions says; `...` there stands for any value but
  None. Where it has `NEEDS` or `TASK_NEEDS`, its `cell` and its `task` have the
  parts that these name, see `ops.conditions` and `ops.parts`.

  Args:
    factory: a function. Annotations that are strings are read as Python.

  Returns:
    The factory. It raises ValueError for a value that is not allowed, with the
    parameter, the value and the choices, and for options that do not go
    together and parts that are missing, with the reason.

  Example:
    >>> @checked
    ... def net(g: Literal['tanh', 'relu'] = 'tanh', bias: bool = True):
    ...   return g, bias
    >>> net('relu')
    ('relu', True)
    >>> net('thin')
    Traceback (most recent call last):
    ...
    ValueError: g='thin' must be one of tanh, relu
    >>> @checked
    ... def guess(tries: Count = 1):
    ...   return tries
    >>> guess(0)
    Traceback (most recent call last):
    ...
    ValueError: tries=0 must be at least 1
  """
  signature = inspect.signature(factory, eval_str=True)
  defaults = {name: p.default for name, p in signature.parameters.items()}
  module = getattr(inspect.unwrap(factory), '__globals__', {})
  refuses = module.get('REFUSES', ())
  needs = [
    (argument, conditions.needs_of(module.get(title, ())), known)
    for argument, title, known in (
      ('cell', 'NEEDS', parts.OF_CELLS),
      ('task', 'TASK_NEEDS', parts.OF_TASKS),
    )
  ]
  rules, bounds = {}, {}
  for name, parameter in signature.parameters.items():
    choices, allows_none, classes = _choices(parameter.annotation)
    one = parameter.kind not in (
      parameter.VAR_POSITIONAL,
      parameter.VAR_KEYWORD,
    )
    if choices and one:
      rules[name] = choices, allows_none, classes
    if bound := _bound(parameter.annotation):
      bounds[name] = bound

  @functools.wraps(factory)
  def checking(*args: _Inputs.args, **options: _Inputs.kwargs) -> _Product:
    try:
      arguments = signature.bind(*args, **options).arguments
    except TypeError:
      return factory(*args, **options)  # says itself what is wrong
    for name in rules.keys() & arguments.keys():
      _check(name, arguments[name], *rules[name])
    for name in bounds.keys() & arguments.keys():
      _check_bound(name, arguments[name], bounds[name])
    full = {**defaults, **arguments}
    for names, reason in conditions.refused(refuses, full):
      words = ' with '.join(f'{name}={full[name]}' for name in names)
      raise ValueError(f'{words}: {reason}')
    for argument, mine, known in needs:
      if argument in arguments:
        _check_parts(factory.__name__, arguments[argument], mine, known, full)
    return factory(*args, **options)

  return checking


def shared(factory: Callable[_Inputs, _Product]) -> Callable[_Inputs, _Product]:
  """Decorates a pure factory: equal arguments give the same value.

  JAX knows a program by the functions that it was made of: what is made anew at
  every call would be compiled anew.
  """
  remember = functools.lru_cache(maxsize=64, typed=True)
  remembered = typing.cast(Callable[_Inputs, _Product], remember(factory))

  @functools.wraps(factory)
  def sharing(*args: _Inputs.args, **options: _Inputs.kwargs) -> _Product:
    try:
      hash((args, *options.values()))
    except TypeError:
      return factory(*args, **options)  # says itself what is wrong with it
    return remembered(*args, **options)

  return sharing


def _choices(
  annotation: object,
) -> tuple[tuple[object, ...], bool, tuple[type, ...]]:
  """`(what is allowed, whether None is, classes of what is allowed besides)`.

  Nothing where anything may come.
  """
  if annotation is bool:
    return (True, False), False, ()
  origin = typing.get_origin(annotation)
  if origin is Literal:
    choices = typing.get_args(annotation)
    return tuple(c for c in choices if c is not None), None in choices, ()
  if origin in (typing.Union, types.UnionType):
    parts = [p for p in typing.get_args(annotation) if p is not types.NoneType]
    options = [_choices(part)[0] for part in parts]
    classes = tuple(
      part
      for part, choices in zip(parts, options, strict=True)
      if not choices and isinstance(part, type)
    )
    if sum(map(bool, options)) + len(classes) == len(parts) and any(options):
      return (
        tuple(c for choices in options for c in choices),
        types.NoneType in typing.get_args(annotation),
        classes,
      )
  return (), False, ()


def _bound(annotation: object) -> Bound | None:
  """The bound in an annotation, also in one part of a union."""
  if typing.get_origin(annotation) is Annotated:
    bounds = (x for x in typing.get_args(annotation) if isinstance(x, Bound))
    return next(bounds, None)
  if typing.get_origin(annotation) in (typing.Union, types.UnionType):
    return next(filter(None, map(_bound, typing.get_args(annotation))), None)
  return None


def _check_bound(name, value, bound):
  if value is None:
    return
  minimum, is_open = bound
  if is_open and not value > minimum:
    raise ValueError(f'{name}={value} must be above {minimum:g}')
  if not is_open and not value >= minimum:  # nor nan
    raise ValueError(f'{name}={value} must be at least {minimum:g}')


def _check_parts(factory, value, needs, known, options):
  """Refuses a cell or task that lacks a part; who knows it not is not asked."""
  has = lambda part: part not in known or known[part](value)
  for _, reason in conditions.unmet(needs, options, has):
    raise ValueError(f'{factory}: {reason}')


def _check(name, value, choices, allows_none, classes):
  if (value is None and allows_none) or isinstance(value, classes):
    return
  if all(isinstance(choice, bool) for choice in choices):
    if not isinstance(value, bool | np.bool_):
      raise ValueError(f'{name}={value!r} must be True or False')
    return
  # True is no 1, and an array is equal to nothing.
  kinds = {type(choice) for choice in choices}
  fits = isinstance(value, (*kinds, np.integer)) and (
    bool in kinds or not isinstance(value, bool)
  )
  if not fits or value not in choices:
    alternatives = (None, *choices) if allows_none else choices
    words = one_of(alternatives)
    words += ''.join(f', or {with_article(k.__name__)}' for k in classes)
    raise ValueError(f'{name}={value!r} {words}')
