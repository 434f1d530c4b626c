"""The live display of a sweep.

A line that rewrites itself on a terminal, a plain line now and then elsewhere.
It is made from a snapshot alone; a display that cannot be written is dropped,
never an error: no sweep fails for its progress bar.
"""

import math
import os
import shutil
import time
from collections.abc import Callable
from typing import TextIO, TypedDict

from lstm_jax.choices import one_of

MODES = ('live', 'plain', 'none')

_LIVE_EVERY = 0.1  # seconds
_PLAIN_EVERY = 10.0
_LONGEST_BAR = 30
_SHORTEST_BAR = 5
_BAR_FROM = 60  # columns: wider lines keep room for the bar
# Of the time at most, to estimate how much of it is left.
_ESTIMATE_SHARE = 0.01
_ERASE = '\r\x1b[K'  # to the start of the line, erase what is there


class Snapshot(TypedDict, total=False):
  """The state of a sweep; what is not there is not shown.

  Attributes:
    done: trials that have ended.
    solved: how many of those; None: nothing can be.
    diverged: how many of those.
    note: how the one that was last heard of is doing.
    running: trials in a place right now.
    sequences: training sequences shown so far.
    sequences_per_second: of them.
    lane_share: share of the places doing useful work, 0 to 1.
    eta_seconds: time left, None while it is not known.
    compiling: what is being compiled, or True; empty or False if nothing.
  """

  done: int
  solved: int | None
  diverged: int
  note: str
  running: int
  sequences: float
  sequences_per_second: float | None
  lane_share: float | None
  eta_seconds: float | None
  compiling: str | bool


class TimeLeft:
  """Estimates the time left, now and then.

  An estimate goes through all trials of a plan; ten times a second that took a
  third of a core where there were thousands. In between the last one runs down.
  """

  def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
    self._clock = clock
    self._value: float | None = None
    self._made, self._next = 0.0, -math.inf

  def after(self, estimate: Callable[[], float | None]) -> float | None:
    """Seconds left, by a new estimate if it is time for one."""
    now = self._clock()
    if now >= self._next:
      self._value = estimate()
      self._made = now
      took = self._clock() - now
      self._next = now + took / _ESTIMATE_SHARE
    if self._value is None:
      return None
    return max(self._value - (now - self._made), 0.0)


def choose_mode(stream: TextIO) -> str:
  """`live` where lines can be rewritten, else `plain`."""
  try:
    terminal = stream.isatty()
  except ValueError:  # closed
    return 'none'
  dumb = os.environ.get('TERM', '') in ('', 'dumb')
  return 'live' if terminal and not dumb else 'plain'


def clock_text(seconds: float | None) -> str:
  """Seconds as h:mm:ss; -:--:-- where they are not known."""
  if seconds is None or not 0 <= seconds < 1e9:
    return '-:--:--'
  minutes, seconds_left = divmod(round(seconds), 60)
  return f'{minutes // 60}:{minutes % 60:02}:{seconds_left:02}'


