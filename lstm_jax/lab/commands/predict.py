"""Shows what the networks of a run answer.

A run folder keeps solved nets of tasks, one a row, and of a run on data sets
the network of the best epoch of every trial. A task draws fresh sequences; a
data set has its test part, or a file of yours.
"""

import csv
import dataclasses
import functools
import io
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from absl import flags

from lstm_jax.lab.plan import own_data, parsers, programs, run_folders, values
from lstm_jax.lab.plan.text_columns import aligned
from lstm_jax.lab.run import command, kept, mains, xla_flags
from lstm_jax.lab.run.predict_request import FEW, Request
from lstm_jax.lab.store import (
  faults,
  files,
  folder,
  network_file,
  sources,
  trial_records,
)
from lstm_jax.lab.store.setting import Setting, trial_id

_HELP = """\
Shows what the networks that a run has kept answer.

  lstm-jax predict FOLDER             the first of the folder,
                                      of data sets the best one
                                      by its validation
  lstm-jax predict FOLDER --net=ID    another one; if none has
                                      that name they are listed
  lstm-jax predict FOLDER FILE ...    what it says of files of yours: sounds,
                                      texts, or as of --data, a line each
  lstm-jax predict FILE.safetensors   one that --keep has written: how it does
                                      at its own T and at ten times that

  --count=N         sequences or examples to show (5), or of each length (256)
  --length=N,...    of a task: how many fresh sequences of these lengths the
                    network has right, whatever it was trained on
  --seed=N          of the fresh sequences of a task (0)
  --data=FILE       instead of the test part of a data set: a sound for a set
                    of sounds, a text (.txt) for imdb; .npy or .csv of numbers
                    [T, I], or .npy [N, T, I]: inputs of each of T steps; for
                    data of your own a file in the form of what was trained on,
                    without targets. A folder of sounds: all in it
  --text=WORDS      of imdb: what it says of this text
  --data_dir=FOLDER where data sets are (see lstm-jax data --help), or data of
                    your own (the working folder)
  --out=FILE        write every answer as .csv
  --keep=FILE       write the network, with what it is of, as one .safetensors
                    file that needs no folder

Of a task: target and answer of each step that is judged. Of a data set: the
figures of its test part, then the first targets and answers. Cells and tasks
of others are imported from where they were when the run was made.

"""


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  return command.run(_COMMAND, argv)


def define() -> flags.FlagValues:
  """The flags in a new `FlagValues`."""
  flag_values = flags.FlagValues()
  count = functools.partial(values.integer, high=10_000)
  seed = functools.partial(values.integer, low=0)
  for name, kind, function, words in (
    ('net', 'string', parsers.text, 'of which network: the id of its trial'),
    ('count', 'int', count, 'sequences or examples to show (5)'),
    ('length', 'ints', _lengths, 'lengths of fresh sequences of a task'),
    ('keep', 'place', values.place, 'write the network to this file'),
    ('seed', 'int', seed, 'of the fresh sequences of a task (0)'),
    ('data', 'place', _file, 'file of inputs'),
    ('text', 'string', parsers.text, 'a text that is asked about'),
    ('data_dir', 'place', values.folder, 'where data sets are'),
    ('out', 'place', values.place, 'write every answer as .csv'),
  ):
    parsers.define(flag_values, name, kind, function, words)
  parsers.switch(flag_values, 'help', 'print this')
  return flag_values


def _lengths(text, source):
  """Whole numbers above 0."""
  lengths = parsers.integers(text, source)
  if wrong := [length for length in lengths if length < 1]:
    raise values.Refused(f'{source}: {wrong[0]} must be at least 1')
  return lengths


def _file(text, source):
  """One file, as a tuple."""
  return (values.place(text, source),)


