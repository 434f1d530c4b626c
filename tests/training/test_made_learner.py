"""A learner that comes made is of this cell, task and length, or refused."""

import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.training.made_learner import check_made_for

TASK = lj.adding(output='linear')
CELL = lj.srn(2, 1, hidden=2)
RATE = {'learning_rate': np.full((), 0.1, np.float32)}
LENGTH = 6


def outer(cell, task, length):
  """A rule that steps within the sequence and judges what it has by then."""
  rule = lj.bptt(cell, task, length=length)

  def update(state, episode):
    halfway, _ = rule.update(state, episode)
    after, _ = rule.update(halfway, episode)
    return after, rule.judge(halfway.params, episode)

  return rule._replace(update=update)


def of_its_own_rate(cell, task, length):
  """The same, at a rate that stands in it."""
  rule = outer(cell, task, length)
  init = lambda key, numbers: rule.init(key, {'learning_rate': 3.0, **numbers})
  return rule._replace(init=init)


RIGHT = {
  'bptt': (lambda: lj.bptt(CELL, TASK, length=LENGTH), RATE),
  'within a sequence': (lambda: outer(CELL, TASK, LENGTH), RATE),
  'at its own rate': (lambda: of_its_own_rate(CELL, TASK, LENGTH), {}),
  'no default': (
    lambda: lj.guess(CELL, TASK),
    {'guess_range': np.full((), np.nan, np.float32)},
  ),
}


@pytest.mark.parametrize('kind', RIGHT)
def test_one_that_was_made_for_them_passes(kind):
  make, numbers = RIGHT[kind]
  check_made_for(make(), CELL, TASK, LENGTH, numbers)


OTHER = lj.srn(2, 1, hidden=3)
SAME_SHAPES = lj.srn(2, 1, hidden=2)._replace(
  step=lambda params, carry, x_t: (carry, params.b_out)
)
SHAPES = (
  r'another cell: its network has w_x \(3, 2\), .*, that of this cell w_x'
)
FAILS = 'another cell or task, it fails on a sequence of this one: '
WRONG = {
  'another size': (lj.elman(OTHER, TASK), SHAPES),
  'another step': (
    lj.elman(SAME_SHAPES, TASK),
    'another cell or task: it judges a sequence of this one otherwise',
  ),
  'another output': (
    lj.elman(CELL, lj.adding(output='logistic')),
    'another cell or task: it judges a sequence of this one otherwise',
  ),
  'another task': (lj.elman(CELL, lj.reber()), FAILS),
  'shorter': (
    lj.bptt(CELL, TASK, length=4),
    'another length: of a sequence of length=6 it learns from another error',
  ),
}


@pytest.mark.parametrize('kind', WRONG)
def test_one_of_something_else_is_refused(kind):
  learner, words = WRONG[kind]
  words = f'learner was made for {words}'
  with pytest.raises(ValueError, match=words) as error:
    check_made_for(learner, CELL, TASK, LENGTH, RATE)
  assert '\n' not in str(error.value)


def test_train_looks_at_a_learner_that_comes_made():
  how = dict(length=LENGTH, seeds=1, max_sequences=2, test_sequences=0)
  how |= {'numbers': {'learning_rate': 0.1}}
  for learner, words in (
    (lj.elman(OTHER, TASK), 'another cell'),
    (lj.bptt(CELL, TASK, length=4), 'another length'),
  ):
    with pytest.raises(ValueError, match=words):
      lj.train(TASK, CELL, learner, **how)
