"""Sweeps and reports called from Python, with values and no command line.

A call changes nothing of the process that lasts: handlers of signals, options
of JAX and the environment are afterwards as they were.
"""

import contextlib
import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lstm_jax.choices import unknown
from lstm_jax.lab.data.files import errors
from lstm_jax.lab.plan import (
  catalog,
  flags,
  from_values,
  plan,
  run_folders,
  values,
)
from lstm_jax.lab.plan.from_values import Values
from lstm_jax.lab.plan.usage import PROGRESS
from lstm_jax.lab.report import sweep_rows, write
from lstm_jax.lab.report.sweep_rows import SweepRow
from lstm_jax.lab.run import signals
from lstm_jax.lab.store import faults, folder, reruns, trial_records
from lstm_jax.lab.tune import study

# What the caller can mend; the rest is the disk's, another's or the machine's.
_MENDABLE = (faults.Corrupt, faults.Refused, faults.Unusable)
_OWN_ERRORS = (
  values.Refused, catalog.Broken, errors.Missing, errors.BadData, *_MENDABLE,
)  # fmt: skip


def sweep(
  *,
  task: Values = None,
  cell: Values = None,
  learner: Values = None,
  length: Values = None,
  window: Values = None,
  hidden: Values = None,
  blocks: Values = None,
  block_size: Values = None,
  learning_rate: Values = None,
  set: Mapping[str, Values] | None = None,
  seeds: int | str | Iterable[int] | None = None,
  budget: int | None = None,
  tune: bool | int = False,
  tune_seeds: int | None = None,
  futility: int | None = None,
  grid: str | Path | None = None,
  row: str | Iterable[str] | None = None,
  size: str | None = None,
  out: str | Path | None = None,
  yes: bool = False,
  shard: tuple[int, int] | None = None,
  devices: int = 0,
  checkpoint_seconds: float = 20.0,
  progress: str = 'auto',
  allow_drift: bool = False,
  rerun_changed: bool = False,
  retry_failed: bool = False,
  data_dir: str | Path | None = None,
  skip_bad: bool = False,
  compile_cache: str | Path = '',
  export_study: str | Path = '',
) -> tuple[SweepRow, ...]:
  """Trains many networks into a run folder; the same call continues it.

  `lstm-jax sweep` from Python: keywords are its flags, with values for text. An
  axis takes one value or several, `hidden=[8, 16]`, and several axes make their
  product; with a grid they select from it. Where nothing is said the quick
  start runs. Progress is printed, unless it is 'none'; Ctrl-C saves and stops.

  Args:
    task, cell, learner: names, `module:factory` or `file.py:factory` of others'
      code, or the factories themselves, as `lstm_jax.lstm1997`.
    length, window, hidden, blocks, block_size, learning_rate: axes, in the
      units of the flags; a window of None inside a list is the whole sequence.
    set: dotted name -> value or list, as `{'task.output': 'linear'}`; a tuple
      has one value a block, `{'cell.input_gate_bias': (-3, -6)}`.
    seeds: a count, or the seeds.
    budget: training sequences a trial may see; of a data set epochs.
    tune: choose what is not said among so many settings a row, on seeds of
      their own; True: 16.
    tune_seeds: seeds that each of them is tried on; None: 5.
    futility: fresh seeds of a row that solves none of those; None: all.
    grid: the name of a grid, or the path of one.
    row: rows of the grid.
    size: of a grid that comes in sizes; None: its first.
    out: the run folder; None: `runs/` and a name of its own.
    yes: whether more than 100,000 trials are wanted.
    shard: `(i, n)`: the i-th of n parts; None: all of the plan, or of several
      processes of a JAX program the part of this one.
    devices: cores to use, or accelerators where there are any; 0: all.
    checkpoint_seconds: longest time between two checkpoints.
    progress: 'auto', 'live', 'plain' or 'none'.
    allow_drift, rerun_changed, retry_failed: as the flags.
    data_dir, skip_bad, compile_cache, export_study: as the flags.

  Returns:
    A `SweepRow` for each setting of the folder, in the order of the report. An
    error in the code of a trial ends that trial, is counted in its row and
    warned of.

  Raises:
    ValueError: what the command refuses, in its words; a folder of another
      plan; data that are not there or damaged.
    StoreError: the disk, the machine, a folder in use; what was saved is safe.
    KeyboardInterrupt: at Ctrl-C, after saving.

  Example:
    >>> import tempfile, lstm_jax as lj
    >>> with tempfile.TemporaryDirectory() as out:
    ...   rows = lj.sweep(
    ...     task=lj.adding, cell='srn', learner='elman', length=4, seeds=2,
    ...     budget=20, out=out, progress='none',
    ...   )
    >>> rows[0].solved, rows[0].trials, rows[0].settings['cell.hidden']
    (0, 2, 8)
    >>> lj.sweep(task='adding', cell='lsmt')
    Traceback (most recent call last):
      ...
    ValueError: --cell=lsmt: choose from ...; did you mean lstm?
  """
  keywords = {
    'task': task, 'cell': cell, 'learner': learner, 'length': length,
    'window': window, 'hidden': hidden, 'blocks': blocks,
    'block_size': block_size, 'learning_rate': learning_rate,
  }  # fmt: skip
  try:
    options = flags.Run(
      out=values.place(str(out), '--out') if out is not None else '',
      **_part(shard),
      checkpoint_seconds=values.real(
        checkpoint_seconds, '--checkpoint_seconds', positive=True
      ),
      devices=devices and values.integer(devices, '--devices'),
      progress=_word(progress, 'progress', PROGRESS),
      allow_drift=allow_drift,
      rerun_changed=rerun_changed,
      retry_failed=retry_failed,
      data_dir='' if data_dir is None else str(data_dir),
      skip_bad=skip_bad,
      compile_cache=str(compile_cache),
      export_study=str(export_study),
    )
    request = from_values.request_of(
      {name: value for name, value in keywords.items() if value is not None},
      dict(set or {}),
      grid=None if grid is None else str(grid),
      row=row,
      size=size,
      seeds=seeds,
      budget=budget,
      tune=tune,
      tune_seeds=tune_seeds,
      futility=futility,
      yes=yes,
      how=options,
    )
    sweep_plan = plan.expand(request)
    study.check(bool(sweep_plan.tuned_rows), options.export_study)
    opened = _complete(sweep_plan, options)
    _warn_of_failures(opened)
    return sweep_rows.rows_of([opened])
  except _OWN_ERRORS as error:
    raise ValueError(_lines(error)) from error


