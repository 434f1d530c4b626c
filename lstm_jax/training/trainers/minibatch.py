"""Minibatches of a data set, epochs of them, an optax optimizer."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import optax

from lstm_jax.dataset import Dataset, Examples
from lstm_jax.ops.checked import checked
from lstm_jax.training.sequence_model import make_model
from lstm_jax.training.trainer import State, Sums, Trainer, no_sums
from lstm_jax.training.trainers._optimizers import OPTIMIZERS
from lstm_jax.types import Cell

NUMBERS = {'learning_rate': 0.001}
RANGES = {
  'learning_rate': {
    'optimizer': {
      'sgd': (0.01, 3.0, 'log'),
      'adam': (1e-4, 0.03, 'log'),
      'keras_adam': (1e-4, 0.03, 'log'),
      'keras_rmsprop': (1e-4, 0.03, 'log'),
    }
  }
}
# Programs are compiled for the sizes of the data.
STATIC = ('length',)
UNIT = 'epochs'
# The flags for small nets turn the products of a batch into plain loops: twenty
# times as slow where the compiled loop of a layer is not there.
XLA_PROFILE = 'none'


@checked
def minibatch(
  make_cell: Callable[[int], Cell],
  dataset: Dataset,
  *,
  length: int | None = None,
  optimizer: Literal['sgd', 'adam', 'keras_adam', 'keras_rmsprop'] = 'adam',
  batch: int = 32,
  layers: int = 1,
  embedding: int = 32,
  reads: Literal['output', 'state', 'mean'] = 'output',
  initial: Literal['keras', 'normal', 'cell'] = 'keras',
  kernel: Literal['auto', 'xla', 'native', 'cudnn'] = 'auto',
) -> Trainer:
  """Epochs of minibatches, each shuffled, an update by optax after each.

  The error of an update is the mean over the examples of its batch; nothing is
  clipped, dropped out or scheduled. The last batch of an epoch is as small as
  what is left, as in Keras.

  Args:
    make_cell: `num_inputs -> Cell` without output units.
    dataset: what is asked of the network.
    length: T of the data set, which has its sequences already.
    optimizer: 'sgd'; 'adam' with 1e-8 after the bias correction; 'keras_adam'
      with 1e-7 before it; 'keras_rmsprop' with a decay of 0.9 and 1e-7 outside
      the root, as in TensorFlow 2.
    batch: B.
    layers, embedding, reads, initial, kernel: see
      `sequence_model.make_model`; the embedding counts for tokens only.

  Returns:
    The `Trainer`.

  Raises:
    ValueError: an unknown optimizer, what `make_model` raises.
  """
  del length
  model = make_model(
    make_cell,
    num_inputs=dataset.num_inputs,
    num_outputs=dataset.num_outputs,
    vocabulary=dataset.vocabulary,
    embedding=embedding,
    layers=layers,
    every_step=dataset.every_step,
    reads=reads,
    initial=initial,
    kernel=kernel,
  )
  transform = OPTIMIZERS[optimizer]()
  judge = _judge(dataset)

  def start(params, learning_rate):
    return State(params, transform.init(params), learning_rate, no_sums())

  def sums_of(params, examples, index, weight):
    batch_of = jax.tree.map(lambda a: a[index], examples)
    net = model.apply(params, batch_of.inputs, batch_of.lengths)
    loss, right, count = judge(net, batch_of.targets, batch_of.lengths)
    return Sums(
      jnp.sum(weight * loss),
      jnp.sum(weight * right),
      jnp.sum(weight if count is None else weight * count),
    )

  def advance(state, examples: Examples, order, weights, first, end):
    def update(i, state):
      def error(params):
        sums = sums_of(params, examples, order[i], weights[i])
        return sums.loss / sums.examples, sums

      grads, sums = jax.grad(error, has_aux=True)(state.params)
      moves, optimizer = transform.update(grads, state.optimizer, state.params)
      moves = jax.tree.map(lambda m: state.learning_rate * m, moves)
      return State(
        optax.apply_updates(state.params, moves),
        optimizer,
        state.learning_rate,
        jax.tree.map(jnp.add, state.sums, sums),
      )

    return jax.lax.fori_loop(first, end, update, state)

  def measure(params, examples: Examples, order, weights):
    def add_batch(sums, batch):
      batch_sums = sums_of(params, examples, *batch)
      return jax.tree.map(jnp.add, sums, batch_sums), None

    return jax.lax.scan(add_batch, no_sums(), (order, weights))[0]

  def outputs(params, inputs, lengths=None):
    return _OUTPUT_UNITS[dataset.loss](model.apply(params, inputs, lengths))

  return Trainer(model, batch, start, advance, measure, outputs)


_OUTPUT_UNITS = {
  'squared': lambda net: net,
  'softmax': jax.nn.softmax,
  'sigmoid': jax.nn.sigmoid,
}


def _judge(dataset):
  """`(net [B, ..., K], targets [B, ...], lengths) -> (loss, right, count)`.

  Each is `[B]`; of an example that is asked at every step, sums over its steps,
  and how many these are. A count of None: each example counts once.
  """
  if dataset.every_step and dataset.loss == 'softmax':
    return _softmax_at_steps

  def squared(net, targets, lengths):
    error = net - targets
    if dataset.every_step and lengths is not None:
      is_near = jnp.all(jnp.abs(error) <= dataset.tolerance, -1)
      return _over_steps(jnp.mean(error**2, -1), is_near, lengths)
    axes = tuple(range(1, error.ndim))
    is_near = jnp.all(jnp.abs(error) <= dataset.tolerance, axes)
    return jnp.mean(error**2, axes), is_near.astype(error.dtype), None

  def softmax(net, targets, lengths):
    del lengths
    loss = optax.softmax_cross_entropy_with_integer_labels(net, targets)
    return loss, (jnp.argmax(net, -1) == targets).astype(net.dtype), None

  def sigmoid(net, targets, lengths):
    del lengths
    net = net[:, 0]
    classes = targets.astype(net.dtype)
    loss = optax.sigmoid_binary_cross_entropy(net, classes)
    return loss, ((net > 0) == (targets > 0)).astype(net.dtype), None

  losses = {'squared': squared, 'softmax': softmax, 'sigmoid': sigmoid}
  return losses[dataset.loss]


def _softmax_at_steps(net, targets, lengths):
  """`_judge` of classes at every step."""
  loss = optax.softmax_cross_entropy_with_integer_labels(net, targets)
  return _over_steps(loss, jnp.argmax(net, -1) == targets, lengths)


def _over_steps(loss, right, lengths):
  """Sums over the steps of each example, `[B, T]` to `[B]`, and their number.

  Every step counts the same, so that long examples count more.
  """
  if lengths is None:
    lengths = jnp.full(loss.shape[:1], loss.shape[1])
  is_step = jnp.arange(loss.shape[1])[None] < lengths[:, None]
  sums = (jnp.sum(jnp.where(is_step, a, 0), 1) for a in (loss, right))
  return *(a.astype(loss.dtype) for a in sums), lengths.astype(loss.dtype)
