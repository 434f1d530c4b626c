"""Networks that run folders have kept, chosen by name and ready to run."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lstm_jax.choices import choose as choose_from
from lstm_jax.lab.data.files import errors
from lstm_jax.lab.plan import flags, own_data, programs, run_folders, values
from lstm_jax.lab.store import (
  faults,
  folder,
  nets,
  network_file,
  trial_records,
)
from lstm_jax.lab.store.documents import Record
from lstm_jax.lab.store.folder import Folder
from lstm_jax.lab.store.setting import Setting

if TYPE_CHECKING:
  from lstm_jax.dataset import Dataset
  from lstm_jax.training.sequence_model import Model
  from lstm_jax.types import Cell, Params, Task


class Kept(NamedTuple):
  """A network of a run folder.

  Attributes:
    cell: of the network; of one with several layers that of the first.
    params: its weights: those of the cell, as `lstm_jax.layer` and `cell.step`
      take them; of a run on a data set those of the model.
    setting: of its trial.
    record: the trial's, as it is kept; None where the trial has not ended.
    task: the task; of a run on a data set the `Dataset`.
    model: of a run on a data set the whole network, `model.apply(params,
      inputs, lengths)`; else None.
  """

  cell: 'Cell'
  params: 'Params'
  setting: Setting
  record: Record | None
  task: 'Task | Dataset'
  model: 'Model | None' = None


def load(
  path: str | Path, row: str | None = None, *, data_dir: str | Path = ''
) -> Kept:
  """A network that a run folder has kept, and the cell that it is one of.

  A run of tasks keeps one network a row, as soon as a trial has solved it; a
  run on data sets one a trial, of its best epoch by validation. Code of others
  that the folder names is imported.

  Args:
    path: the run folder, or a `.safetensors` file that `predict --keep` has
      written, without its record.
    row: the row, as `SweepRow.row` or the report calls it, or the first letters
      of a trial's id; None: the first of the folder, of data sets the best by
      its validation.
    data_dir: where data sets are; '': the usual place.

  Returns:
    A `Kept`.

  Raises:
    ValueError: no run folder, no such row, none of it kept, a network of
      another version, data that are not there or damaged.

  Example:
    >>> import tempfile, lstm_jax as lj
    >>> lj.load(tempfile.gettempdir() + '/no-such-folder')
    Traceback (most recent call last):
      ...
    ValueError: path=.../no-such-folder: no run here, there is no such folder...
  """
  try:
    if str(path).endswith(network_file.ENDING):
      return _of_file(path, row)
    return _of_folder(path, row, str(data_dir))
  except (
    faults.StoreError,
    errors.Missing,
    errors.BadData,
    values.Refused,
  ) as error:
    raise ValueError(str(error)) from error


def _of_folder(path, row, data_dir):
  """A `Kept` of a run folder."""
  opened = folder.open_folder(run_folders.path_of(str(path), 'path'))
  name, params = choose(opened, row or '', 'row=')
  setting = opened.trials[name]
  record = trial_records.read_records(opened)[0].get(name)
  try:
    if programs.learner_of(setting).kind == 'trainers':
      return _supervised(setting, params, record, data_dir)
    from lstm_jax.lab.report import trace

    task, cell = trace.parts_of(setting)
    net = trace.net_of(cell, params)
  except (KeyError, TypeError) as error:
    raise ValueError(
      f'row {setting.row}: its setting is another one in this version: {error}'
    ) from error
  return Kept(cell, net, setting, record, task)


def _of_file(path, row):
  """A `Kept` of a network's own file."""
  from lstm_jax.lab.report import trace

  if row:
    raise values.Refused(f'row={row}: {path} holds one network, of no folder')
  try:
    setting, _, params = network_file.load(path)
  except FileNotFoundError as error:
    raise values.Refused(f'{path}: there is no such file') from error
  task, cell = trace.parts_of(setting)
  return Kept(cell, trace.net_of(cell, params), setting, None, task)


def _supervised(setting, params, record, data_dir):
  """A `Kept` of a run on a data set."""
  import jax

  from lstm_jax.lab.run import builds, groups, predict_own
  from lstm_jax.training.loop import restored

  if own_data.factory_of(setting.task):  # whose file need not be here
    form = predict_own.form_of(setting, record['details'] if record else {})
    dataset, trainer, net = predict_own.trained(setting, params, form)
    cell = builds.cell_of(setting)(dataset.num_inputs)
    return Kept(cell, net, setting, record, dataset, trainer.model)
  dataset, trainer = groups.builder(flags.Run(data_dir=data_dir))(setting)
  net = restored(trainer.model.init(jax.random.key(0)), params)
  embedding = dict(setting.learner_options).get('embedding')
  cell = builds.cell_of(setting)(dataset.num_inputs or int(embedding or 1))
  return Kept(cell, net, setting, record, dataset, trainer.model)


def choose(
  opened: Folder, row_or_id: str, source: str = '--net='
) -> tuple[str, dict[str, np.ndarray]]:
  """The id of a trial and the weights of its kept network.

  Args:
    opened: the run folder.
    row_or_id: a row, or the first letters of an id; '' for the best.
    source: what a message calls it.

  Returns:
    `(id, path -> array)`.

  Raises:
    Refused: no network is kept, none of that name.
  """
  nets_kept = nets.load(opened)
  ids = [name for name in opened.trials if name in nets_kept]
  # The best first; of those without a score, as solved ones, the plan's.
  records, _ = trial_records.read_records(opened)
  ids.sort(key=lambda name: score(records.get(name)), reverse=True)
  if not ids:
    raise values.Refused(
      f'{opened.path}: no network is kept here; a run of tasks keeps one a row '
      'as soon as a trial has solved it, a run on data sets at the end of each '
      'setting'
    )
  row_of = lambda name: opened.trials[name].row
  fit = [name for name in ids if row_of(name) == row_or_id]
  fit = fit or [name for name in ids if name.startswith(row_or_id)]
  if not fit:
    words = choose_from([f'{i} ({row_of(i)})' for i in ids], most=8)
    raise values.Refused(f'{source}{row_or_id}: {words}')
  return fit[0], nets_kept[fit[0]]


def score(record: Record | None) -> float:
  """Rates a network by what it was chosen by: never by the test part."""
  if record is None:
    return -math.inf
  curves, at = record['curves'], record['metrics'].get('best_epoch')
  for name, sign in (
    ('valid_accuracy', 1),
    ('valid_loss', -1),
    ('train_loss', -1),
  ):
    if values_of := curves.get(name):
      is_index = isinstance(at, int) and 0 < at <= len(values_of)
      value = values_of[int(at or 0) - 1 if is_index else -1]
      return -math.inf if value is None else sign * value
  return 0.0
