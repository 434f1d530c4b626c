"""Data of one's own as tasks: a file or folder that stands where a name would.

  --task=path/to/FILE.npz, FILE.csv   sequences
  --task=path/to/FOLDER               sounds in class folders, or what
                                      TensorFlow Datasets has prepared
  --task=tfds:NAME                    prepared, in the data folder

In a plan such a task has the name of its file, and what its content is as three
options, 'inputs', 'targets' and 'split': where the file lies decides nothing.
Only who plans and who trains reads it.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lstm_jax.lab.store import files, places

if TYPE_CHECKING:
  from lstm_jax.dataset import Dataset

ENDINGS = ('.npz', '.csv')
SOUNDS, TFDS = 'sounds:', 'tfds:'
# What an entry of the catalog is read from, and the factory in it.
PACKAGE = 'lstm_jax.lab.data.own'
# What two cells are compared where none is named.
CELLS = ('srn', 'lstm')
SAYS = (
  'data of your own: a .npz, a .csv, or a folder of sounds in class folders'
)
DIGESTS = ('inputs', 'targets', 'split')
# What `--list` calls the forms -> a task of each.
EXAMPLES = {
  f'FILE.npz, FILE.csv, {TFDS}NAME': 'FILE.npz',
  'FOLDER of sounds': f'{SOUNDS}FOLDER',
}
_LONGEST = 80  # characters of a name
_INFO = 'dataset_info.json'


class Located(NamedTuple):
  """A file or folder that a task was named by.

  Attributes:
    name: of the task, whatever the folder that it lies in.
    path: where it lies.
    digests: 'inputs', 'targets', 'split': what its content is.
  """

  name: str
  path: Path
  digests: Mapping[str, str]


def factory_of(task: object) -> str | None:
  """The factory of data of one's own: 'given' or 'sounds'.

  Args:
    task: as written, or as a plan names it.

  Returns:
    The name; None where this is no data of one's own.
  """
  if not isinstance(task, str):
    return None  # what others have written
  if task.startswith(TFDS) or task.lower().endswith(ENDINGS):
    return 'given'
  if task.startswith(SOUNDS):
    return 'sounds'
  if '/' not in task or re.search(r'\.py(:|$)', task):
    return None
  path = Path(task).expanduser()
  return 'sounds' if path.is_dir() and not _is_prepared(path) else 'given'


def options_of_file(task: str) -> tuple[str, ...]:
  """Names of the options of a task that its file says, and no flag can."""
  return DIGESTS if factory_of(task) else ()


def as_flag(task: str) -> str:
  """The value of `--task` for a task of a plan, of a file that lies here."""
  if task.startswith(SOUNDS):
    return f'./{task.removeprefix(SOUNDS)}'
  return task


def module_of(task: str) -> str:
  """The dotted name of the module that data of one's own are made by."""
  return f'{PACKAGE}.{factory_of(task)}'


def located(task: str, data_dir: str = '') -> Located:
  """Finds and reads data of one's own.

  Args:
    task: as written.
    data_dir: folder of what TensorFlow Datasets has prepared; '': the usual
      one.

  Raises:
    ValueError: there is no such file, or it is of another kind.
    BadData: the file, and what is wrong with it.
    Missing: nothing is prepared under this name.
  """
  from lstm_jax.lab.data.own import folder, loading, prepared_set, sequences

  if task.startswith(TFDS):
    path = prepared_set.find(task.removeprefix(TFDS), data_dir)
  else:
    path = Path(os.path.abspath(places.expanded(task)))
  if task.startswith(SOUNDS) or not os.path.lexists(path):
    raise ValueError(f'no such file or folder; {SAYS}')
  name = name_of(path)
  if name.startswith(SOUNDS):
    return Located(name, path, folder.load(path).digests)
  path = prepared_set.home_of(path) or path
  return Located(name, path, sequences.digests(loading.load(path)))


def name_of(path: Path) -> str:
  """The name of the task that a file or folder is, whatever it holds.

  Raises:
    ValueError: it is none.
    BadData: what TensorFlow Datasets says of a folder cannot be read.
  """
  from lstm_jax.lab.data.own import prepared_set

  path = Path(os.path.abspath(path))
  if path.is_dir():
    if home := prepared_set.home_of(path):
      return _name(TFDS + prepared_set.name_of(home), TFDS)
    return _name(SOUNDS + path.name, SOUNDS)
  ending = path.suffix.lower()
  if ending not in ENDINGS:
    raise ValueError(f'is no {" and no ".join(ENDINGS)}; {SAYS}')
  return _name(path.stem + ending)


def place_of(task: object, data_dir: str) -> object:
  """A task as written, or the folder of what TensorFlow Datasets has prepared.

  Args:
    task: as written.
    data_dir: as on the command line.

  Raises:
    Missing: nothing is prepared under this name.
  """
  if not isinstance(task, str) or not task.startswith(TFDS):
    return task
  from lstm_jax.lab.data.own import prepared_set

  return str(prepared_set.find(task.removeprefix(TFDS), data_dir))


def build(task: str, paths: Mapping[str, str], **options: object) -> 'Dataset':
  """The data set of a task of one's own.

  Args:
    task: its name in a plan.
    paths: name -> where it lies.
    **options: of its factory.

  Raises:
    Missing: nobody has said where it lies.
    BadData: the file, and what is wrong with it or has changed.
  """
  from lstm_jax.lab.data.files.errors import Missing
  from lstm_jax.lab.data.own import given, sounds

  if task not in paths:
    raise Missing(f'{task}: is data of your own; say where the file lies')
  factories: dict[str, Callable[..., Dataset]] = {
    'given': given.given,
    'sounds': sounds.sounds,
  }
  return factories[str(factory_of(task))](Path(paths[task]), **options)


def epoch_steps(options: Mapping[str, object]) -> float:
  """Mean steps of an epoch, of the options of a task; 0 where they do not say.

  About: what the parts are is not known before the file is read.
  """
  match = re.match(r'\d+x(\d+)(s|x\d+)-', str(options.get('inputs', '')))
  if not match:
    return 0.0
  shares = [options.get(name) for name in ('valid', 'test')]
  train = 1 - sum(x for x in shares if isinstance(x, float))
  steps, hop = max(train, 0.1) * int(match[1]), options.get('hop')
  if match[2] == 's' and isinstance(hop, float):
    return steps * 1000 / hop
  return steps


def _is_prepared(path):
  return bool(files.folders_with(path, _INFO))


def _name(text, prefix=''):
  """A name that a table and a command line bear.

  Raises:
    ValueError: there is none.
  """
  ascii_name = re.sub(r'[^\w./:-]', '_', text.removeprefix(prefix))
  if len(ascii_name) > _LONGEST or not re.match(r'\w', ascii_name):
    raise ValueError(
      f'a name of a letter or digit and at most {_LONGEST} characters is '
      'needed: rename it'
    )
  return prefix + ascii_name
