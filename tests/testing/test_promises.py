"""What a cell, a task or a data set does not keep is said before training."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import testing
from lstm_jax.dataset import Dataset, Examples, Pool
from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.plan import catalog, dealing, flags, plan
from lstm_jax.lab.run import admission, builds, groups, preparation
from lstm_jax.types import Connection, Stream

CELL = catalog.build('cells', 'srn', 3, 2, hidden=4)
TASK = catalog.build('tasks', 'adding')._replace(
  draw=lambda key, length, data: length,
  fresh=lambda key, length: length,
  correct=lambda episode, t, y_k: y_k[0] > 0,
  stream=lambda length: Stream(
    length,
    lambda t: jnp.stack([t, t * 0.5]),
    lambda t: t[None] * 0.1,
    lambda t: t == length - 1,
  ),
)


class Two(NamedTuple):
  """A carry of which nobody knows what a layer puts out."""

  a: jax.Array
  b: jax.Array


def init_with(**changes):
  """`init` of the cell with arrays of its params replaced."""
  return lambda key, numbers: CELL.init(key, numbers)._replace(**changes)


def mask_with(**changes):
  """The cell whose mask, and so its params, have other arrays."""
  mask = CELL.mask._replace(**changes)
  init = lambda key, numbers: jax.tree.map(jnp.asarray, mask)
  return CELL._replace(mask=mask, init=init, equations=None)


def by_sums(params, carry, x_t):
  """A step whose products broadcast whatever has one column."""
  product = lambda w, z: jnp.sum(w * z[None], axis=1)
  net = product(params.w_x, x_t) + product(params.w_h, carry.h) + params.b
  h_t = jnp.tanh(net)
  return carry._replace(h=h_t), product(params.w_out, h_t) + params.b_out


def step_with(change):
  """The cell whose step gives `change(carry, net)`."""
  return CELL._replace(step=lambda *given: change(*CELL.step(*given)))


ONE_COLUMN = np.ones((4, 1), np.float32)


@pytest.mark.parametrize(
  ('cell', 'words'),
  [
    (None, 'is None'),
    (CELL._replace(init=init_with(w_x=jnp.ones((4, 1)))), r'w_x is .*\[4, 1\]'),
    (CELL._replace(init=init_with(b=jnp.ones(1))), r'b is float32\[1\]'),
    (CELL._replace(init=init_with(b=None)), 'params of init'),
    (CELL._replace(init=lambda key, numbers: {'w': jnp.ones(1)}), "'w'"),
    (CELL._replace(init=init_with(b=jnp.ones(4, int))), 'int32'),
    (mask_with(b=np.full(4, 2.0)), 'nothing but 0 and 1'),
    (mask_with(w_x=ONE_COLUMN), 'cannot be taken'),
    (mask_with(w_h=ONE_COLUMN), 'cannot be taken'),
    (mask_with(w_x=ONE_COLUMN)._replace(step=by_sums), 'all 3 inputs act'),
    (mask_with(w_h=ONE_COLUMN)._replace(step=by_sums), 'all 4 h act'),
    (step_with(lambda carry, net: (carry, net[:1])), r'\[1\], must be'),
    (step_with(lambda carry, net: (carry, net[:, None])), 'step gives outputs'),
    (step_with(lambda carry, net: (tuple(carry), net)), 'carry after a step'),
    (
      step_with(lambda carry, net: (carry._replace(h=carry.h[:1]), net)),
      r'h is float32\[1\]',
    ),
    (
      step_with(lambda carry, net: (carry._replace(h=carry.h > 0), net)),
      'h is bool',
    ),
    (
      CELL._replace(initial_carry=lambda lanes=(), dtype=0: {'h': jnp.ones(4)}),
      'must be a NamedTuple',
    ),
    (
      CELL._replace(
        initial_carry=lambda lanes=(), dtype=0: CELL.initial_carry()
      ),
      'lanes last',
    ),
    (
      CELL._replace(equations=CELL.equations._replace(output='y')),
      "'y', must be h",
    ),
    (
      step_with(lambda carry, net: (carry, net, net)),
      r'step: gives a tuple of 3, must be the pair \(carry, outputs\)',
    ),
    (
      CELL._replace(mask=jax.tree.map(jnp.asarray, CELL.mask)),
      'mask.w_x is a jax.Array, must be an array of numpy',
    ),
    (CELL._replace(numbers=None), 'numbers: is None, must be a Mapping'),
    (
      CELL._replace(numbers={'init_range': 0.1}),
      r"numbers\['init_range'\] is a float, must be an array of numpy",
    ),
    (
      CELL._replace(
        equations=CELL.equations._replace(recurrent=(Connection('w_x', 'h'),))
      ),
      r'W_h is \[4, 3\], must be \[4, 4\]',
    ),
  ],
)
def test_a_cell_that_breaks_its_promises_is_named(cell, words):
  with pytest.raises(testing.Broken, match=words) as error:
    testing.admit_cell('mine', cell)
  assert str(error.value).startswith('cell mine: ')
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('name', catalog.names('cells'))
def test_every_cell_keeps_its_promises(name):
  for inputs in (1, 3):
    testing.admit_cell(name, catalog.build('cells', name, inputs, 1))
  cell = catalog.build('cells', name, 2, 0)
  testing.admit_cell(name, cell, layer=True)
  # Without equations a layer scans the cell's step.
  testing.admit_cell(name, cell._replace(equations=None), layer=True)


@pytest.mark.parametrize(
  'grid', [pytest.param('paper1997', marks=pytest.mark.slow), 'quickstart']
)
def test_the_cells_of_a_grid_keep_their_promises(grid):
  """Nets of one cell and of a hundred inputs among them."""
  made = plan.expand(flags.parse(['sweep', f'--grid={grid}']))
  nets = {
    (one.task, one.task_options, one.cell, one.cell_options)
    for one in made.trials
  }
  assert len(nets) > 2
  for task, of_task, cell, of_cell in nets:
    task = catalog.build('tasks', task, **dict(of_task))
    sizes = task.num_inputs, task.num_outputs
    built = catalog.build('cells', cell, *sizes, **dict(of_cell))
    testing.admit_cell(cell, built)


def test_a_layer_of_a_cell_that_has_a_step_alone():
  cell = catalog.build('cells', 'srn', 3, 0)._replace(equations=None)
  testing.admit_cell('mine', cell, layer=True)
  with pytest.raises(testing.Broken, match='all 3 inputs act'):
    testing.admit_cell(
      'mine', mask_with(w_x=ONE_COLUMN)._replace(step=by_sums), layer=True
    )
  # A layer takes the step of one sequence at a time.
  with pytest.raises(testing.Broken, match=r'h is float32\[1\]'):
    short = step_with(lambda carry, net: (carry._replace(h=carry.h[:1]), net))
    testing.admit_cell('mine', short._replace(equations=None), layer=True)
  two = lambda lanes=(), dtype=0: Two(jnp.ones(lanes), jnp.ones(lanes))
  with pytest.raises(testing.Broken, match='which field'):
    testing.admit_cell('mine', cell._replace(initial_carry=two), layer=True)


def test_an_error_of_the_code_itself_passes_through():
  def step(params, carry, x_t):
    raise RuntimeError('mine')

  with pytest.raises(RuntimeError, match='mine'):
    testing.admit_cell('mine', CELL._replace(step=step))


def stream_with(**changes):
  """The task whose streams have other parts, made of the old ones."""

  def stream(episode):
    made = TASK.stream(episode)
    return made._replace(**{k: f(made) for k, f in changes.items()})

  return TASK._replace(stream=stream)


ALWAYS = lambda value: lambda made: lambda t: value(made, t)


@pytest.mark.parametrize(
  ('task', 'words'),
  [
    (CELL, 'is a Cell, must be a Task'),
    (TASK._replace(num_inputs=3), r'inputs .* are \[2, 4\].*\[3, 4\]'),
    (TASK._replace(num_outputs=2), r'targets .* are \[1, 4\].*\[2, 4\]'),
    (TASK._replace(loss=lambda net, target: net), 'loss of'),
    (TASK._replace(output=lambda net: net[0]), 'output of'),
    (TASK._replace(longest=lambda length: length - 1), 'must have 1 to'),
    (TASK._replace(stream=lambda episode: episode), 'must be a Stream'),
    (
      TASK._replace(longest=lambda length: 6.6),
      r'longest\(6\) is 6.6, must be',
    ),
    (TASK._replace(stop_rule=None), 'stop_rule: is None, must be a StopRule'),
    (
      TASK._replace(correct=lambda episode, t, y_k: y_k[0]),
      r'draw: correct gives float32\[4\], must be bool\[4\]',
    ),
    (
      TASK._replace(correct=lambda episode, t, y_k: y_k > 0),
      r'correct gives bool\[1, 4\]',
    ),
    (stream_with(length=lambda made: made.length * 0), 'must have 1 to'),
    (stream_with(length=lambda made: made.length * 1.0), 'must be integers'),
    (
      stream_with(scored_at=ALWAYS(lambda made, t: t < 0)),
      'without a step whose error counts',
    ),
    (
      stream_with(
        input_at=ALWAYS(
          lambda made, t: jnp.where(t == 3, jnp.nan, made.input_at(t))
        )
      ),
      'an input is not finite',
    ),
    (
      stream_with(
        target_at=ALWAYS(lambda made, t: made.target_at(t) + jnp.inf)
      ),
      'a target that counts',
    ),
  ],
)
def test_a_task_that_breaks_its_promises_is_named(task, words):
  with pytest.raises(testing.Broken, match=words) as error:
    testing.admit_task('mine', task, 6)
  assert '\n' not in str(error.value)


def test_tasks_keep_their_promises():
  # One of which the ends are looked at, one with one-hot inputs.
  testing.admit_task('adding', catalog.build('tasks', 'adding'), 600)
  testing.admit_task('trigger', catalog.build('tasks', 'trigger'), 10)


SMALL = catalog.build('cells', 'srn', 2, 1, hidden=2)
ADDING = catalog.build('tasks', 'adding')
RULE = catalog.build('learners', 'elman', SMALL, ADDING)
RATED = {'learning_rate': np.float32(0.1), **SMALL.numbers}


def rule_with(change):
  """The rule whose update gives `change(after, judgement)`."""
  return RULE._replace(update=lambda *given: change(*RULE.update(*given)))


@pytest.mark.parametrize(
  ('learner', 'words'),
  [
    (SMALL, 'is a Cell, must be a Learner'),
    (
      RULE._replace(init=lambda key, numbers: {}),
      'a dict without params',
    ),
    (
      RULE._replace(
        init=lambda key, numbers: RULE.init(key, numbers | {'a': numbers['a']})
      ),
      "init reads a number 'a' that",
    ),
    (
      RULE._replace(
        init=lambda key, numbers: RULE.init(key, numbers)._replace(params={})
      ),
      "init with float32 .*, the cell's mask has .w_x",
    ),
    (rule_with(lambda after, judged: after), r'must be the pair \(state, judg'),
    (
      rule_with(lambda after, judged: (after, None)),
      'judgement: is None',
    ),
    (
      rule_with(lambda after, judged: (after, judged._replace(squared=0.5))),
      r'squared is float32\[\], types.Judgement has float32\[3\]',
    ),
    (
      rule_with(
        lambda after, judged: (after._replace(learning_rate=0.1), judged)
      ),
      r'state: learning_rate is float32\[\], init has float32\[3\]',
    ),
    (
      RULE._replace(judge=lambda params, episode: 0.1),
      'judge: judgement: is a',
    ),
  ],
)
def test_a_learner_that_breaks_its_promises_is_named(learner, words):
  with pytest.raises(testing.Broken, match=words) as error:
    testing.admit_learner('mine', learner, SMALL, ADDING, RATED)
  assert str(error.value).startswith('learner mine: ')
  assert '\n' not in str(error.value)


def test_learners_keep_their_promises():
  testing.admit_learner('elman', RULE, SMALL, ADDING, RATED)


RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(12, 5, 2)).astype(np.float32)
LABELS = np.arange(12, dtype=np.int32) % 3
LENGTHS = np.full(12, 4, np.int32)
PARTS = {
  'train': np.arange(8),
  'valid': np.arange(8, 10),
  'test': np.arange(10, 12),
}
TOKENS = RANDOM.integers(0, 50, (12, 5)).astype(np.int32)
NUMBERS = RANDOM.normal(size=(12, 1)).astype(np.float32)
CLASSES = dict(
  num_inputs=2, vocabulary=0, num_outputs=3, loss='softmax', every_step=False
)


def data_of(inputs=INPUTS, targets=LABELS, lengths=LENGTHS, parts=(), **fields):
  pool = Pool(Examples(inputs, targets, lengths), PARTS | dict(parts))
  return Dataset(pool=lambda seed: pool, **CLASSES | fields)


def at(array, index, value, dtype=None):
  changed = array.astype(dtype or array.dtype)
  changed[index] = value
  return changed


WORDS = dict(num_inputs=0, vocabulary=50, num_outputs=1, loss='sigmoid')
SQUARED = dict(loss='squared', num_outputs=1)


@pytest.mark.parametrize(
  ('data', 'words'),
  [
    (data_of(at(INPUTS, (3, 1, 0), np.nan)), 'input 0 of example 3 is nan'),
    (data_of(at(INPUTS, (0, 0, 1), -np.inf)), 'is -inf at step 0'),
    (data_of(at(INPUTS, (0, 0, 1), 1e60, float)), 'finite float32'),
    (data_of(INPUTS.astype(int)), 'inputs are int64'),
    (data_of(INPUTS[..., :1]), r'\[N, T, 2\]'),
    (data_of(INPUTS[:0], LABELS[:0], LENGTHS[:0]), r'\[0, 5, 2\]'),
    (data_of(targets=at(LABELS, 7, 3)), 'label 3 of example 7 must be 0 to 2'),
    (data_of(targets=at(LABELS, 0, -1)), 'label -1'),
    (data_of(targets=LABELS[:, None]), r'targets are int32\[12, 1\]'),
    (data_of(targets=LABELS.astype(float)), 'must be integers'),
    (data_of(targets=LABELS[:11]), r'int32\[11\]'),
    (
      data_of(lengths=at(LENGTHS, 2, 6)),
      'length 6 of example 2 must be 1 to 5',
    ),
    (data_of(lengths=at(LENGTHS, 2, -1)), 'length -1'),
    (data_of(lengths=LENGTHS * 1.0), 'must be integers'),
    (data_of(lengths=LENGTHS[:3]), r'integers \[12\]'),
    (data_of(classes=('a', 'b')), '2 names of classes, must be 3'),
    (data_of(targets=NUMBERS * np.nan, **SQUARED), 'target of example 0'),
    (data_of(targets=NUMBERS[:, 0], **SQUARED), r'must be floats \[12, 1\]'),
    (
      data_of(targets=NUMBERS, every_step=True, **SQUARED),
      r'must be floats \[12, 5, 1\]',
    ),
    (data_of(at(TOKENS, (1, 4), 50), LABELS % 2, **WORDS), 'token 50'),
    (data_of(TOKENS * 1.0, LABELS % 2, **WORDS), 'inputs are float64'),
    (data_of(TOKENS, **WORDS), 'label 2'),
    (data_of(parts={'test': np.arange(7, 12)}), "both 'train' and 'test'"),
    (data_of(parts={'valid': np.arange(9, 11)}), "both 'valid' and 'test'"),
    (data_of(parts={'test': np.arange(0)}), "'test' is empty"),
    (data_of(parts={'valid': []}), "'valid' is"),
    (data_of(parts={'test': np.arange(10, 13)}), "index in part 'test' 12"),
    (data_of(parts={'train': np.arange(-1, 8)}), "index in part 'train' -1"),
    (data_of(parts={'test': np.arange(10, 12) * 1.0}), 'list of indices'),
    (data_of(parts={'validation': np.arange(1)}), "'validation' is unknown"),
    (
      data_of(INPUTS[[*range(10), 0, 1]], LABELS[[*range(10), 0, 1]], LENGTHS),
      '2 of 2 test examples are copies',
    ),
    (
      data_of()._replace(parts=lambda seed: PARTS | {'valid': PARTS['test']}),
      "both 'valid' and 'test'",
    ),
    (
      data_of()._replace(parts=lambda seed: PARTS | {'valid': np.array([8])}),
      'not those of pool',
    ),
    (data_of()._replace(pool=lambda seed: None), 'is None'),
  ],
)
def test_a_data_set_that_breaks_its_promises_is_named(data, words):
  with pytest.raises(testing.Broken, match=words) as error:
    testing.admit_dataset('mine', data, (0, 1))
  assert str(error.value).startswith('data set mine: ')
  assert '\n' not in str(error.value)


def test_data_sets_keep_their_promises():
  testing.admit_dataset('mine', data_of(), (0, 1))
  # What lies past an end is never read.
  testing.admit_dataset('mine', data_of(at(INPUTS, (3, 4, 0), np.nan)))
  testing.admit_dataset('mine', data_of(TOKENS, LABELS % 2, **WORDS))
  without_held_out = {'train': PARTS['train'], 'test': PARTS['train']}
  pool = Pool(Examples(INPUTS, LABELS), without_held_out)
  testing.admit_dataset('mine', data_of()._replace(pool=lambda seed: pool))
  for name in ('noisy_sine', 'marked_product'):
    testing.check_dataset(catalog.build('datasets', name), seeds=range(3))


def expanded(line):
  return plan.expand(flags.parse(['sweep', *line.split()], {}))


def test_a_plan_of_what_breaks_its_promises_is_refused(monkeypatch):
  build, kinds = catalog.build, ['cells']

  def broken(kind, name, *args, **options):
    made = build(kind, name, *args, **options)
    if kind == 'cells' and kind in kinds:
      return made._replace(init=lambda key, numbers: made.mask._replace(b=0.0))
    if kind == 'datasets':
      pool = made.pool(0)
      return made._replace(pool=lambda seed: pool._replace(parts={}))
    return made

  monkeypatch.setattr(catalog, 'build', broken)
  made = expanded('--task=adding --cell=srn --length=10 --seeds=1 --budget=9')
  trials = {'t': made.trials[0]}
  device = jax.devices()[0]
  reasons = builds.on_line(trials, made_how(), device).reasons
  assert 'cell srn: params of init: b is' in reasons[0]
  kinds.clear()
  made = expanded('--task=noisy_sine --cell=srn --seeds=1 --budget=1')
  with pytest.raises(BadData, match="data set noisy_sine: has no part 'train'"):
    groups.supervised({'t': made.trials[0]}, made_how(), None)


def test_a_part_looks_at_what_it_runs_and_at_what_others_have_written(
  monkeypatch,
):
  looked = []
  monkeypatch.setattr(admission, 'of_task', lambda _, s, *of: looked.append(s))
  monkeypatch.setattr(admission, 'of_rule', lambda *of: None)
  made = expanded('--task=adding --cell=srn,lstm --length=10 --seeds=1')
  srn, lstm = made.trials
  trials = {'a': srn, 'b': lstm}
  device = jax.devices()[0]
  options = [made_how()._replace(shard=(i, 2)) for i in range(2)]
  for how in options:
    ((online, _), *_) = preparation.prepare(trials, how, device)
    assert len(online.makers) == 2
  assert sorted(setting.cell for setting in looked) == ['lstm', 'srn']
  looked.clear()
  known = {'cell': catalog.of(lstm, 'cell')}
  trials['b'] = dataclasses.replace(lstm, outside=known)
  for how in options:
    (mine,) = dealing.names_of_part(trials, how.shard)
    builds.on_line(trials, how, device, {mine})
  assert sorted(setting.cell for setting in looked) == ['lstm', 'lstm', 'srn']


def made_how():
  return flags.parse(['sweep', '--task=noisy_sine'], {}).run
