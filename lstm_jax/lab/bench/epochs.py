"""An epoch of our batch training against the same model in Keras and torch.

Each library trains in a process of its own, as people run it: ours with its
compiled loops where there are any, Keras on JAX, torch; no flags are set. They
take turns; a turn times some updates once all is compiled, and the best turn
counts. The data are random and of the sizes of the real ones: their values
change nothing.

  lstm-jax bench --epochs=imdb,urban_sound
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lstm_jax.lab.bench.rows import Figure
from lstm_jax.lab.plan.text_columns import aligned
from lstm_jax.lab.run import xla_flags

KINDS = ('lstm', 'gru', 'srn')
LIBRARIES = ('ours', 'keras', 'torch')


class Size(NamedTuple):
  """A supervised run: T, B, inputs, H, K and how many examples an epoch has."""

  steps: int
  batch: int
  vocabulary: int
  inputs: int  # of the layer; with a vocabulary the size of an embedding
  hidden: int
  outputs: int
  examples: int


SIZES = {
  'imdb': Size(500, 128, 10_000, 32, 32, 1, 20_000),
  'urban_sound': Size(401, 10, 0, 100, 20, 10, 2_040),
}
_UPDATES = {'imdb': 8, 'urban_sound': 60}  # of one turn


def measure(
  names: Iterable[str], turns: int, kinds: Sequence[str] = KINDS
) -> list[Figure]:
  """Times every library on every supervised run.

  Args:
    names: keys of `SIZES`.
    turns: how often each library has its turn; the best counts.
    kinds: of layers.

  Returns:
    A dict a measurement: `comparison`, `cell`, `library`, `epoch_s`.
  """
  figures: list[Figure] = []
  for name in names:
    for kind in kinds:
      best: dict[str, float] = {}
      for _ in range(turns):
        for library in LIBRARIES:
          seconds = _turn(name, kind, library)
          best[library] = min(best.get(library, 1e9), seconds)
      updates = -(-SIZES[name].examples // SIZES[name].batch)
      lines = [['', 'ms an update', 's an epoch', 'ours is faster by']]
      for library, update in best.items():
        epoch = update * updates
        labels = {'comparison': name, 'cell': kind, 'library': library}
        figures.append(labels | {'epoch_s': epoch})
        ratio = '' if library == 'ours' else f'{update / best["ours"]:.2f}'
        lines.append([library, f'{1e3 * update:.3g}', f'{epoch:.3g}', ratio])
      print(f'{name}, {kind}:', *aligned(lines), '', sep='\n', flush=True)
  return figures


def _turn(name, kind, library):
  """Seconds an update, in a process of its own."""
  environ = dict(os.environ) | {'KERAS_BACKEND': 'jax'}
  if library == 'ours':
    xla_flags.set_flags('none', environ=environ)
  process = subprocess.run(
    [sys.executable, '-m', 'lstm_jax.lab.bench.epochs', name, kind, library],
    env=environ,
    capture_output=True,
    text=True,
    check=False,
  )
  if process.returncode:
    raise RuntimeError(f'{name}, {library}: {process.stderr[-2000:]}')
  return json.loads(process.stdout.splitlines()[-1])


def _data(size, updates):
  random = np.random.default_rng(0)
  count = size.batch * updates
  if size.vocabulary:
    inputs = random.integers(0, size.vocabulary, (count, size.steps))
    inputs = inputs.astype(np.int32)
  else:
    shape = (count, size.steps, size.inputs)
    inputs = random.standard_normal(shape).astype(np.float32)
  return inputs, random.integers(0, max(size.outputs, 2), count)


def ours(
  size: Size, kind: str, inputs: np.ndarray, targets: np.ndarray
) -> Callable[[], object]:
  """A call that makes an update of each batch."""
  import jax

  from lstm_jax.dataset import Dataset, Examples, Pool
  from lstm_jax.lab.plan import catalog
  from lstm_jax.training import batches

  examples = Examples(inputs, targets.astype(np.int32))
  dataset = Dataset(
    num_inputs=0 if size.vocabulary else size.inputs,
    vocabulary=size.vocabulary,
    num_outputs=size.outputs,
    loss='sigmoid' if size.outputs == 1 else 'softmax',
    every_step=False,
    pool=lambda seed: Pool(examples, {'train': np.arange(len(inputs))}),
  )
  trainer = catalog.build(
    'trainers', 'minibatch',
    lambda n: catalog.build('cells', kind, n, 0, hidden=size.hidden),
    dataset, batch=size.batch, embedding=size.inputs,
    optimizer='keras_rmsprop' if size.vocabulary else 'adam',
  )  # fmt: skip
  state = trainer.start(trainer.model.init(jax.random.key(0)), 0.001)
  advance = jax.jit(trainer.advance)
  examples = jax.device_put(examples)
  part = np.arange(len(inputs))
  states = [state]

  def call():
    order, weights = batches.order_of(0, 0, part, size.batch)
    states[0] = jax.block_until_ready(
      advance(states[0], examples, order, weights, 0, len(order))
    )

  return call


def keras(
  size: Size, kind: str, inputs: np.ndarray, targets: np.ndarray
) -> Callable[[], object]:
  """A call that makes an update of each batch."""
  import keras

  layers = keras.layers
  layer = {'lstm': layers.LSTM, 'gru': layers.GRU, 'srn': layers.SimpleRNN}
  two = size.outputs == 1
  stack = [
    layer[kind](size.hidden),
    layers.Dense(size.outputs, activation='sigmoid' if two else 'softmax'),
  ]
  if size.vocabulary:
    stack.insert(0, layers.Embedding(size.vocabulary, size.inputs))
  net = keras.Sequential(stack)
  net.compile(
    optimizer='rmsprop' if size.vocabulary else 'adam',
    loss='binary_crossentropy' if two else 'sparse_categorical_crossentropy',
    metrics=['accuracy'],
  )
  return lambda: net.fit(
    inputs, targets, batch_size=size.batch, epochs=1, verbose=0
  )


def torch(
  size: Size, kind: str, inputs: np.ndarray, targets: np.ndarray
) -> Callable[[], object]:
  """A call that makes an update of each batch."""
  import torch
  from torch import nn

  layer = {'lstm': nn.LSTM, 'gru': nn.GRU, 'srn': nn.RNN}[kind]

  class Net(nn.Module):
    def __init__(self):
      super().__init__()
      if size.vocabulary:
        self.embedding = nn.Embedding(size.vocabulary, size.inputs)
      self.layer = layer(size.inputs, size.hidden, batch_first=True)
      self.head = nn.Linear(size.hidden, size.outputs)

    def forward(self, x):
      x = self.embedding(x) if size.vocabulary else x
      return self.head(self.layer(x)[0][:, -1])

  net = Net()
  two = size.outputs == 1
  error = nn.BCEWithLogitsLoss() if two else nn.CrossEntropyLoss()
  optimizer = (
    torch.optim.RMSprop(net.parameters(), lr=0.001, alpha=0.9, eps=1e-7)
    if size.vocabulary
    else torch.optim.Adam(net.parameters())
  )
  xs, targets_torch = torch.tensor(inputs), torch.tensor(targets)
  targets_torch = targets_torch.float()[:, None] if two else targets_torch

  def call():
    for index in torch.randperm(len(xs)).split(size.batch):
      optimizer.zero_grad()
      error(net(xs[index]), targets_torch[index]).backward()
      optimizer.step()

  return call


def _child(name, kind, library):
  """Prints the seconds of an update."""
  size, updates = SIZES[name], _UPDATES[name]
  make = {'ours': ours, 'keras': keras, 'torch': torch}[library]
  call = make(size, kind, *_data(size, updates))
  call()  # compiles
  best = 1e9
  for _ in range(3):
    began = time.monotonic()
    call()
    best = min(best, time.monotonic() - began)
  print(json.dumps(best / updates))


if __name__ == '__main__':
  _child(*sys.argv[1:4])
