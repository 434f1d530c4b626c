"""A worker keeps the programs that it has run last, and those at work."""

import types

import pytest

pytest.importorskip('distributed', reason="needs 'lstm_jax[cluster]'")

from lstm_jax.lab.cluster import memory
from lstm_jax.lab.plan.flags import Run
from lstm_jax.training.compilation import CompiledPrograms


def test_programs_that_were_run_long_ago_are_let_go_of():
  most = memory._MOST_PROGRAMS
  names = [f'p{i}' for i in range(2 * most)]
  run = memory.OpenRun(
    None, types.SimpleNamespace(options=Run()), dict.fromkeys(names, 'built')
  )
  code = {name: object() for name in names}
  run.programs['worker'] = CompiledPrograms(
    {(name, 'advance'): code[name] for name in names}, dict(code)
  )
  with run.at_work('p0'):  # another thread's, all the while
    for name in names[1:]:
      with run.at_work(name):
        pass
  left = {'p0', *names[1 - most :]}
  assert set(run.recent) == left == set(run.makers)
  programs = run.programs['worker']
  assert {name for name, _ in programs.by_call} == left == set(programs.by_code)
  # What was at work is one among others now.
  for name in ('new', 'newer'):
    with run.at_work(name):
      pass
  assert 'p0' not in run.makers and len(run.recent) == most
