"""Looks inside a network of a run on a data set, over a sequence held out."""

import dataclasses
import functools
import threading
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, cast

import numpy as np

from lstm_jax.lab.data.files import errors
from lstm_jax.lab.plan import flags, own_data
from lstm_jax.lab.plan.programs import learner_of
from lstm_jax.lab.report import trace
from lstm_jax.lab.report.trace import Trace
from lstm_jax.lab.run import builds, groups, predict_own
from lstm_jax.lab.serve import inside
from lstm_jax.lab.serve.inside import Closed, Follower, Inside
from lstm_jax.lab.store import faults, memory
from lstm_jax.lab.store.setting import Setting

if TYPE_CHECKING:
  from lstm_jax.dataset import Dataset, Pool
  from lstm_jax.training.trainer import Trainer

  _Parts = tuple[Dataset, Trainer]

_LONGEST = 5_000  # steps of a sequence that is followed


def followers(
  data_dir: str = '',
  while_reading: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Callable[[Setting], Follower]:
  """Gives what looks inside networks of any trial, also of one on data.

  May be asked from many threads: a data set is read once, and who needs another
  one does not wait for it.

  Args:
    data_dir: where data sets are, and data of one's own; '': the usual place,
      and the working folder.
    while_reading: makes the context in which a data set is read.

  Returns:
    From the setting of a trial to its `Follower`, as `inside.follower` gives
    it. Of a data set the number of a sequence is its place in the test part,
    and the error of the last step is followed back through all layers. It
    raises `Closed` where the data are not there.
  """
  build = groups.builder(flags.Run(data_dir=data_dir))
  locks: dict[Hashable, threading.Lock] = {}
  own_builds: dict[Hashable, Callable[[Setting], _Parts]] = {}

  def read(setting):
    """(data set, trainer, pool) of a setting."""
    key = setting.task, setting.task_options, setting.length
    with while_reading(), locks.setdefault(key, threading.Lock()):
      make = build
      if own_data.factory_of(setting.task):
        if key not in own_builds:
          where = predict_own.at_hand(setting, data_dir)
          run = flags.Run(paths=((setting.task, where),))
          own_builds[key] = groups.builder(run)
        make = own_builds[key]
      dataset, trainer = make(setting)
      return dataset, trainer, dataset.pool(setting.seed)

  @functools.lru_cache(maxsize=4)
  def of_data(setting):
    memory.check()
    try:
      return _follower(setting, *read(setting))
    except (errors.Missing, errors.BadData, faults.StoreError) as why:
      raise Closed(_line(why)) from None
    except (ValueError, TypeError) as why:
      raise Closed(
        f'its setting is another one in this version: {_line(why)}'
      ) from None

  def follower(setting):
    if reason := inside.why_closed(setting):
      raise Closed(reason)
    if learner_of(setting).kind != 'trainers':
      return inside.follower(setting)
    return of_data(dataclasses.replace(setting, numbers=()))

  return follower


def _line(error):
  return str(error).partition('\n')[0]


def _follower(
  setting: Setting, dataset: 'Dataset', trainer: 'Trainer', pool: 'Pool'
):
  """The `Follower` of a trial's networks over its test part."""
  import jax

  from lstm_jax.training.loop import restored

  examples, parts = pool
  test = np.asarray(parts['test'])
  is_held_out = not np.isin(test, parts['train']).any()
  num_steps = examples.inputs.shape[1]
  if num_steps > _LONGEST:
    raise Closed(
      f'sequences of {num_steps:,} steps: those of more than {_LONGEST:,} are '
      'not followed'
    )
  own = trainer.model.init(jax.random.key(0))
  run = _program(setting, dataset, num_steps, len(own.layers))

  def follow(params: Mapping[str, np.ndarray], number: int) -> Inside:
    try:
      net = restored(own, params)
    except ValueError as error:
      raise Closed(f'the kept network does not fit its cell: {error}') from None
    i = test[number % len(test)]
    inputs, target = examples.inputs[i], examples.targets[i]
    steps = num_steps if examples.lengths is None else examples.lengths[i]
    steps = max(int(steps), 1)
    record, back = run(net, inputs, target, steps)
    cut = lambda rows: np.asarray(rows)[:steps]
    record, back = jax.tree.map(cut, (record, back))
    record['gates'] = trace.in_order(record['gates'])
    record |= {'inputs': inputs[:steps].reshape(steps, -1)}
    record |= _targets(dataset, target, steps)
    if dataset.classes:
      record['names'] = {'outputs': list(dataset.classes)}
    wrong = np.abs(record['outputs'] - record['targets']).mean(axis=1)
    part = 'held out' if is_held_out else 'trained on, as none is held out'
    return Inside(
      cast(Trace, record),
      back,
      (),
      float(wrong[record['mask'] > 0].mean()),
      f'sequence {number % len(test)} of {len(test):,} {part}: '
      f'{_answer(dataset, record)}',
    )

  return follow


def _program(setting, dataset, num_steps, num_layers):
  """`(net, inputs [T, ...], target, steps) -> (record, errors)`, jitted."""
  import jax
  import jax.numpy as jnp

  from lstm_jax.nn.equations import equations_of

  make_cell = builds.cell_of(setting)
  options = dict(setting.learner_options)
  reads = options.get('reads', 'output')
  first = dataset.num_inputs or int(options['embedding'])
  cells = [make_cell(first)]
  output = equations_of(cells[0]).output
  start = cells[0].initial_carry((), jnp.float32)
  size = getattr(start, output).shape[0]
  cells += [make_cell(size) for _ in range(num_layers - 1)]
  read_field = output
  if reads == 'state':
    read_field = next(name for name in start._fields if name != output)
  prefixes = ['']
  if num_layers > 1:
    prefixes = [f'layer {i}: ' for i in range(1, num_layers + 1)]

  def named(of_layers):
    """Field -> `[T, n]`, of the dictionaries of all layers."""
    return {
      prefix + name: values
      for prefix, fields in zip(prefixes, of_layers, strict=True)
      for name, values in fields.items()
    }

  def nets(nudges, net, inputs):
    """Net inputs of the output units at every step, and the record."""
    xs = inputs if net.embedding is None else net.embedding[inputs]

    def body(carries_tm1, step):
      y, nudges_t = step
      carries, gates = [], []
      for cell, own, carry_tm1, nudge in zip(
        cells, net.layers, carries_tm1, nudges_t, strict=True
      ):
        gates.append(trace.gates_of(cell, own, carry_tm1, y))
        carry_t, _ = cell.step(own, carry_tm1, y)
        # The derivative by something that is added to the carry is the carry's.
        carries.append(jax.tree.map(jnp.add, carry_t, nudge))
        y = getattr(carries[-1], output)
      carry = [carry_t._asdict() for carry_t in carries]
      return tuple(carries), (carry, gates, getattr(carries[-1], read_field))

    _, (carry, gates, read) = jax.lax.scan(
      body, (start,) * num_layers, (xs, nudges)
    )
    if reads == 'mean':
      read = jnp.cumsum(read, 0) / jnp.arange(1, len(read) + 1)[:, None]
    record = {'carry': named(carry), 'gates': named(gates)}
    return read @ net.w + net.b[None], record

  @jax.jit
  def run(net, inputs, target, steps):
    def error(nudges):
      outputs, record = nets(nudges, net, inputs)
      target_T = target[steps - 1] if dataset.every_step else target
      return _loss(dataset, outputs[steps - 1], target_T), (outputs, record)

    none = lambda field: jnp.zeros((num_steps, *field.shape))
    nudges = (jax.tree.map(none, start),) * num_layers
    back, (outputs, record) = jax.grad(error, has_aux=True)(nudges)
    record['outputs'] = _output_units(dataset, outputs)
    return record, named([carry._asdict() for carry in back])

  return run


def _loss(dataset, net, target):
  """The error of a step, as `trainers.minibatch` has it."""
  import jax.numpy as jnp
  import optax

  if dataset.loss == 'squared':
    return jnp.mean((net - target) ** 2)
  if dataset.loss == 'softmax':
    return optax.softmax_cross_entropy_with_integer_labels(net, target)
  return optax.sigmoid_binary_cross_entropy(net[0], target.astype(net.dtype))


def _output_units(dataset, net):
  import jax

  units = {'softmax': jax.nn.softmax, 'sigmoid': jax.nn.sigmoid}
  return units.get(dataset.loss, lambda values: values)(net)


def _targets(dataset, target, steps):
  """`targets` `[T, K]` and the `mask` of the steps where they count."""
  rows = np.asarray(target)[:steps] if dataset.every_step else target
  if dataset.loss == 'softmax':
    rows = np.eye(dataset.num_outputs)[rows]
  rows = np.asarray(rows, np.float64)
  rows = rows.reshape(-1, dataset.num_outputs)
  if dataset.every_step:
    return {'targets': rows, 'mask': np.ones(steps)}
  mask = np.zeros(steps)
  mask[-1] = 1
  return {'targets': np.repeat(rows, steps, axis=0), 'mask': mask}


def _answer(dataset, record):
  """Words on the last step: what is asked for, what the network answers."""
  target, output = record['targets'][-1], record['outputs'][-1]
  if dataset.loss == 'squared':
    shown = lambda values: ' '.join(f'{value:.3g}' for value in values[:8])
    return f'asked for {shown(target)}, answered {shown(output)}'
  is_alone = dataset.num_outputs == 1
  of = lambda values: int(values[0] > 0.5 if is_alone else np.argmax(values))
  name = lambda i: dataset.classes[i] if dataset.classes else f'class {i}'
  answer = of(output)
  share = abs(1 - answer - output[0]) if is_alone else output[answer]
  return f'it is {name(of(target))}, answered {name(answer)} ({share:.0%})'
