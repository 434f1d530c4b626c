"""The layer-normalised LSTM: its equations, and that the norms are there."""

import inspect
import math
import statistics

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.lstm_layernorm import lstm_layernorm
from lstm_jax.lab.plan import flags, plan, values
from lstm_jax.nn.layer import run
from lstm_jax.ops.unroll import unroll
from lstm_jax.types import OneHot
from tests.gradients import random_net

pytestmark = pytest.mark.usefixtures('x64')
NORMS = ('separate', 'per_gate')
every_norm = pytest.mark.parametrize('norm', NORMS)
GATES = ('y_in', 'y_f', 'g', 'y_out')
I, K, C, T, B = 3, 2, 5, 6, 4
# So small that the norms are those of the equations without it.
TINY = 1e-24


def made(norm, seed=0, epsilon=1e-5, **sizes):
  cell = lstm_layernorm(I, K, hidden=C, norm=norm, epsilon=epsilon)
  return cell, random_net(cell, seed)


def inputs_of(*shape, seed=1):
  return np.random.default_rng(seed).normal(size=shape)


def plain_gains(params, cell):
  """Gains 1, biases 0."""
  ones = {f'alpha_{n}': getattr(cell.mask, f'alpha_{n}') for n in (1, 2, 3)}
  return params._replace(
    **{name: exists.astype(float) for name, exists in ones.items()},
    b=0 * params.b,
    beta_3=0 * params.beta_3,
  )


def logistic(x):
  return 1 / (1 + math.exp(-x))


def dot(row, given):
  return sum(float(w) * float(v) for w, v in zip(row, given, strict=True))


def by_definition(z, gain, epsilon):
  mean = statistics.fmean(z)
  deviation = math.sqrt(statistics.pvariance(z) + epsilon)
  return [
    float(a) * (v - mean) / deviation for v, a in zip(z, gain, strict=True)
  ]


def by_hand(p, inputs, norm, epsilon):
  """Unit by unit: `(nets, states [T, 2, C], gates [T, 4, C])`."""
  size = len(p.alpha_3)
  s, y = [0.0] * size, [0.0] * size
  nets, states, gates = [], [], []
  for x in inputs:
    of_x = [dot(row, x) for row in p.w_x]
    of_h = [dot(row, y) for row in p.w_h]
    if norm == 'separate':
      of_x = by_definition(of_x, p.alpha_2, epsilon)
      of_h = by_definition(of_h, p.alpha_1, epsilon)
      net = [a + b for a, b in zip(of_x, of_h, strict=True)]
    else:
      net = []
      for j in range(4):
        rows = range(j * size, (j + 1) * size)
        net += by_definition(
          [of_x[r] + of_h[r] for r in rows], p.alpha_1[rows], epsilon
        )
    net = [n + float(b) for n, b in zip(net, p.b, strict=True)]
    i, f, g, o = (net[j * size : (j + 1) * size] for j in range(4))
    g = list(map(math.tanh, g))
    i, f, o = (list(map(logistic, gate)) for gate in (i, f, o))
    s = [f[c] * s[c] + i[c] * g[c] for c in range(size)]
    seen = by_definition(s, p.alpha_3, epsilon)
    seen = [v + float(b) for v, b in zip(seen, p.beta_3, strict=True)]
    if norm == 'per_gate':
      s = seen
    y = [o[c] * math.tanh(seen[c]) for c in range(size)]
    nets.append([dot(p.w_out[k], y) + p.b_out[k] for k in range(len(p.w_out))])
    states.append((s, y))
    gates.append((i, f, g, o))
  return nets, states, gates