def _complete(sweep_plan, options):
  """The open folder of a plan that was run to its end."""
  # They import what takes a while, and JAX at that.
  from lstm_jax.lab.run import compile_cache, engine, jax_options, tuned

  with (
    signals.interruptible() as stop,
    jax_options.as_before(),
    compile_cache.as_before(),
    contextlib.redirect_stdout(_Nowhere())
    if options.progress == 'none'
    else contextlib.nullcontext(),
  ):
    if sweep_plan.tuned_rows:
      return tuned.complete_run(sweep_plan, options, stop, _with_tables)
    return engine.complete_run(sweep_plan, options, stop, _with_tables)


def _with_tables(opened, own_part):
  """The open folder, once its tables are written."""
  from lstm_jax.lab.run import ending

  del own_part  # rows are asked for of any shard
  ending.write_tables(opened)
  return opened


def _warn_of_failures(opened):
  """Says which errors have ended trials: their rows alone would not."""
  records, _ = trial_records.read_records(opened)
  for reason, count in reruns.failures(records).most_common():
    warnings.warn(
      f'{count:,} of {len(records):,} trials failed: {reason} '
      '(sweep with retry_failed=True runs them again)',
      stacklevel=3,
    )


class _Nowhere(io.TextIOBase):
  """A text stream that keeps nothing."""

  def write(self, text: str) -> int:
    return len(text)


def _part(shard):
  if shard is None:
    return {}
  part, parts = shard
  values.integer(parts, '--shard: parts')
  values.integer(part, '--shard: part', 0, parts - 1)
  return {'shard': (part, parts), 'shard_reason': '--shard'}


def _word(value, name, choices):
  if value not in choices:
    raise values.Refused(f'--{name}={value}: {unknown(str(value), choices)}')
  return value


def _lines(error):
  """The reasons of an error, one line each."""
  return '\n'.join(' '.join(str(reason).split()) for reason in error.args)


def report(
  folders: str | Path | Sequence[str | Path], out: str | Path | None = None
) -> list[Path]:
  """Reports run folders: published rows, readings, verdicts, figures.

  Args:
    folders: one run folder, or several whose trials are joined.
    out: where the report goes, made if missing; None: into the folder, where
      there is one only.

  Returns:
    The files: report.html, report.md, pictures where matplotlib is installed,
    and results.csv last.

  Raises:
    ValueError: no run folder, several without `out`, a damaged plan.
    StoreError: the disk.

  Example:
    >>> import lstm_jax as lj
    >>> lj.report(['one', 'other'])
    Traceback (most recent call last):
      ...
    ValueError: 2 folders: say where their report goes, out=FOLDER
  """
  folder_list = [folders] if isinstance(folders, str | Path) else list(folders)
  if not folder_list:
    raise ValueError('folders: give one run folder or more')
  if len(folder_list) > 1 and out is None:
    raise ValueError(
      f'{len(folder_list)} folders: say where their report goes, out=FOLDER'
    )
  try:
    opened = [
      folder.open_folder(run_folders.path_of(str(path), 'folders'))
      for path in folder_list
    ]
    return write.pages(opened, out)
  except _OWN_ERRORS as error:
    raise ValueError(_lines(error)) from error
