"""What the factories of cells share: sizes, carries, initial weights."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.checked import checked
from lstm_jax.ops.initial import check_numbers
from lstm_jax.ops.step import step_of
from lstm_jax.types import Cell


def factory(make):
  """Decorates what makes a cell: its arguments are checked, its cells shared.

  Sizes (what is annotated as `int`) are at least 1, `num_outputs` may be 0: a
  layer without output units. Words are held to their annotations (`checked`).

  Cells of the same sizes and options share their functions: JAX knows a program
  by the functions that it was made of, and a layer whose cell is made anew at
  every call, as a module of flax makes it, would else be compiled anew. Numbers
  are each cell's own.
  """
  make = checked(_sized(make))
  remembered = functools.lru_cache(maxsize=64, typed=True)(make)

  @functools.wraps(make)
  def cell(*sizes, **options):
    try:
      hash((sizes, *options.values()))
    except TypeError:
      return make(*sizes, **options)  # says itself what is wrong with it
    made = remembered(*sizes, **options)
    return made._replace(
      numbers={name: np.copy(value) for name, value in made.numbers.items()}
    )

  return cell


def _sized(make):
  """`make`, whose arguments that are annotated as `int` are sizes."""
  signature = inspect.signature(make, eval_str=True)
  names = [n for n, p in signature.parameters.items() if p.annotation is int]

  @functools.wraps(make)
  def cell(*args, **options):
    given = signature.bind(*args, **options).arguments
    for name in names:
      if name in given:
        _check_size(name, given[name])
    made = make(*args, **options)
    made.step.__qualname__ = f'{make.__qualname__}.step'  # for messages
    return made

  return cell


def _check_size(name, size):
  least = 0 if name == 'num_outputs' else 1
  if isinstance(size, bool) or not isinstance(size, int | np.integer):
    raise ValueError(f'{name}={size!r} must be an integer, at least {least}')
  if size < least:
    raise ValueError(f'{name}={size} must be at least {least}')


def build(
  num_inputs, num_outputs, mask, carry, equations, numbers, *,
  biases=1, start=None, place=None, internal=None,
):  # fmt: skip
  """The cell of some equations.

  Args:
    num_inputs: I.
    num_outputs: K.
    mask: the params, arrays of numpy: 1 where a weight exists.
    carry: the carry, with the size of each field in its place.
    equations: the `Equations`; their `readout` follows from the mask.
    numbers: name -> default of the numbers of `init`; None: drawn like every
      other weight.
    biases: entries of a number whose name ends in `_bias`.
    start: field -> value of those of the carry that do not start at 0.
    place: `(drawn params, numbers) -> params` with the numbers in their places;
      None: all params are as drawn.
    internal: the `InternalState`, or None.
  """
  present = mask._asdict()
  readout = tuple(
    name
    for name in ('w_out', 'w_out_x')
    if name in present and (name == 'w_out' or np.any(present[name]))
  )
  equations = equations._replace(readout=readout)
  value = lambda v: np.float32(np.nan if v is None else v)
  defaults = {
    name: np.full(biases, value(v)) if name.endswith('_bias') else value(v)
    for name, v in numbers.items()
  }

  def init(key, numbers):
    params = draw_weights(key, mask, numbers['init_range'])
    return params if place is None else place(params, numbers)

  def initial_carry(lanes=(), dtype=jnp.float32):
    values = dict.fromkeys(carry._fields, 0.0) | (start or {})
    return type(carry)(
      *(
        jnp.full((size, *lanes), values[field], dtype)
        for field, size in carry._asdict().items()
      )
    )

  # One program: what it does one thing after another would each be compiled for
  # every new size.
  drawn = jax.jit(init)
  return Cell(
    num_inputs,
    num_outputs,
    lambda key, numbers=None: drawn(key, check_numbers(numbers, defaults)),
    initial_carry,
    step_of(equations, num_outputs),
    mask,
    defaults,
    equations,
    internal,
  )


def ones(*shape, exist=True):
  """A part of a mask: weights that all exist, or none of them."""
  return np.full(shape, exist, np.float32)


def draw_weights(key, mask, init_range):
  """Initial weights of one net, uniform in [-r, r].

  Args:
    key: one key. All weights are slices of one draw: the generator, which is
      most of what there is to compile here, is then compiled once.
    mask: pytree of numpy arrays, 1 where a weight exists.
    init_range: r, a traced scalar; its dtype is that of the weights.

  Returns:
    A pytree like `mask`, 0 where no weight exists.
  """
  arrays, structure = jax.tree.flatten(mask)
  r = jnp.asarray(init_range)
  ends = np.cumsum([exists.size for exists in arrays])
  drawn = jax.random.uniform(key, (ends[-1],), r.dtype, -r, r)
  return structure.unflatten(
    drawn[end - exists.size : end].reshape(exists.shape)
    * jnp.asarray(exists, r.dtype)
    for end, exists in zip(ends, arrays, strict=True)
  )


def set_biases(drawn, *parts):
  """Biases `[U]`: drawn ones, with numbers in their places.

  A nan stands for the drawn one. It is put aside before anything is computed:
  JAX's search for nan (`jax_debug_nans`) must not find a mark.

  Args:
    drawn: `[U]`.
    *parts: one behind the other, numbers `[n]`, or how many stay as drawn.
  """
  made, at = [], 0
  for part in parts:
    if isinstance(part, int):
      made.append(drawn[at : at + part])
    else:
      rows = drawn[at : at + len(part)]
      np_ = np if isinstance(part, np.ndarray) else jnp
      given = np_.logical_not(np_.isnan(part))
      number = np_.where(given, part, 0).astype(drawn.dtype)
      made.append(jnp.where(given, number, rows))
    at += len(made[-1])
  return jnp.concatenate(made)


def gate_biases(params, numbers):
  """Params whose `b` `[4C]`, rows y_in, y_f, g, y_out, has numbers in it.

  `input_gate_bias`, `forget_bias`, `output_gate_bias` `[C]`; g keeps the drawn.
  """
  b = set_biases(
    params.b,
    numbers['input_gate_bias'],
    numbers['forget_bias'],
    len(params.b) // 4,
    numbers['output_gate_bias'],
  )
  return params._replace(b=b)
