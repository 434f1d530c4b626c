"""The numbers of the page on the lag law are those of its committed trials."""

import collections
import csv
import re
import statistics

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.lab.plan import grid
from tests.children import ROOT

PAGE = (ROOT / 'docs' / 'lag_law.md').read_text(encoding='utf-8')
ROW = re.compile(
  r'^\| ([a-z -]+) \| ([\d,]+) \| (\d) blocks of (\d) \| ([\d.]+)'
  r' \| (\d+)/(\d+) \| ([\d,]+) \|$',
  re.MULTILINE,
)
CHOICE = 'task', 'length', 'blocks', 'block_size', 'learning_rate'


@pytest.mark.parametrize('choice', ['first', 'second'])
def test_the_table_of_the_choice_is_that_of_its_trials(choice):
  path = ROOT / 'docs' / 'lag_tuning.csv'
  with path.open(newline='', encoding='utf-8') as file:
    trials = [one for one in csv.DictReader(file) if one['choice'] == choice]
  of = collections.defaultdict(list)
  for one in trials:
    of[tuple(one[name] for name in CHOICE)].append(one)
  part = PAGE.split(f'### The {choice} choice')[1].split('\n##')[0]
  there = {
    (task, length.replace(',', ''), *network, rate): (
      int(solved), int(count), int(median.replace(',', ''))
    )
    for task, length, *network, rate, solved, count, median in ROW.findall(part)
  }  # fmt: skip
  assert there == {
    key: (
      len(
        ends := [int(s) for one in some if (s := one['sequences_to_success'])]
      ),
      len(some),
      int(statistics.median_high(ends)),
    )
    for key, some in of.items()
  }
  # None of the seeds on which a row is judged.
  judged = {seed for row in grid.load('lag_law').rows for seed in row.seeds}
  assert not judged & {int(one['seed']) for one in trials}


def read(name):
  with (ROOT / 'docs' / name).open(newline='', encoding='utf-8') as file:
    return list(csv.DictReader(file))


def test_what_is_made_of_the_trials_is_that_of_the_trials(figures):
  law, trials = figures('lag_law'), read('lag_law_trials.csv')
  rows = [
    dict(zip(law.COLUMNS, map(str, row), strict=True))
    for row in law.table_of(trials)
  ]
  assert rows == read('lag_law.csv'), 'run python docs/_figures/lag_law.py'
  assert trials == law.joined(trials, []), 'not in order, or one twice'
  (there,) = (match[0] for match in law.BLOCK.finditer(PAGE))
  assert there == law.BLOCK.sub(
    lambda m: m[1] + law.section(trials) + m[2], there
  )
  drawn = law.lag_picture.picture(
    law.series_of(trials), read('lag_law_published.csv')
  )
  assert drawn == law.PICTURE.read_text('utf-8')
  assert law.PICTURE.stat().st_size < 150_000


def test_the_first_million_is_as_the_page_says():
  trials = read('lag_first_trials.csv')
  ends = [int(s) for one in trials if (s := one['sequences_to_success'])]
  assert f'after {min(ends):,}\nsequences' in PAGE
  assert f'{len(ends)} of {len(trials)} had by 5,500' in PAGE


def test_pictures_of_the_quick_start_are_those_of_its_trials(figures):
  quick = figures('quickstart')
  assert quick.picture(quick.kept_rows()) == (
    ROOT / 'docs' / 'quickstart.svg'
  ).read_text('utf-8')


def trial(recipe, length, seed, after, rate='0.2'):
  status = 'solved' if after else 'budget'
  row = recipe, 'adding', str(length), rate, str(seed), status, str(after or '')
  head = 'recipe task length learning_rate seed status sequences_to_success'
  return dict(zip(head.split(), row, strict=True))


