"""Lanes over all devices of a process: the same outcomes, few lanes idle."""

import json
import os

import jax
import numpy as np
import pytest

from lstm_jax.training.compilation import CPU_WIDTH
from tests import children
from tests.lab.run import test_workers as workers

# A hundred trials of a hundred to a few thousand sequences, on eight devices.
_SHARE = """\
import json, sys
import numpy as np
import jax
from lstm_jax.lab.run import scheduler
from lstm_jax.training import lanes, online
from tests import scripted
from tests.lab.run import test_workers as workers

# Sequences of one length: those that differ leave lanes idle anywhere.
draw = lambda key, length, data=(): scripted.Facts(tuple(key), length)
task = scripted.task()._replace(draw=draw, fresh=draw)
made = lanes.Build(
  online.program(task, scripted.learner()),
  {key: np.float32(value) for key, value in scripted.SCRIPT.items()},
)
count, devices = int(sys.argv[1]), jax.devices()
assert len(devices) == 8
starts = np.random.default_rng(0).integers(2000, 30000, count).tolist()
jobs = [workers.job(i, right_from=n) for i, n in enumerate(starts)]
record = workers.Record()
waiting = {}

def progress(shown):
  # Until the last trial has begun: what is seen then is work with a queue.
  if len(record.outcomes) + len(shown.seen) < count:
    waiting['useful'], waiting['executed'] = shown.useful, shown.executed

ended = scheduler.run(
  jobs, lambda name: made, [devices],
  scheduler.Hooks(record.hooks.outcome, progress), test_sequences=0,
  widths=(16,),
)
assert ended and len(record.outcomes) == count
assert all(o.status == 'solved' for o in record.outcomes.values())
waiting['seen'] = sum(o.seen for o in record.outcomes.values())
print(json.dumps(waiting))
"""


def test_outcomes_are_those_of_one_device():
  devices = jax.devices()[:2]
  record = workers.Record()
  jobs = workers.JOBS * 1
  ended = workers.scheduler.run(
    jobs,
    workers.build,
    [devices],
    record.hooks,
    test_sequences=workers.TESTED,
    widths=(CPU_WIDTH,),
  )
  _, alone = workers.run(jobs, widths=(CPU_WIDTH,))
  assert ended
  np.testing.assert_equal(workers.results(record), workers.results(alone))


def test_what_is_stopped_on_two_devices_goes_on_with_one():
  devices = jax.devices()[:2]
  jobs = workers.JOBS
  first = workers.Record(stop=lambda shown: shown.sequences > 500)
  workers.scheduler.run(
    jobs, workers.slow_build, [devices], first.hooks,
    test_sequences=workers.TESTED, widths=(4,),
  )  # fmt: skip
  left = [job for job in jobs if job.id not in first.outcomes]
  assert 0 < len(first.saved[-1]) <= len(left)
  _, second = workers.run(left, widths=(4,), columns=first.saved[-1])
  _, alone = workers.run(jobs, widths=(4,))
  second.outcomes |= first.outcomes
  np.testing.assert_equal(workers.results(second), workers.results(alone))


@pytest.mark.parametrize(
  'count', [256, pytest.param(4096, marks=pytest.mark.slow)]
)
def test_nine_tenths_of_the_lanes_are_at_work_while_trials_wait(count):
  environ = os.environ | {'JAX_NUM_CPU_DEVICES': '8'}
  done = children.python('-W', 'error', '-c', _SHARE, count, env=environ)
  waiting = json.loads(done.stdout)
  share = waiting['useful'] / waiting['executed']
  assert 0.9 <= share <= 1
