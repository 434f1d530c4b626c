"""Every option of every function of layers does something, or is refused.

The tests walk the signatures: an option that is added to a function and that
none of the tables here knows fails, and so does one that changes nothing.
"""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_jax.cells.lstm import lstm
from lstm_jax.nn.dropout import Noise, draw_noise, expected_noise
from lstm_jax.nn.flax_modules import LinenRecurrent, NnxRecurrent
from lstm_jax.nn.layer import Run, run, which_kernel
from lstm_jax.nn.stack import (
  StackParams,
  StackRun,
  init_stack,
  make_stack,
  run_stack,
)

T, B, I, C = 5, 3, 2, 4
LENGTHS = np.array([5, 2, 0])
RESET = np.arange(T)[:, None] == np.array([1, 2, 3])
STATE = (np.full((B, C), 0.5), np.full((B, C), 0.25))
NOISE = Noise(inputs=np.array([0.0, 2.0]))

# What each option of `run` is tried with, what it must change (a field of the
# result, the gradient or the program), and a value that is refused by its name.
OPTIONS = {
  'lengths': (LENGTHS, 'ys', 'all'),
  'state': (STATE, 'ys', (1, 2)),
  'initial': (tuple(leaf[0] for leaf in STATE), 'ys', (1, 2)),
  'reset': (RESET, 'ys', 1),
  'reverse': (True, 'ys', 'no'),
  'noise': (NOISE, 'ys', 1),
  'cut_every': (2, 'gradient', 0),
  'outputs': (False, 'ys', 1),
  'states': (True, 'states', 1),
  'gates': (True, 'gates', 1),
  'checkpoint_every': (2, 'program', 0),
  'backward': ('autodiff', 'program', 'fast'),
  'kernel': ('xla', None, 'fast'),
  'batch_first': (True, 'ys', 'no'),
}


def options_of(function):
  """Keywords of a function."""
  return [
    name
    for name, parameter in inspect.signature(function).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
  ]


def test_every_option_is_in_the_tables():
  assert list(OPTIONS) == options_of(run)
  assert sorted(options_of(run_stack)) == sorted(OPTIONS)
  assert Run._fields == StackRun._fields
  # The modules of flax and `which_kernel` hand everything on.
  for function in (
    LinenRecurrent.__call__,
    NnxRecurrent.__call__,
    which_kernel,
  ):
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    assert kinds[-1] is inspect.Parameter.VAR_KEYWORD


@functools.cache
def layers():
  """What runs a layer: name -> `(xs, **options) -> Run`, and inputs."""
  cell = lstm(I, 0, hidden=C)
  module = NnxRecurrent(cell, rngs=nnx.Rngs(0), numbers={'init_range': 1.0})
  held = {name: getattr(module, name)[...] for name in module.names}
  empty = {n: jnp.zeros(m.shape) for n, m in cell.mask._asdict().items()}
  params = type(cell.mask)(**empty | held)
  linen = LinenRecurrent(lambda n: lstm(n, 0, hidden=C))
  stack = make_stack(lstm, I, layers=1, hidden=C)
  xs = jax.random.normal(jax.random.key(1), (T, B, I))

  def of_stack(xs, **how):
    how |= {
      name: StackParams((how[name],))
      for name in ('state', 'initial', 'noise')
      if how.get(name) is not None
    }
    results = run_stack(stack, StackParams((params,)), xs, **how)
    first = lambda part: None if part is None else part.forward[0]
    return Run(results.ys, *map(first, results[1:]))

  return {
    'run': lambda xs, **how: run(cell, params, xs, **how),
    'linen': lambda xs, **how: linen.apply(
      {'params': {'cell': held}}, xs, **how
    ),
    'nnx': module,
    'stack': of_stack,
  }, xs


def loss_of(way, how):
  """`xs -> (something that all layers end with, the result)`."""

  def loss(xs):
    results = layers()[0][way](xs, **how)
    return jnp.sum(results.last.s_c**2), results

  return loss


def derived(way, how):
  """`(gradient by the inputs, result)`."""
  return jax.jit(jax.grad(loss_of(way, how), has_aux=True))(layers()[1])


def same(one, other):
  both = jax.tree.leaves(one), jax.tree.leaves(other)
  return len(both[0]) == len(both[1]) and all(
    a.shape == b.shape and np.allclose(a, b, rtol=1e-5, atol=1e-6)
    for a, b in zip(*both, strict=True)
  )


@functools.cache
def plain():
  return derived('run', {})


@functools.cache
def program(**how):
  """The derivative's program as text."""
  derive = jax.grad(loss_of('run', how), has_aux=True)
  return str(jax.make_jaxpr(derive)(layers()[1]))


@pytest.mark.parametrize('name', OPTIONS)
def test_every_option_changes_something(name):
  value, changes, _ = OPTIONS[name]
  if changes is None:
    return
  if changes == 'program':
    assert program(**{name: value}) != program()
  elif changes == 'gradient':
    gradient, results = derived('run', {name: value})
    assert same(results, plain()[1]) and not same(gradient, plain()[0])
  else:
    results = outputs('run', {name: value})
    assert not same(getattr(results, changes), getattr(plain()[1], changes))


@functools.cache
def all_at_once():
  # Other axes are for arrays of other shapes.
  how = {n: value for n, (value, *_) in OPTIONS.items() if n != 'batch_first'}
  return how, derived('run', how)


