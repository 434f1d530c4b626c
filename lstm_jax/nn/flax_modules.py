"""The layer as a module of flax: `linen` and `nnx`.

Thin: a module holds the weights of a cell and calls `layer`; every argument
of it can be given. Outputs are a `layer.Run`.
"""

import functools
from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jax.typing import ArrayLike

from lstm_jax.extras import advice
from lstm_jax.nn.equations import equations_of
from lstm_jax.nn.layer import Run, layer
from lstm_jax.ops.initial import check_numbers
from lstm_jax.types import Cell

try:
  from flax import linen, nnx
except ModuleNotFoundError as error:
  raise ModuleNotFoundError(
    advice(error, __name__) or str(error), name=error.name
  ) from error


class LinenRecurrent(linen.Module):
  """A layer for `flax.linen`.

    LinenRecurrent(lambda num_inputs: lstm(num_inputs, 0, hidden=30))

  Attributes:
    cell: `num_inputs -> Cell`, called with the inputs' size when the module is
      first used.
    numbers: name -> value for initial weights, as `{'forget_bias': ...}`;
      others have the cell's defaults.
  """

  cell: Callable[[int], Cell]
  numbers: Mapping[str, ArrayLike | None] | None = None

  @linen.compact
  def __call__(self, xs: ArrayLike, **arguments: object) -> Run:
    """`layer` over `xs`; `arguments` are its arguments."""
    if not callable(self.cell):
      raise ValueError(
        f'cell is of type {type(self.cell).__name__}; must be a function of '
        'the number of inputs that makes a Cell'
      )
    cell = self.cell(jnp.shape(xs)[-1])
    numbers = check_numbers(self.numbers, cell.numbers)
    arrays = self.param('cell', lambda key: _nonempty(cell.init(key, numbers)))
    return _run(cell, arrays, xs, **arguments)


class NnxRecurrent(nnx.Module):
  """A layer for `flax.nnx`: one `nnx.Param` for each array of the cell.

    NnxRecurrent(lstm(3, 0, hidden=30), rngs=nnx.Rngs(0))

  Args:
    cell: the cell.
    numbers: as in `LinenRecurrent`.
    rngs: its stream `params` draws the weights.
  """

  def __init__(
    self,
    cell: Cell,
    *,
    rngs: nnx.Rngs,
    numbers: Mapping[str, ArrayLike | None] | None = None,
  ) -> None:
    equations_of(cell)  # A cell that no layer can run is refused here.
    params = cell.init(rngs.params(), check_numbers(numbers, cell.numbers))
    arrays = _nonempty(params)
    self.names = tuple(arrays)
    for name, value in arrays.items():
      setattr(self, name, nnx.Param(value))
    # A function, which is compared by identity; a cell holds arrays.
    self.run = functools.partial(_run, cell)

  def __call__(self, xs: ArrayLike, **arguments: object) -> Run:
    """`layer` over `xs`; `arguments` are its arguments."""
    arrays = {name: getattr(self, name)[...] for name in self.names}
    return self.run(arrays, xs, **arguments)


def _run(cell, arrays, xs, **arguments):
  return layer(cell, _all_params(cell, arrays), xs, **arguments)


def _nonempty(params):
  """The arrays that have elements: checkpoints of orbax take no others."""
  return {name: w for name, w in params._asdict().items() if w.size}


def _all_params(cell, arrays):
  """Params of the cell, with the empty arrays that a module does not hold."""
  dtype = next(iter(arrays.values())).dtype
  empty_arrays = {
    name: jnp.zeros(mask.shape, dtype)
    for name, mask in cell.mask._asdict().items()
    if not mask.size
  }
  return cell.mask._replace(**arrays, **empty_arrays)
