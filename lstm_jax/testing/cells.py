"""Checks what a cell promises: see `types.Cell`."""

import re
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.choices import one_of, type_words
from lstm_jax.nn.equations import equations_of
from lstm_jax.ops.step import matrices, recurrent_input
from lstm_jax.testing.broken import (
  Broken,
  leaves,
  must_be,
  must_be_pair,
  same,
  words,
)
from lstm_jax.types import Cell

_LANES = ((), (3,))  # one network and several


def admit_cell(name: str, cell: Cell, layer: bool = False) -> None:
  """Checks a cell by its shapes; nothing is computed.

  Args:
    name: for messages.
    cell: what its factory has made.
    layer: whether it is to run as a layer, without output units.

  Raises:
    Broken: params that are not those of the mask, a carry that a step changes
      in structure, shape or dtype, outputs of another size; where `layer`,
      several fields of which none is said to be the output of the layer.
  """
  title = f'cell {name}'
  must_be(title, cell, Cell)
  _check_arrays(title, 'mask', cell.mask)
  for at, exists in leaves(cell.mask):
    if not np.isin(exists, (0, 1)).all():
      raise Broken(f'{title}: mask{at} must hold nothing but 0 and 1')
  must_be(f'{title}: numbers', cell.numbers, Mapping)
  _check_arrays(title, 'numbers', dict(cell.numbers))
  key = jax.eval_shape(lambda: jax.random.key(0))
  params = jax.eval_shape(cell.init, key, dict(cell.numbers))
  same(title, 'params of init', params, 'its mask', cell.mask, dtypes=False)
  for at, leaf in leaves(params):
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
      raise Broken(f'{title}: init gives params{at} {leaf.dtype}, not numbers')
  if layer:
    try:
      equations_of(cell)
    except ValueError as error:
      raise Broken(str(error)) from error
  for lanes in _LANES:
    try:
      _check_step(title, cell, params, lanes, layer)
    except jax.errors.ConcretizationTypeError:
      raise  # nothing that a shape could mend
    except (TypeError, ValueError) as error:
      message = ' '.join(str(error).split())
      if isinstance(error, Broken) or not re.search('shape|dimension', message):
        raise
      raise Broken(
        f'{title}: a step of its params, carry and {cell.num_inputs} inputs '
        f'cannot be taken: {message}'
      ) from error
  if not (layer and cell.equations):
    _check_sources(title, cell)


def _check_arrays(who, what, tree):
  """Checks that what a trace reads as constants are arrays of numpy."""
  for at, leaf in leaves(tree):
    if not isinstance(leaf, np.ndarray | np.generic):
      raise Broken(
        f'{who}: {what}{at} is {type_words(leaf)}, must be an array of '
        'numpy: np.asarray(...)'
      )


def _check_step(title, cell, params_shapes, lanes, layer):
  """A step of networks side by side, or of one."""
  struct = lambda *shape: jax.ShapeDtypeStruct((*shape, *lanes), jnp.float32)
  carry = jax.eval_shape(lambda: cell.initial_carry(lanes, jnp.float32))
  if not hasattr(carry, '_fields'):
    raise Broken(
      f'{title}: initial_carry gives {type_words(carry)}, must be a NamedTuple'
    )
  for at, leaf in leaves(carry):
    if leaf.dtype != jnp.float32 or leaf.shape[leaf.ndim - len(lanes) :] != (
      lanes
    ):
      raise Broken(
        f'{title}: initial_carry{at} is {words(leaf)} for lanes {lanes} and '
        f'float32; must be float32 with the lanes last'
      )
  x_t = struct(cell.num_inputs)
  if cell.equations is not None:
    _check_equations(title, cell, params_shapes, carry, x_t)
  if layer and (cell.equations is not None or lanes):
    return  # not what runs: a layer takes a step of one sequence at a time
  nets = jax.tree.map(lambda leaf: struct(*leaf.shape), params_shapes)
  outcome = jax.eval_shape(cell.step, nets, carry, x_t)
  must_be_pair(f'{title}: step', outcome, '(carry, outputs)')
  carry_t, net = outcome
  same(title, 'carry after a step', carry_t, 'initial_carry', carry)
  output = struct(cell.num_outputs)
  if (net.shape, net.dtype) != (output.shape, output.dtype):
    raise Broken(
      f'{title}: step gives outputs {words(net)}, must be {words(output)} '
      f'with num_outputs={cell.num_outputs} and lanes {lanes}'
    )


