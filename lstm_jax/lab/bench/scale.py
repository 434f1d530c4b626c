"""Measures what a plan of many trials costs besides training.

Each stage is a process of its own, so that its memory is its own too. Nothing
is trained: records are made up, and a run ends where its first trial would
begin. Processor time counts, since other work on a machine does not change it.

  lstm-jax bench --scale=10000,100000
"""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from lstm_jax.lab.bench.rows import Figure
from lstm_jax.lab.plan import from_values
from lstm_jax.lab.plan import plan as plans
from lstm_jax.lab.plan.flags import Run
from lstm_jax.lab.plan.text_columns import aligned
from lstm_jax.lab.run import signals
from lstm_jax.lab.store import files, record_packs

SHARDS = 100
_RATES = tuple(round(0.05 * i, 2) for i in range(1, 11))
_LENGTHS = (10, 20)
_POINTS = 10  # of each learning curve
_READY = 'the first trial would begin'
# Of more trials only what comes before all records is measured.
_MOST_FILLED = 200_000
_WITHOUT_RECORDS = ('plan', 'begin')
_WRITERS = 2
# Of a folder that many processes fill, waiting for a disk is not measured.
_QUICK = files.DISK._replace(
  fsync=lambda fd: None, fsync_directory=lambda path: None
)
# In this order: a stage finds the folder as those before it have left it.
STAGES = {
  'plan': 'the plan is made',
  'begin': 'the first shard starts in an empty folder',
  'start': 'a shard starts, all other trials have ended',
  'stop': 'SIGTERM to the exit of that shard, two others writing',
  'end': 'its command, given once all trials have ended',
  'report': 'the report and the table, made anew',
  'page': 'the page of the run opens',
}


def measure(counts: Sequence[int]) -> list[Figure]:
  """Measures plans of so many trials.

  Args:
    counts: numbers of trials.

  Returns:
    A dict a plan and stage: `trials`, `stage`, `seconds`, `cpu_seconds`, `mb`
    (peak of memory); the stage 'folder' has `plan_mb`, `files`, `folder_mb`.
  """
  figures: list[Figure] = []
  for count in counts:
    with tempfile.TemporaryDirectory() as place:
      out = Path(place) / 'run'
      stages = STAGES if count <= _MOST_FILLED else _WITHOUT_RECORDS
      for stage in stages:
        if stage == 'start':
          _child('fill', out, count)
        if stage == 'end':
          _child('complete', out, count)
        with _others_writing(out, count if stage == 'stop' else 0):
          figure = _child(stage, out, count)
        figures.append({'trials': count, 'stage': stage} | figure)
        print(f'{count:,} trials: {_words(figures[-1])}', flush=True)
      paths = files.tree(out, '')
      size = sum(path.stat().st_size for path in paths)
      figures.append(
        {
          'trials': count,
          'stage': 'folder',
          'plan_mb': (out / 'plan.json').stat().st_size / 1e6,
          'files': len(paths),
          'folder_mb': size / 1e6,
        }
      )
  print('', *aligned(_table(figures)), '', sep='\n', flush=True)
  return figures


@contextlib.contextmanager
def _others_writing(out, count):
  """A time in which other processes write records; of no trials, none do.

  What they have written goes, so that later stages find what they did before.
  """
  place = out / 'records'
  packs = {*record_packs.names(place)}
  words = [sys.executable, '-m', __name__, 'write', str(out), str(count)]
  writers = [subprocess.Popen(words) for _ in range(_WRITERS if count else 0)]
  try:
    yield
  finally:
    for writer in writers:
      writer.kill()
      writer.wait()
    for pack in {*record_packs.names(place)} - packs if count else ():
      (place / pack).unlink()


def _words(figure):
  return (
    f'{STAGES[str(figure["stage"])]}: {figure["seconds"]:.1f} s, '
    f'{figure["cpu_seconds"]:.1f} s of a processor, {figure["mb"]:,.0f} MB'
  )


def _table(figures):
  lines = [['trials', 'stage', 'seconds', 'CPU s', 'MB']]
  for figure in figures:
    count = f'{figure["trials"]:,}'
    if figure['stage'] == 'folder':
      lines += [
        [count, 'plan.json', '', '', f'{figure["plan_mb"]:.1f}'],
        [
          count,
          f'folder: {figure["files"]:,} files',
          '',
          '',
          f'{figure["folder_mb"]:,.0f}',
        ],
      ]
    else:
      numbers = [
        f'{figure[key]:.1f}' for key in ('seconds', 'cpu_seconds', 'mb')
      ]
      lines.append([count, STAGES[figure['stage']], *numbers])
  return lines


def _child(stage, out, count):
  """Figures of a stage, in a process of its own."""
  words = [sys.executable, '-m', __name__, stage, str(out), str(count)]
  process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
  assert process.stdout is not None
  lines, began = [], time.monotonic()
  for line in process.stdout:
    lines.append(line)
    if line.strip() == _READY:
      process.send_signal(signal.SIGTERM)
      began = time.monotonic()
  _, status, usage = os.wait4(process.pid, 0)
  process.returncode = os.waitstatus_to_exitcode(status)
  if stage == 'stop':
    return _figures(usage, time.monotonic() - began)
  if process.returncode:
    raise RuntimeError(f'stage {stage} has ended with {process.returncode}')
  return json.loads(lines[-1]) if lines else {}


