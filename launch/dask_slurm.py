"""Deals a sweep to workers that are each a job of Slurm (dask-jobqueue).

    pip install 'lstm_jax[cluster]'
    python launch/dask_slurm.py --grid=paper1997 --seeds=30 --out=FOLDER

It stays where it is started, a login node or a job of its own, and deals
groups to JOBS workers, each of MINUTES and MEMORY. A worker's job ends before
its time is up, by itself, and another takes its place; one that is lost is
replaced. SIGTERM and Ctrl-C save all that is under way. PBSCluster, LSFCluster,
SGECluster and OARCluster of dask-jobqueue take the place of SLURMCluster
elsewhere.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import dask
from dask_jobqueue import SLURMCluster
from distributed.security import Security

# Dask looks at a worker many times a second; once is enough for hours of work.
QUIET = {
  'DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED': 'False',
  'DASK_DISTRIBUTED__WORKER__MEMORY__MONITOR_INTERVAL': '1s',
  'DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL': '1s',
  'DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL': '5s',
}
JOBS = int(os.environ.get('JOBS', '8'))
MINUTES = int(os.environ.get('MINUTES', '240'))
MEMORY = os.environ.get('MEMORY', '1500MB')


def main(words):
  """Runs the sweep of a command line; returns its exit code."""
  os.environ.update(QUIET)  # which jobs inherit
  dask.config.refresh()
  # Files of a key, which all nodes see and nobody else reads: what Dask's ports
  # take they run.
  with tempfile.TemporaryDirectory(
    prefix='.lstm_jax_dask_', dir=Path.home()
  ) as private:
    security = _security(Path(private))
    with SLURMCluster(
      cores=1,
      processes=1,
      memory=MEMORY,
      walltime=f'{MINUTES // 60:02}:{MINUTES % 60:02}:00',
      security=security,
      protocol='tls://',
      scheduler_options={'dashboard_address': ':0'},
      log_directory='lstm_jax_dask_logs',
      worker_extra_args=[
        f'--lifetime={MINUTES - 2}m',
        f'--lifetime-stagger={max(MINUTES // 20, 1)}m',
      ],
    ) as cluster:
      # As many all the time: those that are lost come back.
      cluster.adapt(minimum_jobs=JOBS, maximum_jobs=JOBS)
      command = subprocess.Popen(
        [
          *('lstm-jax', 'sweep', '--engine=dask'),
          *(f'--scheduler={cluster.scheduler_address}', *words),
        ]
      )
      for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: command.send_signal(number))
      return command.wait()


def _security(private):
  """A key for all of the cluster, in files that the sweep is told of."""
  temporary = Security.temporary()
  cert, key = private / 'cert.pem', private / 'key.pem'
  cert.write_text(temporary.tls_client_cert)
  key.write_text(temporary.tls_client_key)
  words = {'tls_ca_file': str(cert)}
  for role in ('scheduler', 'worker', 'client'):
    words |= {f'tls_{role}_cert': str(cert), f'tls_{role}_key': str(key)}
  # What the sweep's Dask reads.
  prefix = 'DASK_DISTRIBUTED__COMM__'
  os.environ[f'{prefix}REQUIRE_ENCRYPTION'] = 'True'
  os.environ[f'{prefix}TLS__CA_FILE'] = str(cert)
  os.environ[f'{prefix}TLS__CLIENT__CERT'] = str(cert)
  os.environ[f'{prefix}TLS__CLIENT__KEY'] = str(key)
  return Security(require_encryption=True, **words)


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
