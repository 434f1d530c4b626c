"""No file of a data set makes a reader ask for the moon or a terminal lie."""

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import data
from lstm_jax.lab.data.files import archives, audio, riff
from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.store.faults import Exit
from tests import hostile_files, tiny_sets

ARCHIVES = hostile_files.archives()
SOUNDS = hostile_files.sounds()


@pytest.fixture
def little_memory():
  """A megabyte that is asked for beyond half a gigabyte is refused."""
  with open('/proc/self/statm') as file:
    now = int(file.read().split()[0]) * resource.getpagesize()
  before = resource.getrlimit(resource.RLIMIT_AS)
  resource.setrlimit(resource.RLIMIT_AS, (now + 2**29, before[1]))
  yield
  resource.setrlimit(resource.RLIMIT_AS, before)


def one_clean_line(text):
  assert text.isprintable(), text
  assert len(text) < 3000


@pytest.mark.parametrize('case', ARCHIVES)
def test_an_archive(case, tmp_path, little_memory, capsys):
  ending, content, words = ARCHIVES[case]
  path = tmp_path / f'UrbanSound8K.{ending}'
  path.write_bytes(content() if callable(content) else content)
  argv = ['data', 'urban_sound', f'--data_dir={tmp_path}']
  code = data.main(argv)
  said = capsys.readouterr().err.splitlines()
  if words is None:
    assert code == 0, said
    return
  assert code == Exit.BAD_DATA, said
  one_clean_line(said[-1])
  assert str(path) in said[-1]
  with pytest.raises(BadData, match=words):
    with archives.opened(path, tmp_path) as archive:
      for name in archive.sizes:
        archive.read(name)


def test_what_is_left_out_is_named_cleanly(tmp_path, capsys):
  content = ARCHIVES['escapes in a name'][1]
  (tmp_path / 'urbansound8k.tar').write_bytes(content)
  argv = ['data', 'urban_sound', f'--data_dir={tmp_path}', '--skip_bad']
  assert data.main(argv) == 0
  out = capsys.readouterr().out
  assert '\x1b' not in out and '\\x1b[2J' in out
  assert 'urban_sound: all is well' not in out.splitlines()


@pytest.mark.parametrize('case', SOUNDS)
def test_a_sound(case, little_memory):
  content, words = SOUNDS[case]
  if words is None:
    assert audio.decode(content, 'a.wav').rate == 8000
    return
  with pytest.raises(BadData, match=words) as error:
    audio.decode(content, 'a\x1b[2J\n.wav')
  one_clean_line(str(error.value))
  assert str(error.value).startswith('a\\x1b[2J\\n.wav: ')


def edited(content, edits):
  """Bytes with some of them replaced, and perhaps cut."""
  changed = bytearray(content)
  for at, value in edits:
    if changed:
      changed[at % len(changed)] = value
  return bytes(changed)


EDITS = st.lists(
  st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=6
)


@given(st.sampled_from(sorted(SOUNDS)), EDITS, st.integers(0, 200))
def test_no_sound_is_more_than_it_is(case, edits, cut):
  content = edited(SOUNDS[case][0], [(at % 64, v) for at, v in edits])
  content = content[: len(content) - cut] if cut < 20 else content
  try:
    clip = audio.decode(content, 'a.wav')
  except BadData as error:
    one_clean_line(str(error))
    return
  assert clip.samples.size <= 8 * len(content) + 64
  assert riff.RATES[0] <= clip.rate <= riff.RATES[1]
  assert len(clip.samples) <= riff.LONGEST * clip.rate


@given(
  st.sampled_from(['honest', 'nested', 'case', 'cut', 'sparse']),
  EDITS,
  st.integers(0, 600),
)
def test_no_archive_is_more_than_it_is(tmp_path_factory, case, edits, cut):
  content = edited(ARCHIVES[case][1], edits)[: -cut or None]
  path = tmp_path_factory.getbasetemp() / 'fuzzed.tar'
  path.write_bytes(content)
  try:
    with archives.opened(path, path.parent) as archive:
      held = [archive.read(name) for name in archive.sizes]
  except BadData as error:
    one_clean_line(str(error))
    return
  assert sum(map(len, held)) <= len(content)


@pytest.mark.parametrize(
  'name', ['\x1b[2J.wav', 'a\nb.wav', 'a\u202e.wav', '\x07.wav']
)
def test_a_file_that_is_called_so(name, tmp_path, capsys):
  home = tiny_sets.urban(tmp_path)
  (home / 'audio' / 'fold1' / name).write_bytes(b'')
  argv = ['data', 'urban_sound', f'--data_dir={tmp_path}']
  assert data.main(argv) == Exit.BAD_DATA
  said = capsys.readouterr().err.splitlines()
  one_clean_line(said[-1])
  assert 'is not listed' in said[-1]
