"""The files of the report that a module's `opened` run folder gives."""

import pytest

from lstm_jax.lab.report import write


@pytest.fixture(scope='module')
def written(opened):
  return {path.name: path for path in write.write([opened])}


@pytest.fixture(scope='module')
def page(written):
  return written['report.html'].read_text('utf-8')


@pytest.fixture(scope='module')
def document(written):
  return written['report.md'].read_text('utf-8')
