"""Says how far run folders are, without disturbing who works on them."""

import functools
import time
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from lstm_jax.lab.plan import parsers, run_folders, values
from lstm_jax.lab.plan.estimate import words as time_words
from lstm_jax.lab.run import command, mains
from lstm_jax.lab.serve import board
from lstm_jax.lab.serve.watching import Watch
from lstm_jax.lab.store import faults, rounds

_HELP = """\
Says how far run folders are: trials ended, solved, under way, failed and why,
and the time to go. Folders are only read, whoever works on them. Of a run that
is being tuned it is the round that is under way.

  lstm-jax status FOLDER ...

  --watch       again and again, until all trials have ended or Ctrl-C
  --every=X     seconds between two looks, with --watch (10)

Exit code 3 where a trial has failed or a file is damaged.

"""


def run(argv: Sequence[str] | None = None) -> int:
  """Runs the command line `argv` and returns its exit code."""
  return command.run(_COMMAND, argv)


def define() -> flags.FlagValues:
  """The flags in a new `FlagValues`."""
  flag_values = flags.FlagValues()
  every = functools.partial(values.integer, low=1, high=86_400)
  parsers.switch(flag_values, 'watch', 'again and again')
  parsers.define(
    flag_values, 'every', 'int', every, 'seconds between two looks'
  )
  parsers.switch(flag_values, 'help', 'print this')
  return flag_values


def _read(flag_values, words):
  """(watches, seconds between two looks; None: one look)."""
  paths = run_folders.paths_of(words, may_be_tuned=True)
  every = (
    (flag_values['every'].value or 10) if flag_values['watch'].value else None
  )
  return [Watch(path) for path in paths], every


def _act(request):
  watches, every = request
  while True:
    looks = [watch.look() for watch in watches]
    names = board.names_of([look.path for look in looks])
    clock = time.time()
    states = [
      board.state(look, name, clock)
      for look, name in zip(looks, names, strict=True)
    ]
    for state in states:
      mains.tell(*lines(state))
    # Where a round ends the next one begins, or the run itself.
    is_over = all(
      0 < s.planned == s.ended and not rounds.is_round(Path(s.path))
      for s in states
    )
    if every is None or is_over:
      is_bad = any(state.failed or state.problems for state in states)
      return int(faults.Exit.FAILED if is_bad else faults.Exit.OK)
    time.sleep(every)


def lines(state: board.State) -> list[str]:
  """The lines that say how far a folder is.

  Args:
    state: of `board.state`.
  """
  phrases = [f'{state.ended:,} of {state.planned:,} trials ended']
  if state.solved:
    phrases.append(f'{state.solved:,} solved')
  if state.under_way:
    phrases.append(f'{state.under_way:,} under way')
  if state.ended < state.planned:
    if not state.working:
      phrases.append('nobody works on it')
    elif state.seconds_left is not None:
      phrases.append(f'about {time_words(state.seconds_left)} to go')
  sentences = [f'{state.name}: {", ".join(phrases)}'] if state.planned else []
  sentences += [
    f'{state.name}: {count:,} failed: {why}'
    for why, count in state.failed.items()
  ]
  return sentences + [
    line if line.startswith(state.path) else f'{state.name}: {line}'
    for line in state.problems
  ]


_COMMAND = command.Command(
  'status', define, lambda: _HELP + faults.EXIT_CODES, _read, _act
)
