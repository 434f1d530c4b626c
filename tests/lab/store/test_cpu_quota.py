"""Cores are those that a process may use."""

import pytest

from lstm_jax.lab.store import cpu_quota, machine


@pytest.mark.parametrize(
  'own, files, expected',
  [
    # A container of version 2 sees its group as the root.
    ('0::/', {'cpu.max': '150000 100000\n'}, 1.5),
    ('0::/', {'cpu.max': 'max 100000\n'}, None),
    # The smallest on the way up.
    (
      '0::/job/task',
      {'job/task/cpu.max': '400000 100000', 'job/cpu.max': '200000 100000'},
      2.0,
    ),
    # Version 1: the path is the host's, the group is mounted as the root.
    (
      '3:cpu,cpuacct:/docker/0a1b',
      {'cpu/cpu.cfs_quota_us': '50000', 'cpu/cpu.cfs_period_us': '100000'},
      0.5,
    ),
    (
      '3:cpu,cpuacct:/',
      {'cpu/cpu.cfs_quota_us': '-1', 'cpu/cpu.cfs_period_us': '100000'},
      None,
    ),
    ('5:memory:/x', {'cpu.max': '100000 100000'}, None),
    ('nonsense', {}, None),
  ],
)
def test_quota_of_a_container(own, files, expected, tmp_path):
  (tmp_path / 'own').write_text(own + '\n')
  for name, text in files.items():
    path = tmp_path / 'root' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
  assert cpu_quota.quota(tmp_path / 'root', tmp_path / 'own') == expected


def test_the_smallest_limit_counts(monkeypatch):
  def cores(quota=None, **environ):
    monkeypatch.setattr(cpu_quota, 'quota', lambda: quota)
    return machine.cores(environ)

  monkeypatch.setattr(
    machine.os, 'sched_getaffinity', lambda pid: set(range(8)), raising=False
  )
  assert cores() == 8
  assert cores(quota=2.5) == 3 and cores(quota=0.2) == 1
  assert cores(SLURM_CPUS_PER_TASK='4') == 4
  assert cores(quota=2.0, SLURM_CPUS_PER_TASK='4') == 2
  assert cores(quota=64.0, SLURM_CPUS_PER_TASK='64') == 8
  assert cores(SLURM_CPUS_PER_TASK='4(x2)') == 8