def test_a_row_that_is_run_again_takes_the_place_of_the_kept_one(figures):
  law = figures('lag_law')
  kept = [trial('adding', 1000, s, 5) for s in (0, 1, 2)]
  other = trial('adding', 100, 0, 7)
  taken = [trial('adding', 1000, 0, 6)]
  assert law.joined([*kept, other], taken) == [other, *taken]
  rates = [trial('adam', 100, s, 9, '0.01') for s in (0, 1)]
  slow = [trial('adam', 100, 0, 3, '0.1'), trial('adam', 100, 1, None, '0.1')]
  assert law.series_of([*rates, *slow]) == {'adam': {100: [9, 9]}}
  names = [line.split('|')[1].strip() for line in law.row_lines(rates + slow)]
  assert names[2:] == ['adam, rate 0.01', 'adam, rate 0.1']


def test_a_claim_that_is_refuted_is_said_to_be(figures):
  law = figures('lag_law')
  rng = np.random.default_rng(0)
  for exponent, words in ((0.0, 'is not refuted'), (0.5, 'it grows')):
    trials = [
      trial('adding', t, s, 1000 * t**exponent * rng.lognormal(0, 0.3))
      for t in (100, 1000, 10_000, 100_000)
      for s in range(20)
    ]
    assert words in law.section(trials)
  failing = [trial('adding', 316, s, s < 9 and 3) for s in range(20)]
  assert 'less than half solved at 316' in law.section(
    law.joined(trials, failing)
  )


def test_laws_are_found_again(figures):
  """A power, a logarithm, none; what was not solved lies above the line."""
  fit, rng = figures('lag_fit'), np.random.default_rng(1)
  lags = [100, 316, 1000, 3162, 10_000]
  noise = lambda: rng.lognormal(0, 0.3, 40)
  powers = {t: 50 * t**0.5 * noise() for t in lags}
  law = fit.power(powers)
  assert law.low < 0.5 < law.high and law.high - law.low < 0.3
  assert 1.2 < law.distance < 1.4 < fit.flat_distance(powers)
  # A budget that a quarter of the trials do not end in changes little.
  cut = {
    t: np.where(v <= np.quantile(v, 0.75), v, np.inf) for t, v in powers.items()
  }
  assert abs(fit.power(cut).slope - law.slope) < 0.02
  logs = {t: 3000 * np.log10(t) * noise() for t in lags}
  law = fit.logarithm(logs)
  assert law.low < 3000 < law.high and law.low > 1500
  law = fit.power({t: 9000 * noise() for t in lags})
  assert law.low < 0 < law.high and abs(law.slope) < 0.06


def test_what_is_made_of_the_others_is_that_of_their_trials(figures):
  others, trials = figures('lag_others'), read('lag_others_trials.csv')
  assert trials == others.joined(trials, []), 'not in order, or one twice'
  assert others.page(trials, read('lag_theory.csv'), PAGE) == PAGE
  assert others.picture(trials) == others.PICTURE.read_text('utf-8')


def test_the_largest_rate_that_half_of_the_trials_learn_by(figures):
  others = figures('lag_others')
  rows = {
    ('sgd', 100, 0.1): [5, np.inf],
    ('sgd', 100, 1.0): [np.inf, np.inf],
    ('sgd', 316, 0.1): [np.inf, np.inf],
  }
  assert others.critical_rates(rows, 'sgd') == {100: 0.1, 316: 0}


def test_a_row_goes_to_the_last_lag_before_one_that_it_fails(figures):
  others = figures('lag_others')
  learned, failed = (0.1, [3, 4, np.inf, 5]), (0.1, [np.inf, 5, np.inf, np.inf])
  assert others.end_of({10: learned, 32: learned, 100: failed}) == 32
  assert others.end_of({10: failed, 32: learned}) == 0


