"""The notebooks of examples/ as pages of the site.

Sphinx reads what lies below its own folder, and a link to it has to lead there
too. So they are copied to `tutorials/`, which git ignores, and links to
`../examples/` lead to the copies; in the repository they lead to the files.
"""

import shutil
from pathlib import Path

COPIES = 'tutorials'


def setup(app):
  """Copies before Sphinx looks for pages, and mends links as it reads them."""
  app.connect('config-inited', copy)
  app.connect('source-read', mend)
  return {'parallel_read_safe': True}


def copy(app, config):
  """Copies each notebook that has changed; one that is gone goes."""
  del config
  source = Path(app.srcdir).parent / 'examples'
  copies = Path(app.srcdir) / COPIES
  copies.mkdir(exist_ok=True)
  notebooks = {path.name: path for path in source.glob('*.ipynb')}
  for path in copies.iterdir():
    if path.name not in notebooks:
      path.unlink()
  for name, path in notebooks.items():
    place = copies / name
    if not place.exists() or place.read_bytes() != path.read_bytes():
      shutil.copyfile(path, place)


def mend(app, page, text):
  """Lets links to notebooks lead to their pages."""
  del app
  up = '../' * page.count('/')
  if not page.startswith(f'{COPIES}/'):
    text[0] = text[0].replace(f'({up}../examples/', f'({up}{COPIES}/')
  else:
    # A notebook's links are written from examples/, a folder as deep.
    text[0] = text[0].replace('(../docs/', '(../')
