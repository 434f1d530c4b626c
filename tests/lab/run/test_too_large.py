"""A program that takes more memory than there is ends a run in one line."""

from experiments import sweep
from lstm_jax.lab.store import folder, memory, trial_records

PLAN = (
  '--task=adding --cell=srn --learner=bptt --length=5,6 --seeds=2 --budget=20 '
  '--hidden=3 --devices=1 --progress=none'
).split()


def test_it_is_refused_before_it_runs(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(memory, 'left', lambda: 100)
  out = tmp_path / 'run'
  assert sweep.main(['sweep', *PLAN, f'--out={out}']) == 75
  assert 'out of memory: a program takes 0.0 GiB' in capsys.readouterr().err
  # The same command where there is more of it.
  monkeypatch.setattr(memory, 'left', lambda: None)
  assert sweep.main(['sweep', *PLAN, f'--out={out}']) == 0
  assert len(trial_records.ended(folder.open_folder(out))) == 4
