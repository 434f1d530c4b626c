"""A Slurm of four nodes, played by this machine, for as long as a test runs."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tests.cluster import keeper

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / 'launch'
NODES = ('n1', 'n2', 'n3', 'n4')
# What Debian calls it: apt-get install slurm-wlm munge
PROGRAMS = ('munged', 'slurmctld', 'slurmd', 'sbatch', 'scontrol', 'squeue')
# States of a task that has not ended.
UNDER_WAY = {'PENDING', 'CONFIGURING', 'RUNNING', 'COMPLETING', 'REQUEUED'}
_CONF = """\
ClusterName=lstmjax
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2,requeue_delay=1
ReturnToService=2
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldPort={port}
SlurmdTimeout=10
InactiveLimit=0
KillWait=30
MinJobAge=3600
OverTimeLimit=0
JobRequeue=1
SwitchType=switch/none
NodeName=n[1-4] NodeHostname={host} NodeAddr=127.0.0.1 \\
 Port=[{first}-{last}] CPUs=2 RealMemory=6000 State=UNKNOWN
PartitionName=main Nodes=n[1-4] Default=YES MaxTime=INFINITE State=UP \\
 DefMemPerCPU=1500 PreemptMode=OFF
"""


class Slurm(NamedTuple):
  """A cluster that runs.

  Attributes:
    folder: where its daemons keep what they keep.
    keeper: the process above all others, see `keeper.py`.
    environ: for its commands.
  """

  folder: Path
  keeper: subprocess.Popen
  environ: dict

  def start(self, *words):
    """Starts a daemon."""
    self.keeper.stdin.write(json.dumps([str(word) for word in words]) + '\n')
    self.keeper.stdin.flush()

  def start_node(self, name):
    self.start('slurmd', '-D', '-N', name, '-f', self.folder / 'slurm.conf')

  def command(self, *words, environ=(), folder=None):
    """What a command of Slurm prints."""
    done = subprocess.run(
      [str(word) for word in words],
      capture_output=True, text=True, timeout=60, cwd=folder,
      env={**self.environ, **dict(environ)},
    )  # fmt: skip
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout.strip()

  def submit(self, script, *words, options=(), environ=(), folder):
    """Hands a job in and returns its number."""
    printed = self.command(
      'sbatch', '--parsable', *options, script, *words,
      environ=environ, folder=folder,
    )  # fmt: skip
    return int(printed.partition(';')[0])

  def facts(self, job):
    """Task -> what Slurm says of it, of a job or an array."""
    by_task = {}
    for line in self.command('scontrol', 'show', 'job', '-o', job).split('\n'):
      facts = dict(word.split('=', 1) for word in line.split() if '=' in word)
      by_task[facts.get('ArrayTaskId', '0')] = facts
    return by_task

  def states(self, job):
    """Task -> (state, restarts, exit code) of a job or an array."""
    return {
      task: (
        facts['JobState'],
        int(facts.get('Restarts', 0)),
        facts['ExitCode'],
      )
      for task, facts in self.facts(job).items()
    }

  def wait(self, job, seconds=900):
    """Waits until all tasks of a job have ended, and returns its `states`."""
    until = time.monotonic() + seconds
    while True:
      states = self.states(job)
      if not UNDER_WAY.intersection(state for state, *_ in states.values()):
        return states
      assert time.monotonic() < until, (states, self.tail(job))
      time.sleep(0.5)

  def wait_for(self, is_so, seconds=120):
    until = time.monotonic() + seconds
    while not is_so():
      assert time.monotonic() < until, self.command('squeue', '-a')
      time.sleep(0.2)

  def tail(self, job):
    """What a job's tasks have printed last."""
    return '\n'.join(text[-1500:] for text in self._texts(job))

  def printed(self, job):
    """All that a job's tasks have printed."""
    return '\n'.join(self._texts(job))

  def _texts(self, job):
    logs = [Path(facts['StdOut']) for facts in self.facts(job).values()]
    return [log.read_text() for log in logs if log.exists()]

  def cpu_seconds(self):
    """Processor seconds of all processes that have ended, jobs and daemons."""
    time.sleep(1.0)
    return float((self.folder / 'cpu').read_text())

  def kill_node(self, name):
    """What a node that loses its power does: everything on it is gone."""
    conf = [b'-N', name.encode()]
    for pid in keeper.children_of(self.keeper.pid):
      words = words_of(pid)
      # slurmstepd has no words of its own node but its title.
      if words[:1] and b'slurmd' in words[0] and all(w in words for w in conf):
        node_jobs = self.command(
          'squeue', '-h', '-w', name, '-o', '%A', '-t', 'R'
        ).split()
        os.kill(pid, signal.SIGKILL)
        for step in keeper.children_of(self.keeper.pid):
          title = b' '.join(words_of(step)).decode()
          if any(title.startswith(f'slurmstepd: [{job}.') for job in node_jobs):
            for below in [step, *keeper.descendants_of(step)]:
              with contextlib.suppress(ProcessLookupError):
                os.kill(below, signal.SIGKILL)
        return
    raise AssertionError(f'{name} does not run')


