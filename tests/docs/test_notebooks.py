"""The notebooks run, are kept small, and say nothing of a machine.

Their code is run here with the small numbers that a cell names in its metadata
(`quick`), in this process; `slow` tests run them as they are, in a kernel.
"""

import json
import os
import sys
from pathlib import Path

import jax
import pytest

from tests.children import ROOT

NOTEBOOKS = sorted((ROOT / 'examples').glob('*.ipynb'))
every_notebook = pytest.mark.parametrize(
  'path', NOTEBOOKS, ids=lambda path: path.stem
)


def cells(path):
  return json.loads(path.read_text('utf-8'))['cells']


def code(path):
  return [cell for cell in cells(path) if cell['cell_type'] == 'code']


@pytest.fixture
def drawn(monkeypatch, tmp_path):
  """Lets figures be drawn into memory; what is set or written goes again."""
  import matplotlib

  monkeypatch.chdir(tmp_path)
  for name in ('XLA_FLAGS', 'JAX_NUM_CPU_DEVICES'):
    monkeypatch.setenv(name, os.environ.get(name, ''))
  backend = matplotlib.get_backend()
  matplotlib.use('Agg')
  from matplotlib import pyplot

  monkeypatch.syspath_prepend(tmp_path)
  before = set(sys.modules)
  yield pyplot
  for name in set(sys.modules) - before:
    if str(tmp_path) in str(getattr(sys.modules[name], '__file__', '')):
      del sys.modules[name]
  pyplot.close('all')
  matplotlib.use(backend)


def test_there_are_four():
  names = ['lag_law', 'layer', 'own_cell', 'paper_row']
  assert [path.stem for path in NOTEBOOKS] == names


@pytest.mark.parametrize(
  'path',
  [
    pytest.param(path, marks=[pytest.mark.slow] * (path.stem != 'layer'))
    for path in NOTEBOOKS
  ],
  ids=lambda path: path.stem,
)
@pytest.mark.slow
def test_its_code_runs_with_small_numbers(path, drawn):
  names = {'__name__': path.stem}
  # Their readers' JAX promotes ranks.
  with jax.numpy_rank_promotion('allow'):
    for number, cell in enumerate(code(path)):
      source = ''.join(cell['source'])
      if source.startswith('%%writefile '):
        first, _, text = source.partition('\n')
        Path(first.split()[1]).write_text(text, 'utf-8')
        continue
      exec(compile(source, f'{path.name}, code {number}', 'exec'), names)
      names |= cell['metadata'].get('quick', {})
  assert drawn.get_fignums(), 'it ends in nothing to look at'


@every_notebook
def test_it_is_kept_small_and_installs_itself(path):
  assert path.stat().st_size < 400_000
  first = ''.join(code(path)[0]['source'])
  assert "find_spec('lstm_jax') is None" in first and "'pip'" in first
  outputs = [o for cell in code(path) for o in cell['outputs']]
  kinds = {output['output_type'] for output in outputs}
  assert kinds <= {'stream', 'execute_result', 'display_data'}
  assert not [o for o in outputs if o.get('name') == 'stderr']
  text = json.dumps([o.get('text', '') for o in outputs])
  assert not any(place in text for place in ('/home/', '/root/', '/tmp/'))


@pytest.mark.slow
@every_notebook
def test_it_runs_as_it_is(path, tmp_path, monkeypatch):
  import nbformat
  from nbclient import NotebookClient

  monkeypatch.setenv('PYTHONPATH', str(ROOT))
  notebook = nbformat.read(path, as_version=4)
  place = {'metadata': {'path': str(tmp_path)}}
  client = NotebookClient(
    notebook, timeout=900, kernel_name='python3', resources=place
  )
  client.execute()
  shown = [o for cell in notebook.cells for o in cell.get('outputs', [])]
  assert any('image/png' in o.get('data', {}) for o in shown)
