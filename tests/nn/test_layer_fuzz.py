"""Layers drawn at random: every kernel is held to a loop over the cell's step.

Values and gradients by the weights, inputs and states. The reference is written
for one sequence in float64, step by step, and is never compiled as a whole.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lstm_jax.lab.plan import catalog
from lstm_jax.nn.dropout import Noise
from lstm_jax.nn.layer import run, which_kernel
from lstm_jax.nn.native import library
from lstm_jax.ops.step import recurrent_input

CELLS = [
  ('lstm', {}),
  ('gru', {}),
  ('srn', {}),
  ('srn', {'activation': 'relu'}),
  ('srn', {'activation': 'logistic'}),
  ('lstm', {'peepholes': True}),
  ('gru', {'reset': 'before'}),
  ('srn', {'recurrence': 'self'}),
  ('srn', {'hidden_bias': False}),
  ('lstm_layernorm', {}),
  ('lstm_layernorm', {'norm': 'per_gate'}),
  ('lstm1997', {}),
  ('lstm1997', {'output_gates': False, 'reset_gates_to': 'half'}),
  ('lstm1997', {'state_sum': 'compensated'}),
  ('fully_recurrent', {'bias': True}),
  ('cascaded', {}),
]
# T, B, I, C.
SHAPES = [(5, 3, 2, 4), (1, 1, 1, 1), (4, 2, 3, 9), (0, 2, 2, 4), (3, 0, 2, 4)]
WAYS = (
  {'kernel': 'xla'},
  {'kernel': 'xla', 'backward': 'autodiff'},
  {'kernel': 'native'},
)


class Case(NamedTuple):
  """What is drawn: a layer, what it is asked for, and numbers to fill it."""

  cell: tuple[str, Any]
  shape: tuple[int, int, int, int]
  seed: int
  double: bool
  single: bool
  models: bool
  reverse: bool
  lengths: bool
  state: bool
  initial: bool
  reset: bool
  cut_every: int | None
  every: int | None
  noise: tuple[str, ...]


def cases():
  rarely = st.sampled_from([False, False, True])
  return st.builds(
    Case,
    st.sampled_from([(name, tuple(how.items())) for name, how in CELLS]),
    st.sampled_from(SHAPES),
    st.integers(0, 1000),
    st.booleans(),
    rarely,
    rarely,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    rarely,
    rarely,
    st.sampled_from([None, None, 1, 2, 20]),
    st.sampled_from([None, None, 2, 7]),
    st.sampled_from([(), (), ('inputs',), ('keep',), ('heard',)]),
  ).filter(_is_a_cell)


def _is_a_cell(case):
  """One unit is its own mean: a cell that norms it is refused."""
  return case.shape[-1] > 1 or 'layernorm' not in case.cell[0]


@functools.cache
def built(name, options, num_inputs, size):
  sizes = {'blocks': size, 'block_size': 1} if name == 'lstm1997' else None
  return catalog.build(
    'cells', name, num_inputs, 0, **(sizes or {'hidden': size}), **dict(options)
  )


class Drawn(NamedTuple):
  """Arrays of a case, in float64; leading axes of models on the params."""

  params: Any
  xs: Any
  state: Any
  initial: Any
  lengths: Any
  reset: Any
  noise: Noise
  weights: Any  # of the loss, for ys, each field of last, and of states


def drawn(case, cell):
  num_steps, batch, num_inputs, _ = case.shape
  rng = np.random.default_rng(case.seed)
  lanes = () if case.single else (batch,)
  normal = lambda *shape: rng.normal(size=shape)
  models = (2,) if case.models else ()
  carry = cell.initial_carry((), jnp.float64)
  size = len(getattr(carry, cell.equations.output))
  heard = len(recurrent_input(cell.equations, carry))
  some = lambda *lanes: type(carry)(*(normal(*lanes, len(f)) for f in carry))
  shapes = {
    'inputs': (*lanes, num_inputs),
    'heard': (*lanes, heard),
    'keep': (num_steps, *lanes, size),
  }
  return Drawn(
    params=jax.tree.map(
      lambda m: 0.6 * m * normal(*models, *m.shape), cell.mask
    ),
    xs=normal(num_steps, *lanes, num_inputs),
    state=some(*lanes) if case.state else None,
    initial=some() if case.initial else None,
    lengths=rng.integers(0, num_steps + 1, lanes) if case.lengths else None,
    reset=rng.uniform(size=(num_steps, *lanes)) < 0.3 if case.reset else None,
    noise=Noise(**{n: rng.uniform(size=shapes[n]) for n in case.noise}),
    weights=(normal(num_steps, *lanes, size), some(*lanes)),
  )


def loss_of(made, weights):
  of_ys, of_last = weights
  ys = jnp.sum(made[0] * of_ys.astype(made[0].dtype))
  return ys + sum(
    jnp.sum(a * jnp.asarray(b, a.dtype))
    for a, b in zip(made[1], of_last, strict=True)
  )


def by_layer(case, cell, arrays, way):
  """`(outputs, gradients)` of `run`, as a user calls it."""
  dtype = jnp.float64 if case.double else jnp.float32
  cast = functools.partial(jax.tree.map, lambda a: jnp.asarray(a, dtype))
  how = {'cut_every': case.cut_every, 'checkpoint_every': case.every} | way

  def loss(params, xs, state, initial):
    made = run(
      cell, params, xs, lengths=arrays.lengths, state=state, initial=initial,
      reset=arrays.reset, reverse=case.reverse, noise=arrays.noise, **how,
    )  # fmt: skip
    return loss_of(made, arrays.weights), made[:2]

  derive = jax.grad(loss, (0, 1, 2, 3), has_aux=True)
  if case.models:
    derive = jax.vmap(derive, (0, None, None, None))
  return jax.jit(derive)(*map(cast, arrays[:4]))


def by_steps(case, cell, arrays):
  """The same, by a loop over the steps of each sequence."""

  step = jax.jit(cell.step)

  def sequence(params, xs, state, initial, b):
    pick = lambda a: a if case.single else a[b]
    of_step = lambda a, t: a[t] if case.single else a[t, b]
    start = cell.initial_carry((), jnp.float64)
    if initial is not None:
      start = type(start)(*map(jnp.asarray, initial))
    carry = start if state is None else type(start)(*map(pick, state))
    length = len(xs) if arrays.lengths is None else pick(arrays.lengths)
    ys = [jnp.zeros(len(getattr(start, cell.equations.output)))] * len(xs)
    order = range(len(xs) - 1, -1, -1) if case.reverse else range(len(xs))
    for behind, t in enumerate(order):
      if t >= length:
        continue
      if case.cut_every and behind % case.cut_every == 0:
        carry = jax.lax.stop_gradient(carry)
      if arrays.reset is not None and of_step(arrays.reset, t):
        carry = start
      x = jnp.asarray(of_step(xs, t))
      if arrays.noise.inputs is not None:
        x = x * pick(arrays.noise.inputs)
      new, _ = step(params, carry, x)
      if arrays.noise.keep is not None:
        keep = of_step(arrays.noise.keep, t)
        new = jax.tree.map(
          lambda a, b, keep=keep: (
            keep * a + (1 - keep) * b if len(b) == len(keep) else b
          ),
          carry,
          new,
        )
      carry = new
      ys[t] = getattr(carry, cell.equations.output)
    return jnp.stack(ys) if ys else jnp.zeros((0, 1)), carry

  def loss(params, xs, state, initial):
    if case.single:
      made = sequence(params, xs, state, initial, None)
    else:
      each = [
        sequence(params, xs, state, initial, b) for b in range(case.shape[1])
      ]
      made = (
        jnp.stack([ys for ys, _ in each], 1),
        jax.tree.map(lambda *a: jnp.stack(a), *(last for _, last in each)),
      )
    return loss_of(made, arrays.weights), made

  derive = jax.grad(loss, (0, 1, 2, 3), has_aux=True)
  if not case.models:
    return derive(*arrays[:4])
  each = [
    derive(jax.tree.map(lambda w, m=m: w[m], arrays.params), *arrays[1:4])
    for m in range(2)
  ]
  return jax.tree.map(lambda *a: jnp.stack(a), *each)


def close(found, want, tolerance):
  """Up to rounding, in proportion to the largest of each array."""
  for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(want), strict=True):
    assert a.shape == b.shape
    scale = max(1.0, float(np.max(np.abs(b), initial=0)))
    np.testing.assert_allclose(
      np.asarray(a, np.float64), b, rtol=0, atol=tolerance * scale
    )


def hold(case):
  """Holds all kernels that can run a case to the reference."""
  with jax.enable_x64(True):
    name, options = case.cell
    cell = built(name, options, *case.shape[2:])
    arrays = drawn(case, cell)
    asked = {
      'reset': arrays.reset, 'noise': arrays.noise, 'cut_every': case.cut_every,
      'checkpoint_every': case.every,
    }  # fmt: skip
    one = arrays.params
    if case.models:
      one = jax.tree.map(lambda w: w[0], one)
    choice = which_kernel(cell, one, arrays.xs, **asked)
    ways = WAYS if choice.kernel == 'native' else WAYS[:2]
    found = [by_layer(case, cell, arrays, way) for way in ways]
    # Masks of the recurrent input have no place in a step; nothing to stack
    # where there are no sequences or steps.
    empty = 0 in case.shape[: 1 if case.single else 2]
    if 'heard' in case.noise or empty:
      want = found[1]
    else:
      want = by_steps(case, cell, arrays)
      # Weights that do not exist have no gradient.
      (of_params, *rest), made = want
      of_params = jax.tree.map(jnp.multiply, of_params, spread(cell, case))
      want = (of_params, *rest), made
    for one in found:
      close(one, want, 1e-9 if case.double else 3e-4)


def spread(cell, case):
  """The mask, with the axis of models."""
  add = lambda m: np.broadcast_to(m, ((2,) if case.models else ()) + m.shape)
  return jax.tree.map(add, cell.mask)


@pytest.fixture(scope='module', autouse=True)
def loops():
  library.build()


# Smaller examples of what fails would be compiled one after the other.
once = functools.partial(settings, phases=(Phase.explicit, Phase.generate))


def test_kernels_agree():
  """Of the many cases one, which every kernel can run."""
  hold(
    Case(
      cell=('lstm', ()), shape=(4, 2, 3, 9), seed=0, double=True, single=False,
      models=False, reverse=True, lengths=True, state=True, initial=False,
      reset=False, cut_every=None, every=None, noise=('inputs',),
    )
  )  # fmt: skip


@pytest.mark.slow
@once(max_examples=150)
@given(cases())
def test_kernels_agree_in_many_cases(case):
  hold(case)