@every_norm
@pytest.mark.parametrize('seed', range(4))
def test_it_is_its_loop(norm, seed):
  rng = np.random.default_rng(seed)
  num_inputs, num_outputs, size, num_steps = rng.integers(2, 9, 4)
  epsilon = float(10 ** rng.uniform(-6, -1))
  cell = lstm_layernorm(
    num_inputs, num_outputs, hidden=int(size), norm=norm, epsilon=epsilon
  )
  p, xs = random_net(cell, seed), inputs_of(num_steps, num_inputs, seed=seed)
  nets, states, gates = by_hand(p, xs, norm, epsilon)
  # And as a layer, with all that goes on inside.
  (last, found), whole = jax.jit(
    lambda p, xs: (
      unroll(cell, p, xs), run(cell, p, xs, states=True, gates=True)
    )
  )(p, xs)  # fmt: skip
  assert set(whole.gates) == set(GATES)
  for one, other in (
    (found, nets),
    (last.s_c, states[-1][0]),
    (last.y_c, states[-1][1]),
    (np.stack(whole.states, axis=1), states),
    (np.stack([whole.gates[name] for name in GATES], axis=1), gates),
  ):
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@every_norm
def test_torch_gives_the_same_outputs_and_gradients(norm):
  import torch

  def layer_norm(z, gain, epsilon):
    size = (z.shape[-1],)
    return gain * torch.nn.functional.layer_norm(z, size, eps=epsilon)

  epsilon = 1e-3
  cell, p = made(norm, seed=3, epsilon=epsilon)
  xs, factors = inputs_of(T, B, I), inputs_of(T, B, C, seed=2)
  q = {
    name: torch.tensor(np.asarray(w), requires_grad=True)
    for name, w in p._asdict().items()
  }
  s = y = torch.zeros(B, C, dtype=torch.float64)
  ys = []
  for x in torch.tensor(xs):
    of_x, of_h = x @ q['w_x'].T, y @ q['w_h'].T
    if norm == 'separate':
      net = layer_norm(of_h, q['alpha_1'], epsilon)
      net = net + layer_norm(of_x, q['alpha_2'], epsilon) + q['b']
    else:
      four = (of_x + of_h).reshape(B, 4, C)
      net = layer_norm(four, q['alpha_1'].reshape(4, C), epsilon)
      net = net.reshape(B, 4 * C) + q['b']
    i, f, g, o = net.chunk(4, dim=-1)
    s = f.sigmoid() * s + i.sigmoid() * g.tanh()
    seen = layer_norm(s, q['alpha_3'], epsilon) + q['beta_3']
    s = seen if norm == 'per_gate' else s
    y = o.sigmoid() * seen.tanh()
    ys.append(y)
  theirs = torch.stack(ys)
  (theirs * torch.tensor(factors)).sum().backward()

  def loss(p):
    ours = run(cell, p, xs).ys
    return jnp.sum(ours * factors), ours

  grads, ours = jax.jit(jax.grad(loss, has_aux=True))(p)
  np.testing.assert_allclose(ours, theirs.detach(), rtol=0, atol=1e-12)
  for name, grad in grads._asdict().items():
    want = 0 if q[name].grad is None else q[name].grad.numpy()
    np.testing.assert_allclose(grad, want, rtol=1e-11, atol=1e-11)


def unseen(cell, params):
  """The moves that leave every output as it is."""
  xs = inputs_of(T, B, I)
  outputs = jax.jit(lambda params: run(cell, params, xs).ys)
  plain, found = outputs(params), set()
  for what, move in MOVES.items():
    change = np.max(np.abs(outputs(move(params)) - plain))
    assert change < 1e-10 or change > 1e-2  # no doubt which
    if change < 1e-10:
      found.add(what)
  return found


def by_gate(factors):
  """`[4C, 1]`: a factor for the rows of each of the four."""
  return np.repeat(factors, C)[:, None]


