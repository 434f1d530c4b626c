"""Faults on the real command, against a run without any, bit for bit.

  python -m tests.soak --minutes=2
  python -m tests.soak --minutes=60 --seed=7 --record=soak.json
  python -m tests.soak --seed=7 --folder=12     that folder again

Each folder is a small plan (trials, stateful learners, a supervised run) that
is run with a few faults, one after another: kills, signals, full disks, bits
that turn over in its files, derived files that vanish, shards of which one is
stopped. Then it is run to its end, and its results must be those of the
undisturbed run. A wrong number, an undocumented exit code, a traceback
or a process that does not end is printed with what repeats it; the exit code is
then 1.

Processes are forks of this one, which has imported everything and touched no
device: they start in milliseconds.
"""

import argparse
import collections
import csv
import io
import json
import os
import random
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

PLANS = {
  'trials': '--task=adding --cell=srn,lstm1997 --length=10 --seeds=3'
  ' --budget=12000',
  'rtrl': '--task=adding --cell=srn --hidden=3 --learner=rtrl --length=10'
  ' --seeds=3 --budget=8000',
  'uoro': '--task=adding --cell=srn --hidden=3 --learner=uoro --length=10'
  ' --seeds=3 --budget=8000',
  'kf': '--task=adding --cell=srn --hidden=2 --learner=kf --length=10'
  ' --seeds=3 --budget=4000',
  'chunker': '--task=first_symbol --cell=srn --learner=chunker --length=10'
  ' --set=task.symbols=10 --seeds=3 --budget=4000',
  'supervised': '--task=noisy_sine --cell=srn --hidden=3 --seeds=3 --budget=150'
  ' --learning_rate=0.01,0.03 --set=task.split=continuation'
  ' --set=learner.batch=8 --set=learner.kernel=xla',
}
# On one core there is one device.
DEVICES = min(2, len(os.sched_getaffinity(0)))
FLAGS = (f'--devices={DEVICES}', '--checkpoint_seconds=0.2', '--progress=none')
SIGNALS = {'term': 143, 'int': 130, 'hup': 129, 'usr1': 75}
# The files of a folder; what is derived the same command makes again.
FILES = {
  'plan': ('plan.json',),
  'records': ('records/*.jsonl',),
  'checkpoints': ('checkpoints/*',),
  'nets': ('nets/*',),
  'derived': ('results.csv', 'report.*', 'curves.csv', 'figures/*'),
}
FAULTS = (
  *('kill', 'kill', *SIGNALS, 'shard', 'disk', 'tmpfs', 'flip_plan'),
  *('flip_records', 'flip_checkpoints', 'flip_nets', 'flip_derived'),
  *('delete_derived', 'delete_checkpoints', 'delete_plan', 'memory'),
)
_BY_SYSTEM = (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS)
_LONGEST = 300.0  # seconds that a process may take
_MOST_FAULTS = 4
_PART = 0.6  # of the time of the undisturbed run: when a fault comes at last
_STOPPED = 20.0  # seconds after a signal; 10 are promised on a quiet machine


class Wrong(Exception):
  """Something that must not happen; the message says what."""


class Ended(NamedTuple):
  """A process that has ended: its exit code, or -signal, and what it said."""

  code: int
  said: str


class Process:
  """A sweep in a fork of this process.

  Args:
    argv: of the command, without its name.
    file_size: bytes that a file may grow to; None: any.
    memory: bytes that it may have beside those of this process; None: any.
  """

  def __init__(self, argv, file_size=None, memory=None):
    sys.stdout.flush()
    sys.stderr.flush()
    self._pipe, theirs = os.pipe()
    self.pid = os.fork()
    if not self.pid:
      os.close(self._pipe)
      _become_sweep(argv, theirs, file_size, memory)
    os.close(theirs)
    self._said, self._ended = [], None

  def wait(self, seconds=_LONGEST):
    """Waits for the end; returns `Ended`, or None where it is not there yet."""
    end = time.monotonic() + seconds
    while self._ended is None and time.monotonic() < end:
      if select.select([self._pipe], [], [], 0.01)[0]:
        self._said.append(os.read(self._pipe, 2**16))
      pid, status = os.waitpid(self.pid, os.WNOHANG)
      if pid:
        while select.select([self._pipe], [], [], 0)[0]:
          more = os.read(self._pipe, 2**16)
          if not more:
            break
          self._said.append(more)
        os.close(self._pipe)
        said = b''.join(self._said).decode(errors='replace')
        self._ended = Ended(os.waitstatus_to_exitcode(status), said)
    return self._ended

  def send(self, number):
    """Sends a signal unless it has ended."""
    if self._ended is None:
      os.kill(self.pid, number)

  def end(self):
    """Waits for the end.

    Raises:
      Wrong: it does not come.
    """
    ended = self.wait()
    if ended is None:
      self.send(signal.SIGKILL)
      raise Wrong(f'no end after {_LONGEST:g} s: {self.wait()}')
    return ended


