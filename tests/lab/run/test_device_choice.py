"""Which device runs a plan: devices that are not there, real plans."""

import types

import pytest

from lstm_jax.lab.plan import estimate, flags, plan
from lstm_jax.lab.run import device_choice

CPU, GPU, TPU = (
  types.SimpleNamespace(platform=platform, device_kind=kind)
  for platform, kind in (
    ('cpu', 'cpu'), ('gpu', 'NVIDIA H100'), ('tpu', 'TPU v5 lite'),
  )
)  # fmt: skip
FEW = '--task=adding --cell=srn --learner=elman --length=100 --seeds=4'
MANY = '--task=adding --cell=lstm --learner=bptt --length=100 --seeds=4000'
DATA = '--grid=sine'


@pytest.fixture(autouse=True)
def this_processor(monkeypatch):
  """One as fast as that of the figures, with two cores."""
  monkeypatch.setattr(estimate, 'slowness', lambda: 1.0)
  monkeypatch.setattr(device_choice.machine, 'cores', lambda: 2)


def chosen(words, found, environ=None, **changes):
  request = flags.parse(['sweep', *words.split(), '--yes'])
  trials = plan.expand(request).trials
  return device_choice.chosen(
    found, request.run._replace(**changes), trials, environ or {},
    lambda: [CPU],
  )  # fmt: skip


def test_a_cpu_alone_is_nothing_to_tell():
  assert chosen(FEW, [CPU]) == ([CPU], '')


@pytest.mark.parametrize(
  'device, name', [(GPU, 'cuda'), (TPU, 'tpu')], ids=['gpu', 'tpu']
)
def test_a_few_small_trials_run_on_the_cpu(device, name):
  devices, line = chosen(FEW, [device])
  assert devices == [CPU]
  assert line.startswith('On the CPU: about ') and '\n' not in line
  assert 'not measured' in line and device.device_kind in line
  assert line.endswith(f'JAX_PLATFORMS={name} runs it there.')


def test_many_trials_run_on_the_accelerator():
  devices, line = chosen(MANY, [GPU, GPU])
  assert devices == [GPU, GPU]
  assert line == ('On 2 x NVIDIA H100; JAX_PLATFORMS=cpu runs it on the CPU.')


@pytest.mark.parametrize(
  'environ, changes, words',
  [
    ({'JAX_PLATFORMS': 'cuda'}, {}, 'as JAX_PLATFORMS says'),
    ({}, {'devices': 1}, 'as was asked for'),
    ({}, {'distributed': True}, 'as was asked for'),
  ],
)
def test_what_the_user_says_wins(environ, changes, words):
  devices, line = chosen(FEW, [GPU], environ, **changes)
  assert devices == [GPU]
  assert line == f'On 1 x NVIDIA H100, {words}.'


def test_networks_on_data_stay_on_the_accelerator():
  assert chosen(DATA, [GPU]) == ([GPU], 'On 1 x NVIDIA H100.')


def test_an_accelerator_runs_trials_of_a_setting_side_by_side():
  """Twice as many take as long, more than there are lanes longer."""
  (setting,) = plan.expand(
    flags.parse(['sweep', *FEW.replace('seeds=4', 'seeds=1').split()])
  ).trials
  time = lambda count: estimate.accelerator_seconds([(setting, count)])
  assert time(1) == time(2) == time(4096) < time(4097)
