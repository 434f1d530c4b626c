"""Measures why trials of the lag law fail, on their networks.

  python docs/_figures/lag_failures.py        trains and measures, minutes a row
  python docs/_figures/lag_failures.py page   the section of the page again

Of each row and lag at which a trial has failed, up to 10,000 steps, it trains
two that failed and two that did not to their ends (the same seeds, the same
bits) and measures them on fresh sequences, all sums in float64:
docs/lag_failures.csv, and from it what stands in lag_law.md between the marks.
"""

import csv
import itertools
import re
import sys
from pathlib import Path

import numpy as np

import lstm_jax as lj
from lstm_jax.lab.plan import flags, plan
from lstm_jax.lab.report import trace

DOCS = Path(__file__).parent.parent
TRIALS, TABLE = DOCS / 'lag_law_trials.csv', DOCS / 'lag_failures.csv'
PAGE = DOCS / 'lag_law.md'
BLOCK = re.compile(
  r'(<!-- from: docs/lag_failures.csv -->\n).*?(<!-- end -->)', re.DOTALL
)
LONGEST, EACH, SEQUENCES = 10_000, 2, 256
# A mean error below it is that of networks that have learned.
NEAR = 0.015
COLUMNS = (
  'recipe', 'length', 'seed', 'status', 'error', 'error_without_leak',
  'error_of_best_readout', 'rounding', 'gate_on_marks', 'gate_elsewhere',
  'gradient_signal',
)  # fmt: skip


class Run:
  """What a network of lstm1997 does on sequences, in float64.

  Attributes are arrays over sequences; N sequences, C cells, K outputs.
  """

  def __init__(self, params, inputs, lengths, is_told):
    """Follows `inputs [N, T, I]`, of which `is_told [N, T]` matter."""
    w = {name: np.asarray(value, float) for name, value in params.items()}
    num_cells = w['w_out'].shape[1]
    num_gates = len(w['b']) - num_cells
    num_in, size = num_gates // 2, num_cells // (num_gates // 2)
    count = len(inputs)
    s_c, y_c = np.zeros((count, num_cells)), np.zeros((count, num_cells))
    y_gates = np.zeros((count, num_gates))
    self.told, self.slope = np.zeros_like(s_c), 0.0
    self.gate = np.zeros((2, num_in))
    steps = np.zeros(2)
    for t in range(inputs.shape[1]):
      live, told = (t < lengths)[:, None], is_told[:, t][:, None]
      x_t = inputs[:, t]
      net = x_t @ w['w_x'].T + y_gates @ w['w_gates'].T + y_c @ w['w_cells'].T
      net += w['b']
      gates_t = 1 / (1 + np.exp(-net[:, :num_gates]))
      y_in = gates_t[:, :num_in]
      g = 2 * np.tanh(net[:, num_gates:] / 2)
      brought = np.repeat(y_in, size, axis=1) * g * live
      s_c = s_c + brought
      self.told += brought * told
      # Of the input gates' weights from x and their biases: the truncated
      # derivative of each state, [N, I + 1, C].
      one = np.concatenate([x_t, np.ones((count, 1))], axis=1)
      shut = np.repeat(1 - y_in, size, axis=1)
      self.slope = self.slope + one[:, :, None] * (brought * shut)[:, None]
      for kind, where in enumerate((live & told, live & ~told)):
        self.gate[kind] += (y_in * where).sum(0)
        steps[kind] += where.sum()
      y_gates = np.where(live, gates_t, y_gates)
      y_c = np.where(
        live, np.repeat(gates_t[:, num_in:], size, 1) * np.tanh(s_c / 2), y_c
      )
    self.gate /= np.maximum(steps, 1)[:, None]
    self.y_out = np.repeat(y_gates[:, num_in:], size, axis=1)
    self.s_c, self.w, self.size = s_c, w, size

  def outputs(self, unit, s_c):
    """Outputs `[N, K]` from states `[N, C]`."""
    return unit(self._cells(s_c) @ self.w['w_out'].T + self.w['b_out'])

  def _cells(self, s_c):
    return self.y_out * np.tanh(s_c / 2)

  def gradients(self, errors):
    """Of a sequence by the input gates' weights: `[N, I + 1, blocks]`."""
    back = errors @ self.w['w_out'] * self.y_out
    back *= (1 - np.tanh(self.s_c / 2) ** 2) / 2
    of_cells = self.slope * back[:, None]
    return of_cells.reshape(*of_cells.shape[:2], -1, self.size).sum(-1)


