"""Answers of the best network of a run on a data set."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lstm_jax.choices import count_of
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
  request: Request,
  details: Mapping[str, object],
) -> tuple[list[str], list[tuple[str, ...]]]:
  """Answers to the test part of the data set, or to a file.

  Args:
    setting: of the trial.
    params: path -> array.
    request: what is asked for.
    details: of the record; not looked at.

  Returns:
    (lines that sum it up, rows of text with their headings first).

  Raises:
    Refused: the setting is not one of this version; a file that does not fit.
    Missing, BadData: the data set.
  """
  import jax

  del details
  options = flags.Run(data_dir=request.data_dir)
  try:
    dataset, trainer = groups.builder(options)(setting)
  except (ValueError, TypeError) as why:
    raise values.Refused(
      f'row {setting.row}: its setting is another one in this version: {why}'
    ) from None
  params_like = trainer.model.init(jax.random.key(0))
  try:
    net = restored(params_like, params)
  except ValueError as why:
    raise values.Refused(f'row {setting.row}: {why}') from None
  if request.given:
    return _of_files(setting, dataset, trainer, net, request)
  pool = dataset.pool(setting.seed)
  test = pool.parts['test']
  examples = jax.tree.map(lambda a: a[test], pool.examples)
  order, _ = in_batches(np.arange(len(test)), _BATCH)
  run = jax.jit(trainer.outputs)
  outputs = [np.asarray(run(net, *_batch(examples, index))) for index in order]
  outputs = np.concatenate(outputs)[: len(test)]
  note = ' (which it was trained on: nothing is held out)' * (
    test is pool.parts['train'] or set(test) == set(pool.parts['train'])
  )
  head = [
    f'Test part, {len(test):,} examples{note}: '
    + _figures(dataset, outputs, examples.targets)
  ]
  return head, _table(dataset, outputs, examples.targets)


def _of_files(setting, dataset, trainer, net, request):
  """Answers to files, each under its name, and to a text."""
  encoder = dataset.encoder
  inputs_of = {}
  if request.text:
    if not encoder or '.txt' not in encoder.endings:
      raise values.Refused(f'--text: {setting.task} is no set of texts')
    pool = dataset.pool(setting.seed)
    inputs_of['--text'] = encoder.encode('--text', request.text.encode(), pool)
  for name in _files_of(request.data, encoder):
    inputs_of[name] = _one_example(name, dataset, setting.seed)
  head: list[str] = []
  table: list[tuple[str, ...]] = []
  for name, (inputs, lengths) in inputs_of.items():
    outputs = np.asarray(trainer.outputs(net, inputs, lengths))
    is_encoded = encoder and Path(name).suffix.lower() in encoder.endings
    names = [name] if is_encoded or name == '--text' else None
    rows = _table(dataset, outputs, names=names)
    head.append(f'{count_of(len(inputs), "sequence")} of {name}.')
    table += rows[bool(table) :]
  return head if len(head) == 1 else [], table


def _files_of(names, encoder):
  """Names of files; of a folder all in it that can be read."""
  for name in names:
    if encoder is None or not Path(name).is_dir():
      yield name
      continue
    inside = [
      file for file in files.names(name)
      if file.lower().endswith(encoder.endings)
    ]  # fmt: skip
    if not inside:
      endings = ' and no '.join(encoder.endings)
      raise values.Refused(f'--data={name}: the folder holds no {endings}')
    yield from (str(Path(name) / file) for file in inside)


def _batch(examples, index):
  if examples.lengths is None:
    return (examples.inputs[index],)
  return examples.inputs[index], examples.lengths[index]


def _one_example(name, dataset, seed):
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
      array = np.load(io.BytesIO(data), allow_pickle=False)
    else:
      array = np.loadtxt(
        io.StringIO(data.decode('utf-8-sig')), delimiter=',', ndmin=2
      )
    array = np.asarray(array, np.float32)
  except (ValueError, TypeError, EOFError, UnicodeDecodeError) as why:
    reason = str(why).splitlines()[0] if str(why) else 'not readable'
    raise values.Refused(f'--data={name}: {reason}') from None
  if array.ndim == 2:
    array = array[None]
  if array.ndim != 3 or array.shape[2] != dataset.num_inputs or not array.size:
    raise values.Refused(
      f'--data={name}: has shape {list(array.shape)}; the network takes '
      f'{dataset.num_inputs} numbers a step: [T, {dataset.num_inputs}] or '
      f'[N, T, {dataset.num_inputs}]'
    )
  if not np.isfinite(array).all():
    raise values.Refused(f'--data={name}: holds what is no finite number')
  return array


def _figures(dataset, outputs, targets):
  """Accuracy, or the mean squared error."""
  if dataset.loss == 'squared':
    error = np.abs(outputs - targets)
    sentence = f'mean squared error {np.mean(error**2):.4g}'
    if dataset.tolerance:
      near = error.reshape(len(error), -1).max(axis=1) < dataset.tolerance
      sentence += f', {near.mean():.1%} within {dataset.tolerance:g}'
    return f'{sentence}.'
  return f'{np.mean(_classes(outputs) == targets):.1%} right.'


def _classes(outputs):
  if outputs.shape[-1] == 1:
    return (outputs[:, 0] > 0.5).astype(int)
  return np.argmax(outputs, axis=-1)


def _table(dataset, outputs, targets=None, names=None):
  """A line an example, its last step where there are several."""
  is_class = dataset.loss != 'squared'
  heads = ['example', *['target'] * (targets is not None), 'answer']
  rows = [tuple(heads + ['probability'] * is_class)]
  for i, output in enumerate(outputs):
    words = [] if targets is None else [targets[i]]
    if dataset.loss == 'squared':
      cells = [
        ' '.join(f'{x:.4f}' for x in np.atleast_2d(values_)[-1])
        for values_ in (*words, output)
      ]
    else:
      columns = [*words, _classes(output[None])[0]]
      cells = [
        dataset.classes[int(c)] if dataset.classes else str(int(c))
        for c in columns
      ]
      share = output[0] if len(output) == 1 else output.max()
      if len(output) == 1 and share <= 0.5:  # of the other class
        share = 1 - share
      cells.append(f'{share:.3f}')
    rows.append((names[i] if names else str(i), *cells))
  return rows
