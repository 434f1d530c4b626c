"""The display on fake streams: what is shown, when, and that it cannot fail."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_jax.lab.run import progress

SNAPSHOT = {
  'done': 37,
  'solved': 30,
  'diverged': 2,
  'running': 16,
  'sequences': 1_234_567,
  'sequences_per_second': 12_400.4,
  'lane_share': 0.934,
  'eta_seconds': 3_683.2,
  'compiling': 'adding, lstm1997',
}
ERASE = '\r\x1b[K'


class Clock:
  """A clock that is set by hand."""

  def __init__(self):
    self.now = 1_000.0

  def __call__(self):
    return self.now


class Terminal(io.StringIO):
  """A text stream that says it is a terminal."""

  encoding = 'utf-8'

  def isatty(self):
    super().isatty()  # raises where the stream is closed
    return True


def make(mode, total=96, columns=120, stream=None):
  clock, stream = Clock(), stream or Terminal()
  shown = progress.Progress(total, stream, mode, clock, lambda: columns)
  return shown, clock, stream


def test_whole_line():
  assert progress.line(SNAPSHOT, 96) == (
    '37/96 trials · 30 solved · 2 diverged · 16 running · 12,400 seq/s · '
    'lanes 93 % · 1:01:23 left · compiling adding, lstm1997 · '
    '1,234,567 sequences'
  )


def test_line_with_bar():
  assert progress.line({'done': 48, 'eta_seconds': 5}, 96, 60) == (
    '[█████████░░░░░░░░░░] 48/96 trials · 0 solved · 0:00:05 left'
  )
  assert progress.line(SNAPSHOT, 96, 80) == (
    '[███░░░░░░] 37/96 trials · 30 solved · 1:01:23 left · '
    'compiling adding, lstm1997'
  )


def test_narrow_lines_keep_the_count():
  short = {**SNAPSHOT, 'compiling': 'gru'}
  assert progress.line(short, 96, 44) == (
    '37/96 trials · 1:01:23 left · compiling gru'
  )
  # What is too long to fit makes room for the next.
  assert progress.line(SNAPSHOT, 96, 40) == (
    '37/96 trials · 30 solved · 1:01:23 left'
  )
  idle = {**SNAPSHOT, 'compiling': ''}
  assert (
    progress.line(idle, 96, 40) == '37/96 trials · 30 solved · 1:01:23 left'
  )
  assert progress.line(idle, 96, 40, unicode=False) == (
    '37/96 trials, 30 solved, 1:01:23 left'
  )
  assert progress.line(idle, 96, 5) == '37/96'


@given(
  snapshot=st.fixed_dictionaries(
    {},
    optional={
      'done': st.integers(0, 10**7),
      'solved': st.integers(0, 10**7),
      'diverged': st.integers(0, 99),
      'running': st.integers(0, 4096),
      'sequences': st.integers(0, 10**12),
      'sequences_per_second': st.floats(0, 1e9),
      'lane_share': st.floats(0, 1),
      'eta_seconds': st.none() | st.floats(),
      'compiling': st.booleans() | st.text(),
    },
  ),
  total=st.integers(0, 10**7),
  width=st.integers(1, 250),
  unicode=st.booleans(),
)
def test_any_line_fits_and_is_one_line(snapshot, total, width, unicode):
  said = progress.line(snapshot, total, width, unicode)
  assert len(said) <= width
  assert len(said.splitlines()) == 1
  assert unicode or said.isascii()


@pytest.mark.parametrize(
  ('seconds', 'text'),
  [
    (0, '0:00:00'),
    (59.6, '0:01:00'),
    (3_600, '1:00:00'),
    (360_000, '100:00:00'),
    (None, '-:--:--'),
    (float('inf'), '-:--:--'),
    (float('nan'), '-:--:--'),
    (-1, '-:--:--'),
  ],
)
def test_clock_text(seconds, text):
  assert progress.clock_text(seconds) == text


def test_live_rewrites_one_line_ten_times_a_second():
  shown, clock, stream = make('live', columns=41)
  idle = {'done': 0, 'solved': 0}
  for step in range(11):
    shown.update({**idle, 'done': step})
    clock.now += 0.0625
  shown.close()
  shown.close()
  text = stream.getvalue()
  assert re.findall(r'(\d+)/96', text) == ['0', '2', '4', '6', '8', '10']
  assert text.count('\n') == 1 and text.endswith('\n')
  lines = text.removesuffix('\n').split(ERASE)[1:]
  assert len(lines) == 6 and all(len(one) <= 40 for one in lines)


def test_plain_writes_every_ten_seconds_and_at_the_end():
  shown, clock, stream = make('plain', total=3)
  for done in (0, 1, 1, 2):
    shown.update({'done': done})
    clock.now += 4
  shown.update({'done': 3, 'solved': 3})
  shown.update({'done': 3, 'solved': 3})
  shown.close()
  assert stream.getvalue().splitlines() == [
    '0/3 trials · 0 solved · -:--:-- left',
    '2/3 trials · 0 solved · -:--:-- left',
    '3/3 trials · 3 solved',
  ]


def test_a_new_compilation_is_shown_at_once():
  shown, _, stream = make('plain')
  shown.update({'compiling': 'gru'})
  shown.update({'compiling': 'gru'})
  shown.update({'compiling': False})
  shown.update({'compiling': True})
  assert [line.split(' · ')[-1] for line in stream.getvalue().splitlines()] == [
    'compiling gru',
    'compiling a program',
  ]


def test_none_writes_nothing():
  shown, _, stream = make('none')
  shown.update(SNAPSHOT)
  shown.say('a line')
  shown.close()
  assert stream.getvalue() == ''


def test_a_line_of_its_own_takes_the_place_of_the_display():
  shown, _, stream = make('live')
  shown.update({'done': 96})
  shown.say('saved')
  shown.close()
  *_, last = stream.getvalue().split(ERASE)
  assert last == 'saved\n'


@pytest.mark.parametrize('mode', ['live', 'plain'])
def test_a_closed_stream_ends_the_display(mode):
  shown, clock, stream = make(mode)
  shown.update(SNAPSHOT)
  stream.close()
  clock.now += 60
  shown.update(SNAPSHOT)
  shown.say('a line')
  shown.close()
  assert progress.choose_mode(stream) == 'none'


def test_a_broken_pipe_ends_the_display():
  class Broken(Terminal):
    writes = 0

    def write(self, text):
      self.writes += 1
      raise BrokenPipeError

  shown, clock, stream = make('live', stream=Broken())
  for _ in range(3):
    shown.update(SNAPSHOT)
    clock.now += 60
  shown.close()
  assert stream.writes == 1


def test_ascii_stream():
  raw = io.BytesIO()
  shown, _, stream = make('live', stream=io.TextIOWrapper(raw, 'ascii'))
  shown.update(SNAPSHOT)
  shown.close()
  stream.flush()
  assert b'37/96 trials, ' in raw.getvalue()
  assert b'[#' in raw.getvalue()


def test_choose_mode(monkeypatch):
  monkeypatch.setenv('TERM', 'xterm')
  assert progress.choose_mode(Terminal()) == 'live'
  assert progress.choose_mode(io.StringIO()) == 'plain'
  monkeypatch.setenv('TERM', 'dumb')
  assert progress.choose_mode(Terminal()) == 'plain'


def test_unknown_mode():
  with pytest.raises(
    ValueError, match="mode='off' must be one of live, plain, none"
  ):
    make('off')


def test_time_left_is_estimated_rarely_and_runs_down():
  now, made = [0.0], []

  def estimate():
    made.append(now[0])
    now[0] += 0.05  # a plan of thousands
    return 100.0

  left = progress.TimeLeft(clock=lambda: now[0])
  shown = []
  for _ in range(200):
    shown.append(left.after(estimate))
    now[0] += 0.1
  # At most a hundredth of the twenty seconds, the first one apart.
  assert len(made) in range(3, 7)
  assert shown[0] == 100.0 and shown[10] == pytest.approx(98.95, abs=0.2)
  assert progress.TimeLeft().after(lambda: None) is None
