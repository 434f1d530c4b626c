"""The command that prepares data sets."""

import re

import pytest

from experiments import data
from lstm_jax.lab.data.files import prepared
from lstm_jax.lab.store.faults import Exit
from tests import tiny_sets as tiny
from tests.tiny_sets import CLIP


def test_the_command_prints_what_is_there(tmp_path, capsys):
  tiny.urban(tmp_path)
  tiny.esc(tmp_path)
  assert (
    data.main(['data', 'urban_sound', 'esc10', f'--data_dir={tmp_path}']) == 0
  )
  out = capsys.readouterr().out
  assert 'dog_bark 2 0 0 2'.split() in [
    line.split() for line in out.splitlines()
  ]
  assert 'licence: CC BY-NC 3.0' in out and 'Piczak' in out


def test_the_command_leaves_out_what_is_bad(tmp_path, capsys):
  home = tiny.urban(tmp_path)
  (home / CLIP).write_bytes(b'')
  argv = ['data', 'urban_sound', f'--data_dir={tmp_path}']
  assert data.main(argv) == Exit.BAD_DATA
  error = capsys.readouterr().err
  assert 'is empty (0 bytes); --skip_bad leaves out bad files' in error
  assert data.main([*argv, '--skip_bad']) == 0
  assert 'left out: 1\n' in capsys.readouterr().out


def test_the_command_without_data(tmp_path, capsys):
  argv = ['data', f'--data_dir={tmp_path}']
  assert data.main([*argv, 'esc10']) == Exit.NO_DATA
  assert 'ESC-50-master' in capsys.readouterr().err
  assert data.main([*argv, '--list']) == 0
  assert capsys.readouterr().out.count(f'not in {tmp_path}') == 4
  assert list(tmp_path.iterdir()) == []


def test_the_command_takes_what_is_there(tmp_path, monkeypatch, capsys):
  tiny.urban(tmp_path)
  monkeypatch.setattr(prepared, 'NAMES', ('esc10', 'urban_sound'))
  assert data.main(['data', f'--data_dir={tmp_path}']) == 0
  assert data.main(['data', 'esc10', f'--data_dir={tmp_path}']) == Exit.NO_DATA
  capsys.readouterr()


@pytest.mark.parametrize(
  'words, reason',
  [
    (['imbd'], 'imbd: no such data set; .*imdb'),
    (['--data_dir='], 'is empty'),
    (
      ['--data_folder=a'],
      '--data_folder: no such flag; did you mean data_dir?',
    ),
    (['--skip_bad=maybe'], 'skip_bad'),
    (['--data_dir'], 'data_dir'),
  ],
)
def test_wrong_flags(words, reason, capsys):
  assert data.main(['data', *words]) == Exit.USAGE
  (line,) = capsys.readouterr().err.splitlines()
  assert re.search(reason, line)


def test_help_names_every_set(capsys):
  assert data.main(['data', '--help']) == 0
  out = capsys.readouterr().out
  assert all(name in out for name in prepared.NAMES)
  assert max(map(len, out.splitlines())) <= 80


def test_a_file_where_the_folder_should_be(tmp_path, capsys):
  tiny.urban(tmp_path)
  (tmp_path / 'lstm_jax').write_text('')
  code = data.main(['data', 'urban_sound', f'--data_dir={tmp_path}'])
  assert code == Exit.UNUSABLE
  assert capsys.readouterr().err.startswith('data: ')
