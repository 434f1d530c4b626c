"""Programs compiled for an H100 and a TPU v5e on a machine without either.

  pytest -m accelerators

All of them are compiled once a target, in a process of their own.
"""

import functools

import pytest

from tests.accelerators import compiling, programs, record, targets

pytestmark = [
  pytest.mark.accelerators,
  pytest.mark.parametrize('name', targets.TARGETS),
]


@pytest.fixture(scope='module', autouse=True)
def all_packages():
  """Ends the run with one line where a package is missing."""
  lines = filter(None, map(targets.missing, targets.TARGETS))
  if line := next(lines, None):
    pytest.exit(line, returncode=1)


@functools.cache
def found(name, *words):
  """The facts of a target's programs."""
  return list(compiling.of_target(name, *words))


def test_every_program_compiles_and_calls_no_host(name):
  wrongs = [
    f'{facts["name"]}: {wrong}'
    for facts in found(name)
    for wrong in facts['wrongs']
  ]
  assert not wrongs, '\n'.join(wrongs)
  assert len(found(name)) == len(programs.every())


def test_no_program_does_more_than_is_recorded(name):
  lines = record.breaches(record.load()[name]['programs'], found(name))
  assert not lines, '\n'.join(lines)


def test_what_must_not_be_is_seen(name):
  """A call of the host, numbers of float64: red on the target itself."""
  wrongs = {facts['name']: facts['wrongs'] for facts in found(name, 'wrong')}
  assert set(wrongs) == {'callback', 'float64'}
  assert wrongs['float64'] == ['numbers of float64: f64[']
  (line,) = wrongs['callback']  # for a GPU it is not even lowered
  assert line.startswith(
    ('a call of the host', "it fails: Unknown backend: 'gpu'")
  )


def test_no_flag_of_cpus(name):
  flags = targets.environment(name, {})['XLA_FLAGS']
  assert 'xla_cpu_small_while_loop' in flags
  assert not targets.flags_of_cpus(flags)
