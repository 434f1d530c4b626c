"""Solved nets kept in a run folder, and a sequence looked at step by step."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors

from lstm_jax.lab.plan import catalog
from lstm_jax.lab.report import trace
from lstm_jax.lab.store import faults, nets, seal, tensors
from lstm_jax.lab.store.folder import create_or_open, open_folder
from lstm_jax.ops import prng
from lstm_jax.ops.arrays import to_dense
from lstm_jax.ops.prng import Key
from lstm_jax.ops.unroll import unroll
from tests.fake_sweep import QUICK, make_plan
from tests.gradients import cheap_jit, random_net
from tests.hostile import sealed
from tests.lab.plan.test_plan import made

# What is planned, and the sizes of what goes on: inputs, outputs, cells, gates.
LINES = {
  'adding': ('--task=adding --length=10', (2, 1, 4, {'input': 2, 'output': 2})),
  'temporal_order': (
    '--task=temporal_order --length=20 --blocks=3 --block_size=1 '
    '--set=cell.output_gates=false',
    (8, 4, 3, {'input': 3}),
  ),
  'trigger': (
    '--task=trigger --length=5 --set=task.distractors=6 --blocks=1',
    (10, 2, 2, {'input': 1, 'output': 1}),
  ),
  'first_symbol': (
    '--task=first_symbol --length=7 --set=task.symbols=7 --blocks=1 '
    '--set=cell.outputs_see_inputs=true',
    (8, 8, 2, {'input': 1, 'output': 1}),
  ),
  'lstm': (
    '--task=adding --length=10 --cell=lstm --hidden=3',
    (2, 1, 3, {'input': 3, 'forget': 3, 'output': 3}),
  ),
  'srn': ('--task=adding --length=10 --cell=srn --hidden=3', (2, 1, 3, {})),
}


@functools.cache
def planned(name):
  """`(setting, task, cell)`."""
  (setting,) = made(f'{LINES[name][0]} --seeds=1').trials
  task = catalog.build('tasks', setting.task, **dict(setting.task_options))
  cell = catalog.build(
    'cells', setting.cell, task.num_inputs, task.num_outputs,
    **dict(setting.cell_options),
  )  # fmt: skip
  return setting, task, cell


def net(cell, seed=0):
  params = jax.tree.map(np.float32, random_net(cell, seed))
  return params, params._asdict()


@pytest.fixture
def opened(tmp_path):
  return create_or_open(tmp_path / 'run', make_plan(), disk=QUICK)


def same(one, other):
  assert list(one) == list(other)
  for name, w in one.items():
    assert other[name].dtype == w.dtype == np.float32
    np.testing.assert_array_equal(other[name], w)


@pytest.mark.parametrize('name', LINES)
def test_a_net_comes_back_and_is_followed(opened, name):
  setting, task, cell = planned(name)
  params, written = net(cell)
  nets.save(opened, 'a', written)
  assert nets.names(opened) == ['a']
  # Also through another process.
  kept = nets.load(open_folder(opened.path))
  assert list(kept) == ['a']
  same(written, kept['a'])

  found = trace.trace(setting, kept['a'], seed=3)
  key = Key(*map(jnp.asarray, prng.key_of(3)))
  length = jnp.int32(setting.length)
  stream = task.stream(task.fresh(key, length))
  steps = int(stream.length)
  assert steps >= setting.length
  inputs, outputs, cells, gates = LINES[name][1]
  assert found['inputs'].shape == (steps, inputs)
  assert found['targets'].shape == found['outputs'].shape == (steps, outputs)
  assert found['mask'].shape == (steps,)
  shapes = {kind: values.shape for kind, values in found['gates'].items()}
  assert shapes == {kind: (steps, width) for kind, width in gates.items()}
  all_gates = sum(gates.values())
  wide = {'y_c': cells, 's_c': cells, 'h': cells, 'y_gates': all_gates}
  if 'y_gates' in found['carry']:
    together = np.concatenate([*found['gates'].values()], axis=1)
    np.testing.assert_array_equal(together, found['carry']['y_gates'])
  fields = cell.initial_carry((), np.float32)._fields
  assert tuple(found['carry']) == fields and fields
  for field, values in found['carry'].items():
    assert values.shape == (steps, wide[field])

  # The sequence.
  at = jax.jit(
    lambda t: (
      to_dense(stream.input_at(t)), stream.scored_at(t), stream.target_at(t)
    )
  )  # fmt: skip
  for t in range(steps):
    x_t, scored, target = at(np.int32(t))
    np.testing.assert_array_equal(found['inputs'][t], x_t)
    assert found['mask'][t] == bool(scored)
    if found['mask'][t]:
      np.testing.assert_array_equal(found['targets'][t], target)
  assert found['mask'][-1] == 1
  assert (found['mask'].sum() == 1) == task.error_at_end

  # The network: after every number of steps it is where `unroll` gets.
  def run(length):
    carry, net_k = unroll(cell, params, found['inputs'], length)
    return carry, jax.vmap(task.output)(net_k)

  carry, outputs = cheap_jit(jax.vmap(run))(np.arange(1, steps + 1))
  close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
  for field, values in carry._asdict().items():
    close(found['carry'][field], values)
  close(found['outputs'], outputs[-1])
  assert np.ptp(found['outputs'], axis=0).max() > 1e-3


def test_another_seed_is_another_sequence():
  setting, _, cell = planned('trigger')
  _, written = net(cell)
  one, again, other = (
    trace.trace(setting, written, seed) for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(one['inputs'], again['inputs'])
  assert not np.array_equal(one['inputs'], other['inputs'])


def test_further_sequences_cost_no_compilation():
  """A compilation each once took all memory: `predict --count=2000` crashed."""
  setting, _, cell = planned('lstm')
  _, written = net(cell)
  follow = trace.tracer(setting, written)
  lengths = [len(follow(seed)['mask']) for seed in range(10)]
  compiled = []

  def listen(name, seconds, **_):
    del seconds
    if name.endswith('backend_compile_duration'):
      compiled.append(name)

  jax.monitoring.register_event_duration_secs_listener(listen)
  further = [len(follow(seed)['mask']) for seed in range(10)]
  before = len(compiled)
  trace.trace(setting, written)
  jax.monitoring.unregister_event_duration_listener(listen)
  assert further == lengths
  assert before == 0 < len(compiled)


def test_the_net_that_is_there_stays(opened):
  _, _, cell = planned('lstm')
  (_, one), (_, other) = net(cell, 0), net(cell, 1)
  nets.save(opened, 'a', one)
  nets.save(opened, 'a', other)
  nets.save(opened, 'b', other)
  assert nets.names(opened) == ['a', 'b']
  kept = nets.load(opened)
  same(one, kept['a'])
  same(other, kept['b'])


def test_there_may_be_none(opened):
  assert nets.names(opened) == [] and nets.load(opened) == {}


def test_what_is_damaged_or_foreign_is_left_out(opened):
  _, _, cell = planned('lstm')
  _, written = net(cell)
  for name in 'abcd':
    nets.save(opened, name, written)
  folder = opened.path / 'nets'
  path = folder / 'a.safetensors'
  whole = path.read_bytes()
  facts, arrays = tensors.unsealed('net', whole, path)
  for bad in (
    whole[:-1],
    b'',
    whole[:-1] + bytes([whole[-1] ^ 1]),
    tensors.sealed('way', facts, arrays),
    whole.replace(b'schema', b'schemA', 1),
  ):
    path.write_bytes(bad)
    assert list(nets.load(opened)) == ['b', 'c', 'd']
  path.write_bytes(whole)
  # Of another trial, of another plan, half written by a process that died.
  (folder / 'b.safetensors').write_bytes(whole)
  other = tensors.sealed('net', facts | {'plan': 'another'}, arrays)
  (folder / 'c.safetensors').write_bytes(other)
  (folder / '.e.safetensors.tmp').write_bytes(whole[:9])
  (folder / '.e.safetensors').write_bytes(whole)
  assert nets.names(opened) == ['a', 'b', 'c', 'd']
  assert list(nets.load(opened)) == ['a', 'd']


def test_other_programs_read_it(opened):
  _, _, cell = planned('lstm')
  _, written = net(cell)
  nets.save(opened, 'a', written)
  path = opened.path / 'nets' / 'a.safetensors'
  with safetensors.safe_open(path, 'numpy') as file:
    assert {*file.keys()} == {*written}
    np.testing.assert_array_equal(file.get_tensor('w_h'), written['w_h'])
    assert json.loads(file.metadata()['lstm_jax'])['trial'] == 'a'
  # The same network is the same file.
  assert path.read_bytes() == tensors.sealed(
    'net', {'trial': 'a', 'plan': opened.identity}, written
  )


def test_nets_of_earlier_versions_are_read(opened):
  _, _, cell = planned('lstm')
  _, written = net(cell)
  sealed.earlier_net(opened, 'a', written)
  nets.save(opened, 'b', written)
  assert nets.names(opened) == ['a', 'b']
  same(nets.load(opened)['a'], written)
  # What is taken over has the form of today.
  nets.take_over(opened, {'c': 'a'})
  assert nets.names(opened) == ['b', 'c']
  same(nets.load_one(opened, 'c'), written)


def test_a_weight_that_is_missing_is_named():
  setting, _, cell = planned('lstm')
  _, written = net(cell)
  del written['w_h']
  with pytest.raises(KeyError, match='w_h'):
    trace.trace(setting, written)


def test_the_networks_along_a_way_come_back(opened):
  _, _, cell = planned('srn')
  way = [(seen, net(cell, seed)[1]) for seed, seen in enumerate((0, 16, 40))]
  assert nets.load_way(opened, 'a') == []
  nets.save_way(opened, 'a', way)
  nets.save_way(opened, 'a', way[:1])  # what is there stays
  back = nets.load_way(opened, 'a')
  assert [seen for seen, _ in back] == [0, 16, 40]
  for (_, kept), (_, params) in zip(back, way, strict=True):
    same(kept, {name: params[name] for name in kept})
  # They are no solved networks.
  assert nets.names(opened) == [] and nets.load(opened) == {}
  path = opened.path / 'nets' / 'a.way.safetensors'
  whole = path.read_bytes()
  nets.save(opened, 'a', way[2][1])
  nets.take_over(opened, {'b': 'a'})
  assert [seen for seen, _ in nets.load_way(opened, 'b')] == [0, 16, 40]
  path.write_bytes(whole[:-9])
  with pytest.raises(faults.Corrupt):
    nets.load_way(opened, 'a')
  facts, arrays = tensors.unsealed('way', whole, path)
  for counts in ([0, 16], 'x', None, [[]]):
    path.write_bytes(
      tensors.sealed('way', facts | {'sequences': counts}, arrays)
    )
    with pytest.raises(faults.Corrupt, match='not written by lstm_jax'):
      nets.load_way(opened, 'a')


def test_a_way_of_earlier_versions_is_read(opened):
  _, _, cell = planned('srn')
  _, params = net(cell)
  nets.save(opened, 'b', params)  # makes the place
  networks = [
    {
      'sequences': seen,
      'params': {name: w.tolist() for name, w in params.items()},
      'shapes': {name: list(w.shape) for name, w in params.items()},
    }
    for seen in (0, 9)
  ]
  content = {'trial': 'a', 'plan': opened.identity, 'networks': networks}
  path = opened.path / 'nets' / 'a.way'
  path.write_bytes(seal.seal_json('net', content))
  back = nets.load_way(opened, 'a')
  assert [seen for seen, _ in back] == [0, 9]
  same(back[1][1], params)
  assert nets.names(opened) == ['b']
  networks[1]['params'] = {'w': [[1.0], 'x']}
  path.write_bytes(seal.seal_json('net', content))
  with pytest.raises(faults.Corrupt, match='params/w'):
    nets.load_way(opened, 'a')
