"""Pages of the API from the table of public names in `lstm_jax/__init__.py`.

  ```{public-names} cells
  ```

becomes what autodoc reads for each public name that comes from
`lstm_jax.cells`, in the order of the table: what the file says, then the
function or class. Parts from inner modules have a page of their own, `parts`. A
public name that no page has is an error of the build.
"""

import inspect
import re

import lstm_jax

_BLOCK = re.compile(r'^```\{public-names\} (.*)\n```$', re.MULTILINE)
# One file a name: what the file says belongs to it.
_FILE_A_NAME = ('cells', 'tasks', 'learners')


def setup(app):
  """Fills blocks as pages are read, and checks that every name has its page."""
  app.connect('source-read', fill)
  app.connect('env-check-consistency', complete)
  return {'parallel_read_safe': True}


def fill(app, page, text):
  """Writes the names of a page where it asks for them."""
  del app, page
  text[0] = _BLOCK.sub(lambda block: names_of(block[1].split()), text[0])


def names_of(rooms):
  """A block for autodoc of the public names that come from these packages."""
  lines = [
    line
    for name, place in lstm_jax.NAMES.items()
    if room_of(name, place) in rooms
    for line in entry(name, place)
  ]
  return '\n'.join(['```{eval-rst}', *lines, '```'])


def room_of(name, place):
  """The package that a public name comes from; 'parts' of inner modules."""
  module = place or name
  return 'parts' if '._' in module else module.partition('.')[0]


def entry(name, module):
  """The lines of reStructuredText about one public name."""
  thing = getattr(lstm_jax, name)
  if inspect.ismodule(thing):
    return [
      line
      for inside in thing.__all__
      for line in described(f'lstm_jax.{name}.{inside}', getattr(thing, inside))
    ]
  lines = [f'.. rubric:: {name}', '']
  if room_of(name, module) in _FILE_A_NAME:
    lines += [
      f'.. automodule:: lstm_jax.{module}',
      '   :no-members:',
      '   :no-index:',
      '',
    ]
  return lines + described(f'lstm_jax.{name}', thing)


def described(path, thing):
  """The directive for a function, a class, a name for a type, promises."""
  if isinstance(thing, tuple):
    items = [f'   * ``{promise.name}``: {promise.where}' for promise in thing]
    return [f'.. py:data:: {path}', '', *items, '']
  kind = 'autoclass' if inspect.isclass(thing) else 'autofunction'
  return [f'.. {kind}:: {path}', '']


def complete(app, env):
  """Raises an error that names the public names that have no page."""
  del app
  documented = env.get_domain('py').objects
  missing = [
    name
    for name, module in lstm_jax.NAMES.items()
    if module and f'lstm_jax.{name}' not in documented
  ]
  if missing:
    from sphinx.errors import ExtensionError

    raise ExtensionError(f'no page of docs/api has {", ".join(missing)}')
