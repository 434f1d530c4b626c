"""Simple recurrent network: one layer of units connected to each other.

Elman, "Finding structure in time", Cognitive Science 14, 1990. The networks
that the 1997 paper trains by RTRL, BPTT and Elman's rule are instances of it.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.cells import _build
from lstm_jax.ops import activations
from lstm_jax.ops.checked import Positive
from lstm_jax.types import Array, Cell, Connection, Equations

PROVIDES = {
  'constant_leak': {},
  'inputs_to_outputs': {'outputs_see_inputs': True},
  'local_state': {},
  'readout': {},
}

# Traced numbers and their defaults.
NUMBERS = {'init_range': 0.1}
RANGES = {
  'init_range': (0.03, 1.0, 'log'),
  'recurrent_init': ['uniform', 'orthogonal', 'identity'],
}
LATER = ('recurrent_init', 'leak')
REFUSES = (
  (
    {'recurrence': 'none', 'recurrent_init': 'identity'},
    'recurrent_init=identity needs units that hear themselves',
  ),
  (
    {'recurrence': 'none', 'recurrent_init': 'orthogonal'},
    'recurrent_init=orthogonal needs units that hear each other',
  ),
  (
    {'recurrence': 'self', 'recurrent_init': 'orthogonal'},
    'recurrent_init=orthogonal needs units that hear each other',
  ),
)

_ACTIVATIONS = {
  'tanh': activations.tanh,
  'logistic': activations.logistic,
  'relu': jax.nn.relu,
}


class Params(NamedTuple):
  """Weights; one that does not exist is 0 here and in the cell's mask."""

  w_x: Array  # [C, I, *] from the input lines
  w_h: Array  # [C, C, *] from the hidden units one step ago
  b: Array  # [C, *]
  w_out: Array  # [K, C, *] output units from the hidden units of now
  w_out_x: Array  # [K, I, *] output units from the input lines
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  h: Array  # [C, *] activations of the hidden units


@_build.cell_factory
def srn(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 4,
  activation: Literal['tanh', 'logistic', 'relu'] = 'tanh',
  recurrence: Literal['full', 'self', 'none'] = 'full',
  outputs_see_inputs: bool = False,
  hidden_bias: bool = True,
  output_bias: bool = True,
  recurrent_init: Literal['uniform', 'orthogonal', 'identity'] = 'uniform',
  leak: Positive = 1.0,
) -> Cell:
  r"""Simple recurrent network: hidden units connected to each other.

    h(t) = (1 - a) h(t-1) + a f(W_x x(t) + W_h h(t-1) + b),  h(0) = 0
    net_k(t) = W_out h(t) [+ W_out_x x(t)] + b_out

  with a leak a of 1, h(t) = f(net(t)), where nobody says another.

  The recurrent layer is fully recurrent; the output units are outside it and
  feed nothing. (A network in which they are units of the recurrent layer, as in
  the paper's Experiment 1 with RTRL, needs the activation of the output unit,
  which here belongs to the task, not to the cell.)

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: hidden units (C).
    activation: f of the hidden units.
    recurrence: what a hidden unit reads of one step ago: 'full' all units,
      'self' itself (Experiment 2a with RTRL and BPTT), 'none' nothing.
    outputs_see_inputs: direct connections from input lines to output units.
    hidden_bias: whether hidden units have a bias weight.
    output_bias: whether output units have a bias weight.
    recurrent_init: how W_h starts: uniform like all weights, a random
      orthogonal matrix, or the identity (with relu units: Le, Jaitly & Hinton,
      2015).
    leak: a, above 0 and at most 1: a step over the time constant of a leaky
      unit. Below 1 no compiled loop has it.

  Numbers of `init`: `init_range` r, all weights and biases uniform in [-r, r],
  but for a W_h that starts otherwise.

  Returns:
    The cell. Its carry is `Carry`, its params `Params`.

  Raises:
    ValueError: a size or an option that is outside its choices.

  Source: Elman (1990); Hochreiter & Schmidhuber (1997), sections 5.1 and 5.2;
  with a leak: Murray, eLife 8:e43299, 2019, eq. (1).

  Example:
    >>> import lstm_jax as lj
    >>> cell = lj.srn(3, 1, hidden=8)  # three inputs, one output
    >>> cell.mask.w_x.shape, sorted(cell.numbers)
    ((8, 3), ['init_range'])
  """
  for options, reason in REFUSES:
    if options == {'recurrence': recurrence, 'recurrent_init': recurrent_init}:
      raise ValueError(f'recurrence={recurrence}: {reason}')
  if leak > 1:
    raise ValueError(f'leak={leak} must be at most 1')
  exist = {'full': True, 'self': np.eye(hidden, dtype=bool), 'none': False}
  f = _ACTIVATIONS[activation]
  mask = Params(
    w_x=_build.ones(hidden, num_inputs),
    w_h=_build.ones(hidden, hidden, exist=np.asarray(exist[recurrence])),
    b=_build.ones(hidden, exist=hidden_bias),
    w_out=_build.ones(num_outputs, hidden),
    w_out_x=_build.ones(num_outputs, num_inputs, exist=outputs_see_inputs),
    b_out=_build.ones(num_outputs, exist=output_bias),
  )

  def advance(extra, carry_tm1, net):
    if leak == 1:
      return Carry(f(net)), {}
    return Carry((1 - leak) * carry_tm1.h + leak * f(net)), {}

  equations = Equations(
    advance,
    output='h',
    recurrent=() if recurrence == 'none' else (Connection('w_h', 'h'),),
    compiled_loop=(
      f'srn_{activation}' if (recurrence, leak) == ('full', 1) else None
    ),
  )

  def place(params, numbers):
    if recurrent_init == 'identity':
      return params._replace(w_h=jnp.eye(hidden, dtype=params.w_h.dtype))
    w_h = _orthogonal(params.w_h / numbers['init_range'])
    return params._replace(w_h=w_h)

  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry, {'h': hidden}, equations, NUMBERS,
    place=None if recurrent_init == 'uniform' else place,
  )  # fmt: skip


def _orthogonal(uniform):
  """A random orthogonal matrix, of numbers `[C, C]` uniform in [-1, 1].

  Rows of normal numbers made orthonormal one by one: every rotation is as
  likely as any other. Products alone, whose bits no library of the machine
  decides.
  """
  most = 1 - np.float32(2.0**-20)
  normal = jax.scipy.special.erfinv(jnp.clip(uniform, -most, most))

  def add(i, rows):
    row = normal[i]
    for _ in range(2):  # the second time for what rounding has left
      row = row - jnp.sum(
        jnp.sum(rows * row[None], axis=1)[:, None] * rows, axis=0
      )
      row = row / jnp.sqrt(jnp.sum(row**2))
    return rows.at[i].set(row)

  return jax.lax.fori_loop(0, len(normal), add, jnp.zeros_like(normal))
