"""A line says how far a folder is; nothing in it is touched."""

import pytest

from experiments import status
from lstm_jax.lab.store import lock
from lstm_jax.lab.store.folder import open_folder
from lstm_jax.lab.store.trial_records import write_record
from tests.fake_sweep import record
from tests.lab.serve.conftest import facts_of, make_folder
from tests.older_records import packs


def test_an_unfinished_folder(unfinished, capsys):
  before = facts_of(unfinished.path)
  assert status.main(['status', str(unfinished.path)]) == 0
  said = capsys.readouterr().out
  assert said == (
    'run: 2 of 6 trials ended, 1 solved, 1 under way, nobody works on it\n'
  )
  assert facts_of(unfinished.path) == before


def test_failures_and_damage_are_said(tmp_path, capsys):
  opened = make_folder(tmp_path / 'run')
  *_, last = opened.trials
  write_record(
    opened, record(opened, trial=last, status='failed', reason='no luck\nx')
  )
  path = packs(opened.path)[0]
  path.write_bytes(path.read_bytes().replace(b'metrics', b'matrics', 1))
  with lock.lock(open_folder(opened.path)):
    assert status.main(['status', str(opened.path)]) == 3
  said = capsys.readouterr().out
  assert '1 failed: no luck\n' in said and path.name in said
  assert 'nobody works' not in said


@pytest.mark.parametrize(
  'words, code, line',
  [
    ('', 2, 'no folder'),
    ('{path} --every=0', 2, '--every'),
    ('{path}/nothing', 2, 'no run here'),
  ],
)
def test_what_cannot_be_said(tmp_path, capsys, words, code, line):
  words = words.format(path=tmp_path).split()
  assert status.main(['status', *words]) == code
  printed = capsys.readouterr()
  assert line in printed.out + printed.err
