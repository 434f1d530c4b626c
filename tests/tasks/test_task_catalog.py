"""All tasks of the catalog promise what `lstm_jax.testing` asks for."""

import functools

import pytest

from lstm_jax import testing
from lstm_jax.lab.plan import catalog

# A fixed middle has one length; networks of 120 outputs take their time.
OPTIONS = {
  'first_symbol': {'middle': 'random', 'symbols': 5},
  'word_problem': {'group': 's3'},
}
# Numbers and symbols. The other tasks are built of the same parts, and their
# own files hold what is drawn, lane by lane.
ALWAYS = ('adding', 'first_symbol')


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(name, marks=() if name in ALWAYS else pytest.mark.slow)
    for name in catalog.names('tasks')
  ],
)
def test_it_keeps_its_promises(name):
  testing.check_task(
    functools.partial(catalog.build, 'tasks', name),
    length=catalog.describe('tasks', name).shortest + 3,
    options=OPTIONS.get(name),
    name=name,
  )
