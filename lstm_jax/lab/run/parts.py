"""Parts of a plan that XLA compiles with different flags, one after the other.

XLA reads its flags once, when a process begins, and those that make small
networks fast make products over a batch twenty times slower. A plan that holds
tasks and data sets therefore runs in parts: when one has ended, the process
executes its own command anew (the same process to whoever has started it), and
that runs the next. Where somebody else's process runs the plan, nothing can be
executed anew, and all of it runs without those flags.
"""

import os
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import NamedTuple, NoReturn

from lstm_jax.lab.plan.programs import learner_of
from lstm_jax.lab.store.setting import Setting

_ENDED_VARIABLE = 'LSTM_JAX_ENDED_PARTS'
# Their words in `Entry.xla_profile`, in the order in which parts run: what
# ends soon comes first.
_ORDER = ('auto', 'none')


class Legacy(NamedTuple):
  """Things that a process leaves to the part that it becomes.

  Attributes:
    environ: name -> words, in the environment of that part.
    descriptors: open files that stay open.
  """

  environ: Mapping[str, str] = {}
  descriptors: tuple[int, ...] = ()


NOTHING = Legacy()


class Part(NamedTuple):
  """The part of a plan that this process runs.

  Attributes:
    profile: which flags XLA has, see `xla_flags.set_flags`.
    profiles: those of the learners whose trials are run.
    all_profiles: those of the whole plan, where it runs in parts; else ().
    ended: those of the parts that the command has been through.
  """

  profile: str
  profiles: tuple[str, ...]
  all_profiles: tuple[str, ...] = ()
  ended: tuple[str, ...] = ()


def next_part(
  settings: Iterable[Setting],
  profile: str,
  is_process: bool,
  environ: MutableMapping[str, str] = os.environ,
) -> Part:
  """Returns the part of a plan that this process is to run.

  Args:
    settings: of the plan.
    profile: the profile that the user asks for, 'auto' or 'none'.
    is_process: whether the command has this process for itself.
    environ: the environment, in which the parts before have left their names;
      they are taken out.
  """
  names = {learner_of(setting).xla_profile for setting in settings}
  profiles = tuple(name for name in _ORDER if name in names)
  ended_profiles = tuple(
    name
    for name in environ.pop(_ENDED_VARIABLE, '').split(',')
    if name in profiles
  )
  if profile == 'none' or len(profiles) == 1 or not is_process:
    return Part(profile if profiles == ('auto',) else 'none', profiles)
  first = next((p for p in profiles if p not in ended_profiles), profiles[-1])
  return Part(first, (first,), profiles, ended_profiles)


def of_part(part: Part, setting: Setting) -> bool:
  """Tells whether a part runs the trials of a setting."""
  return learner_of(setting).xla_profile in part.profiles


def is_last(part: Part, left: Iterable[Setting]) -> bool:
  """Tells whether no part that is still to come has trials that are left."""
  ended_profiles = {*part.ended, *part.profiles}
  return all(
    learner_of(setting).xla_profile in ended_profiles for setting in left
  )


def execute_anew(
  part: Part, environ: Mapping[str, str], legacy: Legacy
) -> NoReturn:
  """Executes this process's command anew, for the next part.

  Args:
    part: the part that has ended.
    environ: the environment as the command was started with.
    legacy: what the next part is left.
  """
  for stream in (sys.stdout, sys.stderr):
    stream.flush()
  ended_profiles = ','.join((*part.ended, *part.profiles))
  for descriptor in legacy.descriptors:
    os.set_inheritable(descriptor, True)
  environ = {**environ, **legacy.environ, _ENDED_VARIABLE: ended_profiles}
  os.execve(sys.executable, list(sys.orig_argv), environ)
