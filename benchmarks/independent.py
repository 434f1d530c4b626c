"""Trains the same networks by code that shares nothing with lstm_jax.

  python benchmarks/independent.py                 runs all of it, ten minutes
  python benchmarks/independent.py --rows=rtrl     rows whose name has the word
  python benchmarks/independent.py --report        the table of independent.csv

Loops in torch (back-propagation through time by its autograd) and in numpy
(real-time recurrent learning and e-prop, from their equations), written from
the pages of lstm_jax and the papers, with random numbers of their own. Thirty
networks of a row are trained side by side and never meet. The same rows are
then run by the command line of lstm_jax, in a process of its own.

Judged as said here before the first run: of each row the shares solved by
Fisher's exact test, the sequences to success by Mann and Whitney's (an unsolved
trial counts as more than any), each at 0.05 divided by the number of tests of
all rows. A row agrees where neither is below. The last row is a control that
must not agree: half of the learning rate on this side alone.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

CSV = Path(__file__).with_suffix('.csv')
NETS, HIDDEN, RANGE, STREAK = 30, 8, 0.1, 200
HEADER = ['row', 'side', 'trial', 'solved', 'sequences']


class Row(NamedTuple):
  """A setting that both sides train.

  Attributes:
    task: 'adding' or 'temporal_order'.
    length: T.
    cell, rule: their names.
    rate: Adam's learning rate.
    budget: sequences.
    factor: on the rate of this side alone.
  """

  task: str
  length: int
  cell: str
  rule: str
  rate: float
  budget: int
  factor: float = 1.0

  @property
  def name(self):
    """What the row is called."""
    words = f'{self.task} T={self.length} {self.cell} {self.rule}'
    return words + (' control' if self.factor != 1 else '')


ROWS = (
  Row('adding', 10, 'lstm', 'bptt', 0.01, 10_000),
  Row('adding', 10, 'gru', 'bptt', 0.01, 10_000),
  Row('adding', 6, 'srn', 'bptt', 0.003, 30_000),
  Row('adding', 6, 'srn', 'rtrl', 0.003, 30_000),
  Row('adding', 10, 'lstm', 'eprop', 0.01, 10_000),
  Row('temporal_order', 20, 'lstm', 'bptt', 0.01, 12_000),
  Row('temporal_order', 20, 'gru', 'bptt', 0.01, 6_000),
  Row('temporal_order', 20, 'srn', 'bptt', 0.003, 20_000),
  Row('temporal_order', 20, 'lstm', 'eprop', 0.01, 12_000),
  Row('adding', 10, 'lstm', 'bptt', 0.01, 10_000, factor=0.5),
)


# Tasks. A sequence of each network: inputs [T, N, I], lengths [N], targets.


def adding(rng, length):
  """The scaled sum of two marked values; targets `[N, 1]`."""
  most = length + length // 10
  steps = rng.integers(length, most + 1, NETS)
  net = np.arange(NETS)
  first = rng.integers(0, min(10, length // 2), NETS)
  # The second is one of the first T/2 - 1 pairs that are still unmarked.
  second = rng.integers(0, length // 2 - 1, NETS)
  second += second >= first
  values = rng.uniform(-1, 1, (most, NETS))
  values[0, (first == 0) | (second == 0)] = 0
  markers = np.zeros((most, NETS))
  markers[0] = markers[steps - 1, net] = -1
  markers[first, net] = markers[second, net] = 1
  target = 0.5 + (values[first, net] + values[second, net]) / 4
  return np.stack([values, markers], axis=-1), steps, target[:, None]


def temporal_order(rng, length):
  """Which of X and Y came first and which second; targets `[N, 4]`."""
  most, tenth = length + length // 10, length // 10
  steps = rng.integers(length, most + 1, NETS)
  net = np.arange(NETS)
  symbols = rng.integers(2, 6, (most, NETS))  # a, b, c, d after E and B
  is_y = rng.integers(0, 2, (2, NETS))
  # Positions count from 1.
  for start, kind in zip((tenth, length // 2), is_y, strict=True):
    place = rng.integers(start - 1, start + tenth, NETS)
    symbols[place, net] = 6 + kind
  symbols[0] = 0
  symbols[steps - 1, net] = 1
  return np.eye(8)[symbols], steps, np.eye(4)[2 * is_y[0] + is_y[1]]


# task -> its sequences, inputs, outputs, tolerance, bound on the mean error.
TASKS = {
  'adding': (adding, 2, 1, 0.1, 0.05),
  'temporal_order': (temporal_order, 8, 4, 0.3, 0.1),
}


def logistic(x):
  """The squashing function of gates."""
  return 1 / (1 + np.exp(-x))


def output_and_error(task, net):
  """`(y, dy/dnet)`: linear output units of adding, else logistic ones."""
  if task == 'adding':
    return net, np.ones_like(net)
  y = logistic(net)
  return y, y * (1 - y)


def first_weights(rng, cell, num_inputs, num_outputs):
  """Uniform in [-0.1, 0.1], biases too; forget gates have a bias of 1."""
  rows = {'lstm': 4, 'gru': 3, 'srn': 1}[cell] * HIDDEN
  shapes = {'x': (rows, num_inputs), 'h': (rows, HIDDEN), 'b': (rows,)}
  if cell == 'gru':
    shapes['bn'] = (HIDDEN,)  # of the recurrent part of the candidate
  shapes |= {'out': (num_outputs, HIDDEN), 'bout': (num_outputs,)}
  weights = {
    name: rng.uniform(-RANGE, RANGE, (NETS, *shape)).astype(np.float32)
    for name, shape in shapes.items()
  }
  if cell == 'lstm':
    weights['b'][:, HIDDEN : 2 * HIDDEN] = 1
  return weights


# Rules: `(task, cell, weights) -> step`, where `step(inputs, steps, target,
# rate)` trains all networks on a sequence each and returns the outputs that
# they had before.


def bptt(task, cell, weights):
  """Back-propagation through time: torch, its autograd and its Adam."""
  import torch

  torch.set_num_threads(1)
  w = {name: torch.tensor(a, requires_grad=True) for name, a in weights.items()}
  optimizer = torch.optim.Adam(w.values())
  times = lambda matrix, v: torch.bmm(matrix, v[:, :, None])[:, :, 0]

  def advance(net_x, h, s):
    net_h = times(w['h'], h)
    if cell == 'srn':
      return torch.tanh(net_x + net_h), s
    if cell == 'gru':
      (xr, xz, xn), (hr, hz, hn) = (n.chunk(3, 1) for n in (net_x, net_h))
      r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
      return (1 - z) * torch.tanh(xn + r * (hn + w['bn'])) + z * h, s
    net = net_x + net_h
    i, f, _, o = torch.sigmoid(net).chunk(4, 1)
    s = f * s + i * torch.tanh(net[:, 2 * HIDDEN : 3 * HIDDEN])
    return o * torch.tanh(s), s

  def step(inputs, steps, target, rate):
    xs = torch.tensor(inputs.transpose(1, 2, 0), dtype=torch.float32)
    nets = torch.bmm(w['x'], xs) + w['b'][:, :, None]
    h = s = torch.zeros(NETS, HIDDEN)
    for t, net_x in enumerate(nets.unbind(2)):
      h_t, s_t = advance(net_x, h, s)
      if t < steps.min():
        h, s = h_t, s_t
        continue
      on = torch.tensor(t < steps)[:, None]
      h, s = torch.where(on, h_t, h), torch.where(on, s_t, s)
    y = times(w['out'], h) + w['bout']
    y = y if task == 'adding' else torch.sigmoid(y)
    loss = 0.5 * ((torch.tensor(target, dtype=torch.float32) - y) ** 2).sum()
    optimizer.zero_grad()
    loss.backward()
    for group in optimizer.param_groups:
      group['lr'] = rate
    optimizer.step()
    return y.detach().numpy()

  return step


def adam(weights):
  """Kingma & Ba's algorithm 1, with its constants: `move(grads, rate)`."""
  m = {name: np.zeros_like(w) for name, w in weights.items()}
  v = {name: np.zeros_like(w) for name, w in weights.items()}
  count = 0

  def move(grads, rate):
    nonlocal count
    count += 1
    for name, g in grads.items():
      m[name] += 0.1 * (g - m[name])
      v[name] += 0.001 * (g * g - v[name])
      m_hat = m[name] / (1 - 0.9**count)
      v_hat = v[name] / (1 - 0.999**count)
      weights[name] -= (rate * m_hat / (np.sqrt(v_hat) + 1e-8)).astype('f4')

  return move


