"""The check of a device, on a CPU: what it needs, runs, records, leaves out."""

import functools
import json

import pytest

from lstm_jax.lab.bench import device, device_tests
from lstm_jax.lab.commands import device_check
from lstm_jax.lab.store import faults

FILE = """
import time
import pytest

def test_passes():
  pass

def test_fails():
  assert 1 == 2

def test_waits():
  pytest.skip('another day')
"""


@pytest.fixture
def on_a_cpu(monkeypatch):
  monkeypatch.setattr(device_check, '_probe', lambda: ('cpu', 'cpu', 1))


@pytest.fixture
def small(monkeypatch, on_a_cpu):
  """Benchmarks of a moment."""
  monkeypatch.setattr(device, 'TRIALS', (('elman', 'srn'),))
  monkeypatch.setattr(device, 'LAYERS', ('srn',))
  for name, changes in (
    ('trials', {'length': 4, 'lanes': (2,)}),
    ('layers', {'sizes': ((3, 2, 2, 4),)}),
  ):
    function = functools.partial(getattr(device, name), **changes)
    monkeypatch.setattr(device, name, function)


def checked(tmp_path, *words):
  path = tmp_path / 'record.json'
  code = device_check.run(['device_check', f'--record={path}', *words])
  return code, json.loads(path.read_text(encoding='utf-8'))


def test_a_cpu_is_refused_with_what_is_needed(on_a_cpu):
  with pytest.raises(device_check.NoAccelerator) as refused:
    device_check.run(['device_check'])
  assert refused.value.exit_code == faults.Exit.USAGE
  line = str(refused.value)
  assert '\n' not in line
  assert 'jax[cuda13]' in line and 'jax[tpu]' in line and '--allow_cpu' in line


def test_all_is_recorded(small, tmp_path, monkeypatch, capsys):
  outcome = device_tests.Outcome(('a::b',), {}, {'a::c': 'why'})
  monkeypatch.setattr(device_tests, 'run', lambda seconds: outcome)
  code, record = checked(tmp_path, '--allow_cpu', '--seconds=100')
  assert code == 0
  assert record['device'] == {'platform': 'cpu', 'kind': 'cpu', 'count': 1}
  assert record['provenance']['jax']
  assert record['tests']['passed'] == ['a::b']
  (trials,) = record['trials']
  assert trials['lanes'] == 2 and trials['us_a_step'] > 0
  assert [figure['asked'] for figure in record['layers']] == ['xla', 'auto']
  assert all(figure['gradient_ms'] > 0 for figure in record['layers'])
  assert record['left_out'] == []
  told = capsys.readouterr().out
  assert '1 test passed, 0 failed, 1 left out' in told
  assert '2 trials of elman, srn: us_a_step' in told


def test_what_there_is_no_time_for_is_named(small, tmp_path):
  words = '--allow_cpu', '--parts=trials,layers', '--seconds=0.0001'
  code, record = checked(tmp_path, *words)
  assert code == 0 and record['trials'] == record['layers'] == []
  assert len(record['left_out']) == 3


def test_a_failed_test_is_in_the_exit_code(small, tmp_path, monkeypatch):
  for outcome in (
    device_tests.Outcome((), {'a::b': 'assert 1 == 2'}),
    device_tests.Outcome(error='the tests took more than 1 s and were ended'),
  ):
    monkeypatch.setattr(device_tests, 'run', lambda seconds, o=outcome: o)
    code, record = checked(tmp_path, '--allow_cpu', '--parts=tests')
    assert code == faults.Exit.FAILED
    assert record['tests']['failed'] == outcome.failed
    assert record['tests']['error'] == outcome.error


def test_a_figure_that_fails_is_recorded(small, tmp_path, monkeypatch):
  def fails(*_):
    raise RuntimeError('no memory\nat all')

  monkeypatch.setattr(device, '_time_layer', fails)
  code, record = checked(tmp_path, '--allow_cpu', '--parts=layers')
  assert code == 0
  assert [figure['error'] for figure in record['layers']] == ['no memory'] * 2


def test_the_tests_run_by_themselves(tmp_path):
  (tmp_path / 'conftest.py').write_text(
    'def pytest_addoption(parser):\n'
    "  parser.addoption('--sample', action='store_true')\n"
  )
  (tmp_path / 'test_it.py').write_text(FILE)
  outcome = device_tests.run(100, ['test_it.py'], tmp_path)
  assert outcome.passed == ('test_it::test_passes',)
  assert outcome.failed == {'test_it::test_fails': 'assert 1 == 2'}
  assert list(outcome.left_out.values()) == ['another day']
  assert not outcome.error
  slow = device_tests.run(0.01, ['test_it.py'], tmp_path)
  assert slow.error == 'test_it.py: it took more than 0 s and was ended'
  some = device_tests.run(100, ['none.py', 'test_it.py'], tmp_path)
  assert some.error == 'none.py: there is no checkout with it here'
  assert some.passed == outcome.passed


def test_the_tests_of_devices_are_there():
  for name in device_tests.TESTS:
    assert (device_tests._ROOT / name).is_file()
