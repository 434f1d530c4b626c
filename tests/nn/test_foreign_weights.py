"""Weights as other libraries hand them out: whole layers, stacks and modules.

Outputs are held to those of the library itself; weights that do not fit the
cell are refused by name.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.gru import gru
from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.lstm_layernorm import lstm_layernorm
from lstm_jax.cells.srn import srn
from lstm_jax.nn.convert import export_weights, import_weights
from lstm_jax.nn.layer import run
from lstm_jax.nn.stack import init_stack, make_stack, run_stack
from lstm_jax.nn.stack_weights import export_stack, import_stack

T, B, I, C = 4, 2, 3, 5
FACTORIES = {'lstm': lstm, 'gru': gru, 'srn': srn}
XS = np.random.default_rng(0).normal(size=(T, B, I)).astype(np.float32)
RNG = np.random.default_rng(1)


def close(one, other, tolerance=2e-6):
  np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def outputs(library, kind, weights, **options):
  cell = FACTORIES[kind](I, 0, hidden=C, **options)
  return run(cell, import_weights(library, kind, cell, weights), XS).ys


def stack_of(kind, **how):
  options = {'reset': how.pop('reset')} if 'reset' in how else {}
  return make_stack(FACTORIES[kind], I, hidden=C, **how, **options)


def some(cases, *often):
  """Cases of a test, of which the default run takes those that are named."""
  mark = lambda case: () if case in often else pytest.mark.slow
  return [pytest.param(*case, marks=mark(case)) for case in cases]


TORCH = [(kind, bias) for kind in FACTORIES for bias in (True, False)]


@pytest.mark.parametrize(
  'kind, bias', some(TORCH, ('lstm', True), ('gru', False))
)
def test_torch_layers(kind, bias):
  import torch

  layer = {'lstm': torch.nn.LSTM, 'gru': torch.nn.GRU, 'srn': torch.nn.RNN}[
    kind
  ]
  torch.manual_seed(0)
  one = layer(I, C, bias=bias)
  with torch.no_grad():
    theirs = one(torch.tensor(XS))[0].numpy()
  close(outputs('torch', kind, one.state_dict()), theirs)
  both = layer(I, C, num_layers=2, bias=bias, bidirectional=True)
  stack = stack_of(kind, layers=2, bidirectional=True)
  with torch.no_grad():
    theirs = both(torch.tensor(XS))[0].numpy()
  for weights in (both, both.state_dict()):
    params = import_stack('torch', kind, stack, weights)
  close(run_stack(stack, params, XS).ys, theirs)
  again = export_stack('torch', kind, stack, params)
  if bias:
    assert set(again) == set(both.state_dict())
  with pytest.raises(ValueError, match='torch: weights of 4 layers or direct'):
    outputs('torch', kind, both.state_dict())
  jax.tree.map(
    np.testing.assert_array_equal, import_stack('torch', kind, stack, again),
    params,
  )  # fmt: skip


def test_torch_cells_and_half_precision():
  import torch

  cell = torch.nn.LSTMCell(I, C)
  state = cell.state_dict()
  theirs = outputs('torch', 'lstm', dict(cell.named_parameters()))
  close(theirs, outputs('torch', 'lstm', state))
  half = {name: value.to(torch.bfloat16) for name, value in state.items()}
  assert outputs('torch', 'lstm', half).dtype == jnp.bfloat16
  whole = torch.nn.LSTM(I, C, proj_size=2)
  with pytest.raises(ValueError, match='weight_hr_l0: proj_size: no cell here'):
    outputs('torch', 'lstm', whole.state_dict())


KERAS = [
  ('lstm', 'LSTM', {}, {}),
  ('gru', 'GRU', {}, {}),
  ('gru', 'GRU', {'reset_after': False}, {'reset': 'before'}),
  ('srn', 'SimpleRNN', {}, {}),
]
KERAS = [(*case, bias) for case in KERAS for bias in (True, False)]


@pytest.mark.parametrize(
  'kind, name, theirs, ours, bias', some(KERAS, KERAS[1], KERAS[4])
)
@pytest.mark.filterwarnings('ignore:__array__ impl')  # keras with NumPy 2
def test_keras_layers(kind, name, theirs, ours, bias):
  import keras

  # The weights are set below: to draw others takes programs.
  zeros = {'kernel_initializer': 'zeros', 'recurrent_initializer': 'zeros'}
  make = lambda: getattr(keras.layers, name)(
    C, return_sequences=True, use_bias=bias, **zeros, **theirs
  )
  batch_first = np.swapaxes(XS, 0, 1)

  def spoil(layer):
    with jax.numpy_rank_promotion('allow'):
      layer.build(batch_first.shape)
      layer.set_weights(
        [RNG.normal(size=w.shape) / 2 for w in layer.get_weights()]
      )
      ys = jax.jit(lambda xs: layer(xs))(batch_first)
      return np.swapaxes(np.asarray(ys), 0, 1)

  one = make()
  want = spoil(one)
  close(outputs('keras', kind, one.get_weights(), **ours), want, 2e-5)
  both = keras.layers.Bidirectional(make())
  want = spoil(both)
  stack = stack_of(kind, layers=1, bidirectional=True, **ours)
  for weights in (both, both.get_weights()):
    params = import_stack('keras', kind, stack, weights)
  close(run_stack(stack, params, XS).ys, want, 2e-5)
  again = export_stack('keras', kind, stack, params)
  if bias:
    for a, b in zip(again[0], both.get_weights(), strict=True):
      assert a.shape == b.shape
  jax.tree.map(
    np.testing.assert_array_equal, import_stack('keras', kind, stack, again),
    params,
  )  # fmt: skip
  if kind == 'gru' and bias:
    other = {'reset': 'before' if 'reset_after' not in theirs else 'after'}
    form = theirs.get('reset_after', True)
    with pytest.raises(ValueError, match=rf"keras's GRU\(reset_after={form}\)"):
      outputs('keras', kind, one.get_weights(), **other)


FLAX_CELLS = [
  ('lstm', 'LSTMCell'),
  ('lstm', 'OptimizedLSTMCell'),
  ('gru', 'GRUCell'),
  ('srn', 'SimpleCell'),
]


@pytest.mark.parametrize('kind, name', some(FLAX_CELLS, FLAX_CELLS[2]))
def test_flax_cells(kind, name):
  from flax import linen, nnx

  layer = linen.RNN(getattr(linen, name)(C), time_major=True)
  draw = lambda p: jax.device_put(RNG.normal(size=p.shape).astype(p.dtype))
  params = jax.tree.map(draw, jax.eval_shape(layer.init, jax.random.key(0), XS))
  with jax.numpy_rank_promotion('allow'):
    theirs = jax.jit(layer.apply)(params, XS)
  for weights in (params, params['params'], params['params']['cell']):
    close(outputs('flax', kind, weights), theirs)
  ways = {'forward_rnn': params['params'], 'backward_rnn': params['params']}
  stack = stack_of(kind, layers=1, bidirectional=True)
  both = run_stack(
    stack, import_stack('flax', kind, stack, {'params': ways}), XS
  ).ys
  close(both[..., :C], theirs)
  cell = getattr(nnx, name)(I, C, rngs=nnx.Rngs(0))
  state = jax.tree.map(draw, nnx.state(cell))
  nnx.update(cell, state)
  rnn = nnx.RNN(cell, time_major=True)
  with jax.numpy_rank_promotion('allow'):
    theirs = rnn(XS)
  for weights in (
    cell, rnn, nnx.state(cell, nnx.Param), nnx.state(rnn),
    nnx.to_pure_dict(state),
  ):  # fmt: skip
    close(outputs('flax', kind, weights), theirs)


HAIKU = [('lstm', 'LSTM'), ('gru', 'GRU'), ('srn', 'VanillaRNN')]


@pytest.mark.parametrize('kind, name', some(HAIKU, HAIKU[2]))
def test_haiku_layers(kind, name):
  import haiku

  def forward(x):
    core = getattr(haiku, name)(C)
    return haiku.dynamic_unroll(core, x, core.initial_state(B))[0]

  net = haiku.without_apply_rng(haiku.transform(forward))
  with jax.numpy_rank_promotion('allow'):
    params = jax.jit(net.init)(jax.random.key(0), XS)
    theirs = jax.jit(net.apply)(params, XS)
  options = {'gru': {'reset': 'before'}, 'srn': {'activation': 'relu'}}.get(
    kind, {}
  )
  close(outputs('haiku', kind, params, **options), theirs)


EQUINOX = [(kind, bias) for kind in ('lstm', 'gru') for bias in (True, False)]


@pytest.mark.parametrize(
  'kind, bias', some(EQUINOX, ('lstm', False), ('gru', True))
)
def test_equinox_cells(kind, bias):
  import equinox

  make = {'lstm': equinox.nn.LSTMCell, 'gru': equinox.nn.GRUCell}[kind]
  cell = jax.jit(lambda key: make(I, C, use_bias=bias, key=key))(
    jax.random.key(0)
  )
  step = jax.jit(lambda x, state: cell(x, state))
  state = (np.zeros(C),) * 2 if kind == 'lstm' else np.zeros(C)
  ys = []
  for x in XS[:, 0]:
    state = step(x, state)
    ys.append(state[0] if kind == 'lstm' else state)
  close(np.asarray(outputs('equinox', kind, cell))[:, 0], np.stack(ys))


def rows(count, **more):
  """Weights in torch's form."""
  draw = lambda *shape: RNG.normal(size=shape).astype(np.float32)
  return {
    'weight_ih_l0': draw(count * C, I),
    'weight_hh_l0': draw(count * C, C),
    'bias_ih_l0': draw(count * C),
    'bias_hh_l0': draw(count * C),
  } | more


