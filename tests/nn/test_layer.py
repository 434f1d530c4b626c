"""A layer over sequences: equal to the cell stepped by hand, whatever is asked.

One promise a test, over every cell of the catalog, in float64. The oracle is a
Python loop over `Cell.step` for one sequence at a time.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.nn.dropout import Noise
from lstm_jax.nn.layer import run
from lstm_jax.ops.step import recurrent_input

T, B, I, C = 7, 5, 3, 4
CELLS = catalog.names('cells')
OPTIONS = {
  'lstm1997': [{}, {'cells_hear': 'cells', 'output_gates': False}],
  'lstm': [{}, {'peepholes': True}],
  'lstm_layernorm': [{}, {'norm': 'per_gate'}],
  'gru': [{}, {'reset': 'before'}],
  'srn': [{}, {'recurrence': 'self', 'activation': 'logistic'}],
}
CASES = [
  pytest.param(name, options, id=f'{name}{i or ""}')
  for name in CELLS
  for i, options in enumerate(OPTIONS.get(name, [{}]))
]
every_cell = pytest.mark.parametrize('name, options', CASES)
LENGTHS = np.array([7, 0, 3, 1, 6])


@pytest.fixture(autouse=True)
def float64():
  with jax.enable_x64(True):
    yield


@functools.cache
def built(name, options):
  size = {'blocks': 2, 'block_size': 2} if name == 'lstm1997' else {'hidden': C}
  return catalog.build('cells', name, I, 1, **size, **dict(options))


def net(name, options, seed=0):
  """`(cell, params)` with weights of order one that exist."""
  cell = built(name, tuple(options.items()))
  rng = np.random.default_rng(seed)
  params = jax.tree.map(
    lambda m: jax.device_put(m * rng.normal(size=m.shape)), cell.mask
  )
  return cell, params


def inputs(seed=1, shape=(T, B, I)):
  return jax.device_put(np.random.default_rng(seed).normal(size=shape))


def some_state(cell, seed=2, lanes=(B,)):
  rng = np.random.default_rng(seed)
  zero = jax.eval_shape(lambda: cell.initial_carry((), np.float64))
  return type(zero)(
    *(jax.device_put(rng.uniform(size=(*lanes, len(f)))) for f in zero)
  )


def by_hand(cell, params, xs, length, state, initial, reset, reverse):
  """One sequence, a step at a time: `(ys [T, C], last, states)`."""
  output = cell.equations.output
  carry, ys = state, np.zeros((len(xs), len(getattr(state, output))))
  states = [None] * len(xs)
  order, step = range(len(xs)), jax.jit(cell.step)
  for t in reversed(order) if reverse else order:
    if t < length:
      if reset[t]:
        carry = initial
      carry, _ = step(params, carry, xs[t])
      ys[t] = getattr(carry, output)
    states[t] = carry
  return ys, carry, states


def close(one, other, tolerance=1e-12):
  one, other = jax.tree.leaves(one), jax.tree.leaves(other)
  for a, b in zip(one, other, strict=True):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@every_cell
@pytest.mark.parametrize('reverse', [False, True])
@pytest.mark.parametrize('every', [None, 3])
def test_a_run_is_the_cell_stepped_by_hand(name, options, reverse, every):
  cell, params = net(name, options)
  xs, state, initial = inputs(), some_state(cell), some_state(cell, 3, ())
  reset = np.random.default_rng(4).uniform(size=(T, B)) < 0.3
  found = jax.jit(
    lambda params, xs, lengths, state, initial: run(
      cell,
      params,
      xs,
      lengths=lengths,
      state=state,
      initial=initial,
      reset=reset,
      reverse=reverse,
      states=True,
      checkpoint_every=every,
    )  # fmt: skip
  )(params, xs, LENGTHS, state, initial)
  xs, state, found = jax.tree.map(np.asarray, (xs, state, found))
  for b in range(B):
    lane = lambda tree, b=b: jax.tree.map(lambda a: a[b], tree)
    ys, last, states = by_hand(
      cell, params, xs[:, b], LENGTHS[b], lane(state), initial, reset[:, b],
      reverse,
    )  # fmt: skip
    close(found.ys[:, b], ys)
    close(lane(found.last), last)
    for t in range(T):
      close(lane(jax.tree.map(lambda a, t=t: a[t], found.states)), states[t])
  assert not np.any(found.ys[LENGTHS[2] :, 2])


@every_cell
def test_one_sequence_alone(name, options):
  cell, params = net(name, options)
  xs = inputs()
  together = run(cell, params, xs, lengths=LENGTHS)
  together = jax.tree.map(np.asarray, together)
  for b in range(B):
    one = jax.device_put(np.asarray(xs)[:, b])
    alone = run(cell, params, one, lengths=LENGTHS[b])
    close(alone.ys, together.ys[:, b])
    close(alone.last, jax.tree.map(lambda a, b=b: a[b], together.last))


def everything(cell, seed=5):
  """Keyword arguments that use all that a run can do."""
  rng = np.random.default_rng(seed)
  heard = len(recurrent_input(cell.equations, cell.initial_carry()))
  size = len(getattr(cell.initial_carry(), cell.equations.output))
  return {
    'lengths': LENGTHS,
    'reset': rng.uniform(size=(T, B)) < 0.3,
    'noise': Noise(
      inputs=rng.uniform(size=(B, I)),
      heard=rng.uniform(size=(B, heard)),
      keep=rng.uniform(size=(T, B, size)) < 0.2,
    ),
  }


def loss_of(cell, **how):
  """A loss that reads all that a run gives, by random weights."""

  def loss(params, xs, state, initial):
    found = run(
      cell, params, xs, state=state, initial=initial, states=True, gates=True,
      **how,
    )  # fmt: skip
    rng = np.random.default_rng(6)
    return sum(
      jnp.sum(leaf**2 * rng.normal(size=leaf.shape))
      for leaf in jax.tree.leaves(found)
    )

  return loss


@every_cell
@pytest.mark.parametrize('reverse', [False, True])
@pytest.mark.parametrize('cut_every', [None, 2])
@pytest.mark.parametrize('every', [None, 3])
def test_gradients_by_products_are_those_of_the_loop(
  name, options, reverse, cut_every, every
):
  cell, params = net(name, options)
  args = params, inputs(), some_state(cell), some_state(cell, 3, ())
  how = everything(cell) | {'reverse': reverse, 'cut_every': cut_every}
  gradient = lambda **more: jax.jit(
    jax.grad(loss_of(cell, **how, **more), argnums=(0, 1, 2, 3))
  )(*args)
  plain = gradient(backward='autodiff')
  close(gradient(backward='products', checkpoint_every=every), plain, 1e-10)
  # Every kind of thing has a part in it.
  assert all(np.any(leaf) for leaf in jax.tree.leaves(plain[1:]))


@every_cell
@pytest.mark.parametrize('backward', ['products', 'autodiff'])
def test_padding_never_matters(name, options, backward):
  cell, params = net(name, options)
  xs = np.array(inputs())
  loss = loss_of(cell, **everything(cell), backward=backward)
  others = some_state(cell), some_state(cell, 3, ())
  value_and_grad = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2, 3)))
  want = value_and_grad(params, xs, *others)
  padding = np.arange(T)[:, None] >= LENGTHS
  for spoiled in (np.nan, np.inf, 1e30):
    xs[padding] = spoiled
    for a, b in zip(
      jax.tree.leaves(value_and_grad(params, xs, *others)),
      jax.tree.leaves(want),
      strict=True,
    ):
      np.testing.assert_array_equal(a, b)
  assert not np.any(want[1][1][padding])


@every_cell
def test_chunks_that_hand_the_state_on_are_the_whole(name, options):
  cell, params = net(name, options)
  xs = inputs()
  whole = run(cell, params, xs)
  head, tail = jax.device_put(np.split(np.asarray(xs), [3]))
  first = run(cell, params, head)
  second = run(cell, params, tail, state=first.last)
  close(np.concatenate([first.ys, second.ys]), whole.ys)
  close(second.last, whole.last)


@every_cell
def test_cuts_are_chunks_with_the_state_cut(name, options):
  cell, params = net(name, options)
  xs = inputs()

  def by_cuts(params, xs):
    return jnp.sum(run(cell, params, xs, cut_every=3).ys ** 2)

  def by_chunks(params, xs):
    total, state = 0.0, None
    for start in range(0, T, 3):
      part = run(cell, params, xs[start : start + 3], state=state)
      total += jnp.sum(part.ys**2)
      state = jax.lax.stop_gradient(part.last)
    return total

  def by_whole(params, xs):
    return jnp.sum(run(cell, params, xs).ys ** 2)

  cuts, chunks, whole = jax.jit(
    lambda *at: [
      jax.grad(f, (0, 1))(*at) for f in (by_cuts, by_chunks, by_whole)
    ]
  )(params, xs)
  close(cuts, chunks, 1e-10)
  assert not np.allclose(cuts[0].w_x, whole[0].w_x)


@every_cell
def test_models_side_by_side_are_models_alone(name, options):
  cell, _ = net(name, options)
  models = [net(name, options, seed)[1] for seed in range(3)]
  stacked = jax.tree.map(lambda *a: np.stack(a), *models)
  xs = inputs()
  loss = lambda params: jnp.sum(run(cell, params, xs, lengths=LENGTHS).ys ** 2)
  together = jax.jit(jax.vmap(jax.grad(loss)))(stacked)
  together = jax.tree.map(np.asarray, together)
  single = jax.jit(jax.grad(loss))
  for i, params in enumerate(models):
    alone = single(params)
    close(jax.tree.map(lambda a, i=i: a[i], together), alone, 1e-10)


@every_cell
def test_second_derivatives(name, options):
  """The Hessian times a vector, by two ways back and by differences."""
  cell, params = net(name, options)
  xs = inputs()
  rng = np.random.default_rng(8)
  v = jax.tree.map(lambda m: m * rng.normal(size=m.shape), cell.mask)

  def product(backward):
    loss = lambda p: jnp.sum(run(cell, p, xs, backward=backward).ys ** 2)
    dot = lambda a, b: sum(
      jnp.vdot(x, y)
      for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )
    return jax.jit(jax.grad(lambda p: dot(jax.grad(loss)(p), v)))(params)

  found = product('products')
  close(found, product('autodiff'), 1e-9)
  gradient = jax.jit(jax.grad(lambda p: jnp.sum(run(cell, p, xs).ys ** 2)))
  shift = lambda e: jax.tree.map(lambda p, d: np.asarray(p) + e * d, params, v)
  differences = jax.tree.map(
    lambda a, b: np.subtract(a, b) / 2e-5,
    gradient(shift(1e-5)),
    gradient(shift(-1e-5)),
  )
  close(found, differences, 1e-4)


@every_cell
def test_absent_weights_stay_absent(name, options):
  cell, params = net(name, options)
  spoiled = jax.tree.map(
    lambda p, m: np.asarray(p) + (1 - m), params, cell.mask
  )
  xs = inputs()

  def loss(params):
    ys = run(cell, params, xs).ys
    return jnp.sum(ys**2), ys

  derive = jax.jit(jax.grad(loss, has_aux=True))
  (grads, ys), (_, plain) = derive(spoiled), derive(params)
  close(ys, plain, 0)
  for grad, mask in zip(grads, cell.mask, strict=True):
    assert not np.any(np.asarray(grad)[mask == 0])


@every_cell
def test_noise(name, options):
  cell, params = net(name, options)
  xs, state = inputs(), some_state(cell)
  size = len(getattr(state, cell.equations.output)[0])
  go = lambda **noise: run(cell, params, xs, state=state, noise=Noise(**noise))
  of = lambda params, xs: run(cell, params, xs, state=state)
  plain = np.asarray(of(params, xs).ys)
  close(go(inputs=np.ones(I), keep=np.zeros((1, size))).ys, plain)
  zeros = jax.device_put(np.zeros(xs.shape))
  close(go(inputs=np.zeros((B, I))).ys, of(params, zeros).ys)
  # A unit that keeps its state does, and the others hear it so.
  kept = np.arange(size) == 1
  frozen = np.asarray(go(keep=kept[None]).ys)
  output, step = cell.equations.output, jax.jit(cell.step)
  for b in range(B):
    carry = jax.tree.map(lambda a, b=b: np.asarray(a)[b], state)
    for t in range(T):
      new, _ = step(params, carry, np.asarray(xs)[t, b])
      carry = jax.tree.map(
        lambda new, old: np.where(kept, old, new) if len(new) == size else new,
        new,
        carry,
      )
      close(frozen[t, b], getattr(carry, output))
  # Each sequence its own mask.
  heard = len(recurrent_input(cell.equations, cell.initial_carry()))
  mask = np.ones((B, heard))
  mask[2] = 0
  some = np.asarray(go(heard=mask).ys)
  others = np.arange(B) != 2
  close(some[:, others], plain[:, others])
  # Two cells hear in other weights as well, which the mask leaves alone.
  if heard and name not in ('cascaded', 'gru'):
    names = {c.weights for c in cell.equations.recurrent}
    deaf = params._replace(**{n: 0 * getattr(params, n) for n in names})
    close(some[:, 2], np.asarray(of(deaf, xs).ys)[:, 2])


def test_the_gates_are_those_of_the_equations():
  cell, params = net('lstm', {})
  xs = inputs()
  found = run(cell, params, xs, lengths=LENGTHS, states=True, gates=True)
  found = jax.tree.map(np.asarray, found)
  assert list(found.gates) == ['g', 'y_f', 'y_in', 'y_out']
  s_c, y_c = found.states
  before = np.concatenate([np.zeros_like(s_c[:1]), s_c[:-1]])
  gates = found.gates
  active = np.arange(T)[:, None, None] < LENGTHS[:, None]
  made = gates['y_f'] * before + gates['y_in'] * gates['g']
  close(np.where(active, s_c - made, 0), np.zeros(s_c.shape))
  close(np.where(active, y_c - gates['y_out'] * np.tanh(s_c), 0), 0 * y_c)
  assert not any(np.any(np.where(active, 0, gate)) for gate in gates.values())


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float32])
@every_cell
def test_other_dtypes(name, options, dtype):
  cell, params = net(name, options)
  xs = np.asarray(inputs())
  small = jax.tree.map(lambda p: np.asarray(p).astype(dtype), params)
  ys = jax.jit(lambda p: run(cell, p, xs).ys)
  loss = lambda p: jnp.sum(run(cell, p, xs).ys ** 2)
  made = jax.eval_shape(lambda p: (run(cell, p, xs), jax.grad(loss)(p)), small)
  assert {leaf.dtype for leaf in jax.tree.leaves(made)} == {jnp.dtype(dtype)}
  tolerance = 0.1 if dtype == jnp.bfloat16 else 1e-4
  expected = np.asarray(ys(params))
  size = max(1, np.abs(expected).max())  # units of a linear cell have any
  close(np.asarray(ys(small)).astype(float) / size, expected / size, tolerance)


def test_memory_with_checkpoints_grows_as_the_root():
  cell, params = net('lstm', {})

  def scratch(num_steps, every):
    def loss(params, xs):
      last = run(cell, params, xs, outputs=False, checkpoint_every=every).last
      return jnp.sum(last.y_c**2)

    xs = jax.ShapeDtypeStruct((num_steps, 16, I), jnp.float64)
    compiled = jax.jit(jax.grad(loss)).lower(params, xs).compile()
    # The inputs in processing order are as long as the sequence.
    return (
      compiled.memory_analysis().temp_size_in_bytes - 8 * num_steps * 16 * I
    )

  whole = [scratch(n, None) for n in (1024, 16384)]
  roots = [scratch(n, int(n**0.5)) for n in (1024, 16384)]
  assert 12 < whole[1] / whole[0] < 20
  assert roots[1] / roots[0] < 6
  assert roots[1] < whole[1] / 10


BAD = [
  ({'xs': (T, B, 2)}, r'xs has shape \(7, 5, 2\); must be \[T, B, 3\]'),
  ({'xs': (I,)}, r'xs has shape \(3,\)'),
  ({'lengths': np.array([1, 2])}, r'lengths has shape \(2,\); must be \(5,\)'),
  ({'lengths': np.array([1, 2, 8, 3, 4])}, 'lengths has 8; must be from 0 to'),
  ({'lengths': np.array([1, 2, -1, 3, 4])}, 'lengths has -1; must be from 0'),
  ({'lengths': np.ones(5)}, 'lengths has dtype float64; must be integers'),
  ({'reset': np.ones((T,), bool)}, r'reset has shape \(7,\); must be \(7, 5\)'),
  ({'state': (np.ones((B, 3)), np.ones((B, C)))}, r's_c has shape \(5, 3\)'),
  ({'initial': (np.ones((B, C)),) * 2}, r'initial: s_c has shape \(5, 4\)'),
  ({'state': (np.ones((B, C)),)}, 'state has 1 fields; must be s_c, y_c'),
  ({'cut_every': 0}, 'cut_every=0 must be at least 1'),
  ({'checkpoint_every': 0}, 'checkpoint_every=0 must be at least 1'),
  ({'backward': 'fast'}, "backward='fast' must be one of products, autodiff"),
]


@pytest.mark.parametrize('how, message', BAD)
def test_refusals(how, message):
  cell, params = net('lstm', {})
  how = dict(how)
  xs = inputs(shape=how.pop('xs', (T, B, I)))
  with pytest.raises(ValueError, match=message):
    run(cell, params, xs, **how)
