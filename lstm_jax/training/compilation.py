"""Programs of trials compiled for a device, and how many lanes they have."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lstm_jax.types import Task

# Lane widths that get compiled. On CPU 16 lanes are one vector, and all that
# the step of a small net touches stays in the first cache. Where a network
# carries many numbers from step to step that is so no more: at 64 of them (an
# LSTM of 32 units, an SRN of 64) one trial after another takes half the time.
CPU_WIDTH = 16
CPU_LARGE = 64
ACCELERATOR_WIDTHS = (16, 64, 256, 1024, 4096)

# The axis of a mesh over which lanes are spread.
_LANES = 'lanes'
# Steps that an accelerator takes before it is asked whether there are more: a
# sequence is at most so many longer than it need be.
STEPS_AT_ONCE = 16

Result = TypeVar('Result')


class CompiledPrograms(NamedTuple):
  """Programs that are compiled, of one kind of device.

  Attributes:
    by_call: name, function and lanes -> program.
    by_code: digest of its code -> program.
  """

  by_call: dict[tuple[object, ...], jax.stages.Compiled]
  by_code: dict[object, jax.stages.Compiled]

  def drop(self, name: str) -> None:
    """Lets go of a program, which with its trace takes some 30 MB."""
    for key in [key for key in self.by_call if key[0] == name]:
      del self.by_call[key]
    left = {id(program) for program in self.by_call.values()}
    for code in [c for c, one in self.by_code.items() if id(one) not in left]:
      del self.by_code[code]


# Number and devices of a worker -> the programs that are compiled for it.
ProgramsByWorker = dict[tuple[object, ...], CompiledPrograms]


class Compiled:
  """The programs of one device, or of some, compiled when first called.

  Two that come to the same code are compiled once: how trials of a cell begin
  and how it is tested does not depend on the window of their learner.

  Args:
    devices: where they run; lanes are spread over all of them.
    on_compile: called with True before and False after a compilation.
    programs: those of earlier runs on the device; more are added to them.
    memory_left: bytes that the host has left, or None where nobody says; asked
      after each compilation for a CPU.

  Raises:
    MemoryError: of a call, a program that takes more. An accelerator's runtime
      says so itself; on a CPU the system would end the process.
  """

  def __init__(
    self,
    *devices: jax.Device,
    on_compile: Callable[[bool], None] = lambda compiling: None,
    programs: CompiledPrograms | None = None,
    memory_left: Callable[[], int | None] = lambda: None,
  ) -> None:
    self.device = devices[0]
    self.num_devices = len(devices)
    self._mesh = Mesh(np.array(devices), (_LANES,))
    self._on_compile = on_compile
    self._memory_left = memory_left
    self._programs, self._of_code = programs or CompiledPrograms({}, {})

  def __call__(
    self, name: str, function: Callable[..., Result], *args: object
  ) -> tuple[Result, bool]:
    """Calls `function` compiled for the shapes of `args`.

    Returns:
      `(result, fresh)`: fresh where this call had to compile.
    """
    return self._call(name, function, jax.device_put(args, self.device))

  def over_lanes(
    self, name: str, function: Callable[..., Result], *args: object
  ) -> tuple[Result, bool]:
    """Calls `function` with the lanes of `args` spread over all devices.

    Each device runs the same program on its share and waits for no other until
    it is done: nothing goes from lane to lane.

    Args:
      name: of the program.
      function: of arrays whose last axis is that of lanes, and of scalars.
      *args: its arguments; the number of lanes is a multiple of the devices'.

    Returns:
      As of a call. A scalar result is `[num_devices]`, where there are more
      than one.
    """
    if self.num_devices == 1:
      return self(name, function, *args)
    specs = jax.tree.map(_spec, args)
    places = jax.tree.map(lambda spec: NamedSharding(self._mesh, spec), specs)
    placed = jax.device_put(args, places)

    def over_lanes(*args):
      share = jax.eval_shape(function, *jax.tree.map(self._share, args))
      return jax.shard_map(
        lambda *args: jax.tree.map(
          lambda x: x if x.ndim else x[None], function(*args)
        ),
        mesh=self._mesh,
        in_specs=specs,
        out_specs=jax.tree.map(
          lambda x: _spec(x) if x.ndim else PartitionSpec(_LANES), share
        ),
        # A loop over constants and lanes has no one kind of its own.
        check_vma=False,
      )(*args)

    over_lanes.__name__ = function.__name__
    return self._call(name, over_lanes, placed)

  def _share(self, x):
    """The shape of an argument on one of the devices."""
    if not x.ndim:
      return x
    lanes = x.shape[-1] // self.num_devices
    return jax.ShapeDtypeStruct((*x.shape[:-1], lanes), x.dtype)

  def _call(self, name, function, args):
    key = (name, function.__name__, jax.tree.leaves(args)[0].shape)
    fresh = key not in self._programs
    if fresh:
      self._on_compile(True)
      try:
        program = self._of(jax.jit(function).lower(*args))
      finally:
        self._on_compile(False)
      self._check_memory(program)
      self._programs[key] = program
    return self._programs[key](*args), fresh

  def _check_memory(self, program):
    """Raises where a program takes more memory than there is."""
    if self.device.platform != 'cpu':
      return
    left, facts = self._memory_left(), program.memory_analysis()
    if left is None or facts is None:
      return
    taken = facts.temp_size_in_bytes + facts.output_size_in_bytes
    if taken > left:
      raise MemoryError(
        f'a program takes {taken / 2**30:.1f} GiB, {left / 2**30:.1f} are left'
      )

  def _of(self, lowered):
    """Compiles a lowered program, or returns what it came to under a name."""
    code = hashlib.sha256(lowered.as_text().encode()).digest()
    key = (code, lowered.in_tree, lowered.out_tree)
    if key not in self._of_code:
      self._of_code[key] = lowered.compile()
    return self._of_code[key]


def _spec(x):
  """The last axis over the mesh, all others whole."""
  if not np.ndim(x):
    return PartitionSpec()
  return PartitionSpec(*[None] * (np.ndim(x) - 1), _LANES)


def task_on(task: Task, platform: str) -> Task:
  """The task as the programs of a platform are built with it.

  Args:
    task: the task.
    platform: of the device: 'cpu', 'gpu', 'tpu'.
  """
  if platform == 'cpu':
    return task
  return task._replace(steps_at_once=STEPS_AT_ONCE)


def widths_of(device: jax.Device, carried: int = 0) -> tuple[int, ...]:
  """The lane widths at which a program may run.

  On a CPU there is one, which follows from the program: the compiler adds in
  another order for another width, and a trial must not end with other bits
  because it was stopped, moved to another shard, left over as the last, or
  planned with other seeds.

  Args:
    device: of the kind that runs it.
    carried: numbers that a network of the program carries from step to step.

  Returns:
    Widths, ascending.
  """
  if device.platform != 'cpu':
    return ACCELERATOR_WIDTHS
  return (1,) if carried >= CPU_LARGE else (CPU_WIDTH,)


def width_for(widths: tuple[int, ...], count: int) -> int:
  """The smallest of the ascending `widths` that holds `count` lanes."""
  return next((w for w in widths if w >= count), widths[-1])
