"""A folder of two rows: ended trials, one under way, kept networks."""

import os

import jax
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.lab.store import checkpoints, nets, trial_records
from lstm_jax.lab.store.folder import create_or_open
from lstm_jax.lab.store.setting import entry_of
from lstm_jax.training import learning_curve
from tests.fake_sweep import QUICK, record_of
from tests.gradients import random_net
from tests.lab.plan.test_plan import made

LINE = '--task=adding --length=6,9 --blocks=1 --seeds=3 --budget=500'
CURVES = {
  'sequences': [20, 40, 60],
  'train_error': [0.5, 0.25, 0.125],
  'train_right': [0.0, 0.5, 1.0],
}


def way_of(setting):
  """Networks of three moments, by what they had seen."""
  task = catalog.build('tasks', setting.task, **dict(setting.task_options))
  cell = catalog.build(
    'cells', setting.cell, task.num_inputs, task.num_outputs,
    **dict(setting.cell_options),
  )  # fmt: skip
  return [
    (seen, jax.tree.map(np.float32, random_net(cell, seed))._asdict())
    for seed, seen in enumerate((0, 16, 60))
  ]


def begun(setting):
  """Leaves of a trial after 60 sequences, as a checkpoint has them."""
  curve = learning_curve.start((), np.float32)._asdict()
  curve |= {'points': np.int32(2), 'taken': np.int32(0)}
  errors, rights = np.zeros((2, learning_curve.POINTS))
  errors[:2], rights[:2] = (10, 5), (0, 10)
  curve |= {'errors': errors, 'rights': rights.astype(np.int32)}
  leaves = {f'curve/{k}': np.asarray(v) for k, v in curve.items()}
  leaves |= {
    f'networks/{seen}/{name}': w
    for seen, net in way_of(setting)
    for name, w in net.items()
  }
  return leaves | {'seen': np.int32(60)}


def make_folder(path):
  """Of three trials of a row two have ended and one is under way."""
  settings = made(LINE).trials
  plan = {
    'flags': {}, 'trials': [entry_of(one) for one in settings],
    'programs': {}, 'provenance': {'jax': '0.10.2'},
  }  # fmt: skip
  opened = create_or_open(path, plan, disk=QUICK)
  first, second, third, *_ = opened.trials
  for trial, status, more in (
    (first, 'solved', {'sequences_to_success': 60}),
    (second, 'budget', {'sequences_to_success': None}),
  ):
    record = record_of(trial, np.arange(4.0), status=status, **more)
    trial_records.write_record(opened, record | {'curves': CURVES})
  nets.save_way(opened, first, way_of(opened.trials[first]))
  arrays = {
    f'p.0/{name}': np.asarray(leaf)[..., None]
    for name, leaf in begun(opened.trials[third]).items()
  }
  meta = {'form': 3, 'programs': {'p.0': [[third, 0.5]]}, 'code': {}}
  checkpoints.save(opened, 'state', arrays, meta)
  return opened


@pytest.fixture(scope='session')
def unfinished(tmp_path_factory):
  """The folder, which no test changes."""
  return make_folder(tmp_path_factory.mktemp('serve') / 'run')


def facts_of(path):
  """Every file of a folder: bytes, moment of change and of its directory."""
  return {
    name: (facts.st_mtime_ns, facts.st_size, facts.st_ino)
    for directory, _, names in os.walk(path)
    for name in [directory, *(os.path.join(directory, n) for n in names)]
    for facts in [os.stat(name)]
  }