MOVES = {
  'w_h by 3': lambda p: p._replace(w_h=3 * p.w_h),
  'w_x by 3': lambda p: p._replace(w_x=3 * p.w_x),
  'both by 3': lambda p: p._replace(w_h=3 * p.w_h, w_x=3 * p.w_x),
  'each gate by its own': lambda p: p._replace(
    w_h=by_gate([1, 2, 3, 4]) * p.w_h, w_x=by_gate([1, 2, 3, 4]) * p.w_x
  ),
  'all rows by one': lambda p: p._replace(
    w_h=p.w_h + inputs_of(1, C), w_x=p.w_x + inputs_of(1, I)
  ),
  'rows of a gate by one': lambda p: p._replace(
    w_h=p.w_h + by_gate([0, 0, 1, 0]) * inputs_of(1, C)
  ),
  'one row': lambda p: p._replace(w_x=p.w_x + np.eye(4 * C, 1)),
}
UNSEEN = {
  'separate': {'w_h by 3', 'w_x by 3', 'both by 3', 'all rows by one'},
  'per_gate': {
    'both by 3', 'each gate by its own', 'all rows by one',
    'rows of a gate by one',
  },
}  # fmt: skip


@every_norm
def test_what_a_norm_takes_away_is_unseen_and_nothing_else(norm):
  """Scale and mean of what is normalised together."""
  cell, params = made(norm, epsilon=TINY)
  assert unseen(cell, params) == UNSEEN[norm]


@every_norm
def test_of_one_input_line_alone_the_sign_is_left(norm):
  cell = lstm_layernorm(1, K, hidden=C, norm=norm, epsilon=TINY)
  xs = inputs_of(T, B, 1)
  outputs = jax.jit(lambda xs: run(cell, random_net(cell, 0), xs).ys)
  change = np.max(np.abs(outputs(xs) - outputs(np.sign(xs))))
  assert change < 1e-10 if norm == 'separate' else change > 1e-2


def test_without_norms_all_of_it_is_seen():
  cell = lstm(I, K, hidden=C)
  assert not unseen(cell, random_net(cell, 0))


@pytest.mark.parametrize('epsilon', [TINY, 0.5])
@every_norm
def test_mean_and_variance_are_as_promised(norm, epsilon):
  """0 and v / (v + epsilon), v the variance before."""
  cell, params = made(norm, epsilon=epsilon)
  params = plain_gains(params, cell)
  xs = inputs_of(T, B, I)
  found = jax.jit(lambda p: run(cell, p, xs, states=True, gates=True))(params)
  found = jax.tree.map(np.asarray, found)
  s_c, y_c = found.states
  before = np.concatenate([np.zeros((1, B, C)), s_c[:-1]])
  y_before = np.concatenate([np.zeros((1, B, C)), y_c[:-1]])
  y_in, y_f, g, y_out = (found.gates[name] for name in GATES)

  def check(normalised, plain):
    mean, variance = np.mean(normalised, -1), np.var(normalised, -1)
    v = np.var(plain, -1)
    assert np.all(v > 1e-4)
    np.testing.assert_allclose(mean, 0 * mean, rtol=0, atol=1e-12)
    np.testing.assert_allclose(variance, v / (v + epsilon), rtol=1e-10)

  made_now = y_f * before + y_in * g
  check(np.arctanh(y_c / y_out), made_now)
  if norm == 'per_gate':
    check(s_c, made_now)
  else:
    np.testing.assert_allclose(s_c, made_now, rtol=0, atol=1e-12)
  logit = lambda y: np.log(y / (1 - y))
  nets = np.stack([logit(y_in), logit(y_f), np.arctanh(g), logit(y_out)], -2)
  of_x, of_h = xs @ params.w_x.T, y_before @ params.w_h.T
  if norm == 'per_gate':
    check(nets, (of_x + of_h).reshape(nets.shape))
  else:
    nets = nets.reshape(T, B, -1)
    # At the first step the cells have said nothing.
    check(nets[0], of_x[0])
    # Later both are there, each with a variance of its own.
    normal = lambda z: z / np.sqrt(np.var(z, -1, keepdims=True) + epsilon)
    check(nets[1:] - normal(of_x - np.mean(of_x, -1, keepdims=True))[1:],
          of_h[1:])  # fmt: skip


