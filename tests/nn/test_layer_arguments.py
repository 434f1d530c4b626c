"""Arguments of a layer: checked against the cell before any kernel runs.

Compiled loops read their buffers by the shapes and dtypes that they expect, so
whatever does not fit must be refused, with its name, in every kernel and under
every transformation.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cells.gru import gru
from lstm_jax.cells.lstm import lstm
from lstm_jax.cells.srn import srn
from lstm_jax.nn import layer_checks
from lstm_jax.nn.dropout import Noise
from lstm_jax.nn.layer import run, which_kernel
from lstm_jax.ops.unroll import OneHot

T, B, I, C = 4, 3, 2, 5
KERNELS = ('xla', 'native', 'auto', 'cudnn')


@functools.cache
def net(factory=lstm):
  """`(cell, params, xs)` in float32."""
  cell = factory(I, 0, hidden=C)
  params = cell.init(jax.random.key(0), cell.numbers)
  return cell, params, jax.random.normal(jax.random.key(1), (T, B, I))


def check(params=None, xs=None, cell=None, **arrays):
  """`check_arrays` of the network with some arrays replaced."""
  own, weights, inputs = net()
  given = dict.fromkeys(('lengths', 'state', 'initial', 'reset', 'noise'))
  return layer_checks.check_arrays(
    own if cell is None else cell,
    weights if params is None else params,
    inputs if xs is None else xs,
    **given | arrays,
  )


def other(**leaves):
  return net()[1]._replace(**leaves)


PARAMS = {
  'half biases': (
    lambda p: p._replace(b=p.b.astype(jnp.bfloat16)),
    r'params\.b has dtype bfloat16; must be float32, as params\.w_x is',
  ),
  'half weights': (
    lambda p: p._replace(w_x=p.w_x.astype(jnp.float16)),
    r'params\.w_h has dtype float32; must be float16, as params\.w_x is',
  ),
  'short biases': (
    lambda p: p._replace(b=p.b[:-1]),
    r'params\.b has shape \(19,\); must be \(20,\)',
  ),
  'short weights': (
    lambda p: p._replace(w_h=p.w_h[:, :-1]),
    r'params\.w_h has shape \(20, 4\); must be \(20, 5\)',
  ),
  'turned': (
    lambda p: p._replace(w_x=p.w_x.T),
    r'params\.w_x has shape \(2, 20\); must be \(20, 2\)',
  ),
  'lanes': (
    lambda p: jax.tree.map(lambda w: w[..., None], p),
    r'params\.w_x has shape \(20, 2, 1\); must be \(20, 2\)',
  ),
  'integers': (
    lambda p: jax.tree.map(lambda w: w.astype(int), p),
    r'params\.w_x has dtype int32; must be one of bfloat16, float16, float32',
  ),
  'complex': (
    lambda p: p._replace(w_h=p.w_h.astype(complex)),
    r'params\.w_h has dtype complex64; must be one of bfloat16',
  ),
  'objects': (
    lambda p: p._replace(b=np.full(20, None)),
    r'params\.b is an ndarray of dtype object; must be an array of shape',
  ),
  'scalar': (
    lambda p: p._replace(b=0.0),
    r'params\.b is a float; must be an array of shape \(20,\)',
  ),
  'list': (
    lambda p: p._replace(b=[0.0] * 20),
    r'params\.b is a list; must be an array of shape \(20,\)',
  ),
  'none': (
    lambda p: p._replace(b=None),
    r'params\.b is None; must be an array of shape \(20,\)',
  ),
  'another cell': (
    lambda p: net(gru)[1],
    r'params has no w_peep_in, w_peep_f, w_peep_out and b_hn besides the cell',
  ),
  'another kind': (
    lambda p: net(srn)[1],
    r'params\.w_x has|params has no w_peep_in, w_peep_f, w_peep_out and',
  ),
  'dictionary': (lambda p: p._asdict(), 'params is a dict; must be Params of'),
  'half a dictionary': (lambda p: {'w_x': p.w_x}, 'params has no w_h, b, w_pe'),
  'tuple': (tuple, 'params is a tuple; must be Params of the cell: w_x, w_h'),
  'nothing': (lambda p: None, 'params is None; must be Params of the cell'),
  'another size': (
    lambda p: lstm(I, 0, hidden=C + 1).mask,
    r'params\.w_x has shape \(24, 2\); must be \(20, 2\)',
  ),
}  # fmt: skip


@pytest.mark.parametrize('kernel', KERNELS)
@pytest.mark.parametrize('case', PARAMS)
def test_params_that_do_not_fit_are_refused(case, kernel):
  spoil, message = PARAMS[case]
  cell, params, xs = net()
  with pytest.raises(ValueError, match=message) as caught:
    run(cell, spoil(params), xs, kernel=kernel)
  assert '\n' not in str(caught.value)
  with pytest.raises(ValueError, match=message):
    jax.eval_shape(lambda p: run(cell, spoil(p), xs, kernel=kernel), params)
  with pytest.raises(ValueError, match=message):
    which_kernel(cell, spoil(params), xs)


@pytest.mark.parametrize('make', [gru, srn])
def test_params_of_every_compiled_loop_are_checked(make):
  cell, params, xs = net(make)
  for name in ('w_x', 'w_h', 'b', *(('b_hn',) if make is gru else ())):
    leaf = getattr(params, name)
    for spoiled in (leaf[:-1], leaf.astype(jnp.float16)):
      with pytest.raises(ValueError, match=r'params\.w_[xh] has|params\.b'):
        bad = params._replace(**{name: spoiled})
        run(cell, bad, xs, kernel='native')


def test_params_under_vmap():
  cell, params, xs = net()
  many = jax.tree.map(lambda w: jnp.stack([w, w]), params)
  short = many._replace(b=many.b[:, 1:])
  go = lambda p: run(cell, p, xs).ys
  assert jax.eval_shape(jax.vmap(go), many).shape == (2, T, B, C)
  with pytest.raises(ValueError, match=r'params\.b has shape \(19,\)'):
    jax.vmap(go)(short)


def test_what_counts_as_params():
  params = net()[1]
  result = check(jax.tree.map(np.asarray, params)).params
  jax.tree.map(np.testing.assert_array_equal, result, params)
  # float64 of numpy, as it comes from files, is float32 in JAX by default.
  double = jax.tree.map(lambda w: np.asarray(w, np.float64), params)
  assert check(double).params.b.dtype == jnp.float32
  mixed = params._replace(b=double.b)
  assert check(mixed).params.b.dtype == jnp.float32
  with jax.enable_x64(True), pytest.raises(ValueError, match='dtype float64'):
    check(mixed)


BAD = {
  'a factory': ({'cell': lstm}, 'cell is a function; must be a Cell, as lstm'),
  'complex inputs': (
    {'xs': np.ones((T, B, I), complex)},
    'xs has dtype complex64; must be real numbers',
  ),
  'objects': ({'xs': np.full((T, B, I), None)}, 'xs is an ndarray of dtype ob'),
  'words': ({'xs': np.full((T, B, I), 'a')}, 'xs is an ndarray of dtype <U1'),
  'keys': ({'xs': jax.random.split(jax.random.key(0), (T, B, I))},
           r'xs has dtype key<fry>; must be real numbers'),
  'ragged': ({'xs': [[[1.0, 2.0]], []]}, r'xs is a list; must be \[T, B, 2\]'),
  'masked': (
    {'xs': np.ma.masked_array(np.ones((T, B, I)), np.ones((T, B, I)))},
    'xs is a MaskedArray of dtype float64; must',
  ),
  'one hot': ({'xs': OneHot(jnp.zeros((T, B), int), I)}, 'xs is a OneHot; mus'),
  'flat': ({'xs': np.ones(I)}, r'xs has shape \(2,\); must be \[T, B, 2\] or'),
  'deep': ({'xs': np.ones((1, T, B, I))}, r'xs has shape \(1, 4, 3, 2\); must'),
  'no inputs': ({'xs': np.ones((T, B, 0))}, r'xs has shape \(4, 3, 0\); must'),
  'lengths that are numbers': (
    {'lengths': np.full(B, 2.0)},
    'lengths has dtype float32; must be integers',
  ),
  'bool lengths': ({'lengths': np.ones(B, bool)}, 'lengths has dtype bool'),
  'a word': ({'lengths': 'all'}, 'lengths is a str; must be integers'),
  'one length': ({'lengths': 2}, r'lengths has shape \(\); must be \(3,\)'),
  'beyond': ({'lengths': [1, 5, 2]}, 'lengths has 5; must be from 0 to T = 4'),
  'huge': (
    {'lengths': np.array([2**32, 0, 1])},
    'lengths has 4294967296; must be from 0 to T = 4',
  ),
  'negative': (
    {'lengths': np.array([1, -1, 2], np.int8)}, 'lengths has -1; must be from'
  ),
  'reset by numbers': (
    {'reset': np.zeros((T, B))},
    'reset has dtype float32; must be bool: write reset != 0',
  ),
  'reset': ({'reset': np.zeros((B, T), bool)}, r'reset has shape \(3, 4\)'),
  'state of an array': (
    {'state': jnp.zeros((B, C))},
    'state is an array; must be a tuple of fields: s_c, y_c',
  ),
  'state by names': (
    {'state': {'s_c': 0, 'y_c': 0}}, 'state is a dict; must be a tuple of'
  ),
  'state of a gru': (
    {'state': gru(I, 0, hidden=C).initial_carry((B,))},
    'state has 1 fields; must be s_',
  ),
  'lanes last': (
    {'state': (np.zeros((C, B)),) * 2},
    r'state: s_c has shape \(5, 3\); must be \(3, 5\)',
  ),
  'complex state': (
    {'state': (np.zeros((B, C), complex),) * 2},
    'state: s_c has dtype complex64; must be real',
  ),
  'state with none': (
    {'state': (np.zeros((B, C)), None)}, 'state: y_c is None; must be an array'
  ),
  'initial of a batch': (
    {'initial': (np.zeros((B, C)),) * 2},
    r'initial: s_c has shape \(3, 5\); must be \(5,\)',
  ),
  'noise by name': ({'noise': {'inputs': 1}}, 'noise is a dict; must be a Noi'),
  'noise': (
    {'noise': Noise(inputs=np.ones(B))},
    r'noise.inputs has shape \(3,\); must be \(2,\) or \(3, 2\)',
  ),
  'noise heard': (
    {'noise': Noise(heard=np.ones((T, C)))},
    r'noise.heard has shape \(4, 5\); must be \(5,\) or \(3, 5\)',
  ),
  'noise kept': (
    {'noise': Noise(keep=np.ones(C))},
    r'noise.keep has shape \(5,\); must be \(4, 5\) or \(4, 3, 5\) or',
  ),
  'complex noise': (
    {'noise': Noise(inputs=np.ones(I, complex))}, 'noise.inputs has dtype comp'
  ),
}  # fmt: skip


@pytest.mark.parametrize('case', BAD)
def test_arrays_that_do_not_fit_are_refused(case):
  given, message = BAD[case]
  with pytest.raises(ValueError, match=message) as caught:
    check(**given)
  assert '\n' not in str(caught.value)


OPTIONS = [
  ({'cut_every': 2.5}, 'cut_every=2.5 must be an integer'),
  ({'cut_every': True}, 'cut_every=True must be an integer'),
  ({'cut_every': -1}, 'cut_every=-1 must be at least 1'),
  ({'checkpoint_every': '3'}, 'checkpoint_every=3 must be an integer'),
  ({'reverse': 'no'}, "reverse='no' must be True or False"),
  ({'states': 1}, 'states=1 must be True or False'),
  ({'gates': None}, 'gates=None must be True or False'),
  ({'outputs': 0}, 'outputs=0 must be True or False'),
  ({'backward': None}, 'backward=None must be one of products, autodiff'),
  ({'kernel': None}, 'kernel=None must be one of auto, xla, native, cudnn'),
]


@pytest.mark.parametrize('how, message', OPTIONS)
def test_options_that_are_none_are_refused(how, message):
  with pytest.raises(ValueError, match=message):
    run(*net(), **how)
  with pytest.raises(ValueError, match=message):
    which_kernel(*net(), **how)


def test_whole_numbers_of_any_kind_are_counts():
  cell, params, xs = net()
  how = {'cut_every': np.int64(2), 'checkpoint_every': jnp.int32(3)}
  shape = jax.eval_shape(lambda: run(cell, params, xs, **how).ys).shape
  assert shape == (T, B, C)
  with pytest.raises(
    ValueError, match='cut_every=.* must be an integer, known'
  ):
    jax.eval_shape(lambda w: run(cell, params, xs, cut_every=w), 2)


def test_numbers_of_any_kind_are_inputs():
  whole = np.random.default_rng(0).integers(0, 2, (T, B, I))
  given = [
    whole, whole.astype(bool), whole.astype(np.uint8), whole.tolist(),
    whole.astype(np.float64), whole.astype(np.float16), jnp.asarray(whole),
    list(jnp.asarray(whole)), 1 * jnp.asarray(whole, jnp.bfloat16),
  ]  # fmt: skip
  for xs in given:
    result = check(xs=xs).xs
    assert result.dtype == jnp.float32
    np.testing.assert_array_equal(result, whole)
  zeros = check(state=[np.zeros((B, C), int)] * 2).state
  assert zeros._fields == ('s_c', 'y_c') and zeros.s_c.dtype == jnp.float32
  mask = check(noise=Noise(keep=np.ones((1, C), bool))).noise.keep
  assert mask.dtype == jnp.float32


WHOLE = [
  np.int8, np.uint8, np.int16, np.uint32, np.int64, list, tuple, jnp.int32,
]  # fmt: skip


@pytest.mark.parametrize('kind', WHOLE, ids=lambda kind: kind.__name__)
def test_lengths_of_any_whole_kind(kind):
  lengths = [0, 4, 1]
  given = kind(lengths) if kind in (list, tuple) else np.array(lengths, kind)
  result = check(lengths=given).lengths
  np.testing.assert_array_equal(result, lengths)
  assert result.dtype == jnp.int32


def test_short_integers_count_long_sequences():
  cell, params, _ = net()
  xs = jnp.ones((300, 2, I))
  for kind, most in ((np.int8, 127), (np.uint8, 255)):
    result = jax.jit(lambda n, xs=xs: check(xs=xs, lengths=n).lengths)(
      np.array([most, 3], kind)
    )
    np.testing.assert_array_equal(result, [most, 3])


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16, bool])
def test_lengths_that_are_no_integers_are_refused_under_jit(dtype):
  cell, params, xs = net()
  for kernel in KERNELS:
    with pytest.raises(ValueError, match='lengths has dtype .* must be integ'):
      jax.jit(lambda n, k=kernel: run(cell, params, xs, lengths=n, kernel=k))(
        jnp.full(B, 2.5).astype(dtype)
      )


@pytest.mark.parametrize('kind', [np.int32, np.int8])
def test_unknown_lengths_are_held_to_the_steps(kind):
  """Under jit an array's values are not known: every kernel does the same."""
  wild = np.array([-3, 100, 2], kind)
  result = jax.jit(lambda n: check(lengths=n).lengths)(wild)
  np.testing.assert_array_equal(result, [0, T, 2])
  cell, params, xs = net()
  with jax.enable_x64(True):
    params, xs = jax.tree.map(lambda a: a.astype(np.float64), (params, xs))
    both = [
      jax.jit(lambda n, k=k: run(cell, params, xs, lengths=n, kernel=k))(wild)
      for k in ('xla', 'auto')
    ]
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12),
      *both,
    )
  assert not both[0].ys[:, 0].any() and both[0].ys[:, 1].all()
