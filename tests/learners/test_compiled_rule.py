"""The truncated rule in C++ is the streaming form, and a lane is its own."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.gru import gru
from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.lstm1997 import lstm1997
from lstm_jax.learners._truncated import compiled
from lstm_jax.learners.truncated1997 import streaming_gradient, truncated1997
from lstm_jax.nn.native import library, truncated
from lstm_jax.ops.prng import Key
from lstm_jax.tasks.adding import adding
from lstm_jax.tasks.memory_chain import memory_chain
from lstm_jax.tasks.multiplication import multiplication
from lstm_jax.tasks.reber import reber
from lstm_jax.tasks.temporal_order import temporal_order
from lstm_jax.tasks.trigger import trigger
from lstm_jax.tasks.two_sequence import two_sequence
from lstm_jax.training import online
from lstm_jax.training.trials import RUNNING
from lstm_jax.types import CompiledRule
from tests.array_task import array_task, random_arrays
from tests.gradients import cheap_jit, distance, existing, largest, random_net
from tests.learners.test_learners import NETS

pytestmark = pytest.mark.usefixtures('compiled_loops')

# Every way in which the C++ differs: of the cells of `test_learners`, and of
# these.
MORE = {
  'narrow g, wide h': lstm1997(3, 2, blocks=3, g='[-1,1]', h='[-2,2]'),
  'no gates': lstm1997(3, 2, input_gates=False, output_gates=False),
  'many cells': lstm1997(2, 1, blocks=3, block_size=3),
  'many forget gates': lstm(2, 1, hidden=9),
}
# A sum that is compensated has no compiled form.
CELLS = {
  name: cell
  for name, cell in (NETS | MORE).items()
  if cell.internal.compiled is not None
}
TASK = functools.cache(lambda i, k, end: array_task(i, k, error_at_end=end))


@functools.cache
def gradient(name, form, end=True):
  cell = CELLS[name]
  function = {
    'native': compiled.compiled_gradient, 'streaming': streaming_gradient
  }[form]  # fmt: skip
  task = TASK(cell.num_inputs, cell.num_outputs, end)
  return cheap_jit(lambda p, e: function(cell, task, p, e))


def episode_of(cell, seed, steps, lanes, end=True):
  sizes = cell.num_inputs, cell.num_outputs
  return random_arrays(seed, steps, *sizes, lanes, end=end)


@functools.cache
def gradient_as_by_commands(name):
  """Errors at every step, optimized as much as by the commands.

  Less so, a last bit depends on how many lanes run.
  """
  cell = CELLS[name]
  task = TASK(cell.num_inputs, cell.num_outputs, False)
  return jax.jit(
    lambda p, e: compiled.compiled_gradient(cell, task, p, e),
    compiler_options={'xla_backend_optimization_level': 1},
  )


def lanes_at(tree, at):
  return jax.tree.map(lambda a: np.asarray(a)[..., at], tree)


@pytest.mark.parametrize('name', CELLS)
def test_it_is_the_streaming_form_in_float64(x64, name):
  """Lengths of 1 to more than a block; past the end, nothing is read."""
  cell, lanes = CELLS[name], (5,)
  params = random_net(cell, 0, lanes)
  episode = episode_of(cell, 1, 270, lanes)
  length = np.array([1, 17, 2, 269, 270])
  past = np.arange(270)[:, None] >= length
  scored = np.arange(270)[:, None] == length - 1
  inputs = np.where(past[:, None], 7.0, episode.inputs)
  episode = episode._replace(length=length, scored=scored, inputs=inputs)
  wanted, judged = gradient(name, 'streaming')(params, episode)
  grads, judged_too = gradient(name, 'native')(params, episode)
  wanted = existing(cell, wanted)
  assert distance(existing(cell, grads), wanted) < 1e-12 * largest(wanted)
  assert distance(judged, judged_too) < 1e-12
  assert largest(wanted) > 1e-2
  other = episode._replace(inputs=np.where(past[:, None], -1e3, inputs))
  assert distance(gradient(name, 'native')(params, other)[0], grads) == 0


@pytest.mark.parametrize('name', CELLS)
def test_errors_at_every_step_are_those_of_the_streaming_form(x64, name):
  """Lengths of 1 to more than two blocks, some steps not scored."""
  cell, lanes = CELLS[name], (5,)
  params = random_net(cell, 0, lanes)
  episode = episode_of(cell, 1, 70, lanes, end=False)
  length = np.array([1, 17, 32, 69, 70])
  scored = episode.scored & (np.arange(70)[:, None] < length)
  episode = episode._replace(length=length, scored=scored)
  wanted, judged = gradient(name, 'streaming', False)(params, episode)
  grads, judged_too = gradient(name, 'native', False)(params, episode)
  wanted = existing(cell, wanted)
  assert distance(existing(cell, grads), wanted) < 1e-12 * largest(wanted)
  assert distance(judged, judged_too) < 1e-12
  assert largest(wanted) > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize('name', ['experiment 4', 'forget gates'])
def test_float32_is_as_near_as_the_streaming_form(name):
  """Slow: `test_a_million_steps_are_those_of_float64` is of float32 too."""
  cell, lanes = CELLS[name], (7,)
  params, episode = random_net(cell, 0, lanes), episode_of(cell, 1, 200, lanes)
  with jax.enable_x64(True):
    exact = existing(cell, gradient(name, 'streaming')(params, episode)[0])
  single = jax.tree.map(np.float32, params)
  near = {
    form: distance(
      existing(cell, gradient(name, form)(single, episode)[0]), exact
    )
    for form in ('native', 'streaming')
  }
  assert near['native'] < 3 * near['streaming'] < 1e-4 * largest(exact)


@pytest.mark.parametrize(
  'at', [slice(16), slice(30, 35), slice(36, 37)], ids=['16', '5', '1']
)
@pytest.mark.parametrize(
  ('name', 'end'),
  [('experiment 4', True), ('forget gates', True), ('experiment 4', False)],
)
def test_the_bits_of_a_lane_are_its_own(name, end, at):
  """Alone, in part of a vector, in several: the same."""
  cell = CELLS[name]
  params = jax.tree.map(np.float32, random_net(cell, 0, (37,)))
  episode = episode_of(cell, 1, 40, (37,), end)
  # The last step alone is code of XLA: optimized as by the commands, 5 lanes
  # of experiment 4 differ from 37 in a last bit.
  run = gradient(name, 'native') if end else gradient_as_by_commands(name)
  every, _ = run(params, episode)
  grads, _ = run(*lanes_at((params, episode), at))
  assert distance(grads, lanes_at(every, at)) == 0


@pytest.mark.slow
@pytest.mark.parametrize('name', CELLS)
def test_the_bits_of_a_lane_of_any_cell_are_its_own(name):
  """Of the errors of every step."""
  cell, run = CELLS[name], gradient_as_by_commands(name)
  params = jax.tree.map(np.float32, random_net(cell, 0, (37,)))
  episode = episode_of(cell, 1, 40, (37,), end=False)
  every = run(params, episode)
  for at in (slice(36, 37), slice(3, 11), slice(16)):
    some = run(*lanes_at((params, episode), at))
    assert distance(some, lanes_at(every, at)) == 0


@pytest.mark.parametrize('forgets', [False, True])
def test_the_bits_do_not_depend_on_where_it_is_cut(forgets):
  rule = CompiledRule(True) if forgets else CompiledRule(False, 2, 2, 2)
  y, u, kinds = (4, 16, 3) if forgets else (8, 8, 2)
  rng = np.random.default_rng(0)
  draw = lambda *s: jnp.asarray(rng.normal(size=s), jnp.float32)
  w, xs, begin = draw(u, 3 + y, 3), draw(2, 60, 3), np.int32([0, 5, 31])
  start = truncated.State(
    jnp.zeros((4, 3)), jnp.zeros((y, 3)), jnp.zeros((kinds * 4, 3 + y, 3))
  )
  run = jax.jit(
    lambda xs, first, count, state: truncated.steps(
      rule, y, w, xs, begin, first, count, state
    )
  )
  whole, net = run(xs, 0, 59, start)
  for cuts in ([0, 59], [0, 1, 16, 17, 48, 59], [0, 0, 31, 59]):
    state = start
    for first, end in zip(cuts, cuts[1:], strict=False):
      some = np.zeros((2, 60, 3), np.float32)
      some[:, : 60 - first] = xs[:, first:]
      state, net_too = run(some, first, end - first, state)
    assert distance(state, whole) == 0 and distance(net, net_too) == 0
  # Before its first step a lane stands still.
  none, _ = run(xs, 0, 31, start)
  assert not np.any(none.s[:, 2]) and not np.any(none.traces[..., 2])
  assert np.all(none.s[:, 1])


@pytest.mark.parametrize('count', [0, 2, 5, 9])
def test_steps_that_are_not_taken_leave_zeros(count):
  """And no memory is read or written behind those that are there."""
  rng = np.random.default_rng(0)
  draw = lambda *s: jnp.asarray(rng.normal(size=s), jnp.float32)
  w, xs, s, y = draw(16, 7, 3), draw(2, 5, 3), draw(4, 3), draw(4, 3)
  begin, first = jnp.zeros(3, jnp.int32), jnp.int32(0)
  *_, kept = truncated.kept_steps(
    CompiledRule(True), 4, w, xs, begin, first, jnp.int32(count), s, y
  )
  for array in kept:
    assert np.all(array[:, :count]) and not np.any(array[:, count:])


BIASES = np.array([-100.0, -16.1, -13.8, -9.2])  # of the input gates


def after_a_million_steps(dtype, held, input_bias):
  """`(what was added to s, traces)` of a cell a lane with these gates."""
  rule, steps, lanes = CompiledRule(False, 1, 1, 1), 10_000, len(BIASES)
  # Rows y_in, y_out, net_c; sources 1, x, y_in, y_out, y_c.
  w = np.zeros((3, 5, lanes))
  w[0, 0], w[1, 0], w[2, 0], w[2, 1] = BIASES, 3.0, input_bias, 1.0
  state = truncated.State(
    jnp.full((1, lanes), held, dtype), jnp.zeros((3, lanes), dtype),
    jnp.zeros((2, 5, lanes), dtype),
  )  # fmt: skip

  def block(i, state):
    key = jax.random.fold_in(jax.random.key(0), i)
    x = jax.random.uniform(key, (1, steps, 1), jnp.float32, -1, 1)
    xs = jnp.broadcast_to(x, (1, steps, lanes)).astype(dtype)
    zero = jnp.int32(0)
    return truncated.steps(
      rule, 3, jnp.asarray(w, dtype), xs, jnp.zeros(lanes, jnp.int32), zero,
      jnp.int32(steps), state,
    )[0]  # fmt: skip

  run = cheap_jit(lambda state: jax.lax.fori_loop(0, 100, block, state))
  state = run(state)
  return np.asarray(state.s[0] - held, float), np.asarray(state.traces, float)


@pytest.mark.parametrize('input_bias', [0.0, 0.5])
def test_a_million_steps_are_those_of_float64(x64, input_bias):
  """A shut gate keeps what is held, and lets through what its value says."""
  for held in (0.0, 0.75):
    exact, _ = after_a_million_steps(jnp.float64, held, input_bias)
    added, traces = after_a_million_steps(jnp.float32, held, input_bias)
    assert added[0] == 0 and not np.any(traces[..., 0])  # f(-100) is below all
    assert np.all(np.abs(exact[1:]) > 1e-5)
    if held == 0:
      np.testing.assert_allclose(added[1:], exact[1:], rtol=1e-4)
    # Beside a held value each is rounded to the last bit of that.
    assert np.all(np.abs(added - exact) < 3e-4 + 1e-4 * np.abs(exact))
    assert np.all(np.isfinite(traces))


@pytest.mark.parametrize(
  ('task', 'lanes'),
  [
    (adding(), (21,)),
    (adding(marks='first_ten', first_marked='zero_target_only'), (1,)),
    (multiplication(), ()),
    (temporal_order(), (3,)),
    (temporal_order(symbols=3), (1,)),
    (two_sequence(), (21,)),
    (two_sequence(noisy_signal=True, informative=30), (1,)),
    (two_sequence(noisy_target=True, informative=300, variance=3.0), (3,)),
    (memory_chain(clock=False), (5,)),
  ],
)
def test_inputs_drawn_in_it_are_those_of_the_task(task, lanes):
  """The same bits, of more steps than are drawn at once."""
  cell = lstm1997(task.num_inputs, task.num_outputs)
  params = jax.tree.map(np.float32, random_net(cell, 0, lanes))
  stream = lambda e: task.stream(e)._replace(drawn=None)

  @cheap_jit
  def both(params, key, length):
    episode = task.draw(key, length, ())
    return [
      compiled.compiled_gradient(cell, t, params, episode)
      for t in (task, task._replace(stream=stream))
    ]

  for seed in range(4):
    key = Key(jnp.full(lanes, seed, jnp.uint32), jnp.zeros(lanes, jnp.uint32))
    if lanes:
      key = key._replace(low=jnp.arange(lanes[0], dtype=jnp.uint32))
    for length in (20, 600):
      drawn, given = both(params, key, jnp.full(lanes, length, jnp.int32))
      assert distance(drawn, given) == 0 and largest(drawn[0]) > 0


def trained(task, form, sequences=40):
  """Weights after some sequences of four lanes."""
  cell = lstm1997(task.num_inputs, task.num_outputs)
  learner = truncated1997(cell, task, form=form)
  numbers = {'learning_rate': 0.5} | dict(cell.numbers)
  numbers = {k: np.asarray(v, np.float32) for k, v in numbers.items()}
  state = [learner.init(jax.random.key(i), numbers) for i in range(4)]
  state = jax.tree.map(lambda *a: jnp.stack(a, -1), *state)

  def one(i, state):
    i = jnp.full(4, i, jnp.uint32)
    key = Key(i, jnp.arange(4, dtype=jnp.uint32))
    episode = task.draw(key, jnp.full(4, 30, jnp.int32), ())
    return learner.update(state, episode)[0]

  run = cheap_jit(lambda s: jax.lax.fori_loop(0, sequences, one, s))
  return run(state).params


@pytest.mark.slow
@pytest.mark.parametrize('make', [adding, temporal_order])
def test_a_task_is_learned_as_by_the_streaming_form(make):
  """Inputs drawn step by step, and one-hot ones."""
  task = make()
  ours, theirs = (trained(task, form) for form in ('native', 'streaming'))
  assert 0 < distance(ours, trained(task, 'native', 1))
  assert distance(ours, theirs) < 1e-4


@pytest.mark.parametrize(
  'options',
  [
    {},
    {
      'optimizer': 'normalised',
      'restart': 'without_progress',
      'restart_sequences': 12,
      'restart_ratio': 0.1,
    },
  ],
  ids=['plain', 'restarting'],
)
def test_trials_do_not_depend_on_what_is_one_function(options):
  """Sequences around foreign steps, cut in pieces or not, as without parts."""
  task = adding()
  cell = lstm1997(2, 1)
  learner = truncated1997(cell, task, form='native', **options)
  assert learner.foreign is not None
  lanes = jnp.arange(5, dtype=jnp.uint32)
  numbers = {'learning_rate': 0.5} | dict(cell.numbers)
  numbers = {
    name: np.broadcast_to(np.float32(n)[..., None], (*np.shape(n), 5))
    for name, n in numbers.items()
  }

  def trials_after(learner, pieces):
    program = online.program(task, learner)
    start = Key(lanes, lanes), numbers, jnp.full(5, 30), jnp.full(5, 37)
    trials = cheap_jit(program.start)(*start)
    advance, works = cheap_jit(program.advance), []
    for piece in pieces:
      trials, work = advance(trials, piece)
      works.append(work)
    return trials, jax.tree.map(lambda *w: sum(w), *works)

  whole = trials_after(learner, [40])
  assert np.all(np.asarray(whole[0].status) > RUNNING)
  plain = trials_after(learner._replace(foreign=None), [40])
  in_pieces = trials_after(learner, [1, 0, 19, 20])
  assert distance(whole, plain) == 0 and distance(whole, in_pieces) == 0


def test_what_it_cannot_do_is_refused_by_name(monkeypatch):
  task = adding()
  cell = lambda task: lstm1997(task.num_inputs, task.num_outputs)
  for words, wrong in {
    'internal state': (gru(2, 1), task),
    'at most 16 lines, and this task has 54': (cell(trigger()), trigger()),
    'cells lstm1997 and lstm': (
      cell(task)._replace(internal=cell(task).internal._replace(compiled=None)),
      task,
    ),
  }.items():
    with pytest.raises(ValueError, match=words):
      truncated1997(*wrong, form='native')
  truncated1997(cell(reber()), reber(), form='native')
  with pytest.raises(ValueError, match='moves the weights once a sequence'):
    truncated1997(cell(reber()), reber(), form='native', update='every_step')
  monkeypatch.setattr(library, 'path', lambda: library.Path('/nowhere/it.so'))
  with pytest.raises(ValueError, match='run `python -m lstm_jax.nn.native` o'):
    truncated1997(cell(task), task, form='native')
  # Where the command could not help, the line names what is missing.
  monkeypatch.setattr(library, '_compiler', lambda: None)
  with pytest.raises(ValueError, match=r'form=native: no C\+\+ compiler: none'):
    truncated1997(cell(task), task, form='native')


def test_auto_is_the_native_form_where_there_is_one(monkeypatch):
  """For calls from Python; a plan chooses for itself."""
  forms = []
  for form in ('compiled', 'streaming'):
    monkeypatch.setattr(
      'lstm_jax.learners.truncated1997.streaming_gradient'
      if form == 'streaming'
      else 'lstm_jax.learners._truncated.compiled.compiled_gradient',
      lambda *_, form=form: forms.append(form) or (None, None),
    )
  every = {'update': 'every_step'}
  for task, options, there in (
    (adding(), {}, True), (adding(), every, True), (trigger(), {}, False),
    (reber(), {}, False), (reber(), every, False), (adding(), {}, None),
  ):  # fmt: skip
    if there is None:
      monkeypatch.setattr(library, 'path', lambda: library.Path('/nowhere.so'))
    cell = lstm1997(task.num_inputs, task.num_outputs)
    learner = truncated1997(cell, task, form='auto', **options)
    state = learner.init(jax.random.key(0), dict(cell.numbers, learning_rate=1))
    with contextlib.suppress(Exception):
      learner.update(state, None)
    kinds = ['compiled'] if there else ['streaming'] if not options else []
    assert forms == kinds
    forms.clear()


# The call alone.

GIVEN = {
  'w': ((8, 11, 3), 'float32'), 'xs': ((2, 5, 3), 'float32'),
  'begin': ((3,), 'int32'), 'range': ((2,), 'int32'),
  's_0': ((4, 3), 'float32'), 'y_0': ((8, 3), 'float32'),
  'traces_0': ((8, 11, 3), 'float32'),
}  # fmt: skip
MADE = {
  's': ((4, 3), 'float32'), 'y': ((8, 3), 'float32'),
  'traces': ((8, 11, 3), 'float32'), 'net': ((8, 3), 'float32'),
}  # fmt: skip
NUMBERS = {
  'in_gates': 2,
  'out_gates': 2,
  'block': 2,
  'heard': 8,
  'g': 0,
  'h': 0,
}


BLOCK = {
  'count': ((1,), 'int32'), 'errors': ((4, 5, 3), 'float32'),
  'factors': ((8, 5, 3), 'float32'), 'decays': ((0, 5, 3), 'float32'),
  'z': ((11, 5, 3), 'float32'), 'traces_0': ((8, 11, 3), 'float32'),
  'total_0': ((8, 11, 3), 'float32'),
}  # fmt: skip
ADDED = {
  'traces': ((8, 11, 3), 'float32'), 'total': ((8, 11, 3), 'float32')
}  # fmt: skip
# What every step leaves, of the network of `GIVEN`.
LEFT = {
  's': ((4, 3), 'float32'), 'y': ((8, 3), 'float32'),
  'nets': ((8, 5, 3), 'float32'), 'states': ((4, 5, 3), 'float32'),
  'activations': ((8, 5, 3), 'float32'), 'factors': ((8, 5, 3), 'float32'),
  'decays': ((0, 5, 3), 'float32'),
}  # fmt: skip
PRODUCTS = {
  'count': ((1,), 'int32'), 'errors': ((4, 5, 3), 'float32'),
  'z': ((11, 5, 3), 'float32'), 'total_0': ((4, 11, 3), 'float32'),
}  # fmt: skip


def call(given, made, numbers, forgets=False, name='lstm_jax_truncated'):
  """The foreign call as anybody can make it, with zeros."""
  library.load()
  types = [jax.ShapeDtypeStruct(*kind) for kind in made.values()]
  run = jax.ffi.ffi_call(name, types, has_side_effect=True)
  types_of = {bool: np.bool_, int: np.int64, float: np.float64}
  numbers = {k: types_of[type(v)](v) for k, v in numbers.items()}
  zeros = [np.zeros(*kind) for kind in given.values()]
  if forgets is not None:
    numbers['forgets'] = np.bool_(forgets)
  run = functools.partial(run, **numbers)
  return jax.block_until_ready(jax.jit(run)(*zeros))


def assert_each_must_fit(given, made, run, name):
  """`run` takes these arrays, and none with an axis or a type of its own."""
  run(given, made)
  for one, (shape, dtype) in (given | made).items():
    for other in (((*shape, 1), dtype), (shape, 'float64')):
      arrays, results = dict(given), dict(made)
      (arrays if one in given else results)[one] = other
      with (
        jax.enable_x64(True),
        pytest.raises(jax.errors.JaxRuntimeError, match=f'{name}: .*must'),
      ):
        run(arrays, results)


def test_a_call_that_does_not_fit_is_an_error():
  run = functools.partial(call, numbers=NUMBERS)
  assert_each_must_fit(GIVEN, MADE, run, 'truncated')
  for name, values in {
    'in_gates': (-2, 1, 2**62), 'out_gates': (3,), 'block': (0, -1, 3, 2**62),
    'heard': (-1, 7, 9, 2**62), 'g': (-1, 3), 'h': (3,),
  }.items():  # fmt: skip
    for value in values:
      with pytest.raises(jax.errors.JaxRuntimeError, match=f'{name}={value}'):
        call(GIVEN, MADE, NUMBERS | {name: value})


@pytest.mark.parametrize(
  ('name', 'arrays', 'results'),
  [
    ('kept', {k: v for k, v in GIVEN.items() if k != 'traces_0'}, LEFT),
    ('errors', BLOCK, ADDED),
    ('products', PRODUCTS, {'total': ((4, 11, 3), 'float32')}),
  ],
)
def test_errors_of_steps_that_do_not_fit_are_an_error(name, arrays, results):
  of_net = {'numbers': NUMBERS} if name == 'kept' else {
    'numbers': {}, 'forgets': None
  }  # fmt: skip
  run = functools.partial(call, name=f'lstm_jax_truncated_{name}', **of_net)
  assert_each_must_fit(arrays, results, run, f'_{name}')


def test_a_drawing_that_does_not_fit_is_an_error():
  """Of keys, events and values; an event beyond the lines is passed over."""
  more = {
    'key': ((2, 3), 'uint32'), 'events': ((4, 2, 3), 'int32'),
    'values': ((4,), 'float32'), 'shown': ((3,), 'float32'),
  }  # fmt: skip
  numbers = {
    'symbols': -1, 'bits': 2, 'scale': 1.0, 'shift': 0.0, 'signal': -1,
    'is_noisy': False,
  }  # fmt: skip
  drawn = functools.partial(call, name='lstm_jax_truncated_drawn')
  drawn(GIVEN | more, MADE, NUMBERS | numbers)
  drawn(GIVEN | more, MADE, NUMBERS | numbers | {'symbols': 2**24})
  for name, (shape, dtype) in more.items():
    for other in (((*shape, 1), dtype), (shape[:-1], dtype), (shape, 'int16')):
      with pytest.raises(jax.errors.JaxRuntimeError, match=f'{name} is .*must'):
        drawn(GIVEN | more | {name: other}, MADE, NUMBERS | numbers)
  for name, values in {
    'bits': (0, 32), 'symbols': (-2, 2**62), 'signal': (-2, 2**31)
  }.items():  # fmt: skip
    for value in values:
      with pytest.raises(jax.errors.JaxRuntimeError, match=f'{name}={value}'):
        drawn(GIVEN | more, MADE, NUMBERS | numbers | {name: value})
