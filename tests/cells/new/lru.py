"""Linear recurrent unit: a complex recurrence that is diagonal.

Orvieto et al., "Resurrecting recurrent neural networks for long sequences",
ICML 2023 (arXiv:2303.06349).
"""

from typing import NamedTuple

import jax.numpy as jnp

from lstm_jax.cells import _build
from lstm_jax.ops.arrays import affine, spread
from lstm_jax.types import Array, Cell, Equations

PROVIDES = ('readout',)
NUMBERS = {'init_range': 0.1}


class Params(NamedTuple):
  """Weights; C complex states, of which C outputs are made."""

  w_x: Array  # [3C, I, *] B, real and imaginary, and D
  nu: Array  # [C, *] the modulus of lambda is exp(-exp(nu - 2))
  theta: Array  # [C, *] its angle
  c_re: Array  # [C, C, *]
  c_im: Array  # [C, C, *]
  w_out: Array  # [K, C, *]
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  re: Array  # [C, *]
  im: Array  # [C, *]
  y: Array  # [C, *]


@_build.cell_factory
def lru(num_inputs: int, num_outputs: int, *, hidden: int = 3) -> Cell:
  """Linear recurrent unit: s = lambda s + gamma B x, y = Re(C s) + D x."""
  mask = Params(
    w_x=_build.ones(3 * hidden, num_inputs),
    nu=_build.ones(hidden),
    theta=_build.ones(hidden),
    c_re=_build.ones(hidden, hidden),
    c_im=_build.ones(hidden, hidden),
    w_out=_build.ones(num_outputs, hidden),
    b_out=_build.ones(num_outputs),
  )

  def advance(extra, carry_tm1, net):
    nu, theta, c_re, c_im = extra
    b_re, b_im, d = jnp.split(net, 3)
    modulus = jnp.exp(-jnp.exp(nu - 2))
    gamma = spread(jnp.sqrt(1 - modulus**2), b_re)
    a_re = spread(modulus * jnp.cos(theta), b_re)
    a_im = spread(modulus * jnp.sin(theta), b_re)
    re = a_re * carry_tm1.re - a_im * carry_tm1.im + gamma * b_re
    im = a_re * carry_tm1.im + a_im * carry_tm1.re + gamma * b_im
    return Carry(re, im, affine(c_re, re) - affine(c_im, im) + d), {}

  equations = Equations(
    advance,
    output='y',
    extra=lambda params: (params.nu, params.theta, params.c_re, params.c_im),
    bias=False,
  )
  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry,
    dict.fromkeys(Carry._fields, hidden), equations, NUMBERS,
  )  # fmt: skip
