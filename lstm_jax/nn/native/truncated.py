"""The truncated rule in C++: steps of a network and its traces, `truncated.h`.

A call takes a block of steps for all lanes; what it ends with is what the next
one begins with, and the bits of a lane do not depend on where it is cut or on
the other lanes. Where every step has an error the steps of a block come first
(`kept_steps`), then their errors, then what these add to the gradient
(`truncated_errors.h`). The learner that asks for it is `truncated1997`.
"""

import dataclasses
import functools
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


class Kept(NamedTuple):
  """Arrays of each of N steps, for its error; zeros for steps not taken.

  Attributes:
    nets: net inputs of the hidden units.
    s, y: of a `State`, before the step.
    factors: ds_c/dnet of the units of each kind.
    decays: ds_c/ds_c one step ago; without rows where it is 1.
  """

  nets: Array  # [U, N, L]
  s: Array  # [C, N, L]
  y: Array  # [Y, N, L]
  factors: Array  # [kinds C, N, L]
  decays: Array  # [C or 0, N, L]


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=('operands', 'state', 'more', 'net'),
  meta_fields=('name', 'numbers'),
)
@dataclasses.dataclass(frozen=True)
class PreparedSteps:
  """Steps of a network and its traces, one sequence a lane, to come or done.

  Attributes:
    operands: weights, inputs, first steps of lanes, range of steps.
    state: before them or after.
    more: what the inputs are drawn from; () where they are given.
    net: after them, where the input of the step that follows is given, its net
      inputs `[U, L]`; else zeros.
    name: of the call.
    numbers: of the call, by name.
  """

  operands: tuple[Array, ...]
  state: State
  more: tuple[Array, ...]
  net: Array
  name: str
  numbers: tuple[tuple[str, bool | int | float], ...]


def prepare_steps(
  rule: CompiledRule,
  heard: int,
  w: Array,
  xs: Array,
  begin: Array,
  first: Array,
  count: Array,
  state: State,
  drawn: Drawn | None = None,
) -> PreparedSteps:
  """Prepares some steps for `run_steps`, all of them as of `steps`."""
  name, more, numbers = 'truncated', (), _net_numbers(rule, heard)
  if drawn is not None:
    name += '_drawn'
    signal = drawn.signal
    at = [jnp.stack(event[:2]) for event in drawn.events]
    none = jnp.zeros((0, 2, *begin.shape), jnp.int32)
    more = (
      jnp.stack(tuple(drawn.key)).astype(jnp.uint32),
      jnp.stack(at).astype(jnp.int32) if at else none,
      jnp.array([value for *_, value in drawn.events], jnp.float32),
      jnp.zeros(begin.shape, jnp.float32) if signal is None else signal.value,
    )
    numbers |= {
      'symbols': -1 if drawn.symbols is None else drawn.symbols,
      'bits': drawn.bits,
      'scale': float(drawn.scale),
      'shift': float(drawn.shift),
      'signal': -1 if signal is None else signal.steps,
      'is_noisy': signal is not None and signal.is_noisy,
    }
  return PreparedSteps(
    operands=(w, xs, begin.astype(jnp.int32), _span(first, count)),
    state=state,
    more=more,
    net=jnp.zeros_like(w[:, 0]),
    name=name,
    numbers=tuple(numbers.items()),
  )


def run_steps(steps: PreparedSteps) -> PreparedSteps:
  """Takes steps that are prepared.

  Raises:
    RuntimeError: the compiled library cannot be used here.
  """
  results = _like(*steps.state, steps.net)
  call = _ffi_call(steps.name, results, {4: 0, 5: 1, 6: 2})
  *state, net = call(
    *steps.operands, *steps.state, *steps.more, **_attributes(steps.numbers)
  )
  return dataclasses.replace(steps, state=State(*state), net=net)


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
  done = run_steps(
    prepare_steps(rule, heard, w, xs, begin, first, count, state, drawn)
  )
  return done.state, done.net


def kept_steps(
  rule: CompiledRule,
  heard: int,
  w: Array,
  xs: Array,
  begin: Array,
  first: Array,
  count: Array,
  s: Array,
  y: Array,
) -> tuple[Array, Array, Kept]:
  """Some steps of a network alone, and what their errors need of each.

  Args:
    rule, heard, w, xs, begin, first, count: as of `steps`.
    s, y: of a `State`, before them.

  Returns:
    `(s, y, kept)`: after them, and what each has left.

  Raises:
    RuntimeError: the compiled library cannot be used here.
  """
  num_steps, lanes, cells = xs.shape[1], s.shape[-1], len(s)
  kinds = 3 if rule.forgets else 2 if rule.in_gates else 1
  rows = len(w), cells, len(y), kinds * cells, cells if rule.forgets else 0
  left = [jax.ShapeDtypeStruct((n, num_steps, lanes), s.dtype) for n in rows]
  call = _ffi_call('truncated_kept', _like(s, y) + left, {4: 0, 5: 1})
  s, y, *arrays = call(
    w, xs, begin.astype(jnp.int32), _span(first, count), s, y,
    **_attributes(_net_numbers(rule, heard).items()),
  )  # fmt: skip
  return s, y, Kept(*arrays)


def add_trace_errors(
  count: Array,
  errors: Array,
  kept: Kept,
  z: Array,
  traces: Array,
  total: Array,
) -> tuple[Array, Array]:
  """Adds what the errors of some steps say of the steps before each.

  Args:
    count: int32, how many of the steps are done.
    errors: `[C, N, L]` of the internal states one step ago.
    kept: of `kept_steps`.
    z: `[S, N, L]` sources of hidden units.
    traces: of a `State`, before the first step.
    total: `[kinds C, S, L]`, the sum so far, a row for each trace.

  Returns:
    `(traces, total)`: after the last.
  """
  call = _ffi_call('truncated_errors', _like(traces, total), {5: 0, 6: 1})
  traces, total = call(
    _one_count(count), errors, kept.factors, kept.decays, z, traces, total
  )
  return traces, total


def add_products(count: Array, errors: Array, z: Array, total: Array) -> Array:
  """Adds the products of errors and sources of some steps, one by one.

  Args:
    count: int32, how many of the steps are done.
    errors: `[R, N, L]`.
    z: `[S, N, L]`.
    total: `[R, S, L]`, the sum so far.
  """
  call = _ffi_call('truncated_products', _like(total), {3: 0})
  (total,) = call(_one_count(count), errors, z, total)
  return total


def _ffi_call(name, results, aliases):
  """A call of the library, whose first results lie where arguments were."""
  library.load()
  return jax.ffi.ffi_call(
    f'lstm_jax_{name}', results, input_output_aliases=aliases
  )


def _like(*arrays):
  return [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in arrays]


def _one_count(count):
  return jnp.asarray(count, jnp.int32)[None]


def _span(first, count):
  return jnp.stack([first, count]).astype(jnp.int32)


def _net_numbers(rule, heard):
  """The numbers of a net, as a call takes them."""
  return {
    'forgets': rule.forgets,
    'in_gates': rule.in_gates,
    'out_gates': rule.out_gates,
    'block': rule.block,
    'heard': heard,
    'g': rule.g,
    'h': rule.h,
  }


def _attributes(numbers):
  """Numbers by name, each of the type that C++ reads."""
  kinds = {bool: np.bool_, int: np.int64, float: np.float64}
  return {name: kinds[type(number)](number) for name, number in numbers}