@every_norm
def test_gains_and_biases_have_the_gradient_of_the_slope(norm):
  cell, params = made(norm)
  xs, factors = inputs_of(T, B, I), inputs_of(T, B, C, seed=2)
  derive = jax.jit(
    jax.value_and_grad(lambda p: jnp.sum(run(cell, p, xs).ys * factors))
  )
  (_, grads), h = derive(params), 1e-6
  for name in ('b', 'alpha_1', 'alpha_2', 'alpha_3', 'beta_3'):
    w, exists = getattr(params, name), getattr(cell.mask, name)
    loss = lambda w, name=name: derive(params._replace(**{name: w}))[0]
    slopes = [
      (loss(w + step) - loss(w - step)) / (2 * h) for step in h * np.eye(len(w))
    ]
    found = np.asarray(getattr(grads, name))
    np.testing.assert_allclose(found, slopes, rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(found != 0, exists == 1)


@every_norm
@pytest.mark.parametrize('lanes', [(), (3,), (2, 3)])
@pytest.mark.parametrize('shared', [True, False])
def test_a_one_hot_is_the_array(norm, lanes, shared):
  cell = lstm_layernorm(17, K, hidden=C, norm=norm)
  params = random_net(cell, 0, () if shared else lanes)
  index = np.random.default_rng(3).integers(0, 17, lanes)
  carry = jax.tree.map(
    lambda a: inputs_of(*a.shape), cell.initial_carry(lanes, np.float64)
  )
  dense = np.moveaxis(np.eye(17)[index], -1, 0)
  step = lambda *xs: [cell.step(params, carry, x) for x in xs]
  one, other = jax.jit(step)(OneHot(index, 17), dense)
  for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)


@every_norm
def test_a_new_net(norm):
  cell = lstm_layernorm(I, K, hidden=C, norm=norm)
  params = cell.init(jax.random.key(0), cell.numbers)
  # Gains and b_3: `test_initial_weights`.
  i, f, g, o = np.split(np.asarray(params.b), 4)
  np.testing.assert_array_equal(f, np.ones(C))
  assert all(0 < np.max(np.abs(b)) <= 0.1 for b in (i, g, o))
  gains = 4 * C * (2 if norm == 'separate' else 1) + C
  assert sum(int(m.sum()) for m in cell.mask) == (
    4 * C * (I + C + 1) + gains + C + K * (C + 1)
  )


@pytest.mark.parametrize('epsilon', [0, -1e-5, float('nan')])
def test_an_epsilon_that_is_not_above_0_is_refused(epsilon):
  with pytest.raises(ValueError, match=f'epsilon={epsilon} must be above 0'):
    lstm_layernorm(I, K, epsilon=epsilon)


@every_norm
def test_one_cell_alone_remembers_nothing(norm):
  with pytest.raises(ValueError, match='one state is its own mean'):
    lstm_layernorm(I, K, hidden=1, norm=norm)
  # And so it is, where nobody refuses it.
  cell = inspect.unwrap(lstm_layernorm)(I, K, hidden=1, norm=norm)
  params = random_net(cell, 0)
  found = jax.jit(lambda p, xs: run(cell, p, xs, gates=True))(
    params, inputs_of(T, I)
  )
  shown = found.ys / found.gates['y_out']
  np.testing.assert_allclose(shown, np.full((T, 1), np.tanh(params.beta_3[0])))


@pytest.mark.parametrize(
  ('line', 'reason'),
  [
    ('--set=cell.hidden=1', 'one state is its own mean'),
    ('--learner=truncated1997', 'inside an internal state, and this cell'),
    ('--set=cell.norm=none', 'must be one of separate, per_gate'),
    ('--set=cell.epsilon=0', 'must be a number above 0'),
  ],
)
def test_a_plan_that_cannot_be_is_refused(line, reason):
  argv = ['sweep', '--cell=lstm_layernorm', line, '--seeds=1']
  with pytest.raises(values.Refused, match=reason):
    plan.expand(flags.parse(argv, {}))
