"""The part of a plan that a process runs, as its batch system says it.

Tasks of an array, of an indexed job and of a job step know their number by
variables of the environment. Where these leave it open which part of how many a
task is, it is refused: trials that no task runs would be missed by nobody.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from lstm_jax.lab.plan import values


class JobPart(NamedTuple):
  """A part of a plan.

  Attributes:
    part: 0 <= part < parts.
    parts: how many there are.
    reason: the variables that say so; of the whole plan what there is to say,
      mostly ''.
  """

  part: int = 0
  parts: int = 1
  reason: str = ''


WHOLE = JobPart()


def of_environment(
  environ: Mapping[str, str],
  is_interactive: bool,
  is_one_program: bool = False,
) -> JobPart:
  """Returns the part that the environment of a process speaks of.

  Args:
    environ: the environment.
    is_interactive: whether somebody types: no batch job has a terminal, and
      what is set there is left over, or of the shell's own job.
    is_one_program: whether the processes of a job step or of an indexed job
      are one program, whose processes JAX counts itself.

  Raises:
    Refused: the variables do not say which part of how many it is.
  """
  array = (
    _slurm_array(environ)
    or _sge_array(environ)
    or _lsf_array(environ)
    or _pbs_array(environ)
    or (None if is_one_program else _kubernetes(environ))
    or WHOLE
  )
  step = WHOLE if is_one_program else _slurm_step(environ)
  parts = array.parts * step.parts
  if parts == 1:
    return WHOLE
  reason = ', '.join(of.reason for of in (array, step) if of.parts > 1)
  part = array.part * step.parts + step.part
  if is_interactive:
    return JobPart(
      reason=f'{reason} is set, but somebody types here: all of the plan is '
      f'run; --shard={part}/{parts} runs that part'
    )
  return JobPart(part, parts, reason)


def _slurm_array(environ):
  """Of an array with holes only the number of its tasks is known."""
  prefix = 'SLURM_ARRAY_TASK_'
  if f'{prefix}ID' not in environ:
    return None
  count = _number(environ, f'{prefix}COUNT', 1)
  first = _number(environ, f'{prefix}MIN', 0, '0')
  # Of a single task it may be 0 or missing.
  step = max(_number(environ, f'{prefix}STEP', 0, '1'), 1)
  last = _number(environ, f'{prefix}MAX', 0, str(first + (count - 1) * step))
  part = _of_range(environ, f'{prefix}ID', first, last, step)
  if part is None or part.parts != count:
    raise values.Refused(
      f'{_pair(environ, f"{prefix}ID")}: of {count} tasks from {first} to '
      f'{last} it does not say which part this is; number them without holes, '
      f'as --array=0-{count - 1}, or give --shard=I/N'
    )
  return part


def _sge_array(environ):
  name = 'SGE_TASK_ID'
  if environ.get(name, 'undefined') == 'undefined':
    return None  # not an array
  first = _number(environ, 'SGE_TASK_FIRST', 1)
  last = _number(environ, 'SGE_TASK_LAST', 1)
  step = _number(environ, 'SGE_TASK_STEPSIZE', 1, '1')
  part = _of_range(environ, name, first, last, step)
  if part is None:
    raise values.Refused(
      f'{_pair(environ, name)}: outside of the tasks from {first} to {last} in '
      f'steps of {step}; give --shard=I/N'
    )
  return part


def _lsf_array(environ):
  """The first number is known by the name of the job at most; else it is 1."""
  name = 'LSB_JOBINDEX'
  if environ.get(name, '0') == '0':
    return None  # not an array
  last = _number(environ, 'LSB_JOBINDEX_END', 1)
  step = _number(environ, 'LSB_JOBINDEX_STEP', 1, '1')
  _, bracket, shape = environ.get('LSB_JOBNAME', '').partition('[')
  regular = re.match(r'(\d+)-\d+(:\d+)?\]', shape)
  first = int(regular[1]) if regular else 1
  part = _of_range(environ, name, first, last, step)
  if part is None or (bracket and ',' in shape):
    raise values.Refused(
      f'{_pair(environ, name)}: of the tasks up to {last} it does not say '
      f'which part this is; number them without holes, as -J "name[1-{last}]", '
      'or give --shard=I/N'
    )
  return part


def _pbs_array(environ):
  """PBS does not say how many tasks an array has."""
  for name in ('PBS_ARRAY_INDEX', 'PBS_ARRAYID'):
    if name in environ:
      raise values.Refused(
        f'{_pair(environ, name)}: PBS does not say of how many tasks; give '
        f'--shard=${name}/N, for an array that is numbered from 0 to N - 1'
      )
  return None


def _kubernetes(environ):
  name, total = 'JOB_COMPLETION_INDEX', 'JOB_COMPLETIONS'
  if name not in environ:
    return None
  if total not in environ:
    raise values.Refused(
      f'{_pair(environ, name)}: of how many is not said; set {total} in the '
      "manifest to the job's completions, or give --shard=I/N"
    )
  count = _number(environ, total, 1)
  part = _of_range(environ, name, 0, count - 1, 1)
  if part is None:
    raise values.Refused(
      f'{_pair(environ, name)}: outside of {total}={count}; give --shard=I/N'
    )
  return part


def _slurm_step(environ):
  """A process among those that one srun has started.

  A batch script has SLURM_PROCID and SLURM_NTASKS too, and is one process.
  """
  if 'SLURM_STEP_ID' not in environ or 'SLURM_PROCID' not in environ:
    return WHOLE
  total = next(
    (n for n in ('SLURM_STEP_NUM_TASKS', 'SLURM_NTASKS') if n in environ), ''
  )
  if not total:
    return WHOLE
  last = _number(environ, total, 1) - 1
  part = _of_range(environ, 'SLURM_PROCID', 0, last, 1)
  if part is None:
    raise values.Refused(
      f'{_pair(environ, "SLURM_PROCID")}: outside of {_pair(environ, total)}; '
      'give --shard=I/N'
    )
  return part


def _of_range(environ, name, first, last, step):
  """The part of a task among `first`, `first + step`, ...; None: it is none."""
  number = _number(environ, name, 0)
  index, rest = divmod(number - first, step)
  count = (last - first) // step + 1
  if rest or not 0 <= index < count or (last - first) % step:
    return None
  shape = f'{first}-{last}' + (f':{step}' if step > 1 else '')
  return JobPart(index, count, f'{name}={number} of {shape}')


def _number(environ, name, low, default=''):
  text = environ.get(name, default)
  if not text:
    raise values.Refused(
      f'{name}: not set, so that it is not known which part this is; give '
      '--shard=I/N'
    )
  return values.integer(text, name, low)


def _pair(environ, name):
  return f'{name}={environ[name]}'