def _figures(usage, seconds):
  return {
    'seconds': seconds,
    'cpu_seconds': usage.ru_utime + usage.ru_stime,
    'mb': usage.ru_maxrss / 1e3,
  }


def _plan(count):
  """A plan of so many trials of twenty settings and two programs."""
  axes = {
    'task': 'adding',
    'cell': 'lstm1997',
    'learner': 'truncated1997',
    'length': _LENGTHS,
    'learning_rate': _RATES,
  }
  seeds = count // (len(_LENGTHS) * len(_RATES))
  request = from_values.request_of(axes, {}, seeds=seeds, budget=1000, yes=True)
  return plans.expand(request)


def _run(out, count, instead):
  """Runs a shard's command, with something in place of its training."""
  from lstm_jax.lab.run import engine, mains, scheduler

  mains.listen()  # as every command does
  scheduler.run = instead
  options = Run(out=str(out), shard=(0, SHARDS), progress='none')
  with signals.listening() as stop:
    return engine.run(_plan(count), options, stop)


def _report_usage():
  """Prints what this process has taken so far, and ends it."""
  usage = resource.getrusage(resource.RUSAGE_SELF)
  seconds = time.monotonic() - _BEGAN
  print(json.dumps(_figures(usage, seconds)), flush=True)
  os._exit(0)


def _until_stopped(jobs, build, devices, hooks, **_):
  """Stands for training: a stop is what it waits for."""
  print(_READY, flush=True)
  while not hooks.stopping():
    time.sleep(0.01)


def _fill(out, count, of_shard):
  """Makes up records of the trials of the first shard, or of all others."""
  from lstm_jax.lab.store import folder, trial_records

  opened = folder.open_folder(out, _QUICK)
  del count
  for i, (name, setting) in enumerate(opened.trials.items()):
    if (i % SHARDS == 0) == of_shard:
      record = _record(name, setting.seed)
      record['code'] = next(iter(opened.plan['sources']))
      trial_records.write_record(opened, record)


def _write(out):
  """Writes records of the other shards' trials, as they do, without an end."""
  from lstm_jax.lab.store import folder, trial_records

  while True:
    # A writer of its own each time: one does not write a result twice.
    opened = folder.open_folder(out)
    for i, (name, setting) in enumerate(opened.trials.items()):
      if i % SHARDS:
        record = _record(name, setting.seed)
        record['code'] = next(iter(opened.plan['sources']))
        trial_records.write_record(opened, record)


def _record(name, seed):
  """A record like those of on-line trials; every third is not solved."""
  seen = 300 + 37 * (seed % 101)
  error = 0.01 + 1e-4 * (seed % 97)
  solved = seed % 3 > 0
  points = range(1, _POINTS + 1)
  return {
    'trial': name,
    'status': 'solved' if solved else 'budget',
    'metrics': {
      'sequences_seen': seen,
      'weights': 93,
      'sequences_to_success': seen if solved else None,
      'first_passed': None,
      'train_absolute': error,
      'test_wrong': seed % 5 if solved else None,
      'test_total': 2560 if solved else None,
      'test_absolute': error / 3 if solved else None,
      'test_squared': error * error if solved else None,
    },
    'curves': {
      'sequences': [seen * i // _POINTS for i in points],
      'train_absolute': [error + 0.2 / i for i in points],
      'train_right': [i / _POINTS for i in points],
    },
    'details': {},
    'reason': None,
    'seconds': 0.125,
    'device': 'cpu',
  }


def _act(stage, out, count):
  """Does what a stage measures; prints its figures where it comes back."""
  if stage in ('begin', 'start'):
    _run(out, count, lambda *_, **__: _report_usage())
    raise RuntimeError('the run has ended before it has trained')
  elif stage == 'stop':
    with contextlib.suppress(signals.Stopped):
      _run(out, count, _until_stopped)
    return
  elif stage in ('fill', 'complete'):
    _fill(out, count, of_shard=stage == 'complete')
  elif stage == 'write':
    _write(out)
  elif stage == 'plan':
    _plan(count)
  elif stage == 'end':
    _run(out, count, _until_stopped)
  elif stage == 'report':
    from lstm_jax.lab.report import write
    from lstm_jax.lab.store import folder

    for name in ('report.html', 'results.csv'):
      (Path(out) / name).unlink(missing_ok=True)
    write.pages([folder.open_folder(out)])
  else:
    from lstm_jax.lab.serve import board, watching

    look = watching.Watch(out).look()
    board.lines(look)
    board.state(look, 'run', time.time())
  _report_usage()


_BEGAN = time.monotonic()  # of a stage's process; imports above are its own

if __name__ == '__main__':
  _act(sys.argv[1], sys.argv[2], int(sys.argv[3]))
