"""What a main sets before it imports JAX, and that the library sets nothing."""

import json
import os
import types

import pytest

from lstm_jax.lab.run import xla_flags
from lstm_jax.lab.store import machine
from tests import children
from tests.children import ROOT


def flags_after(profile='auto', devices=0, **environ):
  xla_flags.set_flags(profile, devices, environ)
  return environ


def test_flags_are_set():
  environ = flags_after()
  assert environ == {'XLA_FLAGS': xla_flags.cpu_flags({})}
  names = [word.partition('=')[0] for word in xla_flags.cpu_flags({}).split()]
  assert len(names) == len(set(names)) > 0
  assert all(name.startswith('--xla_') for name in names)


def test_what_the_user_has_set_stays():
  name, value = '--xla_cpu_prefer_vector_width', '256'
  given = f'--xla_dump_to=/dumps  {name}={value}'
  words = flags_after(XLA_FLAGS=given)['XLA_FLAGS'].split()
  ours = xla_flags.cpu_flags({}).split()
  (left_out,) = [word for word in ours if word.startswith(name)]
  assert sorted(words) == sorted(
    [*given.split(), *(word for word in ours if word != left_out)]
  )


def test_a_flag_without_a_value_stays():
  names = [word.partition('=')[0] for word in xla_flags.cpu_flags({}).split()]
  environ = flags_after(XLA_FLAGS=' '.join(names))
  assert environ['XLA_FLAGS'] == ' '.join(names)


def test_set_twice_is_set_once():
  once = flags_after()
  assert flags_after(**once) == once


@pytest.mark.parametrize('given', [{}, {'XLA_FLAGS': '--xla_dump_to=/dumps'}])
def test_profile_none_leaves_the_flags_alone(given):
  after = flags_after('none', **given)
  assert after == given


def test_number_of_devices():
  assert flags_after(devices=3)['JAX_NUM_CPU_DEVICES'] == '3'
  given = {'JAX_NUM_CPU_DEVICES': '7'}
  assert flags_after(devices=3, **given)['JAX_NUM_CPU_DEVICES'] == '7'


def test_threads_are_cores_or_devices():
  """Cores of the one CPU device, or the devices that JAX was asked for."""
  cpu, gpu = (
    types.SimpleNamespace(platform=name, device_kind=name)
    for name in ('cpu', 'gpu')
  )
  assert xla_flags.workers([cpu]) == [cpu] * machine.cores()
  assert xla_flags.workers([cpu], 1) == [cpu]
  with pytest.raises(xla_flags.NoDevice, match=r'--devices=999: there are'):
    xla_flags.workers([cpu], 999)
  assert xla_flags.workers([cpu, cpu, cpu]) == [cpu] * 3
  assert xla_flags.workers([gpu]) == [gpu]
  assert xla_flags.workers([gpu, gpu, gpu], 2) == [gpu] * 2
  with pytest.raises(
    xla_flags.NoDevice, match=r'--devices=2: JAX has 1 of gpu'
  ):
    xla_flags.workers([gpu], 2)


def test_an_unknown_profile_is_refused():
  environ = {}
  with pytest.raises(ValueError, match="profile='fast' .* one of auto, none"):
    xla_flags.set_flags('fast', environ=environ)
  assert environ == {}


def run(code, **environ):
  """What a new process prints, as JSON; its environment is clean of flags."""
  clean = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(('XLA', 'JAX', 'LIBTPU'))
  }
  done = children.python('-c', code, env={**clean, **environ})
  return json.loads(done.stdout)


def test_flags_reach_xla():
  """XLA ends the process when it reads a flag it does not know."""
  found = run(
    'from lstm_jax.lab.run import xla_flags\n'
    'xla_flags.set_flags(devices=2)\n'
    'import jax, json\n'
    'total = jax.jit(lambda x: x.sum())(jax.numpy.arange(5.0))\n'
    'print(json.dumps([float(total), len(jax.devices())]))'
  )
  assert found == [10.0, 2]


def test_the_library_changes_no_environment_and_no_configuration():
  found = run(
    'import json, os, pkgutil, importlib\n'
    'import jax\n'
    'environ, config = dict(os.environ), dict(jax.config.values)\n'
    'import lstm_jax\n'
    'names = [m.name for m in pkgutil.walk_packages(\n'
    '  lstm_jax.__path__, "lstm_jax.")]\n'
    'for name in names: importlib.import_module(name)\n'
    'changed = [k for k in config if jax.config.values[k] != config[k]]\n'
    'print(json.dumps([names, os.environ == environ, changed]))',
    XLA_FLAGS='',
  )
  names, same_environ, changed = found
  files = (ROOT / 'lstm_jax').rglob('*.py')
  assert len(names) == len(list(files)) - 1  # all but the package itself
  assert same_environ and changed == []


def test_commands_start_without_jax():
  """Plans, tables and run folders are read in a fraction of a second."""
  found = run(
    'import json, sys\n'
    'import experiments.sweep, lstm_jax.lab.run.engine\n'
    'from lstm_jax.lab.plan import catalog\n'
    'from lstm_jax.lab.report import statistics\n'
    'from lstm_jax.lab.store import checkpoints, folder, lock, provenance\n'
    'from lstm_jax.lab.store import trial_records\n'
    'heavy = ("jax", "jaxlib", "flax", "optax", "scipy", "matplotlib")\n'
    'print(json.dumps([name for name in heavy if name in sys.modules]))'
  )
  assert found == []


@pytest.mark.parametrize(
  'environ, raised, words',
  [
    (
      {'JAX_PLATFORMS': 'cuda'},
      AssertionError(),
      'JAX_PLATFORMS=cuda: no such',
    ),
    (
      {'JAX_PLATFORMS': 'x', 'JAX_NUM_CPU_DEVICES': '2'},
      RuntimeError("Unable to initialize backend 'x'\n" + 'more\n' * 28),
      "JAX_PLATFORMS=x: Unable to initialize backend 'x'; unset",
    ),
    ({}, RuntimeError('no device'), 'jax: no device'),
  ],
)
def test_no_device_is_a_line(monkeypatch, environ, raised, words):
  def devices():
    raise raised

  monkeypatch.setattr('jax.local_devices', devices)
  with pytest.raises(xla_flags.NoDevice) as caught:
    xla_flags.devices(environ)
  assert words in str(caught.value) and '\n' not in str(caught.value)
  assert caught.value.exit_code == 2


def test_flags_of_ours_are_not_tried(monkeypatch):
  monkeypatch.setattr('subprocess.run', None)
  environ = flags_after()
  assert xla_flags.devices(environ)


@pytest.mark.slow
@pytest.mark.parametrize(
  'flags, words',
  [
    ('--xla_nonsense=3', 'Unknown flag in XLA_FLAGS: --xla_nonsense=3'),
    ('no_dash', 'Could not open file "no_dash"'),
    ('--xla_cpu_prefer_vector_width=abc', "Couldn't interpret value abc"),
  ],
)
def test_a_flag_that_xla_does_not_know_is_a_line(flags, words):
  with pytest.raises(xla_flags.NoDevice) as caught:
    xla_flags.devices(dict(os.environ) | flags_after(XLA_FLAGS=flags))
  assert f'XLA_FLAGS={flags}: ' in str(caught.value)
  assert words in str(caught.value) and '\n' not in str(caught.value)
