"""`python -m tests.accelerators.compiling TARGET`: compiles all programs.

A process of its own for each target, with that target's environment: XLA reads
its flags once. It prints a line of JSON for each program as it is compiled.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.accelerators import compiled_text, programs, targets

if TYPE_CHECKING:
  import jax


def facts(program: programs.Program, device: 'jax.Device') -> dict[str, object]:
  """The facts of a program that are recorded, and what is wrong with it.

  Args:
    program: the program.
    device: of `targets.device`.
  """
  facts_of_it: dict[str, object] = {'name': program.name, 'wrongs': []}
  for part, lowered in program.parts(device):
    compiled = lowered.compile()
    text = compiled.as_text()
    facts_of_it['wrongs'] += [
      f'{part}: {w}' for w in compiled_text.wrongs(text)
    ]
    if part == 'start':
      continue
    loops = compiled_text.step_loops(text, part == 'advance')
    memory = compiled.memory_analysis()
    num_bytes = memory.temp_size_in_bytes + memory.output_size_in_bytes
    facts_of_it |= {
      'kernels': sum(loop.kernels for loop in loops),
      # A TPU runs its loops itself, and its compiler does not tell their count.
      **({'asks': sum(map(_asks, loops))} if device.platform == 'gpu' else {}),
      'bytes': round(num_bytes / program.lane_steps, 1),
    }
  return facts_of_it


def _asks(loop):
  """Loops that ask the device at every step, this and those in it."""
  return loop.asks + sum(map(_asks, loop.loops))


def of_target(name: str, *words: str) -> Iterator[dict[str, object]]:
  """The facts of all programs of a target, from a process that compiles.

  Args:
    name: of `targets.TARGETS`.
    *words: further words of its command line.

  Raises:
    RuntimeError: the process did not end well; its last words.
  """
  process = subprocess.Popen(
    [sys.executable, '-m', __name__, name, *words],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    env=targets.environment(name, os.environ),
  )
  with process:
    for line in process.stdout:
      yield json.loads(line)
    error = process.stderr.read()
  if process.returncode:
    raise RuntimeError(f'{name}: {error[-2000:]}')


def main(name: str, *words: str) -> None:
  """Compiles for a target and prints.

  Args:
    name: of `targets.TARGETS`.
    *words: 'wrong' for the programs that must not be; else those whose names
      hold one of the words; none: all.
  """
  import jax

  jax.config.update('jax_numpy_rank_promotion', 'raise')
  device = targets.device(name)
  if words == ('wrong',):
    for kind, lower in programs.wrong(device).items():
      print(json.dumps({'name': kind, 'wrongs': _wrongs(lower)}), flush=True)
    return
  for program in programs.every():
    if not words or any(word in program.name for word in words):
      try:
        found = facts(program, device)
      except Exception as error:  # the others are to be seen too
        found = {'name': program.name, 'wrongs': [_failure(error)]}
      print(json.dumps(found), flush=True)


def _wrongs(lower):
  """Lines on what is wrong; for a GPU no call of the host is even lowered."""
  try:
    return compiled_text.wrongs(lower().compile().as_text())
  except RuntimeError as error:
    return [_failure(error)]


def _failure(error):
  line = str(error).partition('\n')[0][:300]
  return f'it fails: {line}'


if __name__ == '__main__':
  main(*sys.argv[1:])