def words_of(pid):
  try:
    return Path(f'/proc/{pid}/cmdline').read_bytes().split(b'\0')
  except OSError:
    return []


def missing():
  """Programs of Slurm that are not on this machine."""
  return [name for name in PROGRAMS if shutil.which(name) is None]


def _free_ports(count):
  """The first of some ports in a row that nobody listens to."""
  for first in range(17000, 30000, 16):
    try:
      for port in range(first, first + count):
        with socket.socket() as probe:
          probe.bind(('127.0.0.1', port))
    except OSError:
      continue
    return first
  raise AssertionError('no free ports')


@contextlib.contextmanager
def cluster(folder):
  """A `Slurm` in a folder; it and all of its jobs end with the block."""
  for name in ('state', *(f'spool/{node}' for node in NODES)):
    (folder / name).mkdir(parents=True)
  port = _free_ports(6)
  host = socket.gethostname()
  conf = folder / 'slurm.conf'
  conf.write_text(
    _CONF.format(
      folder=folder, host=host, port=port, first=port + 1, last=port + 4
    )
  )
  key = folder / 'munge.key'
  key.write_bytes(os.urandom(1024))
  key.chmod(0o600)
  environ = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(('SLURM_', 'SBATCH_', 'XLA_', 'JAX_'))
  }
  # The commands of this environment, and this package before any installed.
  environ['PATH'] = f'{Path(sys.executable).parent}:{environ["PATH"]}'
  environ['PYTHONPATH'] = str(ROOT)
  environ['SLURM_CONF'] = str(conf)
  with (folder / 'keeper.log').open('w') as log:
    process = subprocess.Popen(
      [sys.executable, '-m', 'tests.cluster.keeper', str(folder / 'cpu')],
      stdin=subprocess.PIPE, text=True, cwd=ROOT, env=environ,
      stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
  slurm = Slurm(folder, process, environ)
  try:
    slurm.start(
      'munged', '-F', '--force', f'--socket={folder}/munge.socket',
      f'--key-file={key}', f'--pid-file={folder}/munge.pid',
      f'--seed-file={folder}/munge.seed', f'--log-file={folder}/munge.log',
      '--num-threads=2',
    )  # fmt: skip
    slurm.wait_for((folder / 'munge.socket').exists)
    slurm.start('slurmctld', '-D', '-f', conf)
    for node in NODES:
      slurm.start_node(node)
    slurm.wait_for(lambda: _idle_nodes(slurm) == len(NODES))
    yield slurm
  finally:
    process.terminate()
    process.communicate(timeout=30)


def _idle_nodes(slurm):
  done = subprocess.run(
    ['sinfo', '-h', '-N', '-o', '%T'],
    capture_output=True, text=True, env=slurm.environ, timeout=60,
  )  # fmt: skip
  return done.stdout.split().count('idle')
