"""What is written here keeps the promises that lstm_jax asks for."""

from copying import copying
from feedback import rflo
from mingru import mingru

import lstm_jax as lj


def test_the_cell():
  lj.testing.check_cell(mingru)


def test_the_task():
  lj.testing.check_task(copying, length=5)


def test_the_learner():
  task = copying()
  cell = mingru(task.num_inputs, task.num_outputs, hidden=2)
  lj.testing.check_learner(rflo, cell, task, length=5)
