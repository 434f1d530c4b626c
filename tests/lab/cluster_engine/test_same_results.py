"""Dask's workers give what one process gives, and go on from what it left."""

import pytest

from tests.lab.cluster_engine import clusters


@pytest.fixture(scope='module')
def reference(tmp_path_factory):
  """The folder of a run in one piece."""
  out = tmp_path_factory.mktemp('reference') / 'run'
  clusters.run(clusters.PLAN, out)
  return out


def test_a_local_cluster_gives_what_one_process_gives(reference, tmp_path):
  out = tmp_path / 'run'
  done = clusters.run(clusters.PLAN, out, '--engine=dask', '--devices=2')
  assert 'Dask: http' in done.stdout
  assert 'on 2 workers' in done.stderr
  assert done.stdout.count('Report: ') == 1
  clusters.assert_same(out, reference)
  # One pack a worker at most.
  assert len([*out.glob('records/*')]) <= 2
