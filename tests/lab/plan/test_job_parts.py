"""A task of a batch job runs its part; where that is unclear it is refused."""

import pytest

from lstm_jax.lab.plan import job_parts, values


def slurm(**facts):
  return {f'SLURM_ARRAY_TASK_{name}': str(fact) for name, fact in facts.items()}


def sge(task, first, last, step=1):
  names = ('ID', 'FIRST', 'LAST', 'STEPSIZE')
  facts = (task, first, last, step)
  return {f'SGE_TASK_{n}': str(f) for n, f in zip(names, facts, strict=True)}


def lsf(index, last, **facts):
  return {'LSB_JOBINDEX': str(index), 'LSB_JOBINDEX_END': str(last), **facts}


def process(index, count, **facts):
  # As a step of srun has them.
  return {
    'SLURM_PROCID': str(index),
    'SLURM_NTASKS': str(count),
    'SLURM_STEP_ID': '0',
    **facts,
  }


def part(environ, **how):
  return job_parts.of_environment(environ, False, **how)[:2]


@pytest.mark.parametrize(
  'environ, expected',
  [
    ({}, (0, 1)),
    # --array=0-3, =1-4, =0-20:5, =0-22:5, and task 2 once more alone.
    (slurm(ID=2, COUNT=4), (2, 4)),
    (slurm(ID=3, COUNT=4, MIN=1, MAX=4, STEP=1), (2, 4)),
    (slurm(ID=20, COUNT=5, MIN=0, MAX=20, STEP=5), (4, 5)),
    (slurm(ID=2, COUNT=1, MIN=2, MAX=2, STEP=1), (0, 1)),
    (slurm(ID=2, COUNT=1, MIN=2, MAX=2, STEP=0), (0, 1)),
    # Two that have failed, --array=2,5: a range in steps of three.
    (slurm(ID=5, COUNT=2, MIN=2, MAX=5, STEP=3), (1, 2)),
    ({'SGE_TASK_ID': 'undefined'}, (0, 1)),
    (sge(3, 1, 8), (2, 8)),
    (sge(7, 1, 8, 3), None),
    (sge(7, 1, 7, 3), (2, 3)),
    ({'LSB_JOBINDEX': '0'}, (0, 1)),
    (lsf(8, 8), (7, 8)),
    (lsf(5, 9, LSB_JOBINDEX_STEP='2'), (2, 5)),
    (lsf(5, 8, LSB_JOBNAME='name[5-8]%2'), (0, 4)),
    ({'JOB_COMPLETION_INDEX': '3', 'JOB_COMPLETIONS': '8'}, (3, 8)),
    (process(2, 4), (2, 4)),
    (process(2, 4, SLURM_STEP_NUM_TASKS='3'), (2, 3)),
    # A batch script is one process, however many tasks it may start.
    ({'SLURM_PROCID': '0', 'SLURM_NTASKS': '4'}, (0, 1)),
    # An array of two tasks, of three processes each.
    (slurm(ID=1, COUNT=2) | process(2, 3), (5, 6)),
  ],
)
def test_parts(environ, expected):
  if expected is None:
    with pytest.raises(values.Refused):
      part(environ)
  else:
    assert part(environ) == expected


@pytest.mark.parametrize(
  'shape',
  [range(4), range(1, 5), range(0, 21, 5), (2,), (2, 5), (1, 3, 7), (0, 1, 5)],
)
def test_no_trial_is_left_without_a_part(shape):
  """The tasks of any array cover the plan, or say that they do not."""
  step = shape[1] - shape[0] if len(shape) > 1 else 1
  facts = {'COUNT': len(shape), 'MIN': shape[0], 'MAX': shape[-1]}
  for said in {step, 1}:
    try:
      parts = [part(slurm(ID=i, STEP=said, **facts)) for i in shape]
    except values.Refused as refused:
      assert '--array=0-' in str(refused) and '--shard=I/N' in str(refused)
      assert step != said or shape in ((1, 3, 7), (0, 1, 5))
    else:
      assert sorted(parts) == [(i, len(shape)) for i in range(len(shape))]


@pytest.mark.parametrize(
  'environ, words',
  [
    (slurm(ID=2), 'SLURM_ARRAY_TASK_COUNT: not set'),
    (slurm(ID=4, COUNT=4), 'SLURM_ARRAY_TASK_ID=4: of 4 tasks from 0 to 3'),
    (slurm(ID='x', COUNT=4), 'SLURM_ARRAY_TASK_ID=x: must be'),
    ({'PBS_ARRAY_INDEX': '3'}, '--shard=$PBS_ARRAY_INDEX/N'),
    ({'PBS_ARRAYID': '3'}, '--shard=$PBS_ARRAYID/N'),
    ({'JOB_COMPLETION_INDEX': '3'}, 'set JOB_COMPLETIONS in the manifest'),
    (
      {'JOB_COMPLETION_INDEX': '3', 'JOB_COMPLETIONS': '3'},
      'outside of JOB_COMPLETIONS=3',
    ),
    (lsf(9, 8), 'LSB_JOBINDEX=9'),
    (lsf(3, 8, LSB_JOBNAME='name[1,3,8]'), '-J "name[1-8]"'),
    (process(4, 4), 'SLURM_PROCID=4: outside of SLURM_NTASKS=4'),
  ],
)
def test_what_is_unclear_is_one_line(environ, words):
  with pytest.raises(values.Refused) as caught:
    part(environ)
  assert words in str(caught.value) and '\n' not in str(caught.value)


def test_what_is_left_over_in_a_shell_is_said():
  """No batch job has a terminal: all runs, and a line says what does not."""
  found = job_parts.of_environment(slurm(ID=2, COUNT=4), True)
  assert found[:2] == (0, 1)
  assert found.reason.startswith('SLURM_ARRAY_TASK_ID=2 of 0-3 is set, but ')
  # A shell by `srun --pty` is the only process of its step.
  assert job_parts.of_environment(process(0, 1), True) == job_parts.WHOLE


@pytest.mark.parametrize(
  'environ', [process(1, 4), {'JOB_COMPLETION_INDEX': '1'}]
)
def test_processes_of_one_program_are_counted_by_jax(environ):
  """A slice of TPUs is an indexed job, whose manifest need not say its size."""
  assert part(environ, is_one_program=True) == (0, 1)
  array = slurm(ID=2, COUNT=4)
  assert part(environ | array, is_one_program=True) == (2, 4)
