"""Batch training is what Keras does: network, optimizers, epochs."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.dataset import Dataset, Examples, Pool
from lstm_jax.lab.data.marked_product import marked_product
from lstm_jax.lab.plan import catalog
from lstm_jax.nn import convert
from lstm_jax.training import batches, epochs
from lstm_jax.training.loop import Job
from lstm_jax.training.trainer import Trainer
from lstm_jax.training.trainers import _optimizers
from tests.gradients import cheap_jit, distance

KINDS = ('srn', 'lstm', 'gru')
CPU = {'kernel': 'xla'}


def trainer(kind, dataset, hidden=4, cell=None, **options):
  cell = cell or {}
  make = lambda n: catalog.build('cells', kind, n, 0, hidden=hidden, **cell)
  options = CPU | options
  return catalog.build('trainers', 'minibatch', make, dataset, **options)


def small(loss='squared', steps=7, count=22, train=11, **more):
  """A data set of random numbers whose parts fill no batch."""
  random = np.random.default_rng(0)
  outputs = {'squared': 2, 'softmax': 3, 'sigmoid': 1}[loss]
  inputs = random.standard_normal((count, steps, 2)).astype(np.float32)
  targets = (
    random.standard_normal((count, 2)).astype(np.float32)
    if loss == 'squared'
    else random.integers(0, max(outputs, 2), count).astype(np.int32)
  )
  lengths = random.integers(1, steps + 1, count).astype(np.int32)
  ends = np.split(np.arange(count), [train, train + 5])
  parts = dict(zip(('train', 'valid', 'test'), ends, strict=True))
  pool = Pool(Examples(inputs, targets, lengths), parts)
  classes = () if loss == 'squared' else ('a', 'b', 'c')[: max(outputs, 2)]
  return Dataset(
    2, 0, outputs, loss, False, lambda seed: pool, classes=classes, **more
  )


LANES = [epochs.Lane(0, 0.05), epochs.Lane(1, 0.02), epochs.Lane(0, 0.02)]


def trained(dataset, made, lanes=LANES, count=3, **how):
  pools = [dataset.pool(lane.seed) for lane in lanes]
  return epochs.train(made, dataset, pools, lanes, count, **how)


def bits(params):
  """Weights as their bits."""
  return {name: (a.dtype, a.shape, a.tobytes()) for name, a in params.items()}


def facts(results):
  """All but the time; weights as their bits."""
  return [one._replace(seconds=0.0, params=bits(one.params)) for one in results]


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('tokens', [False, True])
def test_two_layers_are_those_of_keras(kind, tokens):
  import keras

  layer = {
    'srn': keras.layers.SimpleRNN,
    'lstm': keras.layers.LSTM,
    'gru': keras.layers.GRU,
  }[kind]
  dataset = small()._replace(
    **({'num_inputs': 0, 'vocabulary': 9} if tokens else {})
  )
  made = trainer(kind, dataset, layers=2, embedding=5)
  params = made.model.init(jax.random.key(3))
  random = np.random.default_rng(1)
  inputs = random.integers(0, 9, (3, 7)) if tokens else None
  if inputs is None:
    inputs = random.standard_normal((3, 7, 2)).astype(np.float32)
  # What they begin with is replaced.
  zeros = {'kernel_initializer': 'zeros'}
  layer = functools.partial(layer, 4, recurrent_initializer='zeros', **zeros)
  stack = [
    layer(return_sequences=True),
    layer(),
    keras.layers.Dense(2, **zeros),
  ]
  if tokens:
    stack.insert(0, keras.layers.Embedding(9, 5, 'zeros'))
  net = keras.Sequential(stack)
  net.build(inputs.shape)
  held = [np.asarray(params.embedding)] * tokens
  for own in params.layers:
    cell = catalog.build('cells', kind, own.w_x.shape[1], 0, hidden=4)
    held += convert.export_weights('keras', kind, cell, own)
  net.set_weights([*held, np.asarray(params.w), np.asarray(params.b)])
  call = jax.jit(lambda *variables: net.stateless_call(*variables, inputs)[0])
  kinds = net.trainable_variables, net.non_trainable_variables
  with jax.numpy_rank_promotion('allow'):
    theirs = np.asarray(call(*([v.value for v in kind] for kind in kinds)))
  ours = jax.jit(made.outputs)(params, inputs)
  np.testing.assert_allclose(ours, theirs, atol=2e-6)
  # Of the two biases of a GRU's r and z their sum alone acts.
  twice = 2 * 2 * 4 if kind == 'gru' else 0
  assert made.model.weights == net.count_params() - twice


@pytest.mark.parametrize(
  ('name', 'keras_name'), [('sgd', 'SGD'), ('keras_adam', 'Adam')]
)
def test_an_optimizer_is_that_of_keras(name, keras_name):
  import keras

  random = np.random.default_rng(2)
  weights = random.standard_normal(5).astype(np.float32)
  # Small ones too: there the constant decides.
  grads = [
    (random.standard_normal(5) * 10.0 ** -np.arange(5)).astype(np.float32)
    for _ in range(4)
  ]
  theirs = keras.Variable(weights)
  optimizer = getattr(keras.optimizers, keras_name)(learning_rate=0.01)
  optimizer.build([theirs])
  transform = _optimizers.OPTIMIZERS[name]()
  ours, state = weights, transform.init(weights)
  update = jax.jit(transform.update)
  for grad in grads:
    optimizer.apply([grad], [theirs])
    moves, state = update(grad, state)
    ours = ours + np.float32(0.01) * np.asarray(moves)
  np.testing.assert_allclose(ours, np.asarray(theirs), rtol=3e-6)
  if name == 'keras_adam':
    plain = _optimizers.OPTIMIZERS['adam']()
    first = grads[0] * np.float32(1e-4)
    one, _ = jax.jit(plain.update)(first, plain.init(weights))
    other, _ = update(first, transform.init(weights))
    assert distance(one, other) > 0.1  # on small gradients they differ


def test_rmsprop_is_that_of_tensorflow_2():
  # Keras 3, which is installed, has the constant inside the root.
  transform = _optimizers.OPTIMIZERS['keras_rmsprop']()
  grads = np.array([1.0, 1e-3, 1e-6], np.float32)
  state, square = transform.init(grads), 0.0
  update = jax.jit(transform.update)
  for _ in range(3):
    moves, state = update(grads, state)
    square = 0.9 * square + 0.1 * grads.astype(np.float64) ** 2
    wanted = -grads / (np.sqrt(square) + 1e-7)
    np.testing.assert_allclose(moves, wanted, rtol=3e-6)


@pytest.mark.parametrize('loss', ['squared', 'softmax', 'sigmoid'])
def test_an_epoch_is_the_updates_made_by_hand(loss, x64):
  dataset = small(loss)
  made = trainer('srn', dataset, batch=4, optimizer='sgd')
  found = trained(dataset, made, LANES[:1], 2)[0]
  pool = dataset.pool(0)
  params = made.model.init(jax.random.key(0))

  def error(p, inputs, targets, lengths):
    out = made.outputs(p, inputs, lengths)
    if loss == 'squared':
      return ((out - targets) ** 2).mean(1)
    if loss == 'softmax':
      return -jnp.log(out[jnp.arange(len(targets)), targets])
    return -jnp.log(jnp.where(targets == 1, out[:, 0], 1 - out[:, 0]))

  @cheap_jit
  def update(params, *some):
    mean, grads = jax.value_and_grad(lambda p: error(p, *some).mean())(params)
    return mean, jax.tree.map(lambda p, g: p - 0.05 * g, params, grads)

  losses = []
  for epoch in range(2):
    order, weights = batches.order_of(0, epoch, pool.parts['train'], 4)
    # Every example once; the last batch has three.
    assert sorted(order[weights > 0]) == sorted(pool.parts['train'])
    assert weights.sum(1).tolist() == [4, 4, 3]
    total = 0.0
    for index, weight in zip(order, weights, strict=True):
      index = index[weight > 0]
      mean, params = update(params, *(a[index] for a in pool.examples))
      total += len(index) * float(mean)
    losses.append(total / 11)
  np.testing.assert_allclose(found.curves['train_loss'], losses, rtol=1e-6)
  inputs, targets, lengths = (a[pool.parts['test']] for a in pool.examples)
  out = np.asarray(cheap_jit(made.outputs)(params, inputs, lengths))
  if loss == 'squared':
    assert 'accuracy' not in found.test and found.confusion is None
    np.testing.assert_allclose(
      found.test['loss'], ((out - targets) ** 2).mean(), rtol=1e-6
    )
  else:
    told = out.argmax(1) if loss == 'softmax' else (out[:, 0] > 0.5).astype(int)
    assert found.test['right'] == (told == targets).sum()
    counts = np.zeros_like(found.confusion)
    np.add.at(counts, (targets, told), 1)
    np.testing.assert_array_equal(found.confusion, counts)


class Whole(NamedTuple):
  """Lanes that were trained from the beginning to the end."""

  dataset: Dataset
  trainer: Trainer
  found: list


@pytest.fixture(scope='module')
def whole():
  dataset = small('softmax')
  made = trainer('srn', dataset, batch=4)
  return Whole(dataset, made, trained(dataset, made))


def test_a_lane_has_its_own_seed_and_rate(whole):
  dataset, made, together = whole
  for lane, found in zip(LANES, together, strict=True):
    alone = trained(dataset, made, [lane])[0]
    np.testing.assert_allclose(
      found.curves['valid_loss'], alone.curves['valid_loss'], rtol=1e-5
    )
  ends = [found.test['loss'] for found in together]
  assert len(set(ends)) == 3


@pytest.mark.parametrize('at', [0, 1, 3, 4, 7])
def test_it_goes_on_to_the_same_bits(whole, at):
  """From after any update: within an epoch, before its validation, between."""
  dataset, made, found = whole
  jobs = [
    Job(f'{i}', '', lane.seed, {'learning_rate': lane.learning_rate}, 0, 3)
    for i, lane in enumerate(LANES)
  ]

  def loop():
    pools = [dataset.pool(lane.seed) for lane in LANES]
    return epochs.loop_of(made, dataset, pools, 3)

  one, other = loop(), loop()
  state = one.start(jobs, {})
  for _ in range(at):
    state, done = one.advance(state, 1)
    assert not done.has_ended and one.results(state)[1] == []
  begun = one.snapshot(state)
  assert begun.keys() == {job.id for job in jobs}
  state = other.start(jobs, begun)
  ended = False
  while not ended:
    state, done = other.advance(state, 2)
    ended = done.has_ended
  outcomes = other.results(state)[1]
  for outcome, one_whole in zip(outcomes, found, strict=True):
    assert outcome.curves == one_whole.curves
    assert outcome.metrics['test_loss'] == one_whole.test['loss']
    assert outcome.details['confusion'] == one_whole.confusion
    assert bits(outcome.net) == bits(one_whole.params) != {}
  # A lane that has no snapshot takes the others with it to the beginning.
  del begun['1']
  first = other.snapshot(other.start(jobs, begun))
  assert all(
    one.leaves['epoch'] == one.leaves['batch'] == 0 for one in first.values()
  )


def test_the_best_epoch_is_chosen_by_validation_alone(whole):
  dataset, made, _ = whole
  lanes = [epochs.Lane(seed, 0.1) for seed in range(len(LANES))]
  ended = []
  for lane, found in zip(lanes, trained(dataset, made, lanes, 6), strict=True):
    curve = found.curves['valid_accuracy']
    epoch = int(np.argmax(curve))
    assert found.best['epoch'] == epoch + 1
    assert found.best['valid_accuracy'] == curve[epoch]
    # The network of that epoch is that of a shorter training.
    short = trained(dataset, made, [lane], epoch + 1)[0]
    np.testing.assert_allclose(
      found.best['test']['loss'], short.test['loss'], rtol=1e-5
    )
    # It is the one that is kept.
    assert found.params.keys() == short.params.keys()
    for name, kept in found.params.items():
      np.testing.assert_allclose(kept, short.params[name], rtol=0, atol=1e-5)
    ended.append(epoch == 5)
  assert not all(ended), 'no net was better before its end'


def test_what_lies_past_the_end_is_not_read():
  dataset = small('softmax')
  made = trainer('lstm', dataset, batch=4, reads='mean')
  pool = dataset.pool(0)
  inputs, _, lengths = pool.examples
  params = made.model.init(jax.random.key(0))
  past = np.arange(7)[None, :, None] >= lengths[:, None, None]
  spoilt = np.where(past, np.nan, inputs)
  outputs = jax.jit(made.outputs)
  np.testing.assert_array_equal(
    outputs(params, inputs, lengths), outputs(params, spoilt, lengths)
  )


def test_what_the_output_units_read():
  from lstm_jax.nn.layer import run

  dataset = small()
  inputs = dataset.pool(0).examples.inputs[:3]
  cell = catalog.build('cells', 'lstm', 2, 0, hidden=4)
  for reads in ('output', 'state', 'mean'):
    made = trainer('lstm', dataset, reads=reads)
    params = made.model.init(jax.random.key(0))
    ran = jax.tree.map(
      np.asarray, run(cell, params.layers[0], np.moveaxis(inputs, 0, 1))
    )
    read = {
      'output': ran.ys[-1],
      'state': ran.last.s_c,
      'mean': ran.ys.mean(0),
    }[reads]
    np.testing.assert_allclose(
      made.outputs(params, inputs), read @ np.asarray(params.w), rtol=1e-5
    )


@pytest.mark.parametrize('kind', KINDS)
def test_initial_weights_are_those_of_keras(kind):
  hidden, rows = 30, {'srn': 30, 'lstm': 120, 'gru': 90}[kind]
  dataset = small()
  made = trainer(kind, dataset, hidden=hidden)
  params = jax.tree.map(np.asarray, made.model.init(jax.random.key(0)))
  own = params.layers[0]
  limit = np.sqrt(6 / (2 + rows))
  assert 0.9 * limit < np.max(np.abs(own.w_x)) <= limit
  np.testing.assert_allclose(own.w_h.T @ own.w_h, np.eye(hidden), atol=1e-5)
  wanted = np.zeros(rows)
  if kind == 'lstm':
    wanted[30:60] = 1  # y_f
  np.testing.assert_array_equal(own.b, wanted)


def test_normal_initial_weights():
  made = trainer('lstm', small(), hidden=64, initial='normal')
  params = jax.tree.map(np.asarray, made.model.init(jax.random.key(0)))
  own = params.layers[0]
  for w in (own.w_x, own.w_h, params.w):
    assert abs(np.std(w) - 0.03) < 0.006 and abs(np.mean(w)) < 0.01
  np.testing.assert_array_equal(own.b[64:128], np.ones(64))


def test_what_diverges_is_said():
  dataset = small()
  made = trainer('srn', dataset, optimizer='sgd', cell={'activation': 'relu'})
  lanes = [epochs.Lane(0, 0.01), epochs.Lane(0, 1e20)]
  good, bad = trained(dataset, made, lanes, 4)
  assert good.finite and not bad.finite


@pytest.mark.parametrize(
  ('kind', 'options', 'message'),
  [
    ('srn', {'reads': 'state'}, 'reads=state: cell srn has no state'),
    ('lstm', {'reads': 'top'}, "reads='top' must be one of output, state"),
    ('lstm', {'initial': 'zero'}, "initial='zero' must be one of keras"),
    ('lstm', {'layers': 0}, 'layers=0 must be at least 1'),
    ('lstm', {'optimizer': 'lbfgs'}, "optimizer='lbfgs' must be one of sgd"),
    ('lstm_layernorm', {}, 'initial=keras: cell lstm_layernorm is in no'),
  ],
)
def test_refusals(kind, options, message):
  with pytest.raises(ValueError, match=message):
    trainer(kind, small(), **options)


def test_pools_of_a_group_have_parts_of_one_size():
  dataset = marked_product(length=5, train=8, valid=4, test=4)
  other = marked_product(length=5, train=6, valid=4, test=4)
  made = trainer('srn', dataset)
  pools = [dataset.pool(0), other.pool(1)]
  with pytest.raises(ValueError, match='differ in their parts'):
    epochs.train(made, dataset, pools, LANES[:2], 1)
  with pytest.raises(ValueError, match='epochs=0'):
    epochs.train(made, dataset, pools[:1], LANES[:1], 0)


@pytest.mark.parametrize('loss', ['squared', 'softmax'])
def test_every_step_within_a_length_counts_once(loss):
  """Sums, gradients and answers are those of the steps, written out."""
  base = small(loss)
  inputs, _, lengths = base.pool(0).examples
  random = np.random.default_rng(2)
  inside = np.arange(inputs.shape[1]) < lengths[:, None]
  shape = inputs.shape[:2]
  targets = (
    random.integers(0, 3, shape).astype(np.int32)
    if loss == 'softmax'
    else random.standard_normal((*shape, 2)).astype(np.float32)
  )
  # What lies past an end is anything.
  inputs = np.where(inside[..., None], inputs, 7).astype(np.float32)
  pool = base.pool(0)._replace(examples=Examples(inputs, targets, lengths))
  data = base._replace(every_step=True, pool=lambda seed: pool)
  made = trainer('srn', data)
  params = made.model.init(jax.random.key(3))
  order, weights = batches.in_batches(np.arange(9), 4)

  def mean(params):
    net = made.model.apply(params, inputs[:9], lengths[:9])
    if loss == 'softmax':
      log_p = jax.nn.log_softmax(net)
      each = -jnp.take_along_axis(log_p, targets[:9, :, None], 2)[..., 0]
    else:
      each = jnp.mean((net - targets[:9]) ** 2, -1)
    return jnp.sum(jnp.where(inside[:9], each, 0)) / inside[:9].sum()

  sums = jax.jit(made.measure)(params, pool.examples, order, weights)
  assert float(sums.examples) == inside[:9].sum()
  wanted, grads = jax.jit(jax.value_and_grad(mean))(params)
  assert sums.loss / sums.examples == pytest.approx(float(wanted), rel=1e-5)
  answers = np.asarray(jax.jit(made.outputs)(params, inputs[:9], lengths[:9]))
  if loss == 'softmax':
    right = np.argmax(answers, -1) == targets[:9]
    assert float(sums.right) == right[inside[:9]].sum()
  # One update by plain descent is the gradient of the same mean.
  plain = trainer('srn', data, optimizer='sgd')
  state = plain.start(params, np.float32(0.5))
  order, weights = batches.in_batches(np.arange(9), 16)
  after = jax.jit(plain.advance)(state, pool.examples, order, weights, 0, 1)
  by_hand = jax.tree.map(lambda p, g: p - 0.5 * g, params, grads)
  for one, other in zip(
    jax.tree.leaves(after.params), jax.tree.leaves(by_hand), strict=True
  ):
    np.testing.assert_allclose(one, other, atol=2e-6)