def _become_sweep(argv, out, file_size, memory):
  """Runs the command as a process of its own would; does not return."""
  code = 70
  try:
    os.dup2(out, 1)
    os.dup2(out, 2)
    if file_size is not None:
      resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    if memory is not None:
      held = int(Path('/proc/self/statm').read_text().split()[0])
      most = held * resource.getpagesize() + memory
      resource.setrlimit(resource.RLIMIT_AS, (most, most))
    from experiments import sweep
    from lstm_jax.lab.run import mains

    sys.argv = ['sweep', *argv]
    mains.run(sweep.main)
  except SystemExit as asked:
    code = asked.code
  except BaseException:
    import traceback

    traceback.print_exc()
  finally:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


class Soak:
  """Folders with faults, and what was counted.

  Args:
    seed: of all that is drawn.
    scratch: `Path` of an empty folder.
    plans: names in `PLANS`.
    faults: of `FAULTS`.
  """

  def __init__(self, seed, scratch, plans, faults=FAULTS):
    self.seed, self._scratch = seed, scratch
    self._plans, self._faults = plans, faults
    self.counts = collections.Counter()  # fault -> how often
    self.codes = collections.Counter()
    self.states, self.folders, self.runs = set(), 0, 0
    self.slowest = 0.0  # seconds from a signal to the end
    self._references, self._started = {}, []
    self._tmpfs = None

  def folder(self, number):
    """One folder with its faults, to its end.

    Raises:
      Wrong: what must not happen.
    """
    draw = random.Random(f'{self.seed}/{number}')
    plan = self._plans[number % len(self._plans)]
    whole, seconds = self._reference(plan)
    out, done = self._scratch / f'folder{number}', []
    argv = [*PLANS[plan].split(), *FLAGS]
    try:
      for _ in range(draw.randint(1, _MOST_FAULTS)):
        fault = draw.choice(self._faults)
        if fault == 'tmpfs' and (done or not self._can_mount(out)):
          fault = 'disk'
        done.append(fault)
        if fault.startswith(('flip', 'delete')) and not _files(
          out, fault.partition('_')[2]
        ):
          # Nothing there yet to be damaged: something, or all of it.
          process = self._start(argv, out)
          self._strike(process, 'kill', draw.uniform(0, 2 * seconds))
        self._note_state(plan, out)
        self._suffer(fault, draw, argv, out, seconds)
        self.counts[fault] += 1
      self._finish(argv, out, whole)
    except Wrong as error:
      raise Wrong(f'folder {number}, {plan}, {", ".join(done)}: {error}') from (
        error
      )
    finally:
      if self._tmpfs == out:
        subprocess.run(['umount', '-l', out], check=False)
        self._tmpfs = None
    self.folders += 1
    shutil.rmtree(out, ignore_errors=True)

  def _reference(self, plan):
    """The table of a plan without faults, and how many seconds it took."""
    if plan not in self._references:
      out = self._scratch / f'whole-{plan}'
      argv = [*PLANS[plan].split(), *FLAGS, f'--out={out}']
      began = time.monotonic()
      ended = Process(argv).end()
      if ended.code:
        raise Wrong(f'{plan} without a fault: {ended}')
      # The runs after it find what it has compiled, and are faster.
      seconds = _PART * (time.monotonic() - began)
      self._references[plan] = _table(out), seconds
      self.runs += 1
    return self._references[plan]

  def _start(self, argv, out, *more, **limits):
    self.runs += 1
    process = Process([*argv, f'--out={out}', *more], **limits)
    self._started.append(process)
    return process

  def end_all(self):
    """Kills what still runs, as the other shard of one that went wrong."""
    for process in self._started:
      process.send(signal.SIGKILL)
      process.wait()

  def _suffer(self, fault, draw, argv, out, seconds):
    """One run with a fault, or a fault between two runs."""
    if fault in ('kill', *SIGNALS):
      process = self._start(argv, out)
      self._strike(process, fault, draw.uniform(0, seconds))
    elif fault == 'shard':
      shards = [self._start(argv, out, f'--shard={i}/2') for i in (0, 1)]
      kind = draw.choice(['kill', *SIGNALS])
      self._strike(shards[draw.randrange(2)], kind, draw.uniform(0, seconds))
      for shard in shards:
        self._check(shard.end(), {0, 75, -9, *SIGNALS.values()})
    elif fault == 'disk':
      size = int(10 ** draw.uniform(1.5, 5))
      process = self._start(argv, out, file_size=size)
      self._check(process.end(), {0, 74})
    elif fault == 'memory':
      most = int(10 ** draw.uniform(7, 9))
      ended = self._start(argv, out, memory=most).end()
      # Compiled code without memory ends as it likes, but seals nothing.
      self.codes[ended.code] += 1
      if ended.code not in {0, 75, *_BY_SYSTEM}:
        raise Wrong(f'exit {ended.code} without memory: {ended.said}')
    elif fault == 'tmpfs':
      size = int(10 ** draw.uniform(0, 2))
      _mount(out, f'size={4 * size}k')
      self._tmpfs = out
      self._check(self._start(argv, out).end(), {0, 74})
      _mount(out, 'remount,size=64m')
    elif fault.startswith('flip'):
      self._flip(draw, argv, out, fault.removeprefix('flip_'))
    else:
      for path in _files(out, fault.removeprefix('delete_')):
        if draw.random() < 0.5:
          path.unlink()

  def _strike(self, process, kind, after):
    """Sends a signal to a process after a while, and sees how it ends."""
    process.wait(after)
    sent = time.monotonic()
    number = getattr(signal, f'SIG{kind.upper()}')
    process.send(number)
    ended = process.end()
    expected = -9 if kind == 'kill' else SIGNALS[kind]
    self._check(ended, {0, expected})
    if kind != 'kill' and ended.code == expected:
      waited = time.monotonic() - sent
      self.slowest = max(self.slowest, waited)
      if waited > _STOPPED:
        raise Wrong(f'{waited:.1f} s from the signal {kind} to the end')

  def _flip(self, draw, argv, out, which):
    """Turns one bit of a file; what cannot be mended must be named."""
    paths = [path for path in _files(out, which) if path.stat().st_size]
    if not paths:
      return
    path = draw.choice(paths)
    content = path.read_bytes()
    changed = bytearray(content)
    changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    path.write_bytes(changed)
    ended = self._start(argv, out).end()
    self._check(ended, {0, 2, 3, 65})
    if ended.code:
      if path.stem.partition('.')[0] not in ended.said:
        raise Wrong(f'a bit of {path.name} turned, and nobody says so: {ended}')
      self.counts['named'] += 1
      path.write_bytes(content)  # from a copy, as its user would

  def _check(self, ended, codes):
    self.codes[ended.code] += 1
    # Python itself prints what a signal raises within a callback of its own.
    said = re.sub(
      r'Exception ignored in.*?\n\S*Stopped:', '', ended.said, flags=re.S
    )
    if ended.code not in codes or 'Traceback' in said:
      raise Wrong(
        f'exit {ended.code}, not one of {sorted(codes)}: {ended.said}'
      )

  def _finish(self, argv, out, whole):
    """Runs to the end; the results must be those of `whole`."""
    ended = self._start(argv, out).end()
    self._check(ended, {0})
    if (found := _table(out)) != whole:
      differ = [
        f'{name}: {a[name]!r} is {b[name]!r} without faults'
        for a, b in zip(found, whole, strict=False)
        for name in a
        if a[name] != b[name]
      ]
      raise Wrong(
        f'{len(found)} results of {len(whole)}; {"; ".join(differ[:3])}'
      )
    if left := [str(path) for path in out.rglob('.*.tmp')]:
      raise Wrong(f'left behind: {", ".join(left)}')

  def _note_state(self, plan, out):
    """How far a folder was when a fault came."""
    count = lambda pattern: len(list(out.glob(pattern)))
    state = count('records/*.jsonl'), min(count('checkpoints/*'), 2)
    self.states.add((plan, (out / 'plan.json').exists(), *state))

  def _can_mount(self, out):
    """Whether a small file system can be mounted here."""
    out.mkdir(parents=True, exist_ok=True)
    try:
      _mount(out, 'size=64k')
    except (OSError, subprocess.CalledProcessError):
      return False
    subprocess.run(['umount', out], check=True)
    return True


