"""Answers of a network that was trained on data of one's own.

To the test part, if the file is at hand; or to a file of further sequences,
for which the one that was trained on is not needed.
"""

from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from lstm_jax.choices import count_of
from lstm_jax.dataset import Dataset
from lstm_jax.lab.data.own import fresh
from lstm_jax.lab.plan import flags, own_data, values
from lstm_jax.lab.run import builds, groups
from lstm_jax.lab.run.predict_request import Request
from lstm_jax.lab.store import faults, files
from lstm_jax.lab.store.setting import Setting
from lstm_jax.training.batches import in_batches
from lstm_jax.training.loop import restored
from lstm_jax.training.trainer import Trainer
from lstm_jax.types import Params

_BATCH = 64
Table = list[tuple[str, ...]]


def answers(
  setting: Setting,
  params: Mapping[str, np.ndarray],
  request: Request,
  details: Mapping[str, object],
) -> tuple[list[str], Table]:
  """Answers to the test part, or to a file.

  Args:
    setting: of the trial.
    params: path -> array.
    request: what is asked for.
    details: of the trial's record.

  Returns:
    (lines that sum it up, rows of text with their headings first).

  Raises:
    Refused: a record that does not say what the network takes; a network that
      is not that of the setting; a file that is not at hand.
    BadData: the file, and what is wrong with it.
  """
  form = form_of(setting, details)
  if request.text:
    raise values.Refused(f'--text: {setting.task} is no set of texts')
  if request.data:
    _, trainer, net = trained(setting, params, form)
    head, table = [], Table()
    for name in request.data:
      path = Path(name)
      if form.sound is not None and not path.exists():
        raise values.Refused(f'--data={name}: there is no such file')
      data = fresh.read(path, form)
      inputs, lengths = fresh.scaled(data, form)
      outputs = _outputs(trainer, net, inputs, lengths)
      names = data.names or tuple(map(str, range(len(inputs))))
      head.append(f'{count_of(len(inputs), "sequence")} of {name}.')
      rows = _table(form, names, lengths, outputs)
      table += rows[bool(table) :]
    return head if len(head) == 1 else [], table
  where = at_hand(
    setting, request.data_dir, ', or --data=FILE for other sequences'
  )
  options = flags.Run(paths=((setting.task, where),))
  dataset, trainer = groups.builder(options)(setting)
  pool = dataset.pool(setting.seed)
  test = pool.parts['test']
  inputs, targets = pool.examples.inputs[test], pool.examples.targets[test]
  lengths = np.full(len(inputs), inputs.shape[1], np.int32)
  if pool.examples.lengths is not None:
    lengths = pool.examples.lengths[test]
  net = _restore(setting, trainer, params)
  outputs = _outputs(trainer, net, inputs, lengths)
  head = [
    f'Test part, {len(test):,} sequences: '
    + _figures(form, lengths, outputs, targets)
  ]
  names = tuple(map(str, test))
  return head, _table(form, names, lengths, outputs, targets)


def at_hand(setting: Setting, data_dir: str, otherwise: str = '') -> str:
  """The path of the file that a trial was trained on.

  Args:
    setting: of the trial.
    data_dir: the folder where it is looked for; '': the working folder.
    otherwise: what a message says that can be done instead.

  Raises:
    Refused: it is not there.
  """
  place = Path(data_dir or '.')
  name = own_data.as_flag(setting.task)
  planned = dict(setting.task_options)
  if setting.task.startswith(own_data.TFDS):
    return str(own_data.located(setting.task, data_dir).path)
  inside = files.names(place) if place.is_dir() else ()
  for path in (place, *(place / name for name in inside)):
    try:
      if _name_of(path) != setting.task:
        continue
      data = own_data.located(f'{path.parent}/{path.name}')
    except ValueError:
      continue
    if all(planned.get(what) == now for what, now in data.digests.items()):
      return str(data.path)
    raise values.Refused(
      f'{path}: is not what the network was trained on: it has changed'
    )
  raise values.Refused(
    f'{Path(name).name} is not in {place}: say --data_dir=FOLDER of the file '
    f'that was trained on{otherwise}'
  )


