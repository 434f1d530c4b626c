"""What tests of pages share."""

import importlib

import pytest

from tests.children import ROOT


@pytest.fixture
def figures(monkeypatch):
  """The scripts that make pictures, as if their folder were the program's."""
  monkeypatch.syspath_prepend(ROOT / 'docs' / '_figures')
  return lambda name: importlib.import_module(name)
