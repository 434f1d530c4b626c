"""Options of JAX that act on results: pinned, or written down.

A user may have set any of them, in the environment or in a program that calls
ours. What keys are and how they are split belongs to the seed, and is set here
whatever was said; of the rest a folder holds what it was made with.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, MutableMapping

_PINNED = {
  'jax_default_prng_impl': 'threefry2x32',
  'jax_threefry_partitionable': True,
  'jax_random_seed_offset': 0,
  # Shapes that fit by accident are errors.
  'jax_numpy_rank_promotion': 'raise',
}
_RECORDED = (
  'jax_allow_f16_reductions',
  'jax_compiler_enable_remat_pass',
  'jax_debug_infs',
  'jax_debug_key_reuse',
  'jax_debug_nans',
  'jax_default_dtype_bits',
  'jax_default_matmul_precision',
  'jax_disable_jit',
  'jax_disable_most_optimizations',
  'jax_enable_checks',
  'jax_enable_custom_prng',
  'jax_enable_x64',
  'jax_exec_time_optimization_effort',
  'jax_explicit_x64_dtypes',
  'jax_high_dynamic_range_gumbel',
  'jax_memory_fitting_effort',
  'jax_memory_fitting_level',
  'jax_no_execution',
  'jax_numpy_dtype_promotion',
  'jax_optimization_level',
  'jax_softmax_custom_jvp',
  'jax_threefry_gpu_kernel_lowering',
  'jax_use_direct_linearize',
  'jax_use_magma',
  'jax_xla_profile_version',
)
# Libraries below JAX are told things by the environment alone.
_ENVIRONMENT = (
  'NVIDIA_TF32_OVERRIDE',
  'TF_CUDNN_DETERMINISTIC',
  'TF_ENABLE_CUBLAS_TENSOR_OP_MATH_FP32',
  'LIBTPU_INIT_ARGS',
)


def pin() -> None:
  """Sets what is not the user's to choose."""
  import jax

  for name, value in _PINNED.items():
    jax.config.update(name, value)


@contextlib.contextmanager
def as_before(
  environ: MutableMapping[str, str] = os.environ,
) -> Iterator[None]:
  """A context after which JAX and its environment are set as before it."""
  import jax

  flags = environ.get('XLA_FLAGS')
  options = {name: jax.config.values[name] for name in _PINNED}
  try:
    yield
  finally:
    for name, value in options.items():
      jax.config.update(name, value)
    environ.pop('XLA_FLAGS', None)
    if flags is not None:
      environ['XLA_FLAGS'] = flags


def recorded(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
  """Option -> value, as text, of those that act on results and are set here."""
  import jax

  # Not every version has all of them.
  jax_values = jax.config.values
  options = {
    name.removeprefix('jax_'): str(jax_values[name])
    for name in _RECORDED
    if name in jax_values
  }
  options |= {name: environ[name] for name in _ENVIRONMENT if name in environ}
  return options
