"""The public names: listed once, loaded on first use, seen by type checkers."""

import ast
import doctest
import importlib
import inspect
import os
import pydoc
import re
import sys
import textwrap

import pytest

import lstm_jax as lj
from lstm_jax.lab.plan import catalog
from tests.children import python


def module_of(name):
  """`(module, name there)` of a public name, as the table has it."""
  module, _, inside = lj.NAMES[name].partition(':')
  return module, inside or name


def public_functions():
  public_names = {name: getattr(lj, name) for name in lj.NAMES}
  return {
    name: one for name, one in public_names.items() if inspect.isfunction(one)
  }


def test_importing_the_package_imports_nothing_else():
  code = (
    'import sys; import lstm_jax; '
    'assert "lstm" in dir(lstm_jax) and lstm_jax.__version__; '
    'heads = {m.partition(".")[0] for m in sys.modules}; '
    'print([m for m in sys.modules if m.startswith("lstm_jax.")], '
    'sorted(heads - sys.stdlib_module_names))'
  )
  # Without the packages that a site adds to every process.
  done = python('-S', '-c', code)
  # Their table alone.
  assert done.stdout.strip() == "['lstm_jax.public'] ['__main__', 'lstm_jax']"


def test_every_cell_task_and_learner_of_the_catalog_is_public():
  for kind in ('cells', 'tasks', 'learners'):
    listed = {
      name
      for name, where in lj.NAMES.items()
      if where.startswith(f'{kind}.') and not where.startswith(f'{kind}._')
    }
    missing = {*catalog.names(kind)} ^ listed
    assert not missing, f'lstm_jax/__init__.py: {kind}: {sorted(missing)}'


def test_a_name_is_what_its_module_has():
  for name in lj.NAMES:
    value = getattr(lj, name)
    if lj.NAMES[name]:
      module, inside = module_of(name)
      whole = importlib.import_module(f'lstm_jax.{module}')
      assert value is getattr(whole, inside), name
    else:
      assert value is sys.modules[f'lstm_jax.{name}']
    assert value.__doc__, name
  assert {*lj.__all__} <= {*dir(lj)}


def test_type_checkers_see_the_names_of_the_table():
  tree = ast.parse(inspect.getsource(lj))
  (block,) = (
    node
    for node in tree.body
    if isinstance(node, ast.If) and ast.unparse(node.test) == 'TYPE_CHECKING'
  )
  seen = {}
  for node in block.body:
    module = node.module.partition('.')[2]
    for alias in node.names:
      inside = f':{alias.name}' if alias.name != alias.asname else ''
      seen[alias.asname] = module + inside
  assert seen == lj.NAMES


def test_an_unknown_name_says_what_is_near():
  with pytest.raises(AttributeError, match="no attribute 'lstn'.*mean lstm?"):
    _ = lj.lstn
  assert not hasattr(lj, 'numpy')


def test_a_package_that_is_missing_is_named_with_what_brings_it(monkeypatch):
  monkeypatch.setitem(sys.modules, 'flax', None)
  for name in [m for m in sys.modules if m.startswith('lstm_jax.nn.flax')]:
    monkeypatch.delitem(sys.modules, name)
  monkeypatch.delitem(vars(lj), 'LinenRecurrent', raising=False)
  with pytest.raises(
    ModuleNotFoundError, match=r"flax: pip install 'lstm_jax\[flax\]'"
  ):
    _ = lj.LinenRecurrent


# What they call compiles for a second, in the tests of each of them as well.
COMPILING = ('sweep', 'train', 'error_by_lag', 'judge_forward')


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(name, marks=[pytest.mark.slow] * (name in COMPILING))
    for name in public_functions()
  ],
)
def test_a_public_function_has_an_example_that_is_right(name, monkeypatch):
  """And says what it takes and returns, where it does."""
  function = public_functions()[name]
  monkeypatch.setenv('XLA_FLAGS', os.environ.get('XLA_FLAGS', ''))
  monkeypatch.setenv('JAX_NUM_CPU_DEVICES', '1')
  monkeypatch.setitem(sys.modules, 'matplotlib', None)  # none shows a figure
  text = inspect.getdoc(function)
  signature = inspect.signature(function)
  wanted = ['Args:'] if signature.parameters else []
  wanted += ['Returns:'] if signature.return_annotation is not None else []
  assert [word for word in (*wanted, 'Example:') if word not in text] == []
  example = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
  assert example.examples
  said = []
  options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
  ended = doctest.DocTestRunner(optionflags=options, verbose=False).run(
    example, out=said.append
  )
  assert not ended.failed, ''.join(said)


def says_what_it_raises(function):
  """Tells whether `Raises:` stands where a function raises or checks."""
  source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
  raises = hasattr(function, '__wrapped__') or any(
    isinstance(node, ast.Raise) for node in ast.walk(ast.parse(source))
  )
  return not raises or '\nRaises:\n' in inspect.getdoc(function)


@pytest.mark.parametrize('name', public_functions())
def test_a_public_function_says_what_it_raises(name):
  assert says_what_it_raises(public_functions()[name])


def test_a_function_that_does_not_say_what_it_raises_is_found():
  def half(n):
    """Half of an even number."""
    if n % 2:
      raise ValueError(f'n={n} must be even')
    return n // 2

  assert not says_what_it_raises(half)
  half.__doc__ = 'Half of an even number.\n\nRaises:\n  ValueError: odd.'
  assert says_what_it_raises(half)


@pytest.mark.parametrize(
  'name',
  [n for kind in ('cells', 'tasks', 'learners') for n in catalog.names(kind)],
)
def test_a_cell_a_task_and_a_learner_name_their_source(name):
  """A publication's year stands in the docstring or in that of the module."""
  factory = getattr(lj, name)
  texts = inspect.getdoc(factory), sys.modules[factory.__module__].__doc__
  assert re.search(r'\b(19|20)\d\d\b', ' '.join(texts))


def values_by_path():
  """Path from the package -> value, of all that `dir` shows and tests have."""
  values = {n: getattr(lj, n) for n in dir(lj) if not n.startswith('__')}
  inner = {f'testing.{n}': getattr(lj.testing, n) for n in lj.testing.__all__}
  return {**values, **inner}


@pytest.mark.parametrize('path', values_by_path())
def test_a_name_shows_itself_as_it_is_called(path):
  """In help, repr and tracebacks; and its `__module__` has it."""
  value, name = values_by_path()[path], path.rpartition('.')[2]
  if inspect.ismodule(value):
    assert value.__name__ == f'lstm_jax.{path}'
    return
  if isinstance(value, tuple):  # promises: each shows its own name
    assert all(promise.name in repr(promise) for promise in value)
    return
  assert (value.__name__, value.__qualname__) == (name, name)
  assert value.__module__.startswith('lstm_jax.')
  assert getattr(importlib.import_module(value.__module__), name) is value
  kind = 'class' if inspect.isclass(value) else 'function'
  text = pydoc.plain(pydoc.render_doc(value))
  assert text.startswith(
    f'Python Library Documentation: {kind} {name} in module {value.__module__}'
  )
  assert name in repr(value)
  if kind == 'function':
    code = inspect.unwrap(value).__code__
    assert code.co_name == name
    file = f'{value.__module__.replace(".", os.sep)}'
    assert code.co_filename.endswith((f'{file}.py', f'{file}/__init__.py'))


def test_names_of_trees_take_any_named_tuple():
  params = lj.srn(2, 1).mask
  assert isinstance(params, lj.Params) and isinstance(params, lj.Carry)
  assert not isinstance((1, 2), lj.Params)
