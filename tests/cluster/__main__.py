"""Tests the files of launch/ on a Slurm of this machine; says what it saw.

    python -m tests.cluster            installs Slurm where it is missing
    python -m tests.cluster -k array   words of pytest

The figures are written to benchmarks/cluster.json, with the versions they were
seen with.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from tests.cluster import slurm

_INSTALL = ('apt-get', 'install', '-y', '-q', 'slurm-wlm', 'munge')
_PACKAGES = ('jax', 'jaxlib', 'numpy', 'dask', 'distributed', 'dask-jobqueue')


def main(words):
  missing = slurm.missing()
  if missing:
    print(f'tests.cluster: {", ".join(missing)} missing: {" ".join(_INSTALL)}')
    subprocess.run(_INSTALL, check=True, stdout=subprocess.DEVNULL)
  with tempfile.TemporaryDirectory() as folder:
    record = Path(folder) / 'record.json'
    code = subprocess.call(
      [
        *(sys.executable, '-m', 'pytest', '-v', '-m', 'cluster'),
        *(str(Path(__file__).parent), *words),
      ],
      cwd=slurm.ROOT,
      env=os.environ | {'LSTM_JAX_CLUSTER_RECORD': str(record)},
    )
    cases = json.loads(record.read_text()) if record.exists() else {}
  path = slurm.ROOT / 'benchmarks' / 'cluster.json'
  before = json.loads(path.read_text()) if path.exists() else {}
  for name, figures in cases.items():
    print(f'{name}: ' + ', '.join(f'{k} {v}' for k, v in figures.items()))
  if cases:
    whole = {**before.get('cases', {}), **cases}
    text = json.dumps({'machine': _machine(), 'cases': whole}, indent=1)
    path.write_text(text + '\n')
    print(f'written to {path.relative_to(slurm.ROOT)}')
  return code


def _machine():
  slurmctld = subprocess.run(
    ['slurmctld', '-V'], capture_output=True, text=True
  )
  return {
    'processor': _processor(),
    'cores': os.cpu_count(),
    'python': platform.python_version(),
    'slurm': slurmctld.stdout.strip(),
    **{name: version(name) for name in _PACKAGES},
  }


def _processor():
  for line in Path('/proc/cpuinfo').read_text().split('\n'):
    if line.startswith('model name'):
      return line.partition(':')[2].strip()
  return platform.machine()


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
