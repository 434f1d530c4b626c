"""Each promise is broken by something that is committed, and says so."""

import functools
import re

import pytest

import lstm_jax as lj
from lstm_jax import testing
from tests.testing import (
  wrong_cells,
  wrong_datasets,
  wrong_learners,
  wrong_tasks,
)

CHECKS = {
  'cell': (testing.check_cell, testing.CELL_PROMISES, wrong_cells),
  'learner': (
    functools.partial(
      testing.check_learner,
      cell=wrong_learners.CELL,
      task=wrong_learners.TASK,
      length=5,
    ),
    testing.LEARNER_PROMISES,
    wrong_learners,
  ),
  'task': (
    functools.partial(testing.check_task, length=10),
    testing.TASK_PROMISES,
    wrong_tasks,
  ),
  'data set': (
    testing.check_dataset,
    testing.DATASET_PROMISES,
    wrong_datasets,
  ),
}
CASES = [
  (kind, promise.name)
  for kind, (_, promises, _) in CHECKS.items()
  for promise in promises
]


@pytest.mark.parametrize('kind', CHECKS)
def test_every_promise_has_something_that_breaks_it(kind):
  _, promises, wrong = CHECKS[kind]
  assert [promise.name for promise in promises] == list(wrong.WRONG)


@pytest.mark.parametrize(('kind', 'promise'), CASES)
def test_what_breaks_a_promise_is_rejected_with_its_message(kind, promise):
  check, promises, wrong = CHECKS[kind]
  subject, words = wrong.WRONG[promise]
  others = [one.name for one in promises if one.name != promise]
  how = {'exact': True} if promise == 'exact' else {}
  with pytest.raises(testing.Broken, match=words) as error:
    check(subject, name='mine', without=others, **how)
  message = str(error.value)
  assert message.startswith(f'{kind} mine: ') and '\n' not in message
  (where,) = [one.where for one in promises if one.name == promise]
  assert message.endswith(f'({where})')


@pytest.mark.parametrize('kind', CHECKS)
def test_a_failure_is_raised_or_returned(kind):
  check, promises, wrong = CHECKS[kind]
  first, *others = (one.name for one in promises)
  subject, words = wrong.WRONG[first]
  (failure,) = check(subject, name='mine', without=others, raises=False)
  assert failure.promise == first
  assert re.search(words, failure.message), failure.message


def test_a_rate_of_zero_is_one_for_good():
  check, promises, _ = CHECKS['learner']
  subject, words = wrong_learners.FURTHER['learns']
  others = [one.name for one in promises if one.name != 'learns']
  with pytest.raises(testing.Broken, match=words):
    check(subject, without=others)


@pytest.mark.slow
def test_what_is_right_has_nothing_against_it():
  """What the wrong ones are made of; else the tests of the catalog say it."""
  assert testing.check_cell(wrong_cells.CELL) == ()
  assert testing.check_cell(wrong_cells.PARTS) == ()
  how = {'cell': wrong_learners.CELL, 'task': wrong_learners.TASK, 'length': 5}
  assert testing.check_learner(wrong_learners.RULE, **how) == ()
  assert testing.check_task(wrong_tasks.TASK, length=10) == ()
  assert testing.check_dataset(wrong_datasets.DATA) == ()


def test_all_failures_are_told_at_once():
  cell = wrong_cells.CELL._replace(
    init=wrong_cells.WRONG['init'][0].init,
    step=wrong_cells.WRONG['one_hot'][0].step,
  )
  only = [
    one.name
    for one in testing.CELL_PROMISES
    if one.name not in ('init', 'one_hot')
  ]
  with pytest.raises(testing.Broken) as error:
    testing.check_cell(cell, name='mine', without=only)
  first, *lines = str(error.value).splitlines()
  assert first == '2 broken promises' and len(lines) == 2
  # Without its shapes nothing else can be looked at.
  bad = cell._replace(num_outputs=1)
  (failure,) = testing.check_cell(bad, raises=False)
  assert failure.promise == 'shapes'


def test_what_is_no_cell_and_what_is_no_promise():
  with pytest.raises(testing.Broken, match='cell int: is a class'):
    testing.check_cell(int)
  with pytest.raises(ValueError, match="without='x': choose from shapes"):
    testing.check_cell(wrong_cells.CELL, without=('x',))


def test_python_that_looks_at_values_is_named():
  def step(params, carry, x_t):
    if x_t[0] > 0:
      carry = carry._replace(h=carry.h + 1)
    return wrong_cells.CELL.step(params, carry, x_t)

  (failure,) = testing.check_cell(
    wrong_cells.CELL._replace(step=step), name='mine', raises=False
  )
  assert 'cannot be compiled: Python looks at values' in failure.message


@pytest.mark.parametrize('cell', [lj.gru, lj.lstm])
def test_a_factory_has_the_name_of_its_function(cell):
  only = [
    one.name for one in testing.CELL_PROMISES if one.name not in ('static',)
  ]
  assert testing.check_cell(cell, without=only) == ()