LSTM = rows(4)
FLAX = {'i': {'kernel': np.ones((I, C))}, 'h': {'kernel': np.ones((C, C))}}
REFUSED = [
  ('torch', 'lstm', {'peepholes': True}, LSTM, 'an lstm with peepholes'),
  ('torch', 'gru', {}, LSTM, r'weight_ih, here w_x has shape \(20, 3\)'),
  ('torch', 'lstm', {}, rows(3), r'w_x has shape \(15, 3\); the cell has'),
  ('torch', 'srn', {'recurrence': 'self'}, rows(1), "with recurrence='full'"),
  ('torch', 'srn', {'hidden_bias': False}, rows(1), 'b is not 0 where the'),
  ('torch', 'lstm', {}, rows(4, bias_l0=1), 'bias_l0 is no weight of a recurr'),
  ('torch', 'lstm', {}, {**LSTM, 'weight_ih_l0': None}, 'has no weight_ih; '),
  ('torch', 'lstm', {}, {**LSTM, 'bias_hh_l0': 'b'}, 'bias_hh is a str; must'),
  ('torch', 'lstm', {}, [1], 'weights are of type list; must be a state_dict'),
  ('keras', 'lstm', {}, [np.ones((I, 20))], 'keras: 1 arrays in a list; must'),
  ('keras', 'lstm', {}, [np.ones((I, 20)), np.ones((C, 15))],
   r'recurrent_kernel, here w_h has shape \(15, 5\); the cell has \(20, 5\)'),
  ('keras', 'srn', {}, [np.ones((I, C)), np.ones((C, C)), np.ones(3)],
   r'bias, here b has shape \(3,\); the cell has \(5,\)'),
  ('flax', 'lstm', {}, FLAX, 'has no ii.kernel, .* has i.kernel, h.kernel th'),
  ('flax', 'srn', {}, {**FLAX, 'w': np.ones(3)}, 'flax: has w that the'),
  ('flax', 'srn', {}, 3, 'weights are of type int; must be params, a state or'),
  ('haiku', 'lstm', {}, {'w': np.ones((9, 20)), 'b': np.ones(20)},
   r'w, here w_x and w_h has shape \(20, 9\); the cell has \(20, 8\)'),
  ('haiku', 'lstm', {}, {'w_i': 1, 'b': 2}, 'has no w and has w_i that'),
  ('haiku', 'srn', {}, {}, 'activation relu; the cell does not: make it'),
  ('equinox', 'lstm', {}, {'weight_ih': 1}, 'equinox: has no weight_hh'),
  ('equinox', 'gru', {}, 7, 'weights are of type int; must be a dictionary of'),
]  # fmt: skip


