"""Files for clusters that cannot run here, read by their own tools.

These are packages of hundreds of megabytes: an environment of their own is made
for them, once a run.
"""

import os
import subprocess
import sys

import pytest

from tests.cluster.slurm import LAUNCH

pytestmark = pytest.mark.cluster
_KUBERNETES = """\
import sys
import kubernetes_validate, yaml
for document in yaml.safe_load_all(open(sys.argv[1])):
  kubernetes_validate.validate(document, '1.33', strict=True)
"""
# Of a JobSet the job's template is a Job of Kubernetes; the rest has no schema
# in a package.
_JOB_OF_A_JOBSET = """\
import sys
import kubernetes_validate, yaml
jobset = yaml.safe_load(open(sys.argv[1]))
for job in jobset['spec']['replicatedJobs']:
  document = {
    'apiVersion': 'batch/v1', 'kind': 'Job', 'metadata': {'name': job['name']},
    'spec': job['template']['spec'],
  }
  kubernetes_validate.validate(document, '1.33', strict=True)
"""
# Of a cluster of Dask its pods and its service are those of Kubernetes.
_DASK = """\
import sys
import kubernetes_validate, yaml
def check(kind, spec, version='v1'):
  document = {
    'apiVersion': version, 'kind': kind, 'metadata': {'name': 'one'},
    'spec': spec,
  }
  kubernetes_validate.validate(document, '1.33', strict=True)
cluster, *others = yaml.safe_load_all(open(sys.argv[1]))
spec = cluster['spec']
assert spec.keys() == {'worker', 'scheduler'}
assert spec['worker'].keys() == {'replicas', 'spec'}
assert spec['scheduler'].keys() == {'spec', 'service'}
check('Pod', spec['worker']['spec'])
check('Pod', spec['scheduler']['spec'])
check('Service', spec['scheduler']['service'])
for document in others:
  kubernetes_validate.validate(document, '1.33', strict=True)
"""
_SKYPILOT = """\
import sys
from sky import Task
assert Task.from_yaml(sys.argv[1]).num_nodes == 2
"""
_XPK = """\
import argparse, sys
from xpk.parser.core import set_parser
parser = argparse.ArgumentParser()
set_parser(parser)
parser.parse_args(sys.argv[1:])
"""


@pytest.fixture(scope='module')
def python(tmp_path_factory):
  """A Python with the tools, `python(program, *words)`."""
  folder = tmp_path_factory.mktemp('tools')
  subprocess.run([sys.executable, '-m', 'venv', folder], check=True)
  path = folder / 'bin' / 'python'
  packages = ('kubernetes-validate==1.37.0', 'skypilot==0.14.1', 'xpk==1.16.0')
  subprocess.run([path, '-m', 'pip', 'install', '-q', *packages], check=True)
  environ = {
    name: value for name, value in os.environ.items() if name != 'PYTHONPATH'
  } | {'HOME': str(folder)}

  def run(program, *words):
    done = subprocess.run(
      [path, '-c', program, *map(str, words)],
      capture_output=True, text=True, env=environ, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]

  return run


def test_kubernetes(python):
  python(_KUBERNETES, LAUNCH / 'kubernetes_indexed_job.yaml')
  python(_JOB_OF_A_JOBSET, LAUNCH / 'kubernetes_jobset_tpu.yaml')
  python(_DASK, LAUNCH / 'dask_kubernetes.yaml')


def test_skypilot(python):
  python(_SKYPILOT, LAUNCH / 'skypilot.yaml')


def test_xpk(python, tmp_path):
  """Its words, written down by a program in its place."""
  (tmp_path / 'xpk').write_text('#!/bin/sh\nprintf "%s\\n" "$@" > words\n')
  (tmp_path / 'xpk').chmod(0o755)
  environ = os.environ | {
    'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'CLUSTER': 'c', 'IMAGE': 'i'
  }  # fmt: skip
  command = ['sh', LAUNCH / 'xpk.sh', '--grid=atlas', '--out=/runs/atlas']
  subprocess.run(command, check=True, env=environ, cwd=tmp_path)
  python(_XPK, *(tmp_path / 'words').read_text().splitlines())
