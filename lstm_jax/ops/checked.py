"""Choices that are written once: in the annotation of a parameter."""

import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Literal, ParamSpec, TypeVar

import numpy as np

_Inputs = ParamSpec('_Inputs')
_Made = TypeVar('_Made')


def checked(factory: Callable[_Inputs, _Made]) -> Callable[_Inputs, _Made]:
  """Decorates a factory: arguments are held to what their annotations allow.

  A parameter that is annotated as `Literal[...]` takes one of these words or
  numbers, one that is annotated as `bool` True or False, each of them None as
  well where `| None` says so. Other annotations are not looked at.

  Args:
    factory: a function. Annotations that are strings are read as Python.

  Returns:
    The factory. It raises ValueError for a value that is not allowed, with the
    parameter, the value and the choices.

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
  """
  signature = inspect.signature(factory, eval_str=True)
  rules = {}
  for name, parameter in signature.parameters.items():
    choices, optional = _choices(parameter.annotation)
    one = parameter.kind not in (
      parameter.VAR_POSITIONAL,
      parameter.VAR_KEYWORD,
    )
    if choices and one:
      rules[name] = choices, optional

  @functools.wraps(factory)
  def checking(*args: _Inputs.args, **options: _Inputs.kwargs) -> _Made:
    try:
      given = signature.bind(*args, **options).arguments
    except TypeError:
      return factory(*args, **options)  # says itself what is wrong
    for name in rules.keys() & given.keys():
      _check(name, given[name], *rules[name])
    return factory(*args, **options)

  return checking


def _choices(annotation: object) -> tuple[tuple[object, ...], bool]:
  """`(what is allowed, whether None is)`; nothing where anything may come."""
  if annotation is bool:
    return (True, False), False
  origin = typing.get_origin(annotation)
  if origin is Literal:
    choices = typing.get_args(annotation)
    return tuple(c for c in choices if c is not None), None in choices
  if origin in (typing.Union, types.UnionType):
    parts = typing.get_args(annotation)
    found = [_choices(part)[0] for part in parts if part is not types.NoneType]
    if all(found):
      return tuple(c for choices in found for c in choices), (
        types.NoneType in parts
      )
  return (), False


def _check(name, value, choices, optional):
  if value is None and optional:
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
    allowed = (None, *choices) if optional else choices
    words = ', '.join(str(choice) for choice in allowed)
    raise ValueError(f'{name}={value!r} must be one of {words}')
