"""An installed copy has every file of the library, also those without code."""

import configparser
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / 'lstm_jax'


def test_every_file_without_code_is_said_to_belong_to_its_package():
  setup = configparser.ConfigParser()
  setup.read(ROOT / 'setup.cfg', encoding='utf-8')
  data = setup['options.package_data']
  said = {
    file
    for package, patterns in data.items()
    for pattern in patterns.split()
    for file in ROOT.joinpath(*package.split('.')).glob(pattern)
  }
  files = {
    file
    for file in LIBRARY.rglob('*')
    if file.is_file() and file.suffix not in ('.py', '.pyc')
  }
  assert LIBRARY / 'py.typed' in files  # it says that the types are there
  assert files == said
