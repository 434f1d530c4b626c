"""Memory that is left is what system and container say."""

import pytest

from lstm_jax.lab.store import memory

GIB = 2**30
SYSTEM = f'MemTotal: 16777216 kB\nMemAvailable: {8 * 2**20} kB\n'
STAT = f'anon 5\ninactive_file {GIB}\ntotal_inactive_file {GIB}\n'


def group(limit, used, names=('memory.max', 'memory.current')):
  """Files of a control group."""
  return {names[0]: f'{limit}\n', names[1]: f'{used}\n', 'memory.stat': STAT}


OLD = 'memory.limit_in_bytes', 'memory.usage_in_bytes'


@pytest.mark.parametrize(
  'own, groups, expected',
  [
    ('0::/', {}, 8 * GIB),
    # Pages of files are given back.
    ('0::/', {'': group(4 * GIB, 3 * GIB)}, 2 * GIB),
    ('0::/', {'': group('max', 3 * GIB)}, 8 * GIB),
    ('0::/', {'': group(64 * GIB, 3 * GIB)}, 8 * GIB),
    ('0::/', {'': group(GIB, 3 * GIB)}, 0),
    # The smallest on the way up.
    (
      '0::/job/task',
      {'job': group(3 * GIB, GIB), 'job/task': group(6 * GIB, GIB)},
      3 * GIB,
    ),
    # Version 1.
    ('5:memory:/x', {'memory/x': group(5 * GIB, 2 * GIB, OLD)}, 4 * GIB),
    ('5:memory:/x', {'memory': group(2**63 - 4096, GIB, OLD)}, 8 * GIB),
    ('3:cpu:/x', {'memory/x': group(5, 0, OLD)}, 8 * GIB),
    ('nonsense', {}, 8 * GIB),
  ],
)
def test_memory_of_a_container(own, groups, expected, tmp_path):
  (tmp_path / 'own').write_text(own + '\n')
  (tmp_path / 'facts').write_text(SYSTEM)
  for folder, texts in groups.items():
    for name, text in texts.items():
      path = tmp_path / 'root' / folder / name
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_text(text)
  places = (tmp_path / name for name in ('root', 'own', 'facts'))
  assert memory.left(*places) == expected


@pytest.mark.parametrize(
  'facts', ['', 'MemAvailable:\n', 'MemAvailable: x kB\n']
)
def test_a_system_that_does_not_say_has_no_limit(facts, tmp_path):
  (tmp_path / 'facts').write_text(facts)
  absent = tmp_path / 'absent'
  assert memory.left(absent, absent, tmp_path / 'facts') is None
  assert memory.left(absent, absent, absent) is None