def _check_sources(title, cell):
  """No two inputs, nor two units heard, share one column of weights.

  A column that is missing is broadcast in silence. What is looked at are cells
  with arrays of one column, `[U, 1]`, where more are heard than one.
  """
  names = [
    at.lstrip('.')
    for at, exists in leaves(cell.mask)
    if exists.ndim > 1
    and exists.shape[1] == 1
    and not (cell.num_inputs == 1 and at.endswith('_x'))
  ]
  if not names:
    return
  random = np.random.default_rng(0)
  # So small that no unit is driven to an end, where every slope is 0.
  sources = cell.num_inputs + sum(
    exists.size for _, exists in leaves(cell.mask)
  )
  draw = lambda *shape: (random.uniform(0.5, 1, shape) / sources**0.5).astype(
    np.float32
  )
  params = jax.tree.map(lambda exists: draw(*exists.shape) * exists, cell.mask)
  carry = cell.initial_carry((), jnp.float32)

  def state(x_t, carry):
    return jax.tree.leaves(cell.step(params, carry, x_t)[0])

  slopes = jax.jit(jax.jacfwd(state, (0, 1)))(draw(cell.num_inputs), carry)
  for by_x, by_carry in slopes:
    for source, slope in (('inputs', by_x), *by_carry._asdict().items()):
      slope = np.array(slope).reshape(-1, slope.shape[-1])
      if slope.shape[1] < (2 if source == 'inputs' else 3):
        continue
      if source != 'inputs' and len(slope) == slope.shape[1]:
        np.fill_diagonal(slope, np.nan)  # what a unit keeps of its own state
      smallest, largest = np.nanmin(slope, 1), np.nanmax(slope, 1)
      if largest.any() and np.allclose(smallest, largest, rtol=1e-6, atol=0):
        raise Broken(
          f'{title}: all {slope.shape[1]} {source} act through one column of '
          f'weights; {", ".join(names)} of its mask has 1, must have one each'
        )


def _check_equations(title, cell, params_shapes, carry, x_t):
  """Checks that what equations name is there, and products are of one size."""
  of, params, fields = cell.equations, cell.mask._fields, carry._fields
  for field, name, names in (
    ('output', of.output, fields),
    *(('recurrent', c.weights, params) for c in of.recurrent),
    *(('recurrent', c.activations, fields) for c in of.recurrent),
  ):
    if name not in names:
      raise Broken(f'{title}: equations.{field} is {name!r}, {one_of(names)}')
  lanes = x_t.shape[1:]
  weights = jax.eval_shape(
    lambda params_shapes: matrices(of, params_shapes), params_shapes
  )
  z = jax.eval_shape(lambda carry: recurrent_input(of, carry), carry)
  nets = [weights.w_x, weights.w_h][: 1 + of.separate_nets]
  for field, shape, target in (
    ('W_x', weights.w_x.shape, (nets[0].shape[0], x_t.shape[0])),
    ('b', weights.b.shape, weights.w_x.shape[:1]),
    ('W_h', weights.w_h.shape, (nets[-1].shape[0], z.shape[0])),
  ):
    if shape != target:
      raise Broken(
        f'{title}: equations: {field} is {list(shape)}, must be {list(target)}'
      )
  nets = [jax.ShapeDtypeStruct((len(w), *lanes), jnp.float32) for w in nets]
  carry_t, _ = jax.eval_shape(of.advance, weights.extra, carry, *nets)
  same(title, 'carry after its advance', carry_t, 'initial_carry', carry)