def _read(flag_values, words):
  """`(request, `_Network`, the open folder or None)`."""
  if not words:
    raise values.Refused('no folder: give one run folder, or --help')
  fields = {field.name for field in dataclasses.fields(Request)}
  options = {
    n: flag_values[n].value
    for n in fields & {*parsers.given_names(flag_values)}
  }
  for word in words[1:]:
    path = values.place(word, 'FILE')
    if not os.path.exists(path):
      raise values.Refused(
        f'FILE={word}: there is no such file; give one run folder, then files '
        'of yours'
      )
    options['data'] = (*options.get('data', ()), path)
  request = Request(words[0], **options)
  place = values.place(request.folder, run_folders.ARGUMENT)
  if place.endswith(network_file.ENDING):
    if request.net or request.keep:
      raise values.Refused(
        f'{request.folder}: --net and --keep are for run folders, not files'
      )
    try:
      setting, metrics, params = network_file.load(place)
    except FileNotFoundError as error:
      raise values.Refused(f'{place}: there is no such file') from error
    network = _Network(trial_id(setting), setting, metrics, {}, params)
    return request, network, None
  opened = folder.open_folder(run_folders.path_of(request.folder))
  name, params = kept.choose(opened, request.net)
  record = trial_records.read_records(opened)[0].get(name)
  metrics, details = (
    (record['metrics'], record['details']) if record else ({}, {})
  )
  network = _Network(name, opened.trials[name], metrics, details, params)
  return request, network, opened


class _Network(NamedTuple):
  """A network and its trial."""

  name: str
  setting: Setting
  metrics: Mapping[str, object]
  details: Mapping[str, object]
  params: Mapping[str, np.ndarray]


def _act(request):
  options, network, opened = request
  setting = network.setting
  if opened:
    _say_imports(opened, network.name)
  by_length = bool(options.length) or opened is None
  head, table = _answers_of(setting, by_length)(
    setting, network.params, options, network.details
  )
  print(
    f'{setting.task}, {setting.cell}, {setting.learner}: '
    f'row {setting.row}, seed {setting.seed} ({network.name})'
  )
  for line in head:
    print(line)
  print()
  count = options.count or (len(table) if options.is_each else FEW)
  count = len(table) if by_length else count
  print('\n'.join(aligned(table[: 1 + count])))
  if len(table) > 1 + count:
    print(f'... {len(table) - 1 - count:,} more')
  if options.keep:
    try:
      network_file.save(options.keep, setting, network.metrics, network.params)
    except ValueError as error:
      raise values.Refused(f'--keep={error}') from error
    mains.tell('', f'The network: {options.keep}')
  if options.out:
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(table)
    files.write(options.out, text.getvalue().encode())
    mains.tell('', f'All answers: {options.out}')
  return int(faults.Exit.OK)


def _say_imports(opened, name):
  """Says what code of others is imported, and whether it is another one now."""
  setting = opened.trials[name]
  places = {
    entry.place
    for entry in setting.outside.values()
    if entry.kind != 'learners'  # what has learned is asked, not its rule
  }
  if not places:
    return
  mains.note('predict', f'imports {", ".join(sorted(places))}')
  record = trial_records.read_records(opened)[0].get(name, {})
  files_then = opened.plan.get('sources', {}).get(record.get('code') or '', {})
  files_now = {
    file: digest
    for place in places
    for file, digest in sources.of_place(place).items()
    if file in files_then
  }
  if changes := [
    file for file in files_now if files_now[file] != files_then[file]
  ]:
    mains.note(
      'predict',
      f'not the code that trained the network: {", ".join(sorted(changes))}',
    )


def _answers_of(setting, by_length):
  """Returns what asks the networks of this kind of learner."""
  xla_flags.set_flags()
  from lstm_jax.lab.run import (
    predict_data,
    predict_lengths,
    predict_own,
    predict_task,
  )

  is_task = programs.learner_of(setting).kind == 'learners'
  if by_length and not is_task:
    raise values.Refused(
      f'--length is for tasks that draw their sequences; {setting.task} is data'
    )
  if by_length:
    return predict_lengths.answers
  if own_data.factory_of(setting.task):
    return predict_own.answers
  by_kind = {
    'learners': predict_task.answers,
    'trainers': predict_data.answers,
  }
  return by_kind[programs.learner_of(setting).kind]


_COMMAND = command.Command(
  'predict', define, lambda: _HELP + faults.EXIT_CODES, _read, _act
)
