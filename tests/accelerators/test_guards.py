"""The guards on programs for accelerators, each seen red, on this CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.lab.run import builds, xla_flags
from tests.accelerators import (
  compiled_text,
  covering,
  programs,
  record,
  targets,
)


@pytest.fixture(scope='module')
def possible():
  """All that can be put together: thousands of command lines."""
  return covering.possible()


@pytest.fixture(scope='module')
def all_programs(possible):
  """The programs that are compiled."""
  return programs.every(possible)


def compiled(function, *args):
  return jax.jit(function).lower(*args).compile().as_text()


def test_a_call_of_the_host_is_seen():
  def telling(x):
    jax.debug.callback(lambda value: None, x)
    return x + 1

  (line,) = compiled_text.wrongs(compiled(telling, np.ones(4, np.float32)))
  assert line.startswith('a call of the host: custom_call_target=')
  assert not compiled_text.wrongs(compiled(jnp.sin, np.ones(4, np.float32)))


def test_float64_is_seen(x64):
  assert compiled_text.wrongs(compiled(jnp.sin, np.ones(4))) == [
    'numbers of float64: f64['
  ]


def test_a_call_of_a_cpu_library_is_seen():
  text = compiled(jnp.linalg.cholesky, np.eye(3, dtype=np.float32))
  (line,) = compiled_text.wrongs(text)
  assert line.startswith('a call of a CPU library: custom_call_target="lapack_')


def test_flags_that_an_accelerator_would_read_are_seen():
  flags = xla_flags.flags_of('auto', {'JAX_PLATFORMS': 'cpu'})
  assert targets.flags_of_cpus(flags) == ['--xla_backend_optimization_level=1']
  assert targets.flags_of_cpus('--xla_backend_extra_options=a=1') == [
    '--xla_backend_extra_options=a=1'
  ]


def test_what_loops_a_program_has():
  """One that the compiler can count, in one that it cannot."""

  def count(n, x):
    def outer(i, x):
      return jax.lax.fori_loop(0, 7, lambda i, x: jnp.sin(x @ x), x) + x

    return jax.lax.fori_loop(0, n, outer, x)

  (loop,) = compiled_text.loops_of(
    compiled(count, np.int32(3), np.ones((8, 8), np.float32))
  )
  assert loop.function == 'count' and loop.trips is None and loop.asks
  (inner,) = loop.loops
  assert inner.function == 'outer' and inner.trips == 7 and not inner.asks
  assert loop.kernels > 7 * inner.kernels > 0


@pytest.mark.parametrize('platform', ['cpu', 'gpu'])
def test_a_loop_by_blocks_does_not_ask_at_every_step(platform):
  setting = covering.setting_of(('elman', 'srn', 'adding'))
  assert setting is not None
  device = jax.devices()[0]
  *_, (_, lowered) = programs.of_trials('elman', setting, 4).parts(
    device, platform
  )
  (loop,) = compiled_text.step_loops(lowered.compile().as_text(), True)
  assert loop.asks == (platform == 'cpu')


def test_the_covering_covers(possible):
  """All entries of the catalog, those of a learner with all it can have."""
  chosen = covering.covering(possible, 10**6)
  assert set().union(*map(covering.pairs_of, chosen)) == set().union(
    *map(covering.pairs_of, possible)
  )
  few = covering.covering(possible, programs.MOST_TRIALS)
  assert few == chosen[: programs.MOST_TRIALS]
  assert len(few) + 2 * len(programs.LAYERS) <= covering.MOST <= 60
  for place, kind in enumerate(('learners', 'cells', 'tasks')):
    assert {triple[place] for triple in few} == set(catalog.names(kind))


def test_a_new_entry_is_covered():
  old = {('a', 'x', '1'), ('a', 'y', '1'), ('b', 'x', '2')}
  chosen = covering.covering(old, 3)
  assert set(chosen) == old
  new = covering.covering({*old, ('a', 'z', '2'), ('c', 'x', '1')}, 4)
  assert {triple[0] for triple in new} == {'a', 'b', 'c'}
  assert {triple[1] for triple in new} >= {'z'}
  refused = covering.covering(old, 3, lambda triple: triple[0] != 'b')
  assert refused == [('a', 'x', '1'), ('a', 'y', '1')]


def test_more_than_is_recorded_is_a_breach():
  recorded = {'a': {'kernels': 10, 'asks': 0, 'bytes': 100.0}}
  within = {'name': 'a', 'kernels': 12, 'asks': 0, 'bytes': 189.0}
  assert not record.breaches(recorded, [within])
  worse = {'name': 'a', 'kernels': 13, 'asks': 1, 'bytes': 190.0}
  assert record.breaches(recorded, [worse]) == [
    'a: kernels 13, recorded 10, at most 12',
    'a: asks 1, recorded 0, at most 0',
    'a: bytes 190.0, recorded 100.0, at most 189',
  ]
  assert record.breaches(recorded, [{'name': 'b'}]) == ['b: not recorded']


def test_the_record_is_of_the_programs_that_there_are(all_programs):
  names = {program.name for program in all_programs}
  for name, target in record.load().items():
    assert set(target['programs']) == names, f'{name}: {record.COMMAND}'
    assert target['versions']['jax'] and target['lanes'] == programs.LANES


@pytest.mark.parametrize('place', range(3), ids=['learners', 'cells', 'tasks'])
def test_every_entry_is_in_a_program(all_programs, place):
  """Also after those that cannot be built have been left out."""
  kind = ('learners', 'cells', 'tasks')[place]
  words = [program.name.split() for program in all_programs]
  of_trials = [name for name in words if name[0] != 'layer']
  assert len(of_trials) == programs.MOST_TRIALS
  assert {name[place] for name in of_trials} == set(catalog.names(kind))


def test_a_program_that_is_too_large_is_left_out():
  """The square of its weights is more than a trial may keep."""
  few = covering.setting_of(('kf', 'lstm1997', 'temporal_order'))
  many = covering.setting_of(('kf', 'lstm1997', 'word_problem'))
  none = covering.setting_of(('kf', 'lstm', 'word_problem'))
  assert few and many and none
  builds.build(many)  # it could be built all the same
  assert covering.can_be_built(few)
  assert not covering.can_be_built(many)
  with pytest.raises(ValueError, match='more than most_weights=2000'):
    builds.build(none)
  assert not covering.can_be_built(none)


def test_what_is_missing_is_said_in_one_line(monkeypatch):
  monkeypatch.setattr(targets, '_is_there', lambda module: False)
  for name in targets.TARGETS:
    line = targets.missing(name)
    assert '\n' not in line and "pip install 'lstm_jax[accelerators]'" in line
