"""Tests run as the commands do: with their XLA flags, and on two devices.

Silent broadcasting is an error. What one test has compiled is kept for the
others of its process, in a folder that is empty when the run begins.
"""

import collections
import gc
import math
import os
import tempfile
from importlib.metadata import version

import pytest
from hypothesis import HealthCheck, settings

from lstm_jax.lab.run import compile_cache, xla_flags

# A busy machine is no failure, and a test that fails must fail again: the
# examples follow from the test's source.
settings.register_profile(
  'unhurried',
  deadline=None,
  derandomize=True,
  suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile('unhurried')


# A run of whole folders leaves out what is marked `slow`. Of the tests in the
# files that compile it takes one case each: of the first test of a file the
# first, of the next one the second, and so on around, so that a file's tests
# meet different cells. Of those named in MORE (a test, or file/test) it takes
# so many, evenly spaced.
# What is named on the command line (a file, a node id, -k, -m) runs whole, and
# `--all` runs everything.
MORE = {
  'test_equal': 8,
  'test_it_is_the_published_equation': 4,
  'test_a_run_is_the_cell_stepped_by_hand': 3,
  'test_both_nets_learn_what_differentiating_says': 1,
  'test_what_is_stored_grows_with_the_length': 1,
  'test_the_derivative_of_a_column_is_no_scatter': 6,
  'test_other_dtypes': 2,
  # Every library's every kind, at one size or another.
  'test_outputs_and_gradients_are_the_same': 14,
  'test_nothing_to_run_is_no_error': 3,
  # Every way, every cell.
  'test_what_is_not_read_is_in_no_gradient': 5,
  'test_gather_puts_back_what_weights_took': 6,
  'test_gradients_by_products_are_those_of_the_loop': 3,
  'test_initial_weights_where_nan_is_searched_for': 2,
  'test_it_is_its_loop': 3,
  'test_flax_gives_the_same_outputs_and_gradients': 1,
  'test_torch_gives_the_same_outputs_and_gradients': 1,
  'test_gains_and_biases_have_the_gradient_of_the_slope': 1,
  'test_a_one_hot_is_the_array': 4,
  'test_in_and_out_again': 99,
  # Both sets of sounds, and both kinds of features.
  'test_levels_tell_a_hum_from_a_hiss': 2,
  # Of wrong cells, learners, tasks and data sets every fourth.
  'test_what_breaks_a_promise_is_rejected_with_its_message': 12,
  # Cells of each learner, learners of each cell.
  'test_what_is_planned_can_be_built_and_the_rest_is_refused': 27,
  # Of cells and tasks; of learners, each of which has a file of its own.
  'test_it_keeps_its_promises': 7,
  'cells/test_it_keeps_its_promises': 4,
  # All but those that are marked `slow`.
  'task_catalog/test_it_keeps_its_promises': 99,
  # Of each task of classes one form or another.
  'class_tasks/test_targets_follow_from_the_inputs': 6,
  'learner_catalog/test_it_keeps_its_promises': 2,
  'test_it_teaches_what_the_array_teaches': 2,
  'test_it_goes_on_to_the_same_bits': 1,
  'test_refusals': 99,
  # Operations that choose, a case each.
  'test_what_a_step_chooses_hides_no_weight': 99,
  'test_one_of_something_else_is_refused': 3,
  'test_streaming_is_batched_is_autodiff_with_the_cut': 2,
}
COMPILING = (
  'backflow', 'bench', 'bptt', 'cascade', 'cells', 'chunker', 'compiled_rule',
  'class_statistics', 'class_tasks', 'credit', 'draw', 'elman', 'eprop',
  'evaluation', 'every_step', 'figures',
  'first_symbol', 'growth', 'guess', 'kf', 'lane_widths', 'layer',
  'kept_networks', 'learner_catalog', 'learners', 'learning_curve',
  'made_learner', 'memory', 'minibatch', 'multiplication', 'task_catalog',
  'native', 'nets', 'new_cells', 'one_hot', 'one_step', 'optimizers',
  'other_layers',
  'quickprop',
  'reber', 'reber_statistics', 'report', 'report_figures', 'report_rows',
  'rflo', 'rtrl', 'seeds_figures', 'seeds_report', 'snap1', 'statistics',
  'steps_at_once', 'stop_rules',
  'task_statistics', 'tasks', 'touched', 'train', 'trial', 'trigger',
  'two_sequence', 'uoro', 'vanishing', 'workers',
)  # fmt: skip


# These run for longer than they compile.
RUNNING = (
  'first_symbol', 'multiplication', 'reber_statistics', 'state_sum',
  'task_statistics', 'tasks', 'uoro',
)  # fmt: skip


# Folders of tests that compile nothing twice: to keep it takes a twentieth.
ONCE = ('analysis', 'cells', 'nn', 'ops', 'testing')


# The files that take longest, so that no worker is left alone with one at the
# end. A file stays with one worker, for what it compiles and its fixtures.
LONGEST = (
  'native', 'workers', 'own_data', 'supervised_run', 'layer_transformations',
  'one_hot', 'layer', 'minibatch', 'cells', 'in_python', 'train',
  'two_sequence', 'reber', 'chunker', 'bench', 'vanishing', 'learner_catalog',
)  # fmt: skip


# Marks of tests that run only where `-m` names them.
ASKED_FOR = ('accelerators', 'cluster')


def pytest_addoption(parser):
  parser.addoption(
    '--all', action='store_true', help='every case of every test, slow or not'
  )
  parser.addoption(
    '--sample', action='store_true',
    help='of files that are named too only what a run of all files takes',
  )  # fmt: skip


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
  from xdist.scheduler import LoadFileScheduling

  if config.option.dist != 'load':  # another one is asked for
    return None
  config.option.loadscopereorder = False
  return LoadFileScheduling(config, log)


def pytest_collection_modifyitems(config, items):
  _leave_out(config, items, _not_asked_for(config, items))
  place = {f'test_{name}': i for i, name in enumerate(LONGEST)}
  items.sort(key=lambda item: place.get(item.path.stem, len(place)))
  sampled = config.getoption('--sample') or not _named(config)
  if config.getoption('--all') or not sampled:
    return
  left_out = {item for item in items if item.get_closest_marker('slow')}
  groups = {}
  for item in items:
    name = getattr(item, 'originalname', item.name)
    if item.path.stem.removeprefix('test_') in COMPILING or name in MORE:
      groups.setdefault((item.path, name), []).append(item)
  places = collections.Counter()
  for (path, name), held in groups.items():
    here = f'{path.stem.removeprefix("test_")}/{name}'
    most = min(MORE.get(here, MORE.get(name, 1)), len(held))
    first = 0 if name in MORE else places[path]
    places[path] += 1
    left_out |= set(held) - {
      held[(first + i * len(held) // most) % len(held)] for i in range(most)
    }
  _leave_out(config, items, left_out)


def _not_asked_for(config, items):
  """Tests that need what most machines do not have, also with --all."""
  words = config.option.markexpr or ''
  names = [name for name in ASKED_FOR if name not in words]
  return {item for item in items if any(map(item.get_closest_marker, names))}


def _leave_out(config, items, left_out):
  if left_out:
    config.hook.pytest_deselected(items=sorted(left_out, key=str))
    items[:] = [item for item in items if item not in left_out]


def _named(config):
  """Whether the command line names tests, and not just folders of them."""
  return (
    config.option.keyword
    or config.option.markexpr
    or not all(os.path.isdir(argument) for argument in config.args)
  )


# Compile the many small programs of a test in six tenths of the time: by one
# thread, since workers take the cores, and without fusion emitters. XLA reads
# them once in a process, and no child is to inherit them. In 0.11 XLA has lost
# the second, and it ends a process that names what it does not know.
_JAXLIB = tuple(int(part) for part in version('jaxlib').split('.')[:2])
QUICK_TO_COMPILE = ' --xla_cpu_parallel_codegen_split_count=1' + (
  ' --xla_cpu_use_fusion_emitters=false' if _JAXLIB < (0, 11) else ''
)


def pytest_configure(config):
  xla_flags.set_flags(devices=2)
  if not config.getoption('--all'):
    os.environ['XLA_FLAGS'] = os.environ.get('XLA_FLAGS', '') + QUICK_TO_COMPILE
  os.environ.setdefault('KERAS_BACKEND', 'jax')
  import jax  # not before

  jax.config.update('jax_numpy_rank_promotion', 'raise')
  # Not in the environment: a child that is killed may leave half a file.
  folder = tempfile.TemporaryDirectory(prefix='lstm_jax-compiled-')
  config.add_cleanup(folder.cleanup)
  jax.config.update('jax_compilation_cache_dir', folder.name)
  # Children have one for all workers; what a kill leaves there is removed.
  os.environ.setdefault(compile_cache.VARIABLE, folder.name)


@pytest.fixture(scope='session', autouse=True)
def flags_of_commands():
  """Gives what a test starts the commands' flags, once XLA has read its own."""
  import jax

  jax.devices()
  # A worker has it twice, from the process that started it too.
  os.environ['XLA_FLAGS'] = os.environ['XLA_FLAGS'].replace(
    QUICK_TO_COMPILE, ''
  )


@pytest.fixture(scope='module', autouse=True)
def compiling(request):
  """Compiles in less time what then runs for a moment, if in more.

  `--all` compiles as the commands do, and so does what a test starts. What a
  file has compiled goes with it: a worker would grow to seven gigabytes.
  """
  import jax

  short = request.path.stem.removeprefix('test_') not in RUNNING
  quick = short and not request.config.getoption('--all')
  jax.config.update('jax_disable_most_optimizations', quick)
  least = math.inf if request.path.parent.name in ONCE else 0.0
  jax.config.update('jax_persistent_cache_min_compile_time_secs', least)
  yield
  jax.config.update('jax_disable_most_optimizations', False)
  jax.clear_caches()


def pytest_collection_finish():
  """Spares the collector what was imported and collected: it all stays."""
  gc.collect()
  gc.freeze()
  gc.set_threshold(20_000, 20, 20)


@pytest.fixture
def x64():
  """Runs the test in float64, where identities hold to rounding."""
  import jax

  with jax.enable_x64(True):
    yield


@pytest.fixture(scope='session')
def compiled_loops():
  """The library of the layers' compiled loops, built where there is none.

  Another worker that wants it too waits for the first one.
  """
  from lstm_jax.nn.native import library

  return library.build()