def test_causes_of_failures_are_told_apart(figures):
  """A network that is made to leak, to round, to hold nothing is named so."""
  failures = figures('lag_failures')
  network = {
    'status': 'budget', 'error': 0.1, 'error_without_leak': 0.1,
    'error_of_best_readout': 0.1, 'rounding': 0, 'gate_on_marks': 0.5,
  }  # fmt: skip
  for change, words in (
    ({}, 'do not hold'),
    ({'gate_on_marks': 1e-4}, 'no gate'),
    ({'rounding': 0.05}, 'rounding'),
    ({'error_without_leak': 0.01}, 'leak'),
    ({'error_of_best_readout': 0.01}, 'readout'),
    ({'status': 'solved'}, ''),
  ):
    assert words in failures.cause(network | change)
  assert failures.cause(network | {'status': 'solved'}) == ''
  assert PAGE == failures.page(read('lag_failures.csv'), PAGE)


def test_a_network_is_followed_as_its_cell_says(figures):
  """In float64 what the cell gives; gradients are those of the cut errors."""
  failures = figures('lag_failures')
  cell = lj.lstm1997(2, 1)
  params = cell.init(jax.random.key(3), {'init_range': 1.0})
  inputs = np.asarray(
    jax.random.normal(jax.random.key(4), (5, 12, 2)), np.float64
  )
  names = {k: np.asarray(v) for k, v in params._asdict().items()}
  run = failures.Run(names, inputs, np.full(5, 12), inputs[..., 1] > 0)

  def output(params, x):
    carry = cell.initial_carry((), jnp.float32)
    for x_t in x:
      kept = carry._asdict() | {
        name: jax.lax.stop_gradient(getattr(carry, name))
        for name in ('y_c', 'y_gates')
      }
      carry, net_k = cell.step(params, type(carry)(**kept), x_t)
    return net_k[0]

  single = jnp.asarray(inputs, jnp.float32)
  expected, slopes = jax.vmap(jax.value_and_grad(output), (None, 0))(
    params, single
  )
  outputs = run.outputs(lambda net: net, run.s_c)[:, 0]
  np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
  blocks = 2
  of_x = np.moveaxis(np.asarray(slopes.w_x)[:, :blocks], 1, 2)
  of_bias = np.asarray(slopes.b)[:, None, :blocks]
  np.testing.assert_allclose(
    run.gradients(np.ones((5, 1))),
    np.concatenate([of_x, of_bias], axis=1),
    rtol=1e-4, atol=1e-6,
  )  # fmt: skip


def test_what_follows_a_sequence_is_left_out(figures):
  """Alone or beside a longer one, a network says the same of a sequence."""
  failures = figures('lag_failures')
  params = lj.lstm1997(2, 1).init(jax.random.key(3), {'init_range': 1.0})
  weights = {k: np.asarray(v) for k, v in params._asdict().items()}
  inputs = np.random.default_rng(5).normal(size=(2, 12, 2))
  marks = inputs[..., 1] > 0
  both = failures.Run(weights, inputs, np.array([12, 7]), marks)
  alone = failures.Run(weights, inputs[1:, :7], np.array([7]), marks[1:, :7])
  for name in ('s_c', 'told', 'y_out'):
    np.testing.assert_allclose(
      getattr(both, name)[1:], getattr(alone, name), rtol=1e-12
    )


def test_gates_are_measured_on_marks_and_elsewhere(figures):
  """A gate that sees nothing but the mark opens on marks alone."""
  failures = figures('lag_failures')
  params = lj.lstm1997(2, 1).init(jax.random.key(3), {'init_range': 0.0})
  weights = {k: np.array(v) for k, v in params._asdict().items()}
  weights['w_x'][0, 1], weights['b'][0] = 8.0, -4.0
  inputs = np.zeros((1, 6, 2))
  inputs[0, 2, 1] = 1
  run = failures.Run(weights, inputs, np.array([6]), inputs[..., 1] == 1)
  on_marks, elsewhere = run.gate[:, 0]
  np.testing.assert_allclose([on_marks, elsewhere], 1 / (1 + np.exp([-4, 4])))
