"""The truncated rule in C++ has the same bits on other processors.

One source, compiled for this one, for any with AVX2 and for ARM, whose code an
emulator runs.
"""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from lstm_jax.nn.native import library

HERE, NATIVE = Path(__file__).parent, Path(library.__file__).parent
CROSS, EMULATOR = 'aarch64-linux-gnu-g++', 'qemu-aarch64'


def bits(folder, compiler, machine, emulator=()):
  program = folder / f'steps{machine}'
  flags = [f for f in library.FLAGS if f[:6] not in ('-march', '-share')]
  source = HERE / 'truncated_steps.cc'
  subprocess.run(
    [compiler, *flags, machine, f'-I{NATIVE}', str(source), '-static',
     '-o', str(program)],
    check=True,
  )  # fmt: skip
  done = subprocess.run(
    [*emulator, str(program)], check=True, capture_output=True, text=True
  )
  return done.stdout.split()


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != 'x86_64', reason='x86 has AVX2')
def test_the_bits_are_those_of_other_processors(tmp_path):
  compiler = shutil.which('g++')
  if compiler is None:
    pytest.skip('this machine has no g++')
  ours = bits(tmp_path, compiler, '-march=native')
  assert len(ours) > 10_000 and len(set(ours)) > 5_000
  assert bits(tmp_path, compiler, '-march=x86-64-v3') == ours
  if not (shutil.which(CROSS) and shutil.which(EMULATOR)):
    pytest.skip(f'for ARM it takes {CROSS} and {EMULATOR}')
  assert bits(tmp_path, CROSS, '-march=armv8-a', (EMULATOR,)) == ours