def _mount(path, options):
  path.mkdir(parents=True, exist_ok=True)
  subprocess.run(
    ['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', path],
    check=True,
    capture_output=True,
  )


def _files(out, kind):
  """The regular files of a kind, a key of `FILES`, in a folder, sorted."""
  found = {path for pattern in FILES[kind] for path in out.glob(pattern)}
  return sorted(path for path in found if path.is_file())


def _table(out):
  """The result columns of a folder, a dict a trial."""
  from lstm_jax.lab.store.result_columns import RESULT_COLUMNS

  try:
    text = (out / 'results.csv').read_text(encoding='utf-8')
  except OSError as error:
    raise Wrong(f'no table: {error}') from error
  rows = csv.DictReader(io.StringIO(text, newline=''))
  return [{name: row.get(name) for name in RESULT_COLUMNS} for row in rows]


def _preload(scratch):
  """Imports what a sweep imports; no device may be touched before a fork."""
  os.environ['JAX_PLATFORMS'] = 'cpu'
  os.environ['JAX_NUM_CPU_DEVICES'] = f'{DEVICES}'
  os.environ['JAX_COMPILATION_CACHE_DIR'] = str(scratch / 'compiled')
  os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0'
  import importlib

  for name in (
    *('lstm_jax.lab.run.mains', 'experiments.sweep', 'lstm_jax.lab.run.engine'),
    *(
      'lstm_jax.lab.run.admission',
      'lstm_jax.lab.run.scheduler',
      'lstm_jax.training.epochs',
    ),
    *('lstm_jax.training.trainers.minibatch', 'matplotlib.figure'),
  ):
    importlib.import_module(name)


