"""The network of each folder that is looked at, and what is seen of it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from lstm_jax.lab.serve.board import Line
from lstm_jax.lab.serve.inside import Closed, Follower, Inside
from lstm_jax.lab.serve.links import Selection
from lstm_jax.lab.serve.look import Look
from lstm_jax.lab.serve.watching import Watch
from lstm_jax.lab.store import faults
from lstm_jax.lab.store.setting import Setting

# A folder as it is, and its rows.
Board = tuple[Look, list[Line]]
MAX_VIEWS = 4  # that stand side by side


class Side(NamedTuple):
  """A row of a folder that is looked at, beside others.

  Attributes:
    folder: which of the folders it is in, from 0.
    line: the row.
    name: tells it from the others; '' where it is alone.
    trial: id of the trial whose networks are looked at; '' for none.
  """

  folder: int
  line: Line
  name: str
  trial: str


class View(NamedTuple):
  """A network of a folder, followed over a sequence.

  Attributes:
    summary: which network it is, or why there is nothing to see.
    inside: what is seen; None: nothing.
  """

  summary: str
  inside: Inside | None = None


def view(
  watch: Watch,
  trial: str,
  at: int,
  seed: int,
  follower: Callable[[Setting], Follower],
) -> View:
  """The newest network of a trial that had seen no more than so much.

  Args:
    watch: of the folder.
    trial: its id, '' for none.
    at: training sequences, or epochs.
    seed: number of the sequence that it is followed over.
    follower: of a setting, see `inside.follower`.
  """
  if not trial:
    return View('No network of this row is kept here.')
  setting = watch.look().trials.get(trial)
  try:
    networks = watch.networks(trial)
    fitting = [network for network in networks if network[0] <= at] or list(
      networks[:1]
    )
    if setting is None or not fitting:
      return View('No network of this trial is kept.')
    count, params = fitting[-1]
    inside = follower(setting)(params, seed)
  except (Closed, faults.StoreError, faults.Machine) as error:
    return View(str(error))
  cut = ', '.join(inside.cut)
  flow = f' The rule lets no error pass through {cut}.' if cut else ''
  if inside.words:
    words = f'Trial {trial} after {count:,} epochs, {inside.words}'
  else:
    words = (
      f'Trial {trial} after {count:,} training sequences: mean error '
      f'{inside.loss:.3g} on this sequence'
    )
  return View(f'{words}.{flow}', inside)


def sides(
  boards: Sequence[Board], selection: Selection, names: Sequence[str]
) -> list[Side]:
  """The rows that are looked at, side by side, each in every folder with it.

  Args:
    boards: of the folders.
    selection: what is asked for.
    names: of the folders.
  """
  matches = _matches(boards, selection)[:MAX_VIEWS]
  rows = {line.key for _, _, line in matches}
  folders = {i for i, _, _ in matches}
  side_list = []
  for i, look, line in matches:
    words = [line.setting.row] if len(rows) > 1 else []
    words += [names[i]] if len(folders) > 1 else []
    trial = _trial_of(look, line, selection)
    side_list.append(Side(i, line, ', '.join(words), trial))
  return side_list


def num_left_out(boards: Sequence[Board], selection: Selection) -> int:
  """Returns how many of the rows asked for have no place among the `sides`."""
  return max(len(_matches(boards, selection)) - MAX_VIEWS, 0)


def _matches(boards, selection):
  """The rows asked for: number of a folder, the folder as it is, the row."""
  return [
    (i, look, line)
    for key in selection.rows
    for i, (look, lines) in enumerate(boards)
    for line in lines
    if line.key == key
  ]


def _trial_of(look, line, selection):
  """The trial of a row whose networks are shown; '' for none."""
  solved_trials = [
    name for name in line.kept
    if name in look.records and look.records[name]['status'] == 'solved'
  ]  # fmt: skip
  chosen_trials = [name for name in line.kept if name in selection.trials]
  return next(iter((*chosen_trials, *solved_trials, *line.kept)), '')


def counts(watch: Watch, trial: str) -> list[int]:
  """Counts of what the kept networks of a trial had seen."""
  try:
    return [count for count, _ in watch.networks(trial)] if trial else []
  except faults.StoreError:
    return []


def place_of(numbers: Sequence[int], wanted: int) -> int:
  """The place of the last number that is not above."""
  return max(sum(number <= wanted for number in numbers) - 1, 0)
