"""What --engine=dask refuses before it connects to anything."""

import sys

import pytest

from experiments import sweep


@pytest.mark.parametrize(
  'words, line',
  [
    ('--engine=ray', '--engine=ray: choose from local, dask'),
    ('--scheduler=here:1', '--scheduler=here:1: needs --engine=dask'),
    (
      '--engine=dask --shard=1/4',
      '--engine=dask with part 1 of 4 (--shard): the engine deals the whole '
      'plan to its workers; start it once, without --shard and outside of an '
      'array job',
    ),
    (
      '--engine=dask --distributed',
      '--engine=dask with --distributed: each worker of Dask is a JAX program '
      'of its own; choose one of them',
    ),
    (
      '--engine=dask --devices=1 --scheduler=here:1',
      '--devices=1 with --scheduler: workers have the threads that they were '
      'started with (--nthreads of dask worker); leave one out',
    ),
    (
      '--engine=dask --scheduler=none.json',
      '--scheduler=none.json: No such file or directory; give HOST:PORT, '
      'tls://HOST:PORT or the file that dask scheduler --scheduler-file=FILE '
      'has written',
    ),
  ],
)
def test_refusals(words, line, capsys):
  assert sweep.main(['sweep', *words.split(), '--only_check_args']) == 2
  assert capsys.readouterr().err == f'sweep: {line}\n'


def test_a_file_that_is_no_schedulers_is_refused(tmp_path, capsys):
  file = tmp_path / 'scheduler.json'
  for text, reason in (
    ('{', 'it is not the file of a Dask scheduler'),
    ('{"address": 1}', 'it holds no address'),
  ):
    file.write_text(text)
    words = ['--engine=dask', f'--scheduler={file}', '--dry_run']
    assert sweep.main(['sweep', *words]) == 2
    assert f'{file}: {reason}; give' in capsys.readouterr().err


def test_what_runs_it_is_said_where_it_is_missing(monkeypatch, capsys):
  monkeypatch.setitem(sys.modules, 'cryptography', None)
  assert sweep.main(['sweep', '--engine=dask', '--dry_run']) == 2
  assert capsys.readouterr().err == (
    "sweep: --engine=dask needs cryptography: pip install 'lstm_jax[cluster]'\n"
  )


def test_looking_at_a_plan_connects_to_nothing(capsys):
  words = ['--engine=dask', '--scheduler=127.0.0.1:1']
  assert sweep.main(['sweep', *words, '--dry_run']) == 0
  assert sweep.main(['sweep', *words, '--only_check_args']) == 0
