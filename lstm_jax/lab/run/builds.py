"""What runs a setting: its program, or its data and trainer; and their code.

Everything that a setting hands to the library is handed over here.
"""

import re

from lstm_jax.lab.plan import catalog
from lstm_jax.lab.plan.setting import length_is_static
from lstm_jax.lab.store import files, sources

# What runs beside the modules that a setting names.
_HERE = 'lstm_jax.lab.run.builds'
_LOOP = {
  'tasks': ('lstm_jax.lab.run.scheduler', 'lstm_jax.training.lanes'),
  'datasets': ('lstm_jax.lab.run.scheduler', 'lstm_jax.training.epochs'),
}


def build(setting, checked=None):
  """The `lanes.Build` of a setting's program.

  Args:
    setting: one of the program's.
    checked: of `admission.of_task`; None: its task and cell are not looked at.
  """
  import jax
  import numpy as np

  from lstm_jax.lab.run import admission
  from lstm_jax.training import lanes, online

  task = catalog.build('tasks', setting.task, **dict(setting.task_options))
  task.longest(setting.length or 1)  # refuses a length that it cannot have
  cell = catalog.build(
    'cells',
    setting.cell,
    task.num_inputs,
    task.num_outputs,
    **dict(setting.cell_options),
  )
  if checked is not None:
    admission.of_task(checked, setting, task, cell)
  static = {'length': setting.length} if length_is_static(setting) else {}
  learner = catalog.build(
    'learners',
    setting.learner,
    cell,
    task,
    **dict(setting.learner_options),
    **static,
  )
  of_rule = catalog.describe('learners', setting.learner).numbers
  numbers = dict.fromkeys(of_rule, np.float32(np.nan)) | dict(cell.numbers)
  weights = sum(int(np.sum(mask)) for mask in cell.mask)
  weights += learner.extra_weights
  carry = jax.eval_shape(lambda: cell.initial_carry((), np.float32))
  carried = sum(leaf.size for leaf in jax.tree.leaves(carry))
  return lanes.Build(online.program(task, learner), numbers, weights, carried)


def cell_of(setting):
  """`num_inputs -> Cell`, of a setting on data."""
  return lambda num_inputs: catalog.build(
    'cells', setting.cell, num_inputs, 0, **dict(setting.cell_options)
  )


def trainer(setting, make_cell, dataset):
  """The `Trainer` of a setting on its `Dataset`."""
  return catalog.build(
    'trainers',
    setting.learner,
    make_cell,
    dataset,
    **dict(setting.learner_options),
  )


def compiler_of(library):
  """What compiled a library, as it says itself; None where it does not."""
  pattern = rb'(GCC: \([^)\0]*\) [\d.]+|clang version [\d.]+)'
  found = re.findall(pattern, files.read(library))
  return ', '.join(sorted({name.decode() for name in found})) or None


def code(trials, is_native=lambda setting: False):
  """Trial -> the files that run it, see `sources.of_modules`.

  Nothing is imported.

  Args:
    trials: id -> setting.
    is_native: whether compiled loops run the layers of a setting.
  """
  known, found, made = {}, {}, {}
  for name, setting in trials.items():
    native = is_native(setting)
    key = (setting.task, setting.cell, setting.learner, native)
    if key not in made:
      task, learner = (
        catalog.kind_of(role, getattr(setting, role))
        for role in ('task', 'learner')
      )
      modules = (
        *_LOOP[task],
        catalog.module_of(task, setting.task),
        catalog.module_of('cells', setting.cell),
        catalog.module_of(learner, setting.learner),
      )
      files = sources.of_modules(modules, known)
      made[key] = files | sources.of_module(_HERE, known)
      if native:
        made[key] |= sources.of_native()
    found[name] = made[key]
  return found