def readout(task, weights, h, target):
  """`(y, {out, bout: gradients}, dE/dh)` of the last step."""
  net = np.einsum('nkc,nc->nk', weights['out'], h) + weights['bout']
  y, slope = output_and_error(task, net)
  e = (y - target) * slope
  grads = {'out': e[:, :, None] * h[:, None], 'bout': e}
  return y, grads, np.einsum('nkc,nk->nc', weights['out'], e)


def sources(x, h):
  """What the weights of a hidden unit multiply, `[N, S]`: x, h, 1."""
  return np.concatenate([x, h, np.ones((NETS, 1))], axis=1)


def parted(grads, num_inputs):
  """Gradients `[N, rows, S]` as those of x, h and b."""
  x, h = grads[..., :num_inputs], grads[..., num_inputs:-1]
  return {'x': x, 'h': h, 'b': grads[..., -1]}


def keep(on, new, old):
  """`new` of the networks whose sequence goes on, `old` of the others."""
  if np.all(on):
    return new
  return np.where(on.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def rtrl(task, cell, weights):
  """Williams & Zipser (1989): p[k, i, j] = dh_k/dw_ij of simple units."""
  assert cell == 'srn'
  move = adam(weights)
  unit = np.arange(HIDDEN)

  def step(inputs, steps, target, rate):
    h, p = np.zeros((NETS, HIDDEN)), 0.0
    for t, x in enumerate(inputs):
      z = sources(x, h)
      net = np.einsum('nci,ni->nc', weights['x'], x) + weights['b']
      h_t = np.tanh(net + np.einsum('ncd,nd->nc', weights['h'], h))
      if t == 0:
        inner = np.zeros((NETS, HIDDEN, HIDDEN, z.shape[1]))
      else:
        inner = (weights['h'] @ p.reshape(NETS, HIDDEN, -1)).reshape(p.shape)
      inner[:, unit, unit] += z[:, None]
      on = t < steps
      p = keep(on, (1 - h_t**2)[:, :, None, None] * inner, p)
      h = keep(on, h_t, h)
    y, grads, e_h = readout(task, weights, h, target)
    by_w = np.einsum('nk,nkij->nij', e_h, p)
    move(grads | parted(by_w, inputs.shape[2]), rate)
    return y

  return step


def eprop(task, cell, weights):
  """Bellec et al. (2020), symmetric: a trace for each weight of a memory cell.

  eps(t) = f eps(t-1) + ds/dw of the step, at constant outputs of the others.
  """
  assert cell == 'lstm'
  move = adam(weights)

  def step(inputs, steps, target, rate):
    h = s = slope = np.zeros((NETS, HIDDEN))
    eps = direct = np.zeros((NETS, 4, HIDDEN, inputs.shape[2] + HIDDEN + 1))
    for t, x in enumerate(inputs):
      z = sources(x, h)
      net = np.einsum('nci,ni->nc', weights['x'], x) + weights['b']
      net += np.einsum('ncd,nd->nc', weights['h'], h)
      i, f, g, o = np.split(net, 4, axis=1)
      i, f, g, o = logistic(i), logistic(f), np.tanh(g), logistic(o)
      s_t = f * s + i * g
      ds = [i * (1 - i) * g, f * (1 - f) * s, i * (1 - g * g), 0 * o]
      dy = [0 * i, 0 * i, 0 * i, o * (1 - o) * np.tanh(s_t)]
      of_step, of_output = (
        np.stack(d, axis=1)[..., None] * z[:, None, None] for d in (ds, dy)
      )
      on = t < steps
      eps = keep(on, f[:, None, :, None] * eps + of_step, eps)
      direct = keep(on, of_output, direct)
      slope = keep(on, o * (1 - np.tanh(s_t) ** 2), slope)
      h, s = keep(on, o * np.tanh(s_t), h), keep(on, s_t, s)
    y, grads, signal = readout(task, weights, h, target)
    by_w = signal[:, None, :, None] * (slope[:, None, :, None] * eps + direct)
    by_w = by_w.reshape(NETS, 4 * HIDDEN, -1)
    move(grads | parted(by_w, inputs.shape[2]), rate)
    return y

  return step


RULES = {'bptt': bptt, 'rtrl': rtrl, 'eprop': eprop}


def train(row, seed):
  """Sequences to success of each network, 0 where there was none, `[N]`.

  A network has succeeded when it was right on the last 200 sequences or more,
  each seen once and judged before it learned from it, and its mean absolute
  error over this run of right ones was below the bound.
  """
  rng = np.random.default_rng(seed)
  draw, num_inputs, num_outputs, tolerance, bound = TASKS[row.task]
  weights = first_weights(rng, row.cell, num_inputs, num_outputs)
  step = RULES[row.rule](row.task, row.cell, weights)
  run, total, solved = np.zeros(NETS), np.zeros(NETS), np.zeros(NETS, int)
  for count in range(1, row.budget + 1):
    inputs, steps, target = draw(rng, row.length)
    y = step(inputs, steps, target, row.rate * row.factor)
    error = np.abs(target - y)
    right = np.all(error < tolerance, axis=1)
    run = np.where(right, run + 1, 0)
    total = np.where(right, total + error.mean(axis=1), 0)
    now = (run >= STREAK) & (total < bound * run) & (solved == 0)
    solved[now] = count
    if np.all(solved):
      break
  return solved


def of_lstm_jax(row):
  """`train` by the command line of lstm_jax."""
  _, _, _, tolerance, bound = TASKS[row.task]
  output = 'linear' if row.task == 'adding' else 'logistic'
  settings = {
    'task.output': output, 'task.tolerance': tolerance,
    'task.mean_error': bound, 'task.streak': STREAK,
    'cell.hidden': HIDDEN, 'cell.init_range': RANGE,
    'learner.optimizer': 'adam',
  }  # fmt: skip
  with tempfile.TemporaryDirectory() as folder:
    words = [
      f'--task={row.task}', f'--length={row.length}', f'--cell={row.cell}',
      f'--learner={row.rule}', f'--learning_rate={row.rate}',
      f'--budget={row.budget}', f'--seeds={NETS}',
      f'--out={folder}/run', '--progress=none',
      *(f'--set={name}={value}' for name, value in settings.items()),
    ]  # fmt: skip
    command = [sys.executable, '-m', 'experiments.sweep', *words]
    root = Path(__file__).parent.parent
    subprocess.run(command, check=True, cwd=root, stdout=subprocess.DEVNULL)
    with open(f'{folder}/run/results.csv', newline='') as file:
      trials = list(csv.DictReader(file))
  return np.array(
    [int(t['sequences_to_success'] or 0) for t in trials if t['status']]
  )


def compared(row, theirs, ours):
  """A line of the table; sequences to success of both sides, 0 for none."""
  from scipy import stats

  alpha = 0.05 / (2 * len(ROWS))
  solved = [np.sum(side > 0) for side in (theirs, ours)]
  share = stats.fisher_exact([[k, NETS - k] for k in solved]).pvalue
  ranks = [np.where(side > 0, side, row.budget + 1) for side in (theirs, ours)]
  order = stats.mannwhitneyu(*ranks).pvalue
  rng = np.random.default_rng(0)
  medians = [
    np.median(rng.choice(side, (10_000, NETS)), axis=1) for side in ranks
  ]
  low, high = np.quantile(medians[0] / medians[1], [0.025, 0.975])
  here = [
    f'{np.median(side):,.0f}' if 2 * k > NETS else f'> {row.budget:,}'
    for side, k in zip(ranks, solved, strict=True)
  ]
  ratio = f'{low:.2f}–{high:.2f}' if min(solved) * 2 > NETS else '–'
  verdict = 'agrees' if min(share, order) >= alpha else 'differs'
  words = [
    row.name, f'{solved[0]}/{NETS}', f'{solved[1]}/{NETS}', *here, ratio,
    f'{share:.2g}', f'{order:.2g}', verdict,
  ]  # fmt: skip
  return '| ' + ' | '.join(words) + ' |'


def table(trials):
  """The table of all rows that are in `trials`, `(row, side) -> [N]`."""
  lines = [
    '| row | solved | lstm_jax | median | lstm_jax | ratio, 95 % '
    '| p of shares | p of sequences | |',
    '|---|---|---|---|---|---|---|---|---|',
  ]
  for row in ROWS:
    if (row.name, 'independent') in trials:
      sides = (trials[row.name, side] for side in ('independent', 'lstm_jax'))
      lines.append(compared(row, *sides))
  return '\n'.join(lines)


def load():
  """The trials of the record."""
  with open(CSV, newline='') as file:
    rows = list(csv.DictReader(file))
  trials = {}
  for r in rows:
    count = int(r['sequences']) * int(r['solved'])
    trials.setdefault((r['row'], r['side']), []).append(count)
  return {key: np.array(counts) for key, counts in trials.items()}


def main():
  """Reads the command line."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--rows', default='', help='a word of their names')
  parser.add_argument('--report', action='store_true', help='runs nothing')
  args = parser.parse_args()
  trials = load() if CSV.exists() else {}
  for seed, row in enumerate(ROWS):
    if args.report or args.rows not in row.name:
      continue
    start = time.process_time()
    trials[row.name, 'independent'] = train(row, 1000 + seed)
    seconds = time.process_time() - start
    trials[row.name, 'lstm_jax'] = of_lstm_jax(row)
    print(f'{row.name}: {seconds:.0f} s of this side', file=sys.stderr)
    with open(CSV, 'w', newline='') as file:
      writer = csv.writer(file, lineterminator='\n')
      writer.writerow(HEADER)
      for (name, side), counts in sorted(trials.items()):
        budget = next(r.budget for r in ROWS if r.name == name)
        for trial, count in enumerate(counts):
          writer.writerow([name, side, trial, int(count > 0), count or budget])
  print(table(trials))


if __name__ == '__main__':
  main()
