"""What is written down about where results come from."""

import subprocess
import sys

from lstm_jax.lab.store import provenance as provenance_module
from lstm_jax.lab.store.provenance import COMPARED, PACKAGES, provenance
from tests.children import ROOT
from tests.fake_sweep import make_plan, sweep


def test_provenance_is_complete_and_an_allow_list():
  made = provenance('cpu', 2)
  others = {'python', 'commit', 'changes', 'system', 'machine', 'cpu'}
  others |= {'cores', 'device_kind', 'device_count', 'xla_flags'}
  others |= {'data', 'layer_code', 'compiler', 'jax_config'}
  assert made.keys() == others | {*PACKAGES}
  assert {*COMPARED} <= made.keys()
  assert made['jax'] and made['device_kind'] == 'cpu'
  assert provenance('cpu', 2) == made


def test_no_secret_reaches_a_file(tmp_path, monkeypatch):
  canary = 'c4n4ry-t0ken'
  monkeypatch.setenv('API_TOKEN', canary)
  monkeypatch.setattr(sys, 'argv', ['sweep', f'--token={canary}'])
  monkeypatch.setenv(
    'XLA_FLAGS',
    '--xla_cpu_enable_fast_math=false'
    ' --xla_force_host_platform_device_count=4'
    f' --xla_dump_to=/home/{canary}/dump --xla_log=https://u:{canary}@host'
    f' {canary}',
  )
  made = provenance('cpu', 1)
  assert made['xla_flags'] == [
    '--xla_cpu_enable_fast_math=false',
    '--xla_dump_to=(path)',
    '--xla_log=(path)',
  ]
  path = tmp_path / 'run'
  sweep(path, plan={**make_plan(), 'provenance': made})
  contents = [p.read_bytes() for p in path.rglob('*') if p.is_file()]
  assert len(contents) > 4
  for secret in (canary, str(tmp_path), str(ROOT)):
    assert not any(secret.encode() in content for content in contents)


def test_commit_and_changes(tmp_path, monkeypatch):
  def git(*arguments):
    who = ['-c', 'user.name=x', '-c', 'user.email=x@example.org']
    done = subprocess.run(
      ['git', *who, *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

  source = tmp_path / 'provenance.py'
  source.write_text('1\n')
  monkeypatch.setattr(provenance_module, '__file__', str(source))
  facts = lambda: [provenance()[key] for key in ('commit', 'changes')]
  assert facts() == [None, None]
  git('init', '-q')
  # Installed inside somebody's checkout: not a commit of ours.
  assert facts() == [None, None]
  git('add', '.')
  git('commit', '-q', '-m', 'one')
  commit, changes = facts()
  assert len(commit) == 40 and changes is None
  source.write_text('2\n')
  assert facts()[0] == commit and len(facts()[1]) == 64
  monkeypatch.setenv('PATH', str(tmp_path))
  assert facts() == [None, None]


def test_no_pickle_in_the_store():
  for path in (ROOT / 'lstm_jax/lab/store').iterdir():
    if path.suffix == '.py':
      text = path.read_text()
      assert not any(bad in text for bad in ('pickle', 'eval(', 'exec('))
