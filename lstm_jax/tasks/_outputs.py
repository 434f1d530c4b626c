"""Output units and their error.

The derivative of `loss` by `net_k` is the error signal that the learning rules
start from, eq. (19) of Hochreiter & Schmidhuber (1997) with the sign turned:
dE/dnet_k = -(t_k - y_k) f'(net_k). The paper's eq. (16) has no factor 1/2 but
its eq. (19) has no factor 2; the latter is what was run and is followed here.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

from lstm_jax.ops.activations import half_tanh
from lstm_jax.ops.activations import logistic_of_lanes as logistic
from lstm_jax.ops.checked import checked
from lstm_jax.types import Array

Output = Literal[
  'logistic', 'linear', 'logistic_without_derivative', 'wide_logistic'
]
# Of tasks that ask for one of several classes.
ClassOutput = Literal[
  'softmax',
  'logistic',
  'linear',
  'logistic_without_derivative',
  'wide_logistic',
]
CHOICES = get_args(ClassOutput)


class OutputUnit(NamedTuple):
  """The output units of a task: what becomes of their net inputs.

  Attributes:
    output: `net_k [K, *] -> y_k [K, *]`.
    loss: `(net_k [K, *], target [K, *]) -> [*]`, the error of one step, summed
      over the output units.
  """

  output: Callable[[Array], Array]
  loss: Callable[[Array, Array], Array]


@checked
def output_unit(output: ClassOutput) -> OutputUnit:
  """The output unit of a name.

  'logistic': y = 1/(1+e^-net), loss 1/2 sum_k (t - y)^2, error signal
    (t - y) f'(net): the paper's text.
  'linear': y = net, loss 1/2 sum_k (t - net)^2, error signal t - net.
  'logistic_without_derivative': y = 1/(1+e^-net), error signal t - y, which
    makes the loss the cross-entropy sum_k log(1 + e^net) - t net.
  'wide_logistic': y = 4/(1+e^-net) - 2, in [-2, 2], the paper's g; loss 1/2
    sum_k (t - y)^2. Targets in [0, 1] lie where it is steep.
  'softmax': y_k = e^net_k / sum_j e^net_j, error signal t - y for targets that
    sum to 1: the loss is the cross-entropy -sum_k t_k log y_k. For classes.

  Args:
    output: its name.

  Returns:
    The `OutputUnit`, functions of one step.

  Raises:
    ValueError: any other name.

  Example:
    >>> import jax.numpy as jnp, lstm_jax as lj
    >>> unit = lj.output_unit('linear')
    >>> float(unit.loss(jnp.zeros(2), jnp.ones(2)))
    1.0
  """
  if output == 'logistic':
    return OutputUnit(logistic, lambda net, t: _half_square(t - logistic(net)))
  if output == 'linear':
    return OutputUnit(lambda net: net, lambda net, t: _half_square(t - net))
  if output == 'logistic_without_derivative':
    return OutputUnit(logistic, _cross_entropy)
  if output == 'softmax':
    return OutputUnit(
      lambda net: jax.nn.softmax(net, axis=0),
      lambda net, t: -jnp.sum(t * jax.nn.log_softmax(net, axis=0), axis=0),
    )
  activation = lambda net: 2 * half_tanh(net)
  return OutputUnit(
    activation, lambda net, t: _half_square(t - activation(net))
  )


def _half_square(error):
  return 0.5 * jnp.sum(error * error, axis=0)


def _cross_entropy(net, target):
  return jnp.sum(jax.nn.softplus(net) - target * net, axis=0)
