"""Options that are written `auto`: what they come to, here and for this trial.

A plan holds what it came to and never the word, so that a trial has the same
bits under its id on every machine, and one that cannot run it says so.
"""

import collections
import functools
import os
from collections.abc import Iterable, Mapping, Sequence

from lstm_jax.choices import count_of
from lstm_jax.lab.plan import catalog, resolve, values
from lstm_jax.lab.plan.points import Point
from lstm_jax.lab.plan.programs import steps
from lstm_jax.lab.plan.references import Axis
from lstm_jax.lab.plan.resolve import RawValue
from lstm_jax.lab.store import machine
from lstm_jax.lab.store.setting import Setting
from lstm_jax.nn.native import library

AUTO = 'auto'
# Steps of a mean sequence from which compiled code is the faster one.
_STEPS = 500


def resolved(raw_values: Mapping[str, RawValue]) -> dict[str, RawValue]:
  """Values as given, with what `auto` comes to in its place.

  An option is `auto` for whom its module says so (`AUTO`); where what was given
  is refused whatever it comes to, it stays as it is.

  Args:
    raw_values: dotted name -> `RawValue`.
  """
  for dotted, (first, second) in _automatic(raw_values).items():
    written = raw_values[dotted]
    otherwise = {**raw_values, dotted: written._replace(value=second)}
    preferred = {**raw_values, dotted: written._replace(value=first)}
    setting = _setting(preferred)
    if setting is not None and not _why_not(first, setting):
      raw_values = preferred
    elif _setting(otherwise) is not None:
      raw_values = otherwise
  return dict(raw_values)


def chosen(point: Point) -> Point:
  """A point with what `auto` comes to, in its label too."""
  raw_values = resolved(point.raw_values)
  words = {
    name: f'{name}={raw_values[name].value}'
    for name in point.words
    if raw_values[name] != point.raw_values[name]
  }
  return point._replace(raw_values=raw_values, words=point.words | words)


def outcome(axes: Iterable[Axis], settings: Sequence[Setting]) -> str:
  """Says what `auto` came to in how many rows; '' where nobody wrote it.

  Args:
    axes: of a grid's rows, and those that change them.
    settings: of the plan.
  """
  names = {axis.name for axis in axes if AUTO in axis.values}
  phrases = []
  for name in sorted(names):
    role, _, option = name.partition('.')
    counts = collections.Counter(
      dict(getattr(setting, f'{role}_options', ())).get(option)
      for setting in settings
    )
    counts = {word: n for word, n in counts.items() if word not in (None, AUTO)}
    parts = [f'{word} in {count_of(n, "row")}' for word, n in counts.items()]
    phrases.append(f'; {name}={AUTO} is {", ".join(parts)}' * bool(parts))
    if parts and 'native' not in counts and (reason := why_not_native()):
      phrases.append(f': {reason}')
  return ''.join(phrases)


def _automatic(raw_values):
  """Dotted name -> the two words, of options that are written `auto`."""
  try:
    learner = catalog.find(
      'learner', catalog.name_of(raw_values['learner'].value)
    )
  except ValueError:
    return {}  # refused elsewhere
  dotted_words = {f'learner.{name}': w for name, w in learner.auto.items()}
  return {
    dotted: words
    for dotted, words in dotted_words.items()
    if dotted in raw_values and raw_values[dotted].value == AUTO
  }


def _setting(raw_values):
  """The setting of these values, None where they are refused."""
  make = functools.partial(Setting, grid='', row='', seed=0, budget=1)
  try:
    return resolve.setting(raw_values, make)
  except values.Refused:
    return None


def _why_not(word, setting):
  """Says why a word is not chosen for a setting; None: it is."""
  if word != 'native':
    return None
  task = catalog.of(setting, 'task')
  if not task.has('drawn_inputs', dict(setting.task_options)):
    return 'inputs that are not drawn in it'
  if not task.has('error_at_end', dict(setting.task_options)):
    return 'an error at every step, which is slower there'
  if steps(setting) < _STEPS:
    return f'sequences of fewer than {_STEPS} steps'
  return why_not_native()


def why_not_native(environ: Mapping[str, str] = os.environ) -> str | None:
  """Says why this machine runs no compiled steps; None: it does.

  It is asked without JAX: one that may have an accelerator uses that.

  Args:
    environ: the environment.
  """
  if machine.may_have_accelerator(environ):
    return 'JAX has an accelerator (else JAX_PLATFORMS=cpu)'
  return library.why_never()
