"""The table of the page of clusters is what its record says."""

import importlib
import json

from tests.children import ROOT


def test_the_page_has_the_table_of_the_record(monkeypatch):
  monkeypatch.syspath_prepend(ROOT / 'docs' / '_figures')
  cluster = importlib.import_module('cluster')
  page = (ROOT / 'docs' / 'clusters.md').read_text()
  record = json.loads(cluster.RECORD.read_text())
  said = 'run python docs/_figures/cluster.py'
  assert cluster.with_table(page, record) == page, said
  for case in record['cases'].values():
    case['equal_rows'] = case['cpu_seconds'] = -1
  assert cluster.with_table(page, record) != page
