"""Runs without figures, which are drawn in tests of their own."""

import sys

import pytest


def without_matplotlib():
  with pytest.MonkeyPatch.context() as patch:
    patch.setitem(sys.modules, 'matplotlib', None)
    yield


# Of one test, and of a module with its fixtures.
undrawn = pytest.fixture(without_matplotlib)
all_undrawn = pytest.fixture(scope='module')(without_matplotlib)
