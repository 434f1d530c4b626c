"""Traces of a network over a sequence."""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from lstm_jax.lab.plan import catalog
from lstm_jax.lab.store import memory
from lstm_jax.lab.store.setting import Setting

if TYPE_CHECKING:
  from lstm_jax.types import Array, Carry, Cell, Params, Source, Task


class Trace(TypedDict, total=False):
  """A sequence step by step, of T steps.

  Attributes:
    inputs, targets, outputs: `[T, I]`, `[T, K]`, `[T, K]`.
    mask: `[T]`, 1 where the error counts.
    carry: field -> `[T, n]`; of lstm1997 `s_c`, `y_c` and `y_gates`, input
      gates first.
    gates: 'input', 'forget', 'output', 'reset', 'update' -> `[T, n]`, of those
      that the cell has.
    names: 'inputs' and 'outputs' -> names of the lines.
  """

  inputs: np.ndarray
  targets: np.ndarray
  outputs: np.ndarray
  mask: np.ndarray
  carry: dict[str, np.ndarray]
  gates: dict[str, np.ndarray]
  names: dict[str, list[str]]


# Their names in `Equations` -> kinds of gates.
_GATES = {
  'y_in': 'input', 'y_f': 'forget', 'y_out': 'output',
  'r': 'reset', 'z': 'update',
}  # fmt: skip
_KINDS = tuple(_GATES.values())


def trace(
  setting: Setting, params: Mapping[str, np.ndarray], seed: int = 0
) -> Trace:
  """One fresh sequence through a kept network, as `tracer` follows it."""
  return tracer(setting, params)(seed)


def tracer(
  setting: Setting, params: Mapping[str, np.ndarray]
) -> Callable[[int], Trace]:
  """Follows one kept network over fresh sequences, as `follower` does.

  Args:
    setting: of the trial.
    params: path -> array, from `load`.

  Returns:
    From the seed of a sequence to its `Trace`.

  Raises:
    Machine: this process may have too little memory for JAX.
  """
  return functools.partial(follower(setting), params)


def follower(
  setting: Setting,
) -> Callable[[Mapping[str, np.ndarray], int], Trace]:
  """Follows networks of a trial over fresh sequences, everything recorded.

  Sequences of like length run one compiled program, whatever the network:
  thousands of them cost neither a compilation nor its memory each.

  Args:
    setting: of the trial.

  Returns:
    From the params of a network (path -> array) and the seed of a sequence to
    its `Trace`.

  Raises:
    Machine: this process may have too little memory for JAX.
  """
  memory.check()
  import jax
  import jax.numpy as jnp

  from lstm_jax.ops import prng
  from lstm_jax.ops.arrays import cast, to_dense

  task, cell = parts_of(setting)
  length = jnp.int32(setting.length or 1)

  @jax.jit
  def steps(key):
    return task.stream(task.fresh(key, length)).length

  @functools.partial(jax.jit, static_argnums=2)
  def records(net, key, count):
    stream = task.stream(task.fresh(key, length))

    def step(carry_tm1, t):
      x_t = stream.input_at(t)
      carry_t, net_k = cell.step(net, carry_tm1, cast(x_t, jnp.float32))
      record = {
        'inputs': to_dense(x_t),
        'targets': stream.target_at(t),
        'outputs': task.output(net_k),
        'mask': stream.scored_at(t).astype(jnp.float32),
        'carry': carry_t._asdict(),
        'gates': gates_of(cell, net, carry_tm1, x_t),
      }
      return carry_t, record

    start = cell.initial_carry((), jnp.float32)
    return jax.lax.scan(step, start, jnp.arange(count))[1]

  def follow(params, seed):
    key = prng.Key(*map(jnp.asarray, prng.key_of(seed)))
    count = int(steps(key))
    # One program for all lengths up to a power of two; what follows the end of
    # the sequence is cut off.
    net = net_of(cell, params)
    record = records(net, key, 1 << (count - 1).bit_length())
    record = jax.tree.map(lambda rows: np.asarray(rows)[:count], record)
    return record | {'gates': in_order(record['gates'])}

  return follow


def gates_of(
  cell: 'Cell', params: 'Params', carry_tm1: 'Carry', x_t: 'Source'
) -> 'dict[str, Array]':
  """The gates of a step, kind -> `[n]`; {} of a cell that does not say them."""
  from lstm_jax.ops import step

  if cell.equations is None:
    return {}
  inside = step.gates_of(cell.equations, params, carry_tm1, x_t)
  return {_GATES[name]: gate for name, gate in inside.items() if name in _GATES}


def in_order(gates: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Gates in the order in which figures show them, layer by layer.

  Args:
    gates: kind, or 'layer 2: ' and the kind, -> values.
  """

  def place(name):
    layer, _, kind = name.rpartition(': ')
    return layer, _KINDS.index(kind)

  return {name: gates[name] for name in sorted(gates, key=place)}


def parts_of(setting: Setting) -> 'tuple[Task, Cell]':
  """The task and the cell of a trial."""
  task = catalog.build(
    'tasks', catalog.of(setting, 'task'), **dict(setting.task_options)
  )
  cell = catalog.build(
    'cells',
    catalog.of(setting, 'cell'),
    task.num_inputs,
    task.num_outputs,
    **dict(setting.cell_options),
  )
  return task, cell


def net_of(cell: 'Cell', params: Mapping[str, np.ndarray]) -> 'Params':
  """The params of a cell from the arrays of a kept network, path -> array."""
  import jax
  import jax.numpy as jnp

  return jax.tree_util.tree_map_with_path(
    lambda path, _: jnp.asarray(
      params[jax.tree_util.keystr(path, simple=True, separator='/')]
    ),
    cell.mask,
  )