def told_steps(setting, inputs):
  """Where a sequence says what is to be remembered, `[T]`."""
  if setting.task == 'two_sequence':
    return np.arange(len(inputs)) < dict(setting.task_options)['informative']
  if setting.task == 'temporal_order':
    return inputs[:, 6:].any(axis=1)  # X and Y
  return inputs[:, 1] == 1


def unit_of(setting):
  """The output unit."""
  if dict(setting.task_options)['output'] == 'linear':
    return lambda net: net
  return lambda net: 1 / (1 + np.exp(-net))


def measures(setting, params):
  """The columns of a network that are measured."""
  follow = trace.follower(setting)
  records = [follow(params, 10_000 + n) for n in range(SEQUENCES)]
  lengths = np.array([len(one['inputs']) for one in records])
  inputs = np.zeros((SEQUENCES, lengths.max(), records[0]['inputs'].shape[1]))
  is_told = np.zeros(inputs.shape[:2], bool)
  for row, (one, length) in enumerate(zip(records, lengths, strict=True)):
    inputs[row, :length] = one['inputs']
    is_told[row, :length] = told_steps(setting, one['inputs'])
  targets = np.array([one['targets'][-1] for one in records], float)
  in_float32 = np.array([one['outputs'][-1] for one in records], float)
  run, unit = Run(params, inputs, lengths, is_told), unit_of(setting)
  outputs = run.outputs(unit, run.s_c)
  off = lambda values: float(np.abs(targets - values).max(axis=1).mean())
  leak = run.s_c - run.told
  gradients = run.gradients(outputs - targets)
  signal = np.abs(gradients.mean(0)) / (gradients.std(0) + 1e-300)
  open_block = run.gate[0].argmax()
  return {
    'error': off(outputs),
    'error_without_leak': off(run.outputs(unit, run.told + leak.mean(0))),
    'error_of_best_readout': off(best_readout(run.told, targets)),
    'rounding': float(np.abs(outputs - in_float32).max(axis=1).mean()),
    'gate_on_marks': run.gate[0][open_block],
    'gate_elsewhere': run.gate[1][open_block],
    'gradient_signal': signal.max(),
  }


def best_readout(told, targets):
  """Targets by least squares from what the cells were told, and its squares."""
  scaled = told / (told.std(axis=0) + 1e-300)
  pairs = itertools.combinations_with_replacement(scaled.T, 2)
  columns = [np.ones(len(told)), *scaled.T, *(a * b for a, b in pairs)]
  features = np.stack(columns, axis=1)
  return features @ np.linalg.lstsq(features, targets, rcond=1e-9)[0]


def trained(setting, seeds):
  """Params of the trials of a setting, each to its end."""
  learner = dict(setting.learner_options)
  numbers = dict(setting.numbers)
  result = lj.train(
    getattr(lj, setting.task), getattr(lj, setting.cell),
    getattr(lj, setting.learner), length=setting.length, seeds=seeds,
    max_sequences=setting.budget, learning_rate=numbers.pop('learning_rate'),
    optimizer=learner.pop('optimizer'), numbers=numbers,
    task_options=dict(setting.task_options),
    cell_options=dict(setting.cell_options), learner_options=learner,
    test_sequences=0,
  )  # fmt: skip
  return [
    {name: np.asarray(value) for name, value in params._asdict().items()}
    for params in result.params
  ], result.status


