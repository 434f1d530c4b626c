"""Answers of the best network of a run on a data set."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lstm_jax.lab.plan import flags, values
from lstm_jax.lab.run import groups
from lstm_jax.lab.run.predict_request import Request
from lstm_jax.lab.store import files
from lstm_jax.lab.store.setting import Setting
from lstm_jax.training.batches import in_batches
from lstm_jax.training.loop import restored

_BATCH = 64
_MOST_BYTES = 1 << 28


def answers(
  setting: Setting,
  params: Mapping[str, np.ndarray],
  asked: Request,
  details: Mapping[str, object],
) -> tuple[list[str], list[tuple[str, ...]]]:
  """Answers to the test part of the data set, or to a file.

  Args:
    setting: of the trial.
    params: path -> array.
    asked: what is asked for.
    details: of the record; not looked at.

  Returns:
    (lines that sum it up, rows of text with their headings first).

  Raises:
    Refused: the setting is not one of this version; a file that does not fit.
    Missing, BadData: the data set.
  """
  import jax

  del details
  how = flags.Run(data_dir=asked.data_dir)
  try:
    dataset, trainer = groups.builder(how)(setting)
  except (ValueError, TypeError) as why:
    raise values.Refused(
      f'row {setting.row}: its setting is another one in this version: {why}'
    ) from None
  own = trainer.model.init(jax.random.key(0))
  try:
    net = restored(own, params)
  except ValueError as why:
    raise values.Refused(f'row {setting.row}: {why}') from None
  if asked.data:
    inputs, lengths = _read(asked.data, dataset, setting.seed)
    outputs = np.asarray(trainer.outputs(net, inputs, lengths))
    return [f'{len(inputs)} sequences of {asked.data}.'], _table(
      dataset, outputs
    )
  pool = dataset.pool(setting.seed)
  test = pool.parts['test']
  examples = jax.tree.map(lambda a: a[test], pool.examples)
  order, _ = in_batches(np.arange(len(test)), _BATCH)
  run = jax.jit(trainer.outputs)
  outputs = [np.asarray(run(net, *_batch(examples, index))) for index in order]
  outputs = np.concatenate(outputs)[: len(test)]
  same = ' (which it was trained on: nothing is held out)' * (
    test is pool.parts['train'] or set(test) == set(pool.parts['train'])
  )
  head = [
    f'Test part, {len(test):,} examples{same}: '
    + _figures(dataset, outputs, examples.targets)
  ]
  return head, _table(dataset, outputs, examples.targets)


def _batch(examples, index):
  if examples.lengths is None:
    return (examples.inputs[index],)
  return examples.inputs[index], examples.lengths[index]


def _read(name, dataset, seed):
  """Inputs `[N, T, I]`, or tokens `[1, T]`, and lengths or None of a file."""
  path = Path(name).expanduser()
  encoder = dataset.encoder
  endings = () if dataset.vocabulary else ('.npy', '.csv')
  endings += encoder.endings if encoder else ()
  ending = path.suffix.lower()
  if ending not in endings:
    raise values.Refused(f'--data={name}: must end in {" or ".join(endings)}')
  try:
    data = files.read(path, _MOST_BYTES)
  except FileNotFoundError:
    raise values.Refused(f'--data={name}: there is no such file') from None
  if encoder and ending in encoder.endings:
    return encoder.encode(name, data, dataset.pool(seed))
  return _inputs(name, path, data, dataset), None


def _inputs(name, path, data, dataset):
  """`[N, T, I]` from the bytes of a file."""
  try:
    if path.suffix == '.npy':
      found = np.load(io.BytesIO(data), allow_pickle=False)
    else:
      found = np.loadtxt(
        io.StringIO(data.decode('utf-8-sig')), delimiter=',', ndmin=2
      )
    found = np.asarray(found, np.float32)
  except (ValueError, TypeError, EOFError, UnicodeDecodeError) as why:
    said = str(why).splitlines()[0] if str(why) else 'not readable'
    raise values.Refused(f'--data={name}: {said}') from None
  if found.ndim == 2:
    found = found[None]
  if found.ndim != 3 or found.shape[2] != dataset.num_inputs or not found.size:
    raise values.Refused(
      f'--data={name}: has shape {list(found.shape)}; the network takes '
      f'{dataset.num_inputs} numbers a step: [T, {dataset.num_inputs}] or '
      f'[N, T, {dataset.num_inputs}]'
    )
  if not np.isfinite(found).all():
    raise values.Refused(f'--data={name}: holds what is no finite number')
  return found


def _figures(dataset, outputs, targets):
  """Accuracy, or the mean squared error."""
  if dataset.loss == 'squared':
    error = np.abs(outputs - targets)
    said = f'mean squared error {np.mean(error**2):.4g}'
    if dataset.tolerance:
      near = error.reshape(len(error), -1).max(axis=1) < dataset.tolerance
      said += f', {near.mean():.1%} within {dataset.tolerance:g}'
    return f'{said}.'
  return f'{np.mean(_classes(outputs) == targets):.1%} right.'


def _classes(outputs):
  if outputs.shape[-1] == 1:
    return (outputs[:, 0] > 0.5).astype(int)
  return np.argmax(outputs, axis=-1)


def _table(dataset, outputs, targets=None):
  """A line an example, its last step where there are several."""
  rows = [('example', *['target'] * (targets is not None), 'answer')]
  for i, output in enumerate(outputs):
    words = [] if targets is None else [targets[i]]
    if dataset.loss == 'squared':
      shown = [
        ' '.join(f'{x:.4f}' for x in np.atleast_2d(one)[-1])
        for one in (*words, output)
      ]
    else:
      picked = [*words, _classes(output[None])[0]]
      shown = [
        dataset.classes[int(c)] if dataset.classes else str(int(c))
        for c in picked
      ]
    rows.append((str(i), *shown))
  return rows
