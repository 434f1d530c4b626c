"""Weights of whole stacks of other libraries, in and out."""

from lstm_jax.nn import convert
from lstm_jax.nn.stack import Stack, StackParams, check_parts, check_stack


def import_stack(
  library: str, kind: str, stack: Stack, weights: object
) -> StackParams:
  """The params of a stack from the weights of another library's layers.

  Args:
    library, kind: as for `convert.import_weights`.
    stack: the stack.
    weights: of all layers and directions, as for `convert.directions`: a whole
      `state_dict` of torch, else a list with the weights of each layer.

  Returns:
    The params of the stack.

  Raises:
    ValueError: another number of layers or directions; what `import_weights`
      raises, with the layer's name.

  Example:
    >>> import numpy as np, lstm_jax as lj
    >>> stack = lj.make_stack(lj.lstm, 3, layers=2, hidden=8)
    >>> weights = [  # of two layers of keras
    ...   [np.ones((3, 32)), np.ones((8, 32)), np.ones(32)],
    ...   [np.ones((8, 32)), np.ones((8, 32)), np.ones(32)],
    ... ]
    >>> params = lj.import_stack('keras', 'lstm', stack, weights)
    >>> [layer.w_x.shape for layer in params.forward]
    [(32, 3), (32, 8)]
  """
  check_stack(stack)
  layers = convert.directions(library, weights)
  ways = [way for way in StackParams._fields if getattr(stack, way)]
  if len(layers) != len(stack.forward) or any(
    len(layer) != len(ways) for layer in layers
  ):
    counts = ', '.join(str(len(layer)) for layer in layers)
    raise ValueError(
      f'{library}: weights of {len(layers)} layers with {counts} directions; '
      f'the stack has {len(stack.forward)} with {len(ways)}'
    )
  params = StackParams((), ())._asdict()
  for i, layer in enumerate(layers):
    for way, weights_of_way in zip(ways, layer, strict=True):
      cell = getattr(stack, way)[i]
      try:
        cell_params = convert.import_weights(
          library, kind, cell, weights_of_way
        )
      except ValueError as error:
        raise ValueError(f'layer {way}[{i}]: {error}') from None
      params[way] += (cell_params,)
  return StackParams(**params)


def export_stack(
  library: str, kind: str, stack: Stack, params: StackParams
) -> object:
  """The inverse of `import_stack`: params of a stack as another library's.

  Args:
    library, kind, stack: as there.
    params: of the stack.

  Returns:
    Weights in a form that `import_stack` takes.

  Raises:
    ValueError: what `export_weights` raises; `params` that do not match.

  Example:
    >>> import lstm_jax as lj
    >>> stack = lj.make_stack(lj.gru, 3, layers=2, hidden=8)
    >>> params = lj.StackParams(tuple(cell.mask for cell in stack.forward))
    >>> sorted(lj.export_stack('torch', 'gru', stack, params))[:2]
    ['bias_hh_l0', 'bias_hh_l1']
  """
  check_stack(stack)
  check_parts(stack, params=params)
  ways = [way for way in StackParams._fields if getattr(stack, way)]
  layers = [
    [_export_layer(library, kind, stack, params, way, i) for way in ways]
    for i in range(len(stack.forward))
  ]
  if library == 'torch':
    return {
      f'{name}_l{i}{"_reverse" * way}': array
      for i, layer in enumerate(layers)
      for way, arrays in enumerate(layer)
      for name, array in arrays.items()
    }
  if library == 'keras':
    return [sum(layer, []) for layer in layers]
  if library == 'flax' and len(ways) == 2:
    return [
      {
        f'{way}_rnn': {'cell': arrays}
        for way, arrays in zip(ways, layer, strict=True)
      }
      for layer in layers
    ]
  return [layer[0] if len(ways) == 1 else tuple(layer) for layer in layers]


def _export_layer(library, kind, stack, params, way, i):
  """The weights of a layer in one direction."""
  cell, cell_params = getattr(stack, way)[i], getattr(params, way)[i]
  return convert.export_weights(library, kind, cell, cell_params)
