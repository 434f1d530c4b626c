"""A cluster for each file of tests, and a plan that ran in one piece."""

import pytest

from tests.cluster import pieces, slurm


@pytest.fixture(scope='module')
def cluster(tmp_path_factory):
  """A `slurm.Slurm`, for the tests of a file."""
  missing = slurm.missing()
  assert not missing, (
    f'not on this machine: {", ".join(missing)}; '
    'apt-get install slurm-wlm munge, as root'
  )
  with slurm.cluster(tmp_path_factory.mktemp('slurm') / 'cluster') as running:
    yield running


@pytest.fixture(scope='session')
def whole(tmp_path_factory):
  """(`pieces.Piece` of `pieces.PLAN`, a home that knows its programs)."""
  folder = tmp_path_factory.mktemp('whole')
  piece = pieces.in_one_piece(pieces.PLAN, folder / 'run', folder / 'home')
  return piece, folder / 'home'


@pytest.fixture(scope='session')
def paper(tmp_path_factory):
  """The `pieces.Piece` of the page's plan, from nothing."""
  folder = tmp_path_factory.mktemp('paper')
  return pieces.in_one_piece(pieces.PAPER, folder / 'run', folder / 'home')
