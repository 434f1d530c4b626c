"""Devices that are not there, for which programs are compiled.

Their compilers run on any machine: JAX has a description of the device in
place of the device. Which packages that takes stands in setup.cfg,
`[accelerators]`.
"""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lstm_jax.lab.run import xla_flags

if TYPE_CHECKING:
  import jax

# What the H100 is to its compiler: sizes, clock, compute capability.
_H100 = Path(__file__).with_name('h100.txtpb')


class Target(NamedTuple):
  """A device and what compiles for it.

  Attributes:
    modules: of the packages that it takes.
    distributions: the same, as their versions are asked for.
    environ: of a process that compiles for it.
    flags: for XLA, besides the commands' own.
    topology: arguments of `topologies.get_topology_desc`.
  """

  modules: tuple[str, ...]
  distributions: tuple[str, ...]
  environ: dict[str, str]
  flags: Callable[[], str]
  topology: Callable[[], dict[str, str]]


def _cuda_folder():
  """The folder with `bin/ptxas` and `nvvm/libdevice` of NVIDIA's packages."""
  spec = importlib.util.find_spec('nvidia')
  for place in (spec and spec.submodule_search_locations) or ():
    for ptxas in sorted(Path(place).glob('*/bin/ptxas')):
      if (ptxas.parents[1] / 'nvvm' / 'libdevice').is_dir():
        return ptxas.parents[1]
  return None


TARGETS = {
  'h100': Target(
    ('jax_cuda13_plugin', 'jax_plugins.xla_cuda13'),
    (
      'jax-cuda13-pjrt', 'jax-cuda13-plugin', 'nvidia-cuda-nvcc', 'nvidia-nvvm',
    ),
    {},
    lambda: (
      '--xla_gpu_autotune_level=0 '  # there is nothing to time it on
      f'--xla_gpu_cuda_data_dir={_cuda_folder()}'
    ),
    lambda: {
      'topology_name': 'h100',
      'platform': 'cuda',
      'topology': '1x1x1',
      'target_config': _H100.read_text(encoding='utf-8'),
    },
  ),
  'v5e': Target(
    ('libtpu',),
    ('libtpu',),
    {
      'TPU_SKIP_MDS_QUERY': '1',
      'TPU_ACCELERATOR_TYPE': 'v5litepod-4',
      'TPU_WORKER_HOSTNAMES': 'localhost',
      'TPU_WORKER_ID': '0',
      # Nobody has the TPU, whoever else has the library.
      'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
    },
    lambda: '',
    lambda: {'topology_name': 'v5e:2x2', 'platform': 'tpu'},
  ),
}  # fmt: skip


def missing(name: str) -> str | None:
  """One line on what to install for a target; None: all of it is there.

  Args:
    name: of `TARGETS`.
  """
  lacks = [m for m in TARGETS[name].modules if not _is_there(m)]
  if name == 'h100' and not lacks and _cuda_folder() is None:
    lacks = ['ptxas and libdevice of nvidia-cuda-nvcc and nvidia-nvvm']
  if not lacks:
    return None
  return (
    f'accelerators: to compile for {name} needs {", ".join(lacks)}: '
    "pip install 'lstm_jax[accelerators]' (3 GB, best in an environment of "
    'its own)'
  )


def _is_there(module):
  try:
    return importlib.util.find_spec(module) is not None
  except ModuleNotFoundError:  # the package that it would be in
    return False


def environment(name: str, environ: Mapping[str, str]) -> dict[str, str]:
  """The environment of a process that compiles for a target.

  XLA's flags are those of the commands where there may be an accelerator. The
  process itself computes on the CPU.

  Args:
    name: of `TARGETS`.
    environ: the environment to begin with.
  """
  target = TARGETS[name]
  own = {
    key: value
    for key, value in environ.items()
    if key not in ('JAX_PLATFORMS', 'XLA_FLAGS')
  }
  flags = f'{xla_flags.flags_of("auto", own)} {target.flags()}'.strip()
  own |= {**target.environ, 'XLA_FLAGS': flags, 'JAX_PLATFORMS': 'cpu'}
  return own


def flags_of_cpus(flags: str) -> list[str]:
  """Flags that an accelerator's compiler would read though they are of CPUs.

  Args:
    flags: as `XLA_FLAGS` has them.
  """
  return [
    word
    for word in flags.split()
    if not word.startswith(('--xla_cpu_', '--xla_gpu_'))
    and not all(
      option.startswith('xla_cpu_')
      for option in word.partition('xla_backend_extra_options=')[2].split(',')
    )
  ]


def device(name: str) -> 'jax.Device':
  """The device of a target, for whoever lowers programs.

  Args:
    name: of `TARGETS`.
  """
  from jax.experimental import topologies

  return topologies.get_topology_desc(**TARGETS[name].topology()).devices[0]