def _name_of(path):
  """The task that a file or folder would be; None: it cannot be looked into."""
  try:
    return own_data.name_of(path)
  except faults.StoreError:
    return None


def form_of(setting: Setting, details: Mapping[str, object]) -> fresh.Form:
  """The form of the data that a trial was trained on.

  Args:
    setting: of the trial.
    details: of its record.

  Raises:
    Refused: the record does not say.
  """
  try:
    return fresh.form_of(details)
  except ValueError as why:
    raise values.Refused(
      f'row {setting.row}: its record does not say what the network takes '
      f'({why})'
    ) from None


def trained(
  setting: Setting, params: Mapping[str, np.ndarray], form: fresh.Form
) -> tuple[Dataset, Trainer, Params]:
  """A data set without examples, its trainer and the network of a form.

  Args:
    setting: of the trial.
    params: path -> array.
    form: of `form_of`.

  Raises:
    Refused: the network is not that of the setting.
  """
  dataset = Dataset(
    num_inputs=form.num_inputs,
    vocabulary=0,
    num_outputs=form.num_outputs,
    loss='softmax' if form.classes else 'squared',
    every_step=form.every_step,
    pool=_no_pool,
    classes=form.classes,
  )
  try:
    trainer = builds.trainer(setting, builds.cell_of(setting), dataset)
  except (ValueError, TypeError) as why:
    raise values.Refused(
      f'row {setting.row}: its setting is another one in this version: {why}'
    ) from None
  return dataset, trainer, _restore(setting, trainer, params)


def _no_pool(seed):
  raise ValueError(f'seed {seed}: the examples are not here')


def _restore(setting, trainer, params):
  params_like = trainer.model.init(jax.random.key(0))
  try:
    return restored(params_like, params)
  except ValueError as why:
    raise values.Refused(f'row {setting.row}: {why}') from None


def _outputs(
  trainer: Trainer, net: object, inputs: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
  """`[N, ..., K]`, in batches of one size."""
  run = jax.jit(trainer.outputs)
  order, _ = in_batches(np.arange(len(inputs)), _BATCH)
  outputs = [np.asarray(run(net, inputs[i], lengths[i])) for i in order]
  return np.concatenate(outputs)[: len(inputs)]


def _figures(form, lengths, outputs, targets):
  """Accuracy, or the mean squared error in the unit of the file, squared."""
  if form.every_step:
    is_step = np.arange(outputs.shape[1]) < lengths[:, None]
    outputs, targets = outputs[is_step], targets[is_step]
  if form.classes:
    return f'{np.mean(np.argmax(outputs, -1) == targets):.1%} right.'
  error = form.targets.restored(outputs) - form.targets.restored(targets)
  return f'mean squared error {np.mean(error**2):.4g}.'


def _table(form, names, lengths, outputs, targets=None) -> Table:
  """A line a sequence, or a line a step where each has an answer."""
  head = ['sequence', *['step'] * form.every_step]
  head += ['target'] * (targets is not None) + ['answer']
  head += ['probability'] * bool(form.classes)
  rows: Table = [tuple(head)]
  for i, (name, length) in enumerate(zip(names, lengths, strict=True)):
    steps = range(length) if form.every_step else [None]
    for step in steps:
      at = i if step is None else (i, step)
      line = [name, *([] if step is None else [str(step)])]
      if targets is not None:
        line.append(_words(form, targets[at]))
      output = outputs[at]
      if form.classes:
        best = int(np.argmax(output))
        line += [form.classes[best], f'{output[best]:.3f}']
      else:
        line.append(_words(form, output))
      rows.append(tuple(line))
  return rows


def _words(form, value):
  if form.classes:
    return form.classes[int(value)]
  return ' '.join(f'{x:.6g}' for x in form.targets.restored(value))