def line(
  snapshot: Snapshot,
  total: int,
  width: int | None = None,
  unicode: bool = True,
) -> str:
  """One line of display.

  Args:
    snapshot: how it stands.
    total: trials of the sweep.
    width: most characters the line may have. Facts go in by need, the count of
      trials first. None: no limit and no bar.
    unicode: False writes ASCII alone.

  Returns:
    The line, without a newline.
  """
  num_done = snapshot.get('done', 0)
  count = f'{num_done:,}/{total:,} trials'
  left = f'{clock_text(snapshot.get("eta_seconds"))} left'
  rate, share = snapshot.get('sequences_per_second'), snapshot.get('lane_share')
  num_solved = snapshot.get('solved', 0)
  diverged, num_running = snapshot.get('diverged'), snapshot.get('running')
  sequences, program = snapshot.get('sequences'), snapshot.get('compiling')
  compiling = (
    program if isinstance(program, str) else '' if not program else 'a program'
  )
  compiling = compiling and f'compiling {" ".join(compiling.split())}'
  # (need, fact) in the order shown; no two needs are equal.
  facts = [
    (9, count),
    (6, '' if num_solved is None else f'{num_solved:,} solved'),
    (4, snapshot.get('note', '')),
    (3, f'{diverged:,} diverged' if diverged else ''),
    (2, f'{num_running:,} running' if num_running else ''),
    (5, '' if rate is None else f'{rate:,.0f} seq/s'),
    (1, '' if share is None else f'lanes {100 * share:.0f} %'),
    (7, left if num_done < total else ''),
    (8, compiling),
    (0, f'{sequences:,} sequences' if sequences else ''),
  ]
  separator = ' · ' if unicode else ', '
  room = math.inf
  if width is not None:
    room = width if width < _BAR_FROM else width - _SHORTEST_BAR - 3
  ranks: set[int] = set()
  for rank, fact in sorted(facts, reverse=True):
    size = len(fact) + len(separator) * bool(ranks)
    if fact and (not ranks or size <= room):
      ranks.add(rank)
      room -= size
  text = separator.join(fact for rank, fact in facts if rank in ranks)
  if not unicode:
    text = text.encode('ascii', 'replace').decode()
  if width is None:
    return text
  room = min(_LONGEST_BAR, width - len(text) - 3)
  if room >= _SHORTEST_BAR:
    num_full = room * min(num_done, total) // total if total else room
    marks = '█░' if unicode else '#.'
    return f'[{marks[0] * num_full}{marks[1] * (room - num_full)}] {text}'
  return text[: max(width, 0)]


class Progress:
  """Writes snapshots to a stream.

  Live, at most ten times a second; plain, at most every ten seconds; the first
  snapshot, the last and every new thing to compile are always written.
  """

  def __init__(
    self,
    total_trials: int,
    stream: TextIO,
    mode: str,
    clock: Callable[[], float] = time.monotonic,
    columns: Callable[[], int] | None = None,
  ) -> None:
    """Writes nothing yet.

    Args:
      total_trials: trials of the sweep.
      stream: text stream, usually stderr.
      mode: one of `MODES`; `choose_mode(stream)` says which suits.
      clock: seconds that never jump.
      columns: width of the terminal, asked for every line.

    Raises:
      ValueError: unknown mode.
    """
    if mode not in MODES:
      raise ValueError(f'mode={mode!r} {one_of(MODES)}')
    self._total, self._stream, self._mode = total_trials, stream, mode
    self._clock = clock
    self._columns = columns or (lambda: shutil.get_terminal_size().columns)
    self._every = _LIVE_EVERY if mode == 'live' else _PLAIN_EVERY
    self._last: tuple[float, bool, object] | None = None
    self._open = False
    self._unicode = _can_write('█░·', stream)

  def update(self, snapshot: Snapshot) -> None:
    """Shows a snapshot, unless the one before was only just shown."""
    if self._mode == 'none':
      return
    clock_now = self._clock()
    is_over = snapshot.get('done', 0) >= self._total
    compiling = snapshot.get('compiling')
    if self._last is not None:
      clock_then, had_ended, compiled = self._last
      new = (is_over and not had_ended) or (compiling and compiling != compiled)
      if clock_now - clock_then < self._every and not new:
        return
    self._last = (clock_now, is_over, compiling)
    if self._mode == 'plain':
      self._write(line(snapshot, self._total, None, self._unicode) + '\n')
      return
    # The last column stays free: some terminals wrap when it is written.
    width = max(self._columns() - 1, 1)
    self._open = True
    self._write(_ERASE + line(snapshot, self._total, width, self._unicode))

  def say(self, text: str) -> None:
    """Writes a line of its own, above the display; nothing in mode none."""
    if self._mode != 'none':
      self._write((_ERASE if self._open else '') + text + '\n')
      self._open = False

  def close(self) -> None:
    """Ends the line that is being rewritten; what was shown stays."""
    if self._open:
      self._write('\n')
    self._open = False

  def _write(self, text):
    try:
      self._stream.write(text)
      self._stream.flush()
    except (OSError, ValueError):  # gone, closed, or cannot encode
      self._mode, self._open = 'none', False


def _can_write(text, stream):
  """Tells whether the stream's encoding has these characters."""
  try:
    text.encode(getattr(stream, 'encoding', None) or 'utf-8')
  except (LookupError, UnicodeEncodeError):
    return False
  return True
