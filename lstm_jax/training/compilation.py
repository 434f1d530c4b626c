"""Programs of trials compiled for a device, and how many lanes they have."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax

# Lane widths that get compiled. On CPU 16 lanes are one vector, and all that
# the step of a small net touches stays in the first cache. Where a network
# carries many numbers from step to step that is so no more: at 64 of them (an
# LSTM of 32 units, an SRN of 64) one trial after another takes half the time.
CPU_WIDTH = 16
CPU_LARGE = 64
ACCELERATOR_WIDTHS = (16, 64, 256, 1024, 4096)

Result = TypeVar('Result')


class CompiledPrograms(NamedTuple):
  """Programs that are compiled, of one kind of device.

  Attributes:
    by_call: name, function and lanes -> program.
    by_code: digest of its code -> program.
  """

  by_call: dict[object, jax.stages.Compiled]
  by_code: dict[object, jax.stages.Compiled]


class Compiled:
  """The programs of one device, compiled when first called.

  Two that come to the same code are compiled once: how trials of a cell begin
  and how it is tested does not depend on the window of their learner.

  Args:
    device: where they run.
    on_compile: called with True before and False after a compilation.
    programs: those of earlier runs on the device; more are added to them.
  """

  def __init__(
    self,
    device: jax.Device,
    on_compile: Callable[[bool], None] = lambda compiling: None,
    programs: CompiledPrograms | None = None,
  ) -> None:
    self.device = device
    self._on_compile = on_compile
    self._programs, self._of_code = programs or CompiledPrograms({}, {})

  def __call__(
    self, name: str, function: Callable[..., Result], *args: object
  ) -> tuple[Result, bool]:
    """Calls `function` compiled for the shapes of `args`.

    Returns:
      `(result, fresh)`: fresh where this call had to compile.
    """
    args = jax.device_put(args, self.device)
    key = (name, function.__name__, jax.tree.leaves(args)[0].shape)
    fresh = key not in self._programs
    if fresh:
      self._on_compile(True)
      try:
        self._programs[key] = self._of(jax.jit(function).lower(*args))
      finally:
        self._on_compile(False)
    return self._programs[key](*args), fresh

  def _of(self, lowered):
    """Compiles a lowered program, or returns what it came to under a name."""
    code = hashlib.sha256(lowered.as_text().encode()).digest()
    key = (code, lowered.in_tree, lowered.out_tree)
    if key not in self._of_code:
      self._of_code[key] = lowered.compile()
    return self._of_code[key]


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
