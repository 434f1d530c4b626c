"""What the page shows of networks on data is what these networks do."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.lab.plan import catalog, flags
from lstm_jax.lab.run import groups, inside_data
from lstm_jax.lab.serve import board, confusion, figures, inside
from lstm_jax.lab.serve.watching import Watch
from lstm_jax.lab.store import nets, trial_records
from lstm_jax.lab.store.folder import create_or_open
from lstm_jax.lab.store.setting import entry_of
from lstm_jax.nn import layer
from lstm_jax.training.loop import named
from tests.fake_sweep import QUICK, record_of
from tests.lab.plan.test_plan import made

CLASSES = ('bird', 'cat', 'dog')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
  """A file of thirty short sequences of two features in three classes."""
  draw = np.random.default_rng(0)
  path = tmp_path_factory.mktemp('data') / 'mine.npz'
  np.savez(
    path,
    inputs=draw.normal(size=(30, 6, 2)).astype(np.float32),
    lengths=draw.integers(3, 7, 30),
    targets=np.array(CLASSES)[np.arange(30) % 3],
  )
  return path


def built(setting, path=None):
  """(dataset, trainer, params drawn anew) of a setting."""
  paths = ((setting.task, str(path)),) if path else ()
  dataset, trainer = groups.builder(flags.Run(paths=paths))(setting)
  return dataset, trainer, trainer.model.init(jax.random.key(3))


def of_flags(line):
  (setting,) = made(f'{line} --seeds=1 --budget=2').trials
  return setting


def test_it_answers_and_learns_as_the_trainer_has_it(data):
  setting = of_flags(
    f'--task={data} --cell=lstm --hidden=3 --set=learner.reads=mean'
  )
  dataset, trainer, params = built(setting, data)
  follow = inside_data.followers(str(data.parent))(setting)
  arrays = {name: np.asarray(leaf) for name, leaf in named(params)}
  view = follow(arrays, 1)
  pool = dataset.pool(setting.seed)
  i = pool.parts['test'][1]
  examples = jax.tree.map(lambda a: a[i : i + 1], pool.examples)
  (steps,) = examples.lengths
  trace = view.trace
  np.testing.assert_allclose(
    trace['outputs'][-1],
    trainer.outputs(params, examples.inputs, examples.lengths)[0],
    rtol=1e-5,
  )
  np.testing.assert_array_equal(trace['inputs'], examples.inputs[0, :steps])
  assert trace['targets'][-1].argmax() == examples.targets[0]
  assert list(trace['mask']) == [0] * (steps - 1) + [1]
  assert list(trace['gates']) == ['input', 'forget', 'output']
  assert f'sequence 1 of {len(pool.parts["test"])} held out' in view.words
  assert CLASSES[examples.targets[0]] in view.words
  assert follow(arrays, 1 + len(pool.parts['test'])).words == view.words

  # The error by the state after step t is that of a layer that begins there.
  cell = catalog.build('cells', 'lstm', 2, 0, hidden=3)
  xs = examples.inputs[0, :steps, None]
  t = 2
  states = {n: jnp.asarray(v[t - 1, None]) for n, v in trace['carry'].items()}
  start = type(cell.initial_carry((), jnp.float32))(**states)
  before = trace['carry']['y_c'][: t - 1].sum(0)

  def error(state):
    ys = layer.run(
      cell, params.layers[0], xs[t:], state=state, outputs=True, kernel='xla'
    ).ys
    read = (before + state.y_c[0] + ys[:, 0].sum(0)) / steps
    nets = read @ params.w + params.b
    return -jax.nn.log_softmax(nets)[examples.targets[0]]

  for name, expected in jax.grad(error)(start)._asdict().items():
    np.testing.assert_allclose(
      view.errors[name][t - 1], expected[0], rtol=1e-4, atol=1e-7
    )


@pytest.mark.slow
def test_layers_and_every_step():
  setting = of_flags(
    '--task=noisy_sine --cell=gru --hidden=3 --set=learner.layers=2'
  )
  dataset, trainer, params = built(setting)
  follow = inside_data.followers()(setting)
  view = follow({name: np.asarray(leaf) for name, leaf in named(params)}, 4)
  pool = dataset.pool(setting.seed)
  i = pool.parts['test'][4:5]
  np.testing.assert_allclose(
    view.trace['outputs'],
    trainer.outputs(params, pool.examples.inputs[i])[0],
    rtol=1e-5,
  )
  np.testing.assert_allclose(
    view.trace['targets'], pool.examples.targets[i][0], rtol=1e-6
  )
  assert view.trace['mask'].all()
  assert (
    [*view.trace['carry']] == [*view.errors] == ['layer 1: h', 'layer 2: h']
  )
  assert 'trained on, as none is held out' in view.words
  titles = [note.text for note in figures.network(view).layout.annotations]
  assert 'layer 2: update gates' in titles


def test_what_is_not_here_is_said_in_a_line(data, tmp_path):
  setting = of_flags(f'--task={data} --cell=srn')
  followers = inside_data.followers(str(tmp_path))
  with pytest.raises(inside.Closed, match=r'mine\.npz is not in .*--data_dir'):
    followers(setting)
  (tmp_path / 'mine.npz').write_bytes(b'another')
  with pytest.raises(inside.Closed) as closed:
    followers(setting)
  assert '\n' not in str(closed.value)
  follow = inside_data.followers(str(data.parent))(setting)
  with pytest.raises(inside.Closed, match='does not fit'):
    follow({}, 0)


@pytest.mark.parametrize('role', ['task', 'cell', 'learner'])
def test_code_of_others_is_not_imported(data, role, tmp_path, monkeypatch):
  setting = of_flags(f'--task={data} --cell=srn')
  (tmp_path / 'mine.py').write_text('raise SystemExit("imported")')
  monkeypatch.syspath_prepend(tmp_path)
  entry = catalog.of(setting, role)._replace(place='mine.py:factory')
  followers = inside_data.followers(str(data.parent))
  for strange in (
    dataclasses.replace(setting, **{role: 'mine:factory'}),
    dataclasses.replace(setting, outside={role: entry}),
  ):
    with pytest.raises(inside.Closed, match='never imported'):
      followers(strange)


def test_a_folder_of_data_has_its_confusion_matrix(data, tmp_path):
  settings = made(f'--task={data} --cell=srn --seeds=3 --budget=9').trials
  plan = {
    'flags': {}, 'trials': [entry_of(one) for one in settings],
    'programs': {}, 'provenance': {},
  }  # fmt: skip
  opened = create_or_open(tmp_path / 'run', plan, disk=QUICK)
  first, second, _ = opened.trials
  for trial, counts in (
    (first, [[3, 1, 0], [0, 2, 2], [0, 0, 4]]),
    (second, [[1, 3, 0], [0, 4, 0], [0, 0, 4]]),
  ):
    record = record_of(
      trial, np.arange(4.0), status='budget', sequences_seen=99
    )
    record['metrics'] |= {'best_epoch': 7}
    details = {'confusion': counts, 'classes': list(CLASSES)}
    trial_records.write_record(opened, record | {'details': details})
  nets.save(opened, first, {'w': np.ones(2)})
  watch = Watch(tmp_path / 'run')
  (line,) = board.lines(watch.look())
  answers = confusion.of_row(watch, line)
  assert answers.num_trials == 2 and tuple(answers.classes) == CLASSES
  np.testing.assert_allclose(
    answers.shares, [[0.5, 0.5, 0], [0, 0.75, 0.25], [0, 0, 1]]
  )
  sentence = confusion.words(answers)
  assert 'bird for cat (50%), cat for dog (25%)' in sentence
  (heat,) = confusion.figure(answers).data
  assert list(heat.text[0]) == ['50', '50', '']
  # Trials and networks are counted in epochs.
  assert [one.seen for one in board.trial_lines(watch.look(), line)][:2] == [
    9,
    9,
  ]
  assert [seen for seen, _ in watch.networks(first)] == [7]
