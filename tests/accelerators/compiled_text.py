"""Reads what a compiled program does from its text, as XLA writes it."""

import re
from collections.abc import Iterator
from typing import NamedTuple

# Instructions that start nothing on a device.
_FREE = frozenset((
  'parameter', 'constant', 'tuple', 'get-tuple-element', 'bitcast', 'while',
  'conditional', 'call', 'after-all', 'opt-barrier', 'partition-id', 'iota',
  'replica-id', 'copy-done', 'slice-done', 'async-update', 'async-done',
))  # fmt: skip
# Loops that run once or not at all, by the function that has them: what a loop
# guards is computed only where it is due.
ONCE = frozenset((
  'settle', 'add', '_with_point', '_all_finite', 'update',
))  # fmt: skip
# The function that has the loop over sequences.
_OVER_SEQUENCES = 'advance_trials'
# The loop of `_steps.loop` that takes so many steps at once.
_BLOCK = 'block'
_HEAD = re.compile(r'^(ENTRY )?%?([\w.\-]+) \(.*\{$')
_INSTRUCTION = re.compile(r'^  (?:ROOT )?%?[\w.\-]+ = ')
_OPCODE = re.compile(r'([a-z][\w\-]*)\(')
_TRIPS = re.compile(r'known_trip_count":\{"n":"(\d+)"')
_CALLBACKS = re.compile(
  r'custom_call_target="[^"]*callback[^"]*"|is_host_transfer=true'
  r'| (?:infeed|outfeed)\('
)
_FLOAT64 = re.compile(r'\b(?:f64|c128)\[')
_CPU_CALLS = re.compile(
  r'custom_call_target="(?:lapack_|xla_cpu|cpu_|lstm_jax|__onednn|ducc_)[^"]*"'
)


class Loop(NamedTuple):
  """A loop of a compiled program.

  Attributes:
    function: which has it in our source.
    kernels: that one iteration starts. Loops in it count for each of their
      iterations where the compiler knows them, else for one; a block of steps
      counts for one step.
    trips: iterations, where the compiler knows them.
    loops: that are in it.
  """

  function: str
  kernels: int
  trips: int | None
  loops: tuple['Loop', ...]

  @property
  def asks(self) -> bool:
    """True where the device is asked after each step if there are more."""
    return self.trips is None and not any(
      inner.trips is not None and inner.function == _BLOCK
      for inner in self.loops
    )


class _Line(NamedTuple):
  """An instruction: its operation and its whole line."""

  opcode: str
  text: str


def wrongs(text: str) -> list[str]:
  """Lines on what an accelerator's program must not have, one a kind.

  Args:
    text: of a compiled program.
  """
  kinds = (
    ('a call of the host', _CALLBACKS),
    ('numbers of float64', _FLOAT64),
    ('a call of a CPU library', _CPU_CALLS),
  )
  matches = ((words, pattern.search(text)) for words, pattern in kinds)
  return [f'{words}: {match[0]}' for words, match in matches if match]


def loops_of(text: str) -> tuple[Loop, ...]:
  """The loops of a compiled program's entry, those inside them in them.

  Args:
    text: of a compiled program.
  """
  parts, entry = _computations(text)
  functions = _functions(text)
  return tuple(_loops(parts, functions, entry))


def step_loops(text: str, is_of_trials: bool) -> list[Loop]:
  """The loops over time of a program that advances trials, or of a layer.

  Those of trials are in a loop over sequences; what runs once a sequence is
  left out.

  Args:
    text: of a compiled program.
    is_of_trials: whether it advances trials.
  """
  loops = loops_of(text)
  if is_of_trials:
    (over_sequences,) = (
      loop for loop in loops if loop.function == _OVER_SEQUENCES
    )
    loops = over_sequences.loops
  return [loop for loop in loops if loop.function not in ONCE]


def _loops(parts, functions, name) -> Iterator[Loop]:
  for line in parts[name]:
    if line.opcode == 'while':
      function, trips, body = _while(functions, line)
      yield Loop(
        function,
        _kernels(parts, functions, body),
        trips,
        tuple(_loops(parts, functions, body)),
      )
    for other in _called(line):
      yield from _loops(parts, functions, other)


def _while(functions, line):
  """`(function that has the loop, its iterations if known, its body)`."""
  trips = _TRIPS.search(line.text)
  frame = re.search(r'stack_frame_id=(\d+)', line.text)
  return (
    functions.get(frame[1], '') if frame else '',
    int(trips[1]) if trips else None,
    _name_after('body=', line.text),
  )


def _kernels(parts, functions, name):
  """Kernels of a computation and of what it calls, see `Loop.kernels`."""
  count = 0
  for line in parts[name]:
    if line.opcode == 'while':
      function, trips, body = _while(functions, line)
      times = 1 if function == _BLOCK else trips or 1
      count += times * _kernels(parts, functions, body)
    count += line.opcode not in _FREE
    count += sum(_kernels(parts, functions, other) for other in _called(line))
  return count


def _called(line):
  """Computations that a line runs in place: those of calls and conditions."""
  if line.opcode == 'call':
    return [_name_after('to_apply=', line.text)]
  if line.opcode == 'conditional':
    branches = re.search(r'branch_computations=\{([^}]*)\}', line.text)
    if branches:
      return [word.strip(' %') for word in branches[1].split(',')]
    return [
      _name_after(f'{key}_computation=', line.text) for key in ('true', 'false')
    ]
  return []


def _name_after(key, text):
  match = re.search(re.escape(key) + r'%?([\w.\-]+)', text)
  assert match, text[:200]
  return match[1]


def _computations(text):
  """(name -> its lines, name of the entry)."""
  parts: dict[str, list[_Line]] = {}
  entry = name = ''
  for line in text.splitlines():
    if head := _HEAD.match(line):
      name = head[2]
      parts[name] = []
      entry = name if head[1] else entry
    elif name and (start := _INSTRUCTION.match(line)):
      rest = _after_type(line[start.end() :])
      opcode = _OPCODE.match(rest)
      parts[name].append(_Line(opcode[1] if opcode else '', rest))
  return parts, entry


def _after_type(text):
  """An instruction without the type that it begins with."""
  if not text.startswith('('):
    return text.partition(' ')[2]
  depth = 0
  for i, character in enumerate(text):
    depth += (character == '(') - (character == ')')
    if not depth:
      return text[i + 1 :].lstrip()
  return ''


def _functions(text):
  """Number of a stack frame -> the name of its innermost function."""
  names = dict(re.findall(r'^(\d+) "([^"]*)"$', _table(text, 'FunctionNames'),
    re.MULTILINE))  # fmt: skip
  places = dict(
    re.findall(
      r'^(\d+) \{file_name_id=\d+ function_name_id=(\d+)',
      _table(text, 'FileLocations'),
      re.MULTILINE,
    )
  )
  frames = dict(
    re.findall(
      r'^(\d+) \{file_location_id=(\d+)',
      _table(text, 'StackFrames'),
      re.MULTILINE,
    )
  )
  return {
    frame: names.get(places.get(place, ''), '').rpartition('.')[2]
    for frame, place in frames.items()
  }


def _table(text, title):
  """The lines of one of the tables that a text begins with."""
  return text.partition(f'\n{title}\n')[2].partition('\n\n')[0]