def outputs(way, how):
  return jax.jit(loss_of(way, how))(layers()[1])[1]


@functools.cache
def batch_first():
  return outputs('run', {'batch_first': True})


@pytest.mark.parametrize('way', ['linen', 'nnx', 'stack'])
def test_modules_and_stacks_honour_every_option(way):
  how, want = all_at_once()
  assert same(derived(way, how), want)
  assert same(outputs(way, {'batch_first': True}), batch_first())


@pytest.mark.parametrize('way', ['run', 'linen', 'nnx', 'stack'])
@pytest.mark.parametrize('name', OPTIONS)
def test_every_option_is_looked_at(name, way):
  with pytest.raises(ValueError, match=name):
    layers()[0][way](layers()[1], **{name: OPTIONS[name][2]})


@pytest.mark.parametrize('way', ['run', 'linen', 'nnx', 'stack'])
def test_an_unknown_option_is_refused(way):
  go, xs = layers()[0][way], layers()[1]
  with pytest.raises(TypeError, match='windows'):
    go(xs, windows=3)


@pytest.mark.parametrize('way', ['run', 'linen', 'nnx', 'stack'])
def test_the_old_name_of_an_option_is_read_with_a_warning(way):
  """Not `window`: that is counted from where an error arises."""
  go, xs = layers()[0][way], layers()[1]
  want = go(xs, cut_every=2)
  with pytest.warns(DeprecationWarning, match='window= is called cut_every='):
    results = go(xs, window=2)
  assert same(results, want)
  with pytest.raises(TypeError, match='window'):
    go(xs, window=2, cut_every=2)
  with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match='cut'):
    go(xs, window=0)


def test_a_stack_keeps_what_is_asked_of_every_layer():
  stack = make_stack(lstm, I, layers=2, bidirectional=True, hidden=C)
  params = init_stack(stack, jax.random.key(0))
  xs = layers()[1]
  asked = {'lengths': LENGTHS, 'states': True, 'gates': True}

  @jax.jit
  def both(params, xs):
    results = run_stack(stack, params, xs, **asked)
    below = jnp.concatenate(
      [results.states.forward[0].y_c, results.states.backward[0].y_c], -1
    )
    # Outputs past the end are 0; the states stand still.
    below = jnp.where(np.arange(T)[:, None, None] < LENGTHS[:, None], below, 0)
    alone = {
      (way, i): run(
        getattr(stack, way)[i], getattr(params, way)[i], inputs,
        reverse=way == 'backward', **asked,
      )
      for way in StackParams._fields
      for i, inputs in enumerate((xs, below))
    }  # fmt: skip
    return results, alone

  results, alone = both(params, xs)
  for (way, i), one in alone.items():
    assert same(getattr(results.states, way)[i], one.states)
    assert same(getattr(results.gates, way)[i], one.gates)
  none = jax.eval_shape(lambda: run_stack(stack, params, xs, outputs=False))
  assert none.ys is None and none.last.backward[1].s_c.shape == (B, C)


def test_refusals_of_a_stack():
  stack = make_stack(lstm, I, layers=2, hidden=C)
  both = make_stack(lstm, I, layers=2, bidirectional=True, hidden=C)
  params, xs = init_stack(stack, jax.random.key(0)), layers()[1]
  for message, args, how in (
    ('reverse=True: the stack runs in both', (both, None), {'reverse': True}),
    ('initial is of type tuple; must be a Stack', (stack, params),
     {'initial': tuple(leaf[0] for leaf in STATE)}),
    ('state is of type tuple; must be a StackPa', (stack, params),
     {'state': STATE}),
    ('noise is of type Noise; must be a StackPa', (stack, params),
     {'noise': NOISE}),
    ('params is of type tuple; must be a StackP', (stack, (1, 2)), {}),
    ('params is of type NoneType; must be a Sta', (stack, None), {}),
    ('params.forward must be a tuple, one part ', (stack, StackParams(1)), {}),
    ('stack is of type Cell; must be a Stack, a', (stack.forward[0], 1), {}),
    (r'layer forward\[1\]: params is a tuple; m', (stack, StackParams(
      (params.forward[0], ()))), {}),
    (r'layer forward\[0\]: states=1 must be Tru', (stack, params),
     {'states': 1}),
    (r'layer forward\[1\]: noise.inputs has sha', (stack, params),
     {'noise': StackParams((None, NOISE))}),
  ):  # fmt: skip
    if args[1] is None and args[0] is both:
      args = (both, init_stack(both, jax.random.key(0)))
    with pytest.raises(ValueError, match=message):
      run_stack(*args, xs, **how)


def test_refusals_of_the_modules_and_of_masks():
  cell = lstm(I, 0, hidden=C)
  with pytest.raises(
    ValueError, match='cell is of type Cell; must be a functi'
  ):
    LinenRecurrent(cell).init(jax.random.key(0), layers()[1])
  with pytest.raises(ValueError, match='cell is a function; must be a Cell'):
    NnxRecurrent(lstm, rngs=nnx.Rngs(0))
  with pytest.raises(ValueError, match='zoneout=1.5 must be at least 0'):
    expected_noise(cell, zoneout=1.5)
  for name in options_of(draw_noise):
    if name == 'dtype':
      continue
    with pytest.raises(ValueError, match=f'{name}=nan must be at least 0'):
      draw_noise(jax.random.key(0), cell, T, **{name: float('nan')})
