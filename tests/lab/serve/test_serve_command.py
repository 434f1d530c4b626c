"""The command of the page refuses what it cannot do, in one line."""

import importlib.util
import socket

import pytest

from experiments import serve, sweep


@pytest.mark.parametrize(
  'words, line',
  [
    ('', 'no folder'),
    ('run --port=x', '--port'),
    ('run --port=65536', '--port'),
    ('run --hots=x', '--hots'),
  ],
)
def test_refusals(capsys, words, line):
  assert serve.main(['serve', *words.split()]) == 2
  said = capsys.readouterr().err
  assert line in said and said.count('\n') == 1


def test_a_port_that_is_taken_is_said(tmp_path, capsys):
  with socket.socket() as taken:
    taken.bind(('127.0.0.1', 0))
    taken.listen()
    port = taken.getsockname()[1]
    assert serve.main(['serve', str(tmp_path), f'--port={port}']) == 2
  assert f'--port={port}' in capsys.readouterr().err


def test_a_sweep_says_what_its_page_lacks(monkeypatch, capsys):
  found = importlib.util.find_spec
  monkeypatch.setattr(
    importlib.util,
    'find_spec',
    lambda name, *more: None if name == 'dash' else found(name, *more),
  )
  # Before anything runs, and even where nothing is to run.
  assert sweep.main(['sweep', '--serve', '--dry_run']) == 2
  said = capsys.readouterr().err
  assert "needs dash: pip install 'lstm_jax[serve]'" in said
