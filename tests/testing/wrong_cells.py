"""A wrong cell for each promise of cells, and words of what is said of it."""

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj

CELL = lj.srn(3, 2, hidden=2)
PARTS = lj.lstm1997(3, 2, blocks=1, block_size=2)


def with_step(change, cell=CELL):
  """The cell whose step gives `change(carry, net, x_t)`."""

  def step(params, carry_tm1, x_t):
    return change(*cell.step(params, carry_tm1, x_t), x_t)

  return cell._replace(step=step)


calls = []


def counted(carry, net, x_t):
  calls.append(1)
  return carry, net + len(calls)


def of_lanes(change):
  """`change` of the outputs where there are several networks."""
  return lambda carry, net, x_t: (carry, change(net) if net.ndim > 1 else net)


def without_recurrence(params, carry_tm1, x_t):
  return CELL.step(
    params._replace(w_h=jnp.zeros_like(params.w_h)), carry_tm1, x_t
  )


def made_anew(num_inputs, num_outputs):
  cell = lj.srn(num_inputs, num_outputs, hidden=2)
  return cell._replace(step=lambda *given: cell.step(*given))


def by_hand(params, carry_tm1, x_t):
  return CELL.step(params, carry_tm1, 1 * x_t)


WRONG = {
  'shapes': (CELL._replace(num_outputs=1), r'step gives outputs .* must be'),
  'dtypes': (
    CELL._replace(
      initial_carry=lambda lanes=(), dtype=0: CELL.initial_carry(lanes)
    ),
    r'initial_carry\.h with float64 and lanes \(3,\) is float32',
  ),
  'purity': (with_step(counted), 'step is not pure: called twice'),
  'alone': (
    with_step(of_lanes(lambda net: 1.5 * net)),
    'is not that of the network alone',
  ),
  'lanes': (
    with_step(of_lanes(lambda net: net + jnp.mean(net))),
    'what is in lane 1 changes lane 0',
  ),
  'gradient': (
    with_step(
      lambda carry, net, x_t: (jax.tree.map(jax.lax.stop_gradient, carry), net)
    ),
    'the gradient by the weights .* is not the slope',
  ),
  'finite': (
    with_step(lambda carry, net, x_t: (carry, net * jnp.exp(x_t[:1]))),
    'inputs of size 1000: .* no finite numbers',
  ),
  'weights': (
    CELL._replace(step=without_recurrence),
    r'4 of the weights that mask\.w_h says exist do nothing',
  ),
  'init': (
    CELL._replace(
      init=lambda key, numbers: CELL.init(jax.random.key(0), numbers)
    ),
    'the same weights for every key',
  ),
  'numbers': (
    CELL._replace(
      numbers={**CELL.numbers, 'gain': np.float32(1)},
      init=lambda key, numbers: CELL.init(
        key, {'init_range': numbers['init_range']}
      ),
    ),
    'the number gain does nothing',
  ),
  'one_hot': (CELL._replace(step=by_hand), 'raises TypeError'),
  'static': (made_anew, 'decorate the factory with lstm_jax.cell_factory'),
  'equations': (
    CELL._replace(
      equations=lj.srn(3, 2, activation='relu', hidden=2).equations
    ),
    'equations give another step',
  ),
  'internal': (
    PARTS._replace(internal=PARTS.internal._replace(carousel=False)),
    'internal.carousel is False, and s_c hands on 1 to 1',
  ),
}
