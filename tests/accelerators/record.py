"""`python -m tests.accelerators.record`: writes what the guards compare with.

  python -m tests.accelerators.record            both targets
  python -m tests.accelerators.record h100       one; the other stays as it is

Numbers are of the compiled programs, which no device has run: kernels that a
time step starts (of a TPU an inner loop counts as one iteration: its compiler
does not tell more), loops that ask the device after every step (of a GPU: a TPU
runs its loops itself), bytes a lane and step of temporary arrays and results.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from tests.accelerators import compiling, programs, targets

COMMAND = 'python -m tests.accelerators.record'
RECORDED = Path(__file__).with_name('recorded.json')
# A program may have so much more than is recorded, as a share and besides.
TOLERANCE = {'kernels': (0.1, 1), 'asks': (0.0, 0), 'bytes': (0.25, 64)}
Facts = Mapping[str, object]


def load() -> dict[str, dict[str, dict]]:
  """The record: target -> its versions and the facts of its programs."""
  return json.loads(RECORDED.read_text(encoding='utf-8'))['targets']


def breaches(
  recorded: Mapping[str, Facts], found: Iterable[Facts]
) -> list[str]:
  """Lines on programs that do more than is recorded, or are not recorded.

  Args:
    recorded: name of a program -> its facts.
    found: facts of programs, with their names.
  """
  lines = []
  for facts in found:
    before = recorded.get(str(facts['name']))
    if before is None:
      lines.append(f'{facts["name"]}: not recorded')
      continue
    for key, (share, besides) in TOLERANCE.items():
      if key in before and key in facts:
        most = before[key] * (1 + share) + besides
        if facts[key] > most:
          lines.append(
            f'{facts["name"]}: {key} {facts[key]}, recorded {before[key]}, '
            f'at most {most:.6g}'
          )
  return lines


def record(name: str, found: Iterable[Facts]) -> dict[str, object]:
  """The part of the record that is of a target.

  Args:
    name: of `targets.TARGETS`.
    found: facts of its programs.
  """
  packages = ('jax', 'jaxlib', *targets.TARGETS[name].distributions)
  return {
    'versions': {package: version(package) for package in packages},
    'lanes': programs.LANES,
    'layers': dict(zip(('T', 'B', 'I', 'H'), programs.SIZES, strict=True)),
    'programs': {
      facts['name']: {key: facts[key] for key in TOLERANCE if key in facts}
      for facts in found
    },
  }


def main(*names: str) -> int:
  """Compiles for targets and writes the record.

  Args:
    *names: of `targets.TARGETS`; none: all.

  Returns:
    The exit code: 2 where a package is missing, 1 where a program is wrong,
    and then nothing is written.
  """
  recorded = load() if RECORDED.exists() else {}
  for name in names or targets.TARGETS:
    if line := targets.missing(name):
      print(line, file=sys.stderr)
      return 2
    found = []
    for facts in compiling.of_target(name):
      print(name, *(f'{key}={value}' for key, value in facts.items()))
      found.append(facts)
    if any(facts['wrongs'] for facts in found):
      return 1
    recorded[name] = record(name, found)
  write(recorded)
  return 0


def write(recorded: Mapping[str, object]) -> None:
  """Writes the record.

  Args:
    recorded: target -> of `record`.
  """
  text = {
    'made_by': COMMAND,
    'tolerance': {
      key: {'share': share, 'besides': besides}
      for key, (share, besides) in TOLERANCE.items()
    },
    'targets': recorded,
  }
  RECORDED.write_text(json.dumps(text, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
  sys.exit(main(*sys.argv[1:]))