@pytest.mark.parametrize('library, kind, options, weights, message', REFUSED)
def test_what_does_not_fit_is_refused(library, kind, options, weights, message):
  cell = FACTORIES[kind](I, 0, hidden=C, **options)
  with pytest.raises(ValueError, match=message) as caught:
    import_weights(library, kind, cell, weights)
  assert '\n' not in str(caught.value)


def test_another_cell_is_refused():
  for kind, cell, message in (
    ('gru', lstm(I, 0, hidden=C), "kind='gru': the cell is lstm"),
    ('lstm', srn(I, 0, hidden=C), "kind='lstm': the cell is srn"),
    ('lstm', lstm_layernorm(I, 0, hidden=C), 'none of lstm, gru, srn: its par'),
    ('lstm', lstm, 'none of lstm, gru, srn'),
  ):
    with pytest.raises(ValueError, match=message):
      import_weights('torch', kind, cell, LSTM)
    with pytest.raises(ValueError, match=message):
      export_weights('torch', kind, cell, LSTM)
  cell = lstm(I, 0, hidden=C)
  with pytest.raises(ValueError, match='params are of type Params; must be th'):
    export_weights('torch', 'lstm', cell, gru(I, 0, hidden=C).mask)
  with pytest.raises(ValueError, match=r'params.w_x has shape \(24, 3\); must'):
    export_weights('torch', 'lstm', cell, lstm(I, 0, hidden=6).mask)


def test_another_number_of_layers_is_refused():
  stack = stack_of('lstm', layers=2)
  with pytest.raises(ValueError, match='weights of 1 layers with 1 directions'):
    import_stack('torch', 'lstm', stack, LSTM)
  second = {name.replace('l0', 'l1'): value for name, value in LSTM.items()}
  message = (
    r'layer forward\[1\]: torch: weight_ih, here w_x has shape \(20, 3\)'
  )
  with pytest.raises(ValueError, match=message):
    import_stack('torch', 'lstm', stack, LSTM | second)


@pytest.mark.parametrize('library', ['torch', 'keras', 'flax', 'equinox'])
def test_stacks_in_and_out_again(library):
  stack = stack_of('gru', layers=2, bidirectional=True)
  params = init_stack(stack, jax.random.key(0))
  weights = export_stack(library, 'gru', stack, params)
  again = import_stack(library, 'gru', stack, weights)
  jax.tree.map(lambda a, b: close(a, b, 1e-6), again, params)
