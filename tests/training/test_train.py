"""`train`: the trials of the command, in one call that returns arrays."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lstm_jax as lj
from lstm_jax.lab.plan import catalog, flags, plan
from lstm_jax.lab.run import builds
from lstm_jax.lab.store.setting import trial_id
from lstm_jax.ops import prng
from lstm_jax.ops.initial import initial_params
from lstm_jax.training.compilation import Compiled
from lstm_jax.training.loop import Job

# Solved by half of the seeds at once: what is right is nearly anything.
EASY = {'tolerance': 0.2, 'streak': 12, 'mean_error': 0.5, 'output': 'linear'}
BUDGET = 60
HOW = {
  'length': 4,
  'learning_rate': 0.2,
  'max_sequences': BUDGET,
  'test_sequences': 32,
}


def easy(**how):
  return lj.train(
    lj.adding(**EASY), lj.srn, lj.elman, **{'seeds': 3, **HOW, **how}
  )


@pytest.fixture(scope='module')
def result():
  return easy()


def arrays(result):
  return jax.tree.leaves((result.params, result.curves, result.tests))


def same(one, other):
  for a, b in zip(arrays(one), arrays(other), strict=True):
    np.testing.assert_array_equal(a, b)
  assert one.status == other.status
  np.testing.assert_array_equal(one.sequences, other.sequences)


def test_it_is_the_trial_of_the_command_to_the_bit(result):
  """Through the program, the numbers and the loop that a sweep makes of it."""
  words = [f'--set=task.{name}={value}' for name, value in EASY.items()]
  request = flags.parse(
    ['sweep', '--task=adding', '--cell=srn', '--learner=elman', '--length=4',
     '--learning_rate=0.2', '--seeds=3', f'--budget={BUDGET}', '--hidden=4',
     '--set=learner.optimizer=sgd', *words]
  )  # fmt: skip
  trials = plan.expand(request).trials
  compiled = Compiled(jax.devices()[0])
  loop = builds.build(trials[0]).loop('a', compiled, (16,), 32)
  jobs = [
    Job(trial_id(t), 'a', t.seed, dict(t.numbers), t.length, t.budget)
    for t in trials
  ]
  state, outcomes = loop.start(jobs, {}), []
  while len(outcomes) < len(jobs):
    state, _ = loop.advance(state, 7)  # in other pieces
    state, ended = loop.results(state)
    outcomes += ended
  by_id = {outcome.id: outcome for outcome in outcomes}
  assert 0 < result.solved < 3
  for i, job in enumerate(jobs):
    outcome = by_id[job.id]
    assert outcome.status == result.status[i]
    assert outcome.seen == result.sequences[i]
    for name, curve in result.curves[i]._asdict().items():
      np.testing.assert_array_equal(curve, outcome.curves[name])
    for name, weights in result.params[i]._asdict().items():
      np.testing.assert_array_equal(weights, outcome.net[name])
    if outcome.status == 'solved':
      wrong = outcome.metrics['test_wrong']
      assert result.tests.wrong[i] == wrong
      assert result.sequences_to_success[i] == outcome.seen


def test_it_says_how_many_are_solved(result):
  k, n = result.solved, result.trials
  assert str(result).startswith(f'solved {k}/{n} (95 %: ')
  assert result.interval.low <= k / n <= result.interval.high
  assert len(result.curves) == len(result.params) == n == 3
  waits = result.sequences_to_success
  assert list(np.isinf(waits)) == [s != 'solved' for s in result.status]
  with pytest.raises(AttributeError):
    result.length = 5


def test_its_networks_go_into_the_layer_and_the_cell(result):
  cell, params = result.cell, result.params[0]
  xs = np.ones((5, 2), np.float32)
  ran = lj.layer(cell, params, xs)
  carry, nets = lj.unroll(cell, params, jnp.asarray(xs))
  np.testing.assert_allclose(ran.ys[-1], carry.h, rtol=1e-5, atol=1e-6)
  assert nets.shape == (5, 1)


def test_equal_arguments_compile_once(result, monkeypatch, capfd):
  def fails(*args):
    raise AssertionError('compiled again')

  monkeypatch.setattr(jax.stages.Lowered, 'compile', fails)
  same(easy(), result)
  # Another budget, other seeds and another rate share the program.
  other = easy(seeds=[2], max_sequences=20, learning_rate=0.1)
  assert other.trials == 1
  assert capfd.readouterr() == ('', '')


def test_more_seeds_than_lanes_are_the_trials_alone(result):
  several = easy(seeds=18)
  alone = easy(seeds=[17])
  assert several.status[17:] == alone.status
  np.testing.assert_array_equal(several.sequences[17:], alone.sequences)
  for a, b in zip(several.params[17], alone.params[0], strict=True):
    np.testing.assert_array_equal(a, b)


def test_a_callback_sees_progress_and_ends_it():
  calls = []

  def callback(progress):
    calls.append(progress)
    return np.max(progress.seen) >= 20

  stopped = easy(
    seeds=18, callback=callback, callback_every=10, max_sequences=1000
  )
  first = calls[0]
  assert first.trials == 18 and first.seen.shape == first.error.shape == (18,)
  # It is called at the end of a trial too.
  assert 1 <= np.max(first.seen) <= 10 and not np.any(first.seen[16:])
  assert np.all(np.isnan(first.error[16:]))
  assert np.all(np.isfinite(first.error[:16]))
  assert 'stopped' in stopped.status
  assert len(stopped.params) == 18
  assert '; ' in str(stopped) and 'stopped' in str(stopped)
  # One that never began has its first weights.
  last = stopped.params[17]
  if stopped.sequences[17] == 0:
    assert all(np.all(np.isfinite(w)) for w in last)


OPTIMIZERS = {
  'adam': lambda: optax.adam(3e-2),
  'clipped': lambda: optax.chain(
    optax.clip_by_global_norm(0.1), optax.sgd(0.2, momentum=0.5)
  ),
  'scheduled': lambda: optax.adamw(optax.linear_schedule(0.1, 0.0, 50)),
}


@pytest.mark.parametrize('name', OPTIMIZERS)
def test_any_transformation_of_optax_with_a_state_a_seed(name):
  """Against optax itself, with one seed after the other and no lanes."""
  optimizer = OPTIMIZERS[name]()
  how = {**HOW, 'test_sequences': 0, 'max_sequences': 12, 'learning_rate': None}
  task, of = lj.adding(**EASY), {'optimizer': optimizer, 'seeds': [5, 9]}
  result = lj.train(task, lj.srn, lj.elman, **how, **of)
  cell = result.cell
  taught = lj.elman(cell, task, optimizer='sgd')
  weights = by_hand(cell, task, taught, optimizer)
  for seed, params, count in zip(
    result.seeds, result.params, result.sequences, strict=True
  ):
    for a, b in zip(params, weights(int(seed), int(count)), strict=True):
      np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def by_hand(cell, task, learner, optimizer):
  """`(seed, count) -> weights` after so many training sequences one by one.

  Gradients are the moves of a step of 1.
  """

  @jax.jit
  def start(key):
    key = jax.random.fold_in(key, 0)
    params = initial_params(cell, key, cell.numbers)
    begun = learner.init(key, {**cell.numbers, 'learning_rate': 1.0})
    return begun, params, optimizer.init(params)

  @jax.jit
  def move(key, n, begun, params, state):
    key = jax.random.fold_in(jax.random.fold_in(key, 1), n)
    words = jax.random.key_data(key)
    episode = task.draw(prng.Key(*words), jnp.int32(4), ())
    moved, _ = learner.update(begun._replace(params=params), episode)
    gradient = jax.tree.map(jnp.subtract, params, moved.params)
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state

  def weights(seed, count):
    key = jax.random.key(seed)
    begun, params, state = start(key)
    for n in range(count):
      params, state = move(key, n, begun, params, state)
    return params

  return weights


@pytest.mark.slow
def test_a_transformation_is_the_optimizer_of_that_name(result):
  """Slow: the test above has transformations beside optax itself."""
  plain = easy(optimizer=optax.sgd(0.2), learning_rate=None)
  assert plain.status == result.status
  for a, b in zip(arrays(plain), arrays(result), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', catalog.names('learners'))
def test_every_learner_trains(name):
  task, cell = lj.adding(**EASY), functools.partial(lj.lstm1997, blocks=1)
  how = dict(HOW, test_sequences=0, learning_rate=None, max_sequences=4)
  if name == 'chunker':
    task = lj.reber(targets='next_symbol')
    how |= {'length': None}
    cell = lj.srn
  if name == 'cascade':
    cell = functools.partial(lj.cascaded, hidden=2)
  trained = lj.train(task, cell, getattr(lj, name), seeds=2, **how)
  assert set(trained.status) <= {'budget', 'solved', 'given_up'}
  takes = 'optimizer' in catalog.describe('learners', name).options
  if not takes:
    with pytest.raises(ValueError, match=f'learner {name} takes none'):
      lj.train(task, cell, getattr(lj, name), optimizer=optax.sgd(1.0), **how)


ADDING = lj.adding(**EASY)


@pytest.mark.parametrize(
  'changes, said',
  [
    ({'length': None}, 'length=None: this task needs its T'),
    ({'length': 0}, 'length=0 must be at least 1'),
    ({'length': 2.0}, 'length=2.0 must be an integer'),
    ({'length': 3}, 'at least 4'),
    ({'task': lj.reber}, 'length=4: this task has no length'),
    ({'seeds': 0}, 'seeds=0 must be from 1'),
    ({'seeds': []}, r'seeds=\[\] must be at least one'),
    ({'seeds': [1, 1]}, r'seeds=\[1, 1\] must be at least one, each once'),
    ({'seeds': [-1]}, 'seeds=-1 must be from 0'),
    ({'seeds': 1.5}, 'seeds=1.5 must be a count'),
    ({'seeds': jnp.float32(2.0)}, 'seeds=.*2.0.* must be a count'),
    ({'seeds': np.array([[0, 1]])}, r'seeds=array\(\[0, 1\]\) must be an int'),
    ({'callback': 7}, 'callback=7 must be a function'),
    ({'learning_rate': 'fast'}, "learning_rate='fast' must be a number"),
    ({'learning_rate': 1j}, 'learning_rate=1j must be a number above 0'),
    ({'learning_rate': np.array([True])}, 'must be a number above 0'),
    ({'max_sequences': 0}, 'max_sequences=0 must be from 1'),
    ({'callback_every': True}, 'callback_every=True must be an integer'),
    ({'learning_rate': 0}, 'learning_rate=0 must be a number above 0'),
    ({'learning_rate': float('nan')}, 'learning_rate=nan must be'),
    ({'numbers': {'forget_bias': 1.0}}, "'forget_bias' is no number of this"),
    ({'numbers': {'init_range': -1.0}}, 'init_range has -1'),
    ({'numbers': {'learning_rate': 1.0}}, 'learning_rate is given twice'),
    ({'optimizer': 'sdg'}, "optimizer='sdg' must be one of sgd, adam, rmsprop"),
    ({'optimizer': optax.sgd}, 'optimizer=<function sgd.* must be one of sgd'),
    ({'optimizer': optax.sgd(0.1)}, 'learning_rate=0.2 with an optimizer of'),
    ({'optimizer': optax.polyak_sgd(), 'learning_rate': None}, 'value'),
    ({'optimizer': optax.add_noise(0.1, 0.5, jax.random.key(0)),
      'learning_rate': None}, 'its state holds a random key'),
    ({'learner': lj.guess, 'optimizer': 'adam'}, 'learner guess takes none'),
    ({'learner_options': {'optimizer': 'adam'}, 'optimizer': 'sgd'}, 'twice'),
    ({'cell': lj.srn(3, 1)}, 'cell has num_inputs=3; the task has 2'),
    ({'cell': 'srn'}, 'cell is a str; must be a Cell, or a function'),
    ({'cell': lj.srn(2, 1), 'cell_options': {'hidden': 3}}, 'made already'),
    ({'numbers': [1]}, 'numbers is a list; must be a dictionary by name'),
    ({'cell_options': ['hidden']}, 'cell_options is a list; must be a dict'),
    ({'cell_options': {'hiden': 3}}, "'hiden' is no option of srn: .*hidden"),
    ({'learner_options': {'optimiser': 'adam'}}, "'optimiser' is no option"),
    ({'task': lj.adding, 'task_options': {'x': 1}}, "task_options: 'x' is no"),
    ({'seeds': jax.random.key(0)}, 'seeds is a key of JAX; must be a count'),
    ({'cell': lambda i, o: 3}, 'cell: <lambda> made an int; must be a Cell'),
    ({'learner': lj.truncated1997}, 'truncated1997: the rule keeps the error'),
    ({'learner': lj.cascade}, 'cascade: units join a network one by one'),
  ],
)  # fmt: skip
def test_refusals(changes, said):
  how = {'task': ADDING, 'cell': lj.srn, 'learner': lj.bptt, **HOW, **changes}
  with pytest.raises(ValueError, match=said):
    lj.train(**how)


ONE_STEP = dict(max_sequences=2, test_sequences=0, seeds=1)


def with_step(step):
  return lambda inputs, outputs: lj.srn(inputs, outputs)._replace(step=step)


@pytest.mark.parametrize(
  'changes, words',
  [
    (
      {'cell': with_step(lambda params, carry, x_t: carry)},
      'cell <lambda>: step: gives a Carry',
    ),
    (
      {'task': ADDING._replace(stop_rule=None)},
      'task Task: stop_rule: is None, must be a StopRule',
    ),
    (
      {'task': ADDING._replace(loss=lambda net, target: net - target)},
      'task Task: loss of',
    ),
    (
      {
        'learner': lambda cell, task: lj.elman(cell, task)._replace(
          judge=lambda params, episode: 0.5
        )
      },
      'learner <lambda>: judge: judgement: is a ShapeDtypeStruct',
    ),
  ],
)
def test_code_of_others_is_looked_at_first(changes, words):
  how = dict(HOW, task=ADDING, cell=lj.srn, learner=lj.elman, **ONE_STEP)
  how.pop('learning_rate')
  with pytest.raises(ValueError, match=words) as error:
    lj.train(**how | changes)
  assert '\n' not in str(error.value)


def test_an_error_of_their_code_is_theirs_with_a_note():
  def step(params, carry, x_t):
    raise RuntimeError('mine')

  with pytest.raises(RuntimeError, match='mine') as error:
    lj.train(ADDING, with_step(step), lj.elman, length=4)
  note = error.value.__notes__[-1]  # after one of JAX's
  assert 'cell <lambda> was looked at before training' in note
  assert 'lstm_jax.testing.check_cell' in note


@pytest.mark.parametrize(
  'seeds', [np.int64(3), np.array(3), np.arange(3), jnp.arange(3), range(3)]
)
def test_seeds_are_arrays_too(result, seeds):
  same(easy(seeds=seeds), result)


def test_it_is_called_outside_of_what_jax_traces():
  def trains(rate):
    return jnp.asarray(easy(learning_rate=rate, **ONE_STEP).sequences)

  closes_over_it = lambda x: x + trains(0.2)
  with pytest.raises(ValueError, match='JAX is tracing.* outside of jax.jit'):
    jax.jit(closes_over_it)(1)
  for traced in (jax.jit(trains), jax.grad(trains)):
    with pytest.raises(ValueError, match='outside of jax.jit, jax.vmap and'):
      traced(0.2)
  with pytest.raises(ValueError, match='learning_rate is traced: .*jax.vmap'):
    jax.vmap(trains)(jnp.ones(2))
  with pytest.raises(ValueError, match='seeds is traced'):
    jax.vmap(lambda seed: easy(seeds=[seed]).sequences)(jnp.arange(2))
  with pytest.raises(ValueError, match='jax_disable_jit: train compiles its'):
    with jax.disable_jit():
      trains(0.2)


def test_what_a_callback_returns_is_one_answer(result):
  with pytest.raises(
    ValueError, match=r'an array of shape \(3,\); must be true'
  ):
    easy(callback=lambda progress: progress.seen > 1)
  same(easy(callback=lambda progress: np.bool_(False)), result)


def test_it_trains_in_float64(result):
  with jax.enable_x64(True):
    wide = easy(test_sequences=0)
  np.testing.assert_array_equal(wide.sequences, result.sequences)
  assert wide.status == result.status


def test_a_number_of_another_type_is_not_taken_for_what_is_remembered():
  how = dict(HOW, max_sequences=2, test_sequences=0, seeds=1)
  lj.train(ADDING, lj.srn, lj.elman, cell_options={'hidden': 4}, **how)
  with pytest.raises(ValueError, match='hidden=4.0 must be an integer'):
    lj.train(ADDING, lj.srn, lj.elman, cell_options={'hidden': 4.0}, **how)


def test_a_data_set_is_sent_to_the_sweep():
  noisy_sine = catalog.build('datasets', 'marked_product')
  with pytest.raises(ValueError, match='in epochs: lstm_jax.sweep'):
    lj.train(noisy_sine, lj.srn, lj.bptt, length=3)


def test_a_learner_of_ones_own_says_which_number_it_lacks():
  def rule(cell, task):
    whole = lj.elman(cell, task)

    def init(key, numbers):
      return whole.init(key, {**numbers, 'learning_rate': numbers['pace']})

    return whole._replace(init=init)

  how = dict(HOW, learning_rate=None, max_sequences=4, test_sequences=0)
  with pytest.raises(ValueError, match="'pace' is a number that this learner"):
    lj.train(ADDING, lj.srn, rule, **how)
  trained = lj.train(ADDING, lj.srn, rule, numbers={'pace': 0.1}, **how)
  named = lj.train(ADDING, lj.srn, lj.elman, **{**how, 'learning_rate': 0.1})
  same(trained, named)
