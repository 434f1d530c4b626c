"""Linear recurrent unit: a complex recurrence that is diagonal and linear.

Orvieto, Smith, Gu, Fernando, Gulcehre, Pascanu & De, "Resurrecting recurrent
neural networks for long sequences", ICML 2023, arXiv:2303.06349.
"""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.cells import _build
from lstm_jax.ops.arrays import affine, spread
from lstm_jax.ops.checked import Amount, Positive
from lstm_jax.types import Array, Cell, Equations

PROVIDES = ('readout',)

# Traced numbers and their defaults.
NUMBERS = {'init_range': 0.3}
RANGES = {
  'init_range': (0.03, 1.0, 'log'),
  'r_min': (0.0, 0.9, 'linear'),
  'r_max': (0.95, 1.0, 'linear'),
  'max_phase': (0.1, 6.28, 'log'),
}

_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
  'identity': lambda y: y,
  'gelu': functools.partial(jax.nn.gelu, approximate=True),
}
# A uniform number is kept so far from 0 and 1, whose logarithms are infinite.
_MARGIN = np.float32(2.0**-20)


class Params(NamedTuple):
  """Weights, rows of the hidden layer in the order Re B, Im B, D.

  A weight that does not exist is 0 here and in the cell's mask.
  """

  w_x: Array  # [3C, I, *] from the input lines
  nu_log: Array  # [C, *] log of -log |lambda|
  theta_log: Array  # [C, *] log of the phase of lambda
  gamma_log: Array  # [C, *] log of the factor on the input of a state
  c_re: Array  # [C, C, *] Re C: hidden units from Re x of now
  c_im: Array  # [C, C, *] Im C
  w_out: Array  # [K, C, *] output units from the hidden units of now
  b_out: Array  # [K, *]


class Carry(NamedTuple):
  """State between steps."""

  x_re: Array  # [C, *] real parts of the complex states
  x_im: Array  # [C, *] imaginary parts
  y: Array  # [C, *] hidden units, which nothing of the next step reads


@_build.cell_factory
def lru(
  num_inputs: int,
  num_outputs: int,
  *,
  hidden: int = 4,
  r_min: Amount = 0.0,
  r_max: Positive = 1.0,
  max_phase: Positive = 6.28,
  activation: Literal['identity', 'gelu'] = 'identity',
  output_bias: bool = True,
) -> Cell:
  r"""Linear recurrent unit: complex states x that turn and fade, real units y.

    lambda = exp(-exp(nu_log) + i exp(theta_log)),  gamma = exp(gamma_log)
    x(k) = lambda x(k-1) + gamma (B u(k)),  x(0) = 0,  x, B complex
    y(k) = g(Re(C x(k)) + D u(k)),  C complex, D real
    net_k(k) = W_out y(k) + b_out

  with u(k) the input lines and products by lambda and gamma entry by entry.
  |lambda| is below 1 whatever the weights are. Lanes are real: complex states
  and weights are two real fields each.

  What a layer hands on, and the readout reads, is y: as many real units as
  there are complex states, the g of the layer's output in the paper. With
  'identity', the unit itself, everything is linear in the input lines: what is
  not linear has to stand before or after it, as between the layers of the
  paper. 'gelu' is the first thing that stands there, so that a stack of such
  layers is no linear filter. (The gated unit that follows it in the paper, skip
  connections and norms are no part of the layer.)

  x is no internal state that keeps its error: each real part acts on the
  imaginary part a step later, and the other way round.

  Args:
    num_inputs: I.
    num_outputs: K.
    hidden: complex states, and as many real hidden units (C).
    r_min: the smallest |lambda| at first, at least 0 and below `r_max`; 0.9 to
      0.999 suit long lags.
    r_max: the largest, at most 1: a state fades to 1/e in -1/log |lambda|
      steps.
    max_phase: phases are uniform in (0, max_phase] at first, at most 2 pi. Long
      sequences of slow signals are learned from a small one: the paper takes
      pi/10 for 16,000 steps.
    activation: g of the hidden units.
    output_bias: whether output units have a bias weight.

  Numbers of `init`: `init_range` r, B, C, D and the weights of the output units
  uniform in [-r, r]. lambda is uniform on the ring between `r_min` and `r_max`,
  in the sector of `max_phase`, and gamma sqrt(1 - |lambda|^2), which gives the
  states of a white input the variance of B u.

  Returns:
    The cell. Its carry is `Carry`, its params `Params`.

  Raises:
    ValueError: a size or an option that is outside its choices, an `r_min` that
      is not below `r_max`, an `r_max` above 1, a `max_phase` that is not above
      0.

  Source: Orvieto et al. (2023), sections 3.2 (ring), 3.3 (exponentials) and 3.4
  (gamma).

  Example:
    >>> import lstm_jax as lj
    >>> cell = lj.lru(3, 1, hidden=8)  # three inputs, one output
    >>> cell.mask.w_x.shape, sorted(cell.numbers)
    ((24, 3), ['init_range'])
  """
  if not r_min < r_max <= 1:
    raise ValueError(
      f'r_min={r_min} with r_max={r_max}: must be r_min < r_max <= 1'
    )
  g = _ACTIVATIONS[activation]
  mask = Params(
    w_x=_build.ones(3 * hidden, num_inputs),
    nu_log=_build.ones(hidden),
    theta_log=_build.ones(hidden),
    gamma_log=_build.ones(hidden),
    c_re=_build.ones(hidden, hidden),
    c_im=_build.ones(hidden, hidden),
    w_out=_build.ones(num_outputs, hidden),
    b_out=_build.ones(num_outputs, exist=output_bias),
  )

  def place(params, numbers):
    part = lambda w: _build.fraction(w, numbers['init_range'])
    uniform = lambda w: jnp.clip(part(w), _MARGIN, 1 - _MARGIN)
    u = uniform(params.nu_log)
    squared = u * (r_max**2 - r_min**2) + r_min**2
    return params._replace(
      nu_log=jnp.log(-0.5 * jnp.log(squared)),
      theta_log=jnp.log(max_phase * uniform(params.theta_log)),
      gamma_log=0.5 * jnp.log1p(-squared),
    )

  def extra(params):
    return (*_recurrence(params), params.c_re, params.c_im)

  def advance(extra, carry_tm1, net):
    l_re, l_im, gamma, c_re, c_im = extra
    l_re, l_im, gamma = (spread(w, net) for w in (l_re, l_im, gamma))
    u_re, u_im, y_u = jnp.split(net, 3)
    x_re, x_im = carry_tm1.x_re, carry_tm1.x_im
    x_re, x_im = (
      l_re * x_re - l_im * x_im + gamma * u_re,
      l_re * x_im + l_im * x_re + gamma * u_im,
    )
    y = g(affine(c_re, x_re) - affine(c_im, x_im) + y_u)
    return Carry(x_re, x_im, y), {}

  equations = Equations(advance, output='y', extra=extra, bias=False)
  return _build.build_cell(
    num_inputs, num_outputs, mask, Carry,
    dict.fromkeys(Carry._fields, hidden), equations, NUMBERS, place=place,
  )  # fmt: skip


def _recurrence(params):
  """`(Re lambda, Im lambda, gamma)`, `[C, *]` each."""
  size, phase = jnp.exp(-jnp.exp(params.nu_log)), jnp.exp(params.theta_log)
  return size * jnp.cos(phase), size * jnp.sin(phase), jnp.exp(params.gamma_log)
