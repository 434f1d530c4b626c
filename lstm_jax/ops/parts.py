"""Parts that a learner may need of its cell and its task, by their names.

A cell or a task says in `PROVIDES` which it has under which options, for plans,
which have neither in hand. Whoever has one asks it here.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from lstm_jax.types import Cell, Task

# Fields of the params of a network whose units join it one by one.
_CASCADE = {'w_x', 'w_h', 'w_s', 'b', 'w_out', 'w_out_x', 'b_out'}


def _internal_state(cell):
  return cell.internal is not None


def _compiled_rule(cell):
  return cell.internal is not None and cell.internal.compiled is not None


def _readout(cell):
  """Output units outside the recurrent layer."""
  return cell.equations is not None and bool(cell.equations.readout)


def _inputs_to_outputs(cell):
  """Output units that see the input lines."""
  names = () if cell.equations is None else cell.equations.readout
  return any(
    name.endswith('_x') and getattr(cell.mask, name).any() for name in names
  )


def _local_state(cell):
  """Units that act on each other by their recurrent weights alone."""
  from lstm_jax.ops.step import local_fields

  return local_fields(cell) is not None


def _constant_leak(cell):
  """Units that send what they keep, and forget it at a constant rate."""
  from lstm_jax.ops.step import constant_leak

  return constant_leak(cell) is not None


def _cascade(cell):
  return {*getattr(cell.mask, '_fields', ())} >= _CASCADE


def _error_at_end(task):
  return task.error_at_end


def _next_symbol(task):
  return task.next_symbol


def _drawn_inputs(task):
  """Inputs that compiled code draws by itself."""
  import jax
  import jax.numpy as jnp

  from lstm_jax.types import Key

  def first(key, length):
    drawn = task.stream(task.fresh(key, length)).drawn
    is_drawn.append(drawn is not None)
    return length

  is_drawn: list[bool] = []
  key = Key(jnp.uint32(0), jnp.uint32(0))
  jax.eval_shape(first, key, jnp.int32(1000))
  return is_drawn[0]


OF_CELLS: Mapping[str, Callable[['Cell'], bool]] = {
  'internal_state': _internal_state,
  'compiled_rule': _compiled_rule,
  'readout': _readout,
  'inputs_to_outputs': _inputs_to_outputs,
  'local_state': _local_state,
  'constant_leak': _constant_leak,
  'cascade': _cascade,
}
OF_TASKS: Mapping[str, Callable[['Task'], bool]] = {
  'error_at_end': _error_at_end,
  'next_symbol': _next_symbol,
  'drawn_inputs': _drawn_inputs,
}
