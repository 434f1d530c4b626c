"""The chunker against plain programs: who sees what, and what is learned."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog
from lstm_jax.learners._chunker import net_step
from lstm_jax.learners.chunker import State, chunker
from lstm_jax.ops import prng
from lstm_jax.ops.arrays import to_dense
from tests.array_task import Arrays, array_task
from tests.gradients import cheap_jit, distance, random_net

SIZE, NUM_STEPS = 5, 7
LANES = (3,)
RATE, UPPER_RATE = 0.3, 0.2
TASK = array_task(SIZE, SIZE, error_at_end=False)._replace(next_symbol=True)
CELLS = [
  ('srn', {'hidden': 2, 'outputs_see_inputs': True, 'hidden_bias': False}),
  ('lstm1997', {'blocks': 1, 'outputs_see_inputs': True, 'bias': 'gates'}),
  ('lstm', {'hidden': 2}),
  ('gru', {'hidden': 2, 'output_bias': False}),
]


def net(name, options, num_outputs=SIZE):
  return catalog.build('cells', name, SIZE, num_outputs, **options)


def sequences(strings):
  """An episode a lane of `NUM_STEPS` steps or fewer; symbols are digits."""
  length = np.array([len(s) - 1 for s in strings])
  index = np.zeros((NUM_STEPS + 1, len(strings)), int)
  for lane, string in enumerate(strings):
    index[: len(string), lane] = list(map(int, string))
  one_hot = np.eye(SIZE)[index].transpose(0, 2, 1)
  times = np.arange(NUM_STEPS)[:, None]
  return Arrays(one_hot[:-1], one_hot[1:], times < length, length)


def begin(cell, predicts, seed=0, lanes=LANES, threshold=0.2):
  """Random nets, large enough that every derivative matters."""
  hidden = len(getattr(cell.initial_carry(), cell.equations.output))
  rows = hidden + SIZE * (predicts == 'hidden_and_outputs')
  wide = random_net(cell, seed + 2, lanes)
  predictor = {
    name: np.concatenate([getattr(wide, name)] * rows)[:rows] * 0.7
    for name in cell.mask._fields
    if name.startswith(('w_out', 'b_out'))
  }
  return State(
    params=random_net(cell, seed, lanes),
    predictor=predictor,
    upper=random_net(cell, seed + 1, lanes),
    learning_rate=np.full(lanes, RATE),
    upper_learning_rate=np.full(lanes, UPPER_RATE),
    failure_threshold=np.full(lanes, threshold),
  )


def lane(tree, i):
  return jax.tree.map(lambda a: a[..., i], tree)


def surprising(string, outputs, threshold):
  """The symbols of a string that outputs `[T, K]` do not predict."""
  wrong = [
    np.max(np.abs(y - np.eye(SIZE)[int(x)])) > threshold
    for y, x in zip(outputs, string[1:], strict=False)
  ]
  return [0] + [t + 1 for t, failed in enumerate(wrong) if failed]


def one_hot_of(string):
  return np.eye(SIZE)[[*map(int, string)]]


def run(cell, params, x):
  """Net inputs of the outputs `[T, K]` and activations `[T, C]`, in a loop."""

  def step(carry, x_t):
    carry, net_k = cell.step(params, carry, x_t)
    return carry, (net_k, carry.y_c if hasattr(carry, 'y_c') else carry.h)

  return jax.lax.scan(step, cell.initial_carry((), x.dtype), x)[1]


def half_squares(net_k, target):
  return 0.5 * jnp.sum((target - jax.nn.sigmoid(net_k)) ** 2)


def by_hand(name, options, predicts, state, string, ups):
  """What a sequence teaches both nets, by differentiating whole sequences.

  A is a cell with more outputs, C an ordinary net on the shorter sequence, the
  symbols `ups`.

  Returns:
    Gradients of `(params, predictor, upper)`.
  """
  cell = net(name, options)
  x = one_hot_of(string)
  shorter = x[ups]

  def upper_error(upper):
    nets, _ = run(cell, upper, shorter[:-1])
    return half_squares(nets, shorter[1:])

  heard, h = run(cell, state.upper, shorter)
  heard = [h] + [jax.nn.sigmoid(heard)] * (predicts == 'hidden_and_outputs')
  # What C had in mind when A saw symbol t: it has had the last one to go up.
  last = [sum(up <= t for up in ups) - 1 for t in range(len(string) - 1)]
  heard = jnp.concatenate(heard, axis=1)[jnp.array(last)]
  goals = jnp.concatenate([x[1:], heard], axis=1)
  wide = net(name, options, goals.shape[1])

  def lower_error(params, predictor):
    joined = params._replace(
      **{
        field: jnp.concatenate([getattr(params, field), rows])
        for field, rows in predictor.items()
      }
    )
    nets, _ = run(wide, joined, x[:-1])
    return half_squares(nets, goals)

  lower = jax.grad(lower_error, argnums=(0, 1))(state.params, state.predictor)
  upper = jnp.zeros(()) if len(ups) < 2 else jax.grad(upper_error)(state.upper)
  return *lower, upper


def only_existing(grads, mask):
  """Zero where the connectivity has no weight; all outputs are alike."""
  if isinstance(grads, dict):
    return {k: g * getattr(mask, k)[:1] for k, g in grads.items()}
  return jax.tree.map(np.multiply, grads, mask)


STRINGS = ('012340', '012', '31410')


def predictions(cell, state):
  """Outputs `[T, K]` of A, of each of the `STRINGS` in its lane."""

  @cheap_jit
  def all_of(params):
    nets = [
      run(cell, lane(params, i), one_hot_of(string)[:-1])[0]
      for i, string in enumerate(STRINGS)
    ]
    return jax.tree.map(jax.nn.sigmoid, nets)

  return [np.asarray(y) for y in all_of(state.params)]


def half_way(outputs):
  """A threshold that half of the predictions fail at."""
  worst = []
  for string, y in zip(STRINGS, outputs, strict=True):
    worst += np.max(np.abs(y - one_hot_of(string)[1:]), axis=1).tolist()
  return float(np.median(worst)) + 1e-6


@pytest.mark.parametrize(
  ('name', 'options', 'predicts'),
  [
    (*CELLS[0], 'hidden'),
    (*CELLS[1], 'hidden_and_outputs'),
    (*CELLS[2], 'hidden'),
    (*CELLS[3], 'hidden_and_outputs'),
  ],
)
def test_both_nets_learn_what_differentiating_says(
  x64, name, options, predicts
):
  cell = net(name, options)
  learner = chunker(cell, TASK, predicts=predicts, update='sequence')
  first = begin(cell, predicts)
  outputs = predictions(cell, first)
  threshold = half_way(outputs)
  first = first._replace(failure_threshold=np.full(LANES, threshold))
  state, _ = cheap_jit(learner.update)(first, sequences(STRINGS))
  state = jax.tree.map(np.asarray, state)
  ups = [
    surprising(string, y, threshold)
    for string, y in zip(STRINGS, outputs, strict=True)
  ]

  @cheap_jit
  def all_grads(state):
    return [
      by_hand(name, options, predicts, lane(state, i), string, ups[i])
      for i, string in enumerate(STRINGS)
    ]

  for i, grads in enumerate(all_grads(first)):
    before, after = lane(first, i), lane(state, i)
    rates = (RATE, RATE, UPPER_RATE)
    for field, rate, grad in zip(State._fields, rates, grads, strict=False):
      old, new = getattr(before, field), getattr(after, field)
      if len(ups[i]) < 2 and field == 'upper':
        assert distance(old, new) == 0
        continue
      grad = only_existing(grad, cell.mask)
      expected = jax.tree.map(lambda w, g, r=rate: w - r * g, old, grad)
      assert distance(new, expected) < 1e-12
      assert distance(new, old) > 1e-4
  # Some symbols are predicted and some are not.
  assert any(1 < len(n) < len(s) for n, s in zip(ups, STRINGS, strict=True))


def hand_made(follows):
  """A network of links alone: the symbol that each symbol is followed by."""
  options = dict(CELLS)['srn']
  cell = net('srn', options)
  state = lane(begin(cell, 'hidden'), 0)
  links = np.full((SIZE, SIZE), -9.0)
  for symbol, after in enumerate(follows):
    links[int(after), symbol] = 9.0
  params = jax.tree.map(np.zeros_like, state.params)
  return cell, state._replace(params=params._replace(w_out_x=links))


@functools.cache
def hand_made_update(failure):
  cell, _ = hand_made('12300')
  return cheap_jit(
    chunker(cell, TASK, failure=failure, update='sequence').update
  )


@functools.cache
def upper_slope():
  """By the weights of C: the gradient of the error of the first steps."""
  cell, _ = hand_made('12300')

  def error(upper, x, steps):
    nets, _ = run(cell, upper, x[:-1])
    errors = jax.vmap(half_squares)(nets, x[1:])
    return jnp.sum(jnp.where(jnp.arange(len(nets)) < steps, errors, 0))

  return cheap_jit(jax.grad(error))


def upper_after(cell, state, compressed):
  """C after one sequence of the symbols that it is said to have seen."""
  x = one_hot_of(compressed.ljust(NUM_STEPS + 1, '0'))
  grad = upper_slope()(state.upper, x, len(compressed) - 1)
  grad = only_existing(grad, cell.mask)
  return jax.tree.map(lambda w, g: w - UPPER_RATE * g, state.upper, grad)


@pytest.mark.parametrize('failure', ['error', 'argmax'])
def test_exactly_the_unpredicted_symbols_go_up(x64, failure):
  # 0 is followed by 1, 1 by 2, 2 by 3, 3 by 0, 4 by 0.
  cell, state = hand_made('12300')
  update = hand_made_update(failure)
  for string, compressed in (
    ('01230123', '0'),
    ('01240120', '040'),
    ('30123401', '34'),
    ('43210', '43210'),
    ('0123014', '04'),  # the last one, never an input of A
    ('22222222', '22222222'),
  ):
    still = state._replace(learning_rate=np.zeros(()))
    after, _ = update(still, lane(sequences((string,)), 0))
    if len(compressed) == 1:
      assert distance(after.upper, state.upper) == 0
      continue
    expected = upper_after(cell, state, compressed)
    assert distance(after.upper, expected) < 1e-12
    # One symbol more or another one would show.
    for other in (compressed[:-1] + '1', '1' + compressed):
      assert distance(after.upper, upper_after(cell, state, other)) > 1e-6


def test_an_error_at_the_threshold_is_none_and_a_tie_is_a_failure(x64):
  cell, state = hand_made('12300')
  silent = jax.tree.map(np.zeros_like, state.params)  # every output is 1/2
  episode = lane(sequences(('0123',)), 0)
  for failure, threshold, ups in (
    ('error', 0.5, '0'), ('error', 0.4999, '0123'), ('argmax', 0.9, '0123')
  ):  # fmt: skip
    still = state._replace(
      params=silent,
      learning_rate=np.zeros(()),
      failure_threshold=np.asarray(threshold),
    )
    after, _ = hand_made_update(failure)(still, episode)
    moved = distance(after.upper, state.upper) > 0
    assert moved == (len(ups) > 1)
    if moved:
      assert distance(after.upper, upper_after(cell, state, ups)) < 1e-12


def logistic(x):
  return 1 / (1 + np.exp(-x))


class Unit:
  """One self-recurrent logistic unit and its outputs, by hand (numpy)."""

  def __init__(self, w_x, w_s, w_out, w_out_x):
    self.w_x, self.w_s = np.array(w_x), float(w_s)
    self.w_out, self.w_out_x = np.array(w_out), np.array(w_out_x)
    self.h, self.d_x, self.d_s = 0.0, np.zeros_like(self.w_x), 0.0

  def see(self, symbol):
    """Takes a symbol; sensitivities d of h by w_x and w_s follow."""
    h = logistic(self.w_x[symbol] + self.w_s * self.h)
    slope = h * (1 - h)
    self.d_x = slope * self.w_s * self.d_x
    self.d_x[symbol] += slope
    self.d_s = slope * (self.h + self.w_s * self.d_s)
    self.h, self.symbol = h, symbol

  def outputs(self):
    return logistic(self.w_out * self.h + self.w_out_x[:, self.symbol])

  def learn(self, rate, target):
    """Gradient descent on the error of the present outputs."""
    y = self.outputs()
    e = (target - y) * y * (1 - y)
    back = e @ self.w_out
    self.w_out = self.w_out + rate * e * self.h
    self.w_out_x[:, self.symbol] += rate * e
    self.w_x = self.w_x + rate * back * self.d_x
    self.w_s += rate * back * self.d_s


def section_11(a, c, string, rate, upper_rate, threshold):
  """A sequence as the description reads; A's last output is for C's unit."""
  fails, ups = True, 0
  for unit in (a, c):
    unit.h, unit.d_x, unit.d_s = 0.0, np.zeros(SIZE), 0.0
  for t, x in enumerate(map(int, string)):
    if fails:
      if ups:
        c.learn(upper_rate, np.eye(SIZE)[x])
      c.see(x)
      ups += 1
    if t < len(string) - 1:
      a.see(x)
      then = np.eye(SIZE)[int(string[t + 1])]
      fails = np.max(np.abs(a.outputs()[:-1] - then)) > threshold
      a.learn(rate, np.append(then, c.h))
  return ups


def test_online_learning_is_the_description_step_by_step(x64):
  options = {
    'hidden': 1, 'recurrence': 'self', 'activation': 'logistic',
    'outputs_see_inputs': True, 'hidden_bias': False, 'output_bias': False,
  }  # fmt: skip
  cell = net('srn', options)
  state = lane(begin(cell, 'hidden'), 0)
  update = cheap_jit(chunker(cell, TASK).update)

  def unit(p, rows=None):
    w_out = [p.w_out] if rows is None else [p.w_out, rows['w_out']]
    links = [p.w_out_x] if rows is None else [p.w_out_x, rows['w_out_x']]
    w_out, links = np.concatenate(w_out), np.concatenate(links)
    return Unit(p.w_x[0], p.w_h[0, 0], w_out[:, 0], links)

  a, c = unit(state.params, state.predictor), unit(state.upper)
  seen = set()
  for n in range(120):
    string = ('01230', '41234')[n % 2]
    seen.add(section_11(a, c, string, RATE * 5, UPPER_RATE * 5, 0.3))
    state = state._replace(
      learning_rate=np.asarray(RATE * 5),
      upper_learning_rate=np.asarray(UPPER_RATE * 5),
      failure_threshold=np.asarray(0.3),
    )
    state, _ = update(state, lane(sequences((string,)), 0))
    mine, theirs = unit(state.params, state.predictor), unit(state.upper)
    for one, other in ((mine, a), (theirs, c)):
      for name in ('w_x', 'w_s', 'w_out', 'w_out_x'):
        difference = np.subtract(getattr(one, name), getattr(other, name))
        assert np.max(np.abs(difference)) < 1e-11
  # From all symbols going up to the first and the last.
  assert {5, 2} <= seen


def learned(cell, state, episode, **options):
  return cheap_jit(chunker(cell, TASK, **options).update)(state, episode)[0]


@pytest.mark.slow
def test_every_option_matters(x64):
  name, options = CELLS[0]
  cell = net(name, options)
  state = begin(cell, 'hidden', threshold=0.7)
  episode = sequences(STRINGS)
  plain = learned(cell, state, episode)
  for other, field in (
    ({'failure': 'argmax'}, 'upper'),
    ({'rule': 'elman'}, 'params'),
    ({'upper_rule': 'elman'}, 'upper'),
    ({'update': 'sequence'}, 'params'),
    ({'upper_outputs': 'see_hidden'}, 'upper'),
  ):
    changed = learned(cell, state, episode, **other)
    moved = distance(getattr(changed, field), getattr(plain, field))
    assert moved > 1e-6, other


def test_without_its_links_the_upper_net_has_none(x64):
  name, options = CELLS[0]
  cell = net(name, options)
  learner = chunker(cell, TASK, upper_outputs='see_hidden')
  numbers = {**cell.numbers, 'learning_rate': 0.3, 'failure_threshold': 0.2}
  numbers['upper_learning_rate'] = np.nan
  init = cheap_jit(learner.init)
  numbers = {k: np.asarray(v, float) for k, v in numbers.items()}
  first = init(jax.random.key(0), numbers)
  assert first.upper_learning_rate == 0.3, 'that of the other net'
  own = init(
    jax.random.key(0), numbers | {'upper_learning_rate': np.float64(2)}
  )
  assert (own.learning_rate, own.upper_learning_rate) == (0.3, 2.0)
  assert np.any(first.params.w_out_x) and np.any(first.predictor['w_out_x'])
  after, _ = cheap_jit(learner.update)(first, lane(sequences(STRINGS), 0))
  for state in (first, after):
    assert not np.any(state.upper.w_out_x)
  assert distance(after.upper, first.upper) > 1e-4


def test_elmans_rule_is_exact_where_nothing_recurs(x64):
  options = dict(CELLS[0][1], recurrence='none')
  cell = net('srn', options)
  state, episode = begin(cell, 'hidden', threshold=0.7), sequences(STRINGS)
  exact = learned(cell, state, episode)
  short = learned(cell, state, episode, rule='elman', upper_rule='elman')
  assert distance(exact, short) < 1e-12


@pytest.mark.parametrize(
  'name',
  [
    name
    for name in catalog.names('cells')
    if 'readout' in catalog.describe('cells', name).provides
  ],
)
def test_one_column_is_what_a_symbol_sees_of_a_cell(x64, name):
  """Names of the weights are the contract; each cell keeps it."""
  cell = net(name, {})
  params = random_net(cell, 0, LANES)
  random = np.random.default_rng(1)
  carry = jax.tree.map(
    lambda a: random.normal(size=a.shape),
    jax.eval_shape(lambda: cell.initial_carry(LANES, jnp.float64)),
  )
  index = np.array([4, 0, 2])

  @cheap_jit
  def moments(params, carry):
    columns = net_step.column(params._asdict(), index)
    rows = {
      k: w[:2] + 1
      for k, w in columns.items()
      if k.startswith(('w_out', 'b_out'))
    }
    return (
      net_step.step(cell, net_step.wider(columns, rows), carry),
      net_step.step(cell, columns | rows, carry),
      cell.step(params, carry, np.eye(SIZE)[:, index]),
    )

  moment, alone, (carry_t, net_k) = moments(params, carry)
  assert distance(moment.carry_t, carry_t) < 1e-12
  assert distance(moment.net_k[:SIZE], net_k) < 1e-12
  assert distance(moment.net_k[SIZE:], alone.net_k) < 1e-12
  # All of the activations count, and nothing else of the carry.
  h = getattr(carry_t, cell.equations.output)
  assert h.shape[0] == params.w_out.shape[1]


def test_a_task_that_promises_the_next_symbol_keeps_it():
  found = []
  for name in catalog.names('tasks'):
    entry = catalog.describe('tasks', name)
    if 'next_symbol' not in entry.provides:
      continue
    found.append(name)
    task = catalog.build('tasks', name, **entry.provides['next_symbol'])
    assert task.next_symbol
    key = prng.Key(np.arange(4, dtype=np.uint32), np.zeros(4, np.uint32))

    @jax.jit
    def steps(key, task=task):
      stream = task.stream(task.fresh(key, np.full(4, 100)))

      def at(t):
        now = jnp.full(4, t)
        x = to_dense(stream.input_at(now + 1))
        return stream.target_at(now), x, stream.scored_at(now)

      return stream.length, jax.vmap(at)(jnp.arange(task.longest(100)))

    lengths, arrays = steps(key)
    count = int(np.min(lengths)) - 1
    assert count > 1
    target, x, scored = (np.asarray(a)[:count] for a in arrays)
    np.testing.assert_array_equal(target, x)
    assert np.all(scored)
  assert found


def test_what_it_cannot_do_is_refused():
  cell = net('srn', {})
  for name, word in (
    ('failure', 'x'), ('predicts', 'outputs'), ('rule', 'bptt'),
    ('upper_rule', 'bptt'), ('upper_outputs', 'none'), ('update', 'never'),
  ):  # fmt: skip
    with pytest.raises(ValueError, match=f"{name}='{word}' must be one of "):
      chunker(cell, TASK, **{name: word})
  for task in (
    array_task(SIZE, 2, error_at_end=False),
    array_task(SIZE, SIZE, error_at_end=True),
  ):
    with pytest.raises(ValueError, match='chunker: .* next symbol'):
      chunker(cell, task)
  with pytest.raises(ValueError, match='chunker: .* in its recurrent layer'):
    chunker(net('fully_recurrent', {}), TASK)
