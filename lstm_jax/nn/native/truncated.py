"""The truncated rule in C++: steps of a network and its traces, `truncated.h`.

A call takes a block of steps for all lanes; what it ends with is what the next
one begins with, and the bits of a lane do not depend on where it is cut or on
the other lanes. The learner that asks for it is `truncated1997`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.nn.native import library
from lstm_jax.types import Array, CompiledRule, Drawn

# Kinds of units that act on an internal state, in the order of their traces.
KINDS = ('g', 'y_in', 'y_f')


class State(NamedTuple):
  """State between two calls; L lanes.

  Attributes:
    s: internal states.
    y: activations of the step before, gates and cells.
    traces: ds_c/dw of the units of each kind, one kind after the other.
  """

  s: Array  # [C, L]
  y: Array  # [Y, L]
  traces: Array  # [kinds C, S, L]


def steps(
  rule: CompiledRule,
  heard: int,
  w: Array,
  xs: Array,
  begin: Array,
  first: Array,
  count: Array,
  state: State,
  drawn: Drawn | None = None,
) -> tuple[State, Array]:
  """Some steps of a network and its traces, one sequence a lane.

  Args:
    rule: the recurrence of the cell.
    heard: how many of the last activations are sources of hidden units.
    w: `[U, S, L]`, weights of units from their sources: 1, input lines, the
      activations that are heard.
    xs: `[I, N, L]` inputs of N steps.
    begin: `[L]` int32, the step that is a lane's first; before it, it stands
      still, and its input is not read.
    first: int32, number of the first of these steps.
    count: int32, how many are taken, 0 to N.
    state: before them.
    drawn: how their inputs are drawn, its arrays `[L]`; of `xs` the size I
      alone counts then, and all inputs are given. None: they are those of `xs`.

  Returns:
    `(state, net)`: the state after them and, where the input of the step that
    follows is given, its net inputs `[U, L]`; else zeros.

  Raises:
    RuntimeError: the compiled library cannot be used here.
  """
  library.load()
  shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in (*state, w[:, 0])]
  name, more, numbers = 'lstm_jax_truncated', (), {}
  if drawn is not None:
    name += '_drawn'
    at = [jnp.stack(event[:2]) for event in drawn.events]
    more = (
      jnp.stack(tuple(drawn.key)).astype(jnp.uint32),
      jnp.stack(at).astype(jnp.int32),
      np.array([value for *_, value in drawn.events], np.float32),
    )
    numbers = {
      'symbols': np.int64(-1 if drawn.symbols is None else drawn.symbols),
      'bits': np.int64(drawn.bits),
      'scale': np.float64(drawn.scale),
      'shift': np.float64(drawn.shift),
    }
  call = jax.ffi.ffi_call(name, shapes, input_output_aliases={4: 0, 5: 1, 6: 2})
  span = jnp.stack([first, count]).astype(jnp.int32)
  *state_arrays, net = call(
    w,
    xs,
    begin.astype(jnp.int32),
    span,
    *state,
    *more,
    forgets=np.bool_(rule.forgets),
    in_gates=np.int64(rule.in_gates),
    out_gates=np.int64(rule.out_gates),
    block=np.int64(rule.block),
    heard=np.int64(heard),
    g=np.int64(rule.g),
    h=np.int64(rule.h),
    **numbers,
  )
  return State(*state_arrays), net
