"""Nets before and after training, and the errors that flow back in them."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lstm_jax.lab.plan import catalog, values
from lstm_jax.lab.run import builds, xla_flags
from lstm_jax.lab.store import files
from lstm_jax.lab.store.setting import Setting
from lstm_jax.lab.vanishing import figure
from lstm_jax.lab.vanishing.curves import BOUND, Net, curves_of
from lstm_jax.ops import conditions, prng

if TYPE_CHECKING:
  from lstm_jax.types import Cell, Task

# Sequences that each network is measured on: a child of key 0 that no trial
# uses.
_SEQUENCES, _CHILD = 32, 7
# Nets whose units are all logistic: their recurrent weights, and where.
_LOGISTIC = {
  'srn': ('w_h', {'activation': 'logistic'}),
  'fully_recurrent': ('w_y', {}),
}


class TrainedNets(NamedTuple):
  """Nets of one setting, as lanes: those before training, then those after.

  Attributes:
    setting: that of the first trial.
    task, cell: built.
    params: `[..., 2 L]`, without nets that have diverged.
    summary: one line: how many networks, how training ended.
  """

  setting: Setting
  task: 'Task'
  cell: 'Cell'
  params: object
  summary: str


def train(name: str, settings: Sequence[Setting]) -> TrainedNets:
  """Trains the networks of one setting.

  Args:
    name: what the setting is called.
    settings: those of its trials, which differ in the seed alone.

  Returns:
    The `TrainedNets`.

  Raises:
    Refused: every network has diverged.
  """
  xla_flags.set_flags()
  device, *_ = xla_flags.devices()
  import jax

  from lstm_jax.training.trials import DIVERGED, SOLVED

  setting = settings[0]
  build = builds.build(setting)
  task = catalog.build('tasks', setting.task, **dict(setting.task_options))
  cell = catalog.build(
    'cells',
    setting.cell,
    task.num_inputs,
    task.num_outputs,
    **dict(setting.cell_options),
  )
  nets, status = _train(build, settings, device)
  is_finite = status != DIVERGED
  if not is_finite.any():
    raise values.Refused(f'{name}: every network has diverged in training')
  # Both moments side by side as lanes: one program.
  params = jax.tree.map(
    lambda *w: np.concatenate(
      [moment[..., is_finite] for moment in w], axis=-1
    ),
    *nets,
  )
  summary = (
    f'{name}: {len(settings)} nets by {setting.learner}, '
    f'{setting.budget:,} sequences at most, '
    f'{int(np.sum(status == SOLVED))} solved'
  )
  if not is_finite.all():
    summary += f', {int(np.sum(~is_finite))} diverged and left out'
  return TrainedNets(setting, task, cell, params, summary)


def measure(networks: TrainedNets) -> Net:
  """Measures the errors of networks by lag.

  Args:
    networks: of `train`.

  Returns:
    The `Net`.
  """
  curves = curves_of(_by_lag(networks))
  summary = networks.summary
  if (BOUND, 'before') not in curves:
    summary += '; no bound: not all of its units are logistic'
  return Net(curves, summary)


def _train(build, settings, device):
  """`((params before, params after), status)`, one lane `[..., L]` a seed."""
  import jax

  from lstm_jax.training.compilation import Compiled
  from lstm_jax.training.loop import Job
  from lstm_jax.training.trial_columns import first_trials
  from lstm_jax.training.trials import RUNNING

  compiled = Compiled(device)
  jobs = [
    Job(
      str(setting.seed),
      'net',
      setting.seed,
      {n: np.nan if v is None else v for n, v in setting.numbers},
      setting.length or 1,
      setting.budget,
    )
    for setting in settings
  ]
  trials = first_trials(
    compiled, 'net', build.program, build.numbers, jobs, len(jobs)
  )
  params_before = jax.tree.map(np.asarray, trials.learner.params)
  # It returns whenever a lane has ended.
  while np.any(np.asarray(trials.status) == RUNNING):
    (trials, _), _ = compiled(
      'net', build.program.advance, trials, np.int32(2**30)
    )
  params_after = jax.tree.map(np.asarray, trials.learner.params)
  return (params_before, params_after), np.asarray(trials.status)


def _by_lag(networks):
  """Returns what -> `[Q, 2 L]` log10 of factors, the mean over sequences."""
  import jax
  import jax.numpy as jnp

  from lstm_jax.analysis import gradient_flow

  setting, task, cell, params, _ = networks
  num_nets = jax.tree.leaves(params)[0].shape[-1]
  with jax.enable_x64(True):  # errors of 1e-200 are numbers
    words = prng.key_of(0)

    @jax.jit
    def draw(n):
      key = prng.Key(*(jnp.full(n.shape, word) for word in words))
      key = prng.fold_in(prng.fold_in(key, jnp.full_like(n, _CHILD)), n)
      length = jnp.full(n.shape, setting.length or 1, jnp.int32)
      return task.fresh(key, length)

    episode = draw(np.tile(np.arange(_SEQUENCES), num_nets))
    steps = np.asarray(task.stream(episode).length)
    params = jax.tree.map(lambda w: np.asarray(w, np.float64), params)
    params_wide = jax.tree.map(
      lambda w: np.repeat(w, _SEQUENCES, axis=-1), params
    )

    # What -> the fields that count and those that are cut.
    paths: dict[str, tuple[tuple[str, ...] | None, tuple[str, ...]]] = {
      'all fields': (None, ())
    }
    if cell.internal is not None:
      state_field = cell.internal.field
      other_fields = set(cell.initial_carry()._fields) - {state_field}
      paths[f'{state_field} alone'] = (state_field,), ()
      paths[f'{state_field}, rule of 1997'] = (
        (state_field,),
        tuple(sorted(other_fields)),
      )

    @jax.jit
    def sizes(params, episode):
      return {
        what: gradient_flow.error_size(
          gradient_flow.error_by_lag(
            cell, task, params, episode, int(steps.max()), cut=cut
          ),
          fields,
        )
        for what, (fields, cut) in paths.items()
      }

    # In the order asked for; JAX sorts names.
    magnitudes = sizes(params_wide, episode)
    magnitudes = {what: np.asarray(magnitudes[what]) for what in paths}
    field, where = _LOGISTIC.get(setting.cell, (None, {}))
    bound = None
    options = dict(setting.cell_options)
    # The bound is of units that keep nothing.
    if (
      field and conditions.holds(where, options) and options.get('leak', 1) == 1
    ):
      lags = np.arange(steps.min())
      bound = gradient_flow.logistic_bound(
        getattr(params, field), jnp.asarray(lags)
      )
  with np.errstate(divide='ignore'):
    logs = {
      # As far as the shortest sequence reaches.
      what: np.log10(size[: steps.min()] / size[:1])
      .reshape(-1, num_nets, _SEQUENCES)
      .mean(axis=2)
      for what, size in magnitudes.items()
    }
    if bound is not None:
      logs[BOUND] = np.log10(np.asarray(bound))
  return logs


def write(
  networks: Mapping[str, Net], folder: Path, stem: str, label: str
) -> list[Path]:
  """Writes a CSV file and, where matplotlib is there, the figure.

  Args:
    networks: name -> `Net`.
    folder: made if it is not there.
    stem: the files' name without its ending.
    label: of the figure's vertical axis.

  Returns:
    The files.

  Raises:
    StorageError, Unusable: the folder or a file cannot be written.
  """
  text = io.StringIO()
  rows = csv.writer(text, lineterminator='\n')
  rows.writerow(('net', 'errors', 'when', 'lag', 'factor', 'low', 'high'))
  for name, net in networks.items():
    for (what, when), curve in net.curves.items():
      for q, logs in enumerate(zip(*curve, strict=True)):
        rows.writerow((name, what, when, q, *(f'{10**x:.6g}' for x in logs)))
  contents = {f'{stem}.csv': text.getvalue().encode()}
  contents |= figure.pictures(networks, stem, label)
  for name, content in contents.items():
    files.write(folder / name, content)
  return [folder / name for name in contents]
