"""A loop of trials keeps what is each trial's own, whatever lane it gets."""

import jax
import numpy as np

from lstm_jax.training import lanes, online
from lstm_jax.training.compilation import Compiled
from lstm_jax.training.loop import Job
from tests import scripted


def test_what_is_a_trials_own_goes_with_it():
  build = lanes.Build(
    online.program(scripted.task(), scripted.learner()),
    {key: np.float32(value) for key, value in scripted.SCRIPT.items()},
  )
  compiled = Compiled(jax.devices()[0])
  loop = build.loop('one', compiled, (2,), tests=32)
  first, stays, joins = (
    Job(name, 'one', seed, {'right_from': n}, 5, 10**6)
    for seed, (name, n) in enumerate((('a', 0), ('b', 500), ('c', 600)))
  )
  # One that is under way, as a checkpoint has it.
  alone = loop.start([joins], {})
  alone, done = loop.advance(alone, 50)
  begun = loop.snapshot(loop.charge(alone, 7.0))
  assert begun['c'].seconds == 7.0 and int(begun['c'].leaves['seen']) == 50

  state = loop.start(
    [first, stays],
    {
      'b': loop.snapshot(
        loop.charge(loop.advance(loop.start([stays], {}), 9)[0], 3.0)
      )['b']
    },
  )
  assert loop.snapshot(state)['b'].seconds == 3.0
  assert loop.num_free(state) == 0  # of no width yet: nothing has run
  ended = False
  while not ended:
    state, done = loop.advance(state, 1)
    ended = done.has_ended
  state = loop.charge(state, 2.0)
  assert loop.snapshot(state).keys() == {'a', 'b'}  # until it is taken out
  state, (outcome,) = loop.results(state)
  assert (outcome.id, outcome.status, outcome.seconds) == ('a', 'solved', 1.0)
  assert loop.num_free(state) == 1
  state = loop.join(state, [joins], begun)
  held = loop.snapshot(state)
  assert {name: one.seconds for name, one in held.items()} == {
    'b': 4.0, 'c': 7.0
  }  # fmt: skip
  assert int(held['c'].leaves['seen']) == 50
  assert int(held['b'].leaves['seen']) == 9 + done.seen['a']
  state, done = loop.advance(state, 5)
  assert done.seen == {'b': int(held['b'].leaves['seen']) + 5, 'c': 55}
  assert {name: one.seconds for name, one in loop.snapshot(state).items()} == {
    'b': 4.0, 'c': 7.0
  }  # fmt: skip
