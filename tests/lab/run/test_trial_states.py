"""Trials under way go into a checkpoint and come back as they were."""

from types import SimpleNamespace

import numpy as np

from lstm_jax.lab.plan import flags, plan
from lstm_jax.lab.run import recorder
from lstm_jax.lab.store import checkpoints
from lstm_jax.lab.store.setting import trial_id
from lstm_jax.training.loop import TrialState
from tests.hostile import sealed


def test_those_with_networks_and_those_without_side_by_side(tmp_path):
  opened = sealed.folder(tmp_path / 'run')
  made = plan.expand(flags.parse(['sweep', *sealed.LINE.split()], {}))
  trials = {trial_id(setting): setting for setting in made.trials}
  names = list(trials)
  how = flags.Run(progress='none')
  state = recorder.RunState(
    opened, how, trials, {'p': names}, names, {},
    [SimpleNamespace(device_kind='cpu')],
  )  # fmt: skip
  begun = {
    name: TrialState(
      {
        'seen': np.int32(20 + i),
        'curve/errors': np.arange(3.0) + i,
        **({'networks/16/w_x': np.ones((2, 3))} if i == 0 else {}),
      },
      float(i),
    )
    for i, name in enumerate(names)
  }
  assert len(begun) > 1
  state.save(begun)
  saved, problems = checkpoints.load(opened)
  assert not problems and saved[0][1]['form'] == recorder.FORM
  back = state.columns(names, saved)
  assert back.keys() == begun.keys()
  for name, column in begun.items():
    assert back[name].seconds == column.seconds
    assert back[name].leaves.keys() == column.leaves.keys()
    for leaf, array in column.leaves.items():
      np.testing.assert_array_equal(back[name].leaves[leaf], array)