def chosen(trials):
  """`(recipe, length, rate) -> seeds`: some that failed, some that did not."""
  rows = {}
  for trial in trials:
    if int(trial['length']) <= LONGEST and '8x1' not in trial['recipe']:
      place = trial['recipe'], int(trial['length']), trial['learning_rate']
      of_status = rows.setdefault(place, {True: [], False: []})
      of_status[trial['status'] == 'solved'].append(int(trial['seed']))
  return {
    place: sorted(of_status[False][:EACH] + of_status[True][:EACH])
    for place, of_status in rows.items()
    if of_status[False]
  }


def main(only_page=False):
  """Makes the table, and the section of the page from it."""
  if not only_page:
    with TRIALS.open(newline='', encoding='utf-8') as file:
      seeds_of = chosen(list(csv.DictReader(file)))
    rows = read() if TABLE.exists() else []
    there = {(row['recipe'], int(row['length'])) for row in rows}
    for setting in settings_of(seeds_of):
      place = setting.row_name, setting.length
      if place in there:
        continue
      seeds = seeds_of[*place, str(setting.learning_rate)]
      nets, statuses = trained(setting, seeds)
      for seed, params, status in zip(seeds, nets, statuses, strict=True):
        row = dict(zip(COLUMNS, (*place, seed, status), strict=False))
        row |= {k: f'{v:.3g}' for k, v in measures(setting, params).items()}
        print(row, flush=True)
        rows.append(row)
      write(rows)
  words = PAGE.read_text(encoding='utf-8')
  PAGE.write_text(page(read(), words), encoding='utf-8')


def page(rows, words):
  """The page, with its table made again."""
  return BLOCK.sub(lambda found: found[1] + table_of(rows) + found[2], words)


def settings_of(seeds_of):
  """A setting of each row that is asked for, as the grid has it."""
  rows = tuple(dict.fromkeys(place[0] for place in seeds_of))
  there = {}
  for setting in plan.expand(flags.Request(grid='lag_law', rows=rows)).trials:
    place = setting.row_name, setting.length, str(setting.learning_rate)
    if place in seeds_of:
      there.setdefault(place, setting)
  return there.values()


def read():
  """The rows of the table."""
  with TABLE.open(newline='', encoding='utf-8') as file:
    return list(csv.DictReader(file))


def write(rows):
  """Keeps the rows, in order."""
  rows = sorted(
    rows, key=lambda r: (r['recipe'], int(r['length']), int(r['seed']))
  )
  with TABLE.open('w', newline='', encoding='utf-8') as file:
    writer = csv.DictWriter(file, COLUMNS, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)


def cause(row):
  """What a network that has failed fails by, in words."""
  value = lambda name: float(row[name])
  if row['status'] == 'solved':
    return ''
  if value('error') < NEAR:
    return 'late: it holds it, and was not right often enough in a row'
  if value('gate_on_marks') < 0.02:
    return 'no gate opens'
  if value('rounding') > 0.3 * value('error'):
    return 'rounding'
  if value('error_without_leak') < 0.7 * value('error'):
    return 'leak'
  if value('error_of_best_readout') < 0.5 * value('error'):
    return 'the readout: the cells hold it'
  return 'the cells do not hold it'


def table_of(rows):
  """The table of the page."""
  lines = [
    '| row | T | seed | | error | without leak | best readout | rounding '
    '| gate on marks, elsewhere | signal of the gradient | |',
    '|---|---:|---:|---|---:|---:|---:|---:|---|---:|---|',
  ]
  for row in rows:
    status = 'learned' if row['status'] == 'solved' else 'failed'
    lines.append(
      f'| {row["recipe"]} | {int(row["length"]):,} | {row["seed"]} | {status} '
      f'| {row["error"]} | {row["error_without_leak"]} '
      f'| {row["error_of_best_readout"]} | {row["rounding"]} '
      f'| {row["gate_on_marks"]}, {row["gate_elsewhere"]} '
      f'| {row["gradient_signal"]} | {cause(row)} |'
    )
  return '\n'.join(lines) + '\n'


if __name__ == '__main__':
  main(sys.argv[1:] == ['page'])