def main(argv=None):
  """Runs the command line `argv`; returns 0, or 1 where something was wrong."""
  parser = argparse.ArgumentParser(prog='tests.soak', allow_abbrev=False)
  parser.add_argument('--minutes', type=float, default=2.0)
  parser.add_argument('--seed', type=int, default=None)
  parser.add_argument('--folder', type=int, help='this folder alone')
  parser.add_argument('--plans', default=','.join(PLANS), help='of these alone')
  parser.add_argument('--faults', default=','.join(FAULTS), help='these alone')
  parser.add_argument('--record', type=Path, help='figures as JSON go here')
  asked = parser.parse_args(argv)
  seed = random.SystemRandom().randrange(10**6)
  seed = seed if asked.seed is None else asked.seed
  print(f'soak: seed {seed}', flush=True)
  began, wrong = time.monotonic(), ''
  with tempfile.TemporaryDirectory(prefix='soak-') as scratch:
    _preload(Path(scratch))
    soak = Soak(
      seed, Path(scratch), asked.plans.split(','), asked.faults.split(',')
    )
    try:
      if asked.folder is not None:
        soak.folder(asked.folder)
      while asked.folder is None and (
        time.monotonic() - began < 60 * asked.minutes
      ):
        soak.folder(soak.folders)
    except Wrong as error:
      wrong = str(error)
    finally:
      soak.end_all()
  figures = {
    'seed': seed,
    'minutes': round((time.monotonic() - began) / 60, 2),
    'folders': soak.folders,
    'runs': soak.runs,
    'faults': dict(sorted(soak.counts.items())),
    'states': len(soak.states),
    'exit_codes': {str(k): n for k, n in sorted(soak.codes.items())},
    'seconds_to_stop': round(soak.slowest, 2),
    'wrong': wrong,
  }
  if asked.record:
    asked.record.write_text(json.dumps(figures, indent=2) + '\n')
  if wrong:
    number = soak.folders if asked.folder is None else asked.folder
    print(f'soak: WRONG: {wrong}')
    print(f'again: python -m tests.soak --seed={seed} --folder={number}')
  faults = ', '.join(f'{n} {kind}' for kind, n in figures['faults'].items())
  print(
    f'soak: seed {seed}: {figures["minutes"]:g} minutes, {soak.runs} runs, '
    f'{soak.folders} folders like the undisturbed ones; {faults}; '
    f'{len(soak.states)} states; at most {soak.slowest:.1f} s to stop; '
    f'{"1 wrong" if wrong else "none wrong"}'
  )
  return int(bool(wrong))


if __name__ == '__main__':
  sys.exit(main())
