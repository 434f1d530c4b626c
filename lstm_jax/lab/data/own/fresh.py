"""Further sequences for a network that was trained on data of one's own.

Of a record's details `after` holds `form`: what the network takes, and the
means and deviations of the training part. The file that it was trained on is
not needed.

Letters: N sequences, T steps of the longest, F features, K outputs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from lstm_jax.choices import listed
from lstm_jax.lab.data import _sounds, _spectra
from lstm_jax.lab.data.files import audio, riff
from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.data.files.published import SOUND
from lstm_jax.lab.data.own import arrays, npz_file, scaling, sequences, table
from lstm_jax.lab.data.own.scaling import Scale
from lstm_jax.lab.data.own.sequences import Sequences
from lstm_jax.lab.store import files
from lstm_jax.lab.store.faults import StoreError

_LARGEST = 1e38  # of float32, about
_LONGEST = 1e3 * riff.LONGEST  # ms of a stretch


class Form(NamedTuple):
  """The form of the data that a network was trained on.

  Attributes:
    features: names of the F features, () where they have none.
    num_outputs: K, the number of classes where there are some.
    every_step: whether each step has an answer.
    inputs: `Scale` of the inputs.
    targets: of numbers that are predicted.
    sound: how spectra are made of a sound; None of other data.
    classes: their names, () where numbers are predicted.
  """

  features: tuple[str, ...]
  num_outputs: int
  every_step: bool
  inputs: Scale
  targets: Scale
  sound: _spectra.Recipe | None
  classes: tuple[str, ...]

  @property
  def num_inputs(self) -> int:
    """F."""
    return len(self.inputs.mean)


def form_of(details: Mapping[str, object]) -> Form:
  """The form that a record says.

  Args:
    details: of the record.

  Raises:
    ValueError: it says none, or not a whole one.
  """
  try:
    statistics = cast(Mapping[str, object], details.get('after') or {})
    fields = cast(Mapping[str, object], statistics['form'])
    sound = cast('Mapping[str, object] | None', fields.get('sound'))
    form = Form(
      tuple(map(str, cast(list[str], fields['features']))),
      int(cast(int, fields['num_outputs'])),
      bool(fields['every_step']),
      _scale(fields, ''),
      _scale(fields, 'target_'),
      _recipe(sound) if sound else None,
      tuple(map(str, cast(list[str], details.get('classes') or []))),
    )
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise ValueError(f'{type(error).__name__}: {error}') from error
  num_asked = len(form.classes) or len(form.targets.mean)
  if num_asked != form.num_outputs or form.num_inputs < 1:
    raise ValueError(f'{num_asked} classes or numbers of {form.num_outputs}')
  return form


def _scale(fields, what):
  scale = Scale(
    *(
      np.array(fields[what + name], np.float64)
      for name in ('mean', 'deviation')
    )
  )
  is_same_shape = (
    scale.mean.ndim == 1 and scale.mean.shape == scale.deviation.shape
  )
  if not is_same_shape or not (scale.deviation > 0).all():
    raise ValueError(f'no {what}mean and deviation')
  with np.errstate(over='ignore'):
    reach = np.abs(scale.mean) + np.abs(scale.mean / scale.deviation)
  if not (reach < _LARGEST).all():
    raise ValueError(f'{what}mean and deviation are no scale')
  return scale


def _recipe(sound):
  window, hop, rate = (float(sound[name]) for name in ('window', 'hop', 'rate'))
  if not (0 < hop <= _LONGEST and 0 < window <= _LONGEST):
    raise ValueError(f'window={window:g} with hop={hop:g} ms')
  if not riff.RATES[0] <= rate <= riff.RATES[1]:
    raise ValueError(f'rate={rate:g}')
  return _spectra.recipe(sound['features'], window, hop, int(rate))


def read(path: Path, form: Form) -> Sequences:
  """The sequences of a file in the form of those that were trained on.

  Args:
    path: a `.npz` with 'inputs' (and 'lengths'), a `.csv` with 'id', 'time' and
      the features by their names; a sound or a folder of sounds. What else such
      a file holds is not looked at.
    form: of the network.

  Returns:
    The sequences; targets are zeros.

  Raises:
    BadData: file and reason.
  """
  ending = path.suffix.lower()
  if form.sound is not None:
    data = _read_sounds(path, form.sound)
  elif ending == '.npz':
    inputs, lengths = _inputs(path)
    data = _unlabelled(inputs, lengths)
  elif ending == '.csv' and form.features:
    data = table.read(path, form.features)
  else:
    takes = '.npz or .csv' if form.features else '.npz'
    raise BadData(f'{path}: must be a {takes}, as what was trained on')
  features = data.inputs.shape[1]
  if features != form.num_inputs:
    raise BadData(
      f'{path}: has {features} features a step; the network takes '
      f'{form.num_inputs}'
    )
  sequences.check_inputs(str(path), data)
  return data


def _unlabelled(inputs, lengths, names=()):
  zeros = np.zeros((len(lengths), 1))
  return Sequences(inputs, lengths, zeros, False, names=names)


def _inputs(path):
  by_name = npz_file.arrays(path)
  if 'inputs' not in by_name:
    raise BadData(f'{path}: has no array inputs; it has {listed(by_name)}')
  return arrays.steps_of(str(path), by_name)


def _read_sounds(path, recipe):
  paths = [path]
  if path.is_dir():
    try:
      names = files.names(path)
    except StoreError as error:
      raise BadData(str(error)) from error
    paths = [path / name for name in names if name.lower().endswith(SOUND)]
  elif not path.name.lower().endswith(SOUND):
    raise BadData(
      f'{path}: must be a sound ({", ".join(SOUND)}) or a folder of them'
    )
  if not paths:
    raise BadData(f'{path}: holds no sound ({", ".join(SOUND)})')
  rows = [spectrum(audio.read(path), recipe) for path in paths]
  lengths = np.array([len(row) for row in rows])
  return _unlabelled(
    np.concatenate(rows), lengths, tuple(p.name for p in paths)
  )


def spectrum(clip: audio.Clip, recipe: _spectra.Recipe) -> np.ndarray:
  """The spectra `[T, F]` of the first channel of a sound."""
  first = clip.samples[:, 0] * _sounds.FULL_SCALE
  return _spectra.features(first, clip.rate, recipe)


def scaled(data: Sequences, form: Form) -> tuple[np.ndarray, np.ndarray]:
  """Inputs `[N, T, F]` as the network takes them, and lengths `[N]`."""
  inputs = scaling.padded(data.inputs, data, form.inputs)
  return inputs, data.lengths.astype(np.int32)
