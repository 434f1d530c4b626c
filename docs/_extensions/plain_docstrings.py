"""Docstrings as the code has them, for Sphinx: `code`, formulas set in.

The code's docstrings are plain text. Single backquotes hold code, a block that
is set in holds a formula or a table, and a star or a bar is what it looks like.
reStructuredText means other things by them.
"""

import re

_CODE = re.compile(r'(`+)([^`]+)\1')
_SECTION = re.compile(r'^(Args|Attributes|Returns|Raises|Yields):$')
_EXAMPLES = re.compile(r'^Examples?:$')
_BOUND = re.compile(r'Annotated\[([^,\[\]]+), \w+\([^()]*\)\]')
# `jax.typing.ArrayLike`, as Sphinx spells it out.
_ARRAY_LIKE = re.compile(
  r'(?:~?[\w.]*\b(?:Array|ndarray|bool|number) \| ){4,}bool \| int \| float'
  r' \| complex'
)


def setup(app):
  """Lets Sphinx call these for each docstring, before napoleon reads it."""
  app.connect('autodoc-process-docstring', translate, priority=400)
  app.connect('autodoc-process-signature', simplify)
  app.connect('autodoc-skip-member', skip_field)
  return {'parallel_read_safe': True}


def simplify(app, what, name, obj, options, signature, returns):
  """Writes a number with bounds as a number: the docstring has the bounds."""
  del app, what, name, obj, options
  signature = signature and _BOUND.sub(r'\1', signature)
  return signature and _ARRAY_LIKE.sub('ArrayLike', signature), returns


def skip_field(app, what, name, obj, skip, options):
  """Leaves out fields of NamedTuples as members: `Attributes:` has them."""
  del app, what, name, options
  return True if type(obj).__name__ == '_tuplegetter' else skip


def translate(app, what, name, obj, options, lines):
  """Rewrites the lines of one docstring in place."""
  del app, what, name, obj, options
  lines[:] = _with_items(lines)
  text, section, literal = [], '', False
  for i, line in enumerate(lines):
    set_in = line.startswith(' ')
    if not set_in and (_SECTION.match(line) or _EXAMPLES.match(line)):
      section = line
    after_blank = not i or not lines[i - 1]
    if literal and (set_in or not line or literal == '>>>' and not after_blank):
      text.append(line)
      literal = literal if line or literal != '>>>' else False
      continue
    literal = False
    if line.lstrip().startswith('>>>') or _EXAMPLES.match(section):
      literal = '>>>' if line.lstrip().startswith('>>>') else False
      text.append(line)
    elif set_in and not section and after_blank and i:
      literal = 'set in'
      text += ['::', '', line]
    else:
      # In a section an item goes on set in once; deeper is running text.
      text.append(_escaped(re.sub(r'^ {5,}', '    ', line)))
  lines[:] = text


def _with_items(lines):
  """The lines, with a bullet before what is listed by hanging lines alone."""
  text, start = [], 0
  for end in [i for i, line in enumerate(lines) if not line] + [len(lines)]:
    block = lines[start:end]
    hanging = any(line.startswith(' ') for line in block)
    plain = block and not re.match(r' |[*-] |>>>|[A-Z][a-z]+:$', block[0])
    if hanging and plain:
      block = [
        f'  {line.lstrip()}' if line.startswith(' ') else f'* {line}'
        for line in block
      ]
    text += [*block, *lines[end : end + 1]]
    start = end + 1
  return text


def _escaped(line):
  """A line with its code marked as such, and no other markup but a list's."""
  start = re.match(r'\s*(?:[*-] )?', line)[0]
  parts, at = [start], len(start)
  for code in _CODE.finditer(line, at):
    parts += [_plain(line[at : code.start()]), f'``{code[2]}``']
    at = code.end()
  return ''.join([*parts, _plain(line[at:])])


def _plain(text):
  # "num_inputs: I." is no item of a numbered list.
  text = re.sub(r'(^|: )([A-Za-z]\.)(?= |$)', r'\1\\\2', text)
  return re.sub(r'([*|_]|\\(?![A-Za-z]\.))', r'\\\1', text)
