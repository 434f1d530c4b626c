"""A build fails where a page would load anything from elsewhere."""

import re
from pathlib import Path

# Links are followed when somebody clicks; these are loaded by themselves.
_LOADED = (
  re.compile(r'<(?:script|img|video|source|iframe|embed)\b[^>]*\bsrc="([^"]+)'),
  re.compile(r'<link\b(?=[^>]*\brel="(?:stylesheet|icon|preload))[^>]*href="([^"]+)'),
  re.compile(r'@import\s+(?:url\()?["\']?([^"\')]+)'),
  re.compile(r'url\(["\']?([^"\')]+)'),
)  # fmt: skip


def setup(app):
  """Lets Sphinx call `look` when all pages are written."""
  app.connect('build-finished', look)
  return {'parallel_read_safe': True}


def look(app, error):
  """Raises an error that names every page and what it would load."""
  if error or app.builder.format != 'html':
    return
  lines = [
    f'{path.relative_to(app.outdir)} would load {address}'
    for path in sorted(Path(app.outdir).rglob('*'))
    if path.suffix in ('.html', '.css', '.svg')
    for address in from_elsewhere(path.read_text('utf-8'))
  ]
  if lines:
    from sphinx.errors import ExtensionError

    raise ExtensionError('\n'.join(lines))


def from_elsewhere(text):
  """The addresses of other machines that a page's text makes a browser load."""
  return [
    address
    for pattern in _LOADED
    for address in pattern.findall(text)
    if re.match(r'(?:https?:)?//', address)
  ]
