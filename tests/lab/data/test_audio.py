"""Sound files: what is read is what was written, and bad files say why."""

import io
import struct
import sys

import numpy as np
import pytest

from lstm_jax.lab.data.files import audio
from lstm_jax.lab.data.files.errors import BadData
from tests import tiny_sets as tiny

RAMP = np.array([-1.0, -0.5, 0.0, 0.25, 0.75], np.float64)


def pcm(bits):
  """`RAMP` as integers of so many bits, and their bytes."""
  whole = np.round(RAMP * 2 ** (bits - 1)).astype(np.int64)
  if bits == 8:
    return whole, (whole + 128).astype(np.uint8).tobytes()
  return whole, b''.join(int(w).to_bytes(bits // 8, 'little', signed=True)
                         for w in whole)  # fmt: skip


@pytest.mark.parametrize('bits', [8, 16, 24, 32])
@pytest.mark.parametrize('form', [tiny.fmt, tiny.extensible])
def test_integers_of_any_depth(form, bits, tmp_path):
  whole, content = pcm(bits)
  head = form(1, bits=bits)
  path = tmp_path / 'a.wav'
  path.write_bytes(tiny.riff(head, content))
  clip = audio.read(path)
  assert (clip.rate, clip.bits, clip.codec) == (8000, bits, 'PCM')
  assert clip.samples.dtype == np.float32
  back = clip.samples[:, 0].astype(np.float64) * 2 ** (bits - 1)
  np.testing.assert_array_equal(back, whole)


@pytest.mark.parametrize('bits', [32, 64])
def test_floats(bits):
  content = RAMP.astype(f'<f{bits // 8}').tobytes()
  clip = audio.decode(tiny.riff(tiny.extensible(3, bits), content), 'a')
  assert (clip.bits, clip.codec) == (bits, 'float')
  np.testing.assert_array_equal(clip.samples[:, 0], RAMP.astype(np.float32))


def test_every_16_bit_number_comes_back():
  whole = np.arange(-32768, 32768, dtype=np.int16).reshape(-1, 1)
  clip = audio.decode(tiny.wav(whole), 'a')
  np.testing.assert_array_equal(clip.samples * 32768, whole)
  assert np.abs(clip.samples).max() == 1


@pytest.mark.parametrize('channels', [1, 2, 5])
@pytest.mark.parametrize('rate', [11025, 96000])
def test_channels_and_rates(channels, rate):
  values = tiny.samples(30, channels)
  clip = audio.decode(tiny.wav(values, rate), 'a')
  assert clip.rate == rate
  np.testing.assert_array_equal(clip.samples * 32768, values)


@pytest.mark.parametrize('note', [b'', b'LIST\4\0\0\0abcd', b'odd \1\0\0\0a\0'])
@pytest.mark.parametrize('end', [b'', b'id3 \4\0\0\0abcd', b'id3 \xff\0\0\0ab'])
def test_other_chunks_are_passed_over(note, end):
  # A note that is itself cut short comes after samples that are whole.
  whole, content = pcm(16)
  clip = audio.decode(
    tiny.riff(tiny.fmt(), content, before=note, after=end), 'a'
  )
  np.testing.assert_array_equal(clip.samples[:, 0] * 32768, whole)


def test_what_scipy_writes_is_read(tmp_path):
  from scipy.io import wavfile

  values = tiny.samples(40, 2)
  wavfile.write(tmp_path / 'a.wav', 44100, values)
  clip = audio.read(tmp_path / 'a.wav')
  np.testing.assert_array_equal(clip.samples * 32768, values)


GOOD = tiny.wav()
DATA = tiny.samples().tobytes()
nan, inf = np.full(8, 0.5, '<f4'), np.full(8, 0.5, '<f4')
nan[5], inf[2] = np.nan, np.inf
BAD = {
  'empty': (b'', 'is empty'),
  'no RIFF': (b'<html>' + GOOD, 'no RIFF WAVE'),
  'RIFX': (b'RIFX' + GOOD[4:], 'no RIFF WAVE'),
  'no WAVE': (GOOD[:8] + b'AVI ' + GOOD[12:], 'no RIFF WAVE'),
  'short head': (GOOD[:11], 'no RIFF WAVE'),
  'truncated': (GOOD[:-10], 'cut short'),
  'truncated to its head': (GOOD[:44], 'cut short'),
  'data promises more': (
    tiny.riff(tiny.fmt(), DATA, data_said=len(DATA) + 2), 'cut short'),
  'streamed': (
    tiny.riff(tiny.fmt(), DATA, said=2**32 - 1, data_said=2**32 - 1),
    'cut short'),
  'data promises less': (
    tiny.riff(tiny.fmt(), b'\xff' * 160, data_said=100), 'wrong length'),
  'file promises less': (
    tiny.riff(tiny.fmt(), DATA, said=100), 'wrong length'),
  'file promises more': (
    tiny.riff(tiny.fmt(), DATA, said=300), 'cut short: the header says 308'),
  'ends in a frame': (tiny.riff(tiny.fmt(channels=2), DATA[:-2]), 'cut short'),
  'no format': (
    b'RIFF' + struct.pack('<I', 172) + b'WAVE' + GOOD[36:], 'no fmt chunk'),
  'no data': (
    b'RIFF' + struct.pack('<I', 28) + b'WAVEfmt \x10\0\0\0' + tiny.fmt(),
    'no data chunk'),
  'short format': (tiny.riff(tiny.fmt()[:14], DATA), 'fmt chunk of 14'),
  'short extensible': (
    tiny.riff(tiny.fmt(0xFFFE), DATA), 'extensible fmt chunk of 16'),
  'unknown codec': (tiny.riff(tiny.fmt(0x1234), DATA), 'unknown codec 0x1234'),
  'unknown extensible': (
    tiny.riff(tiny.extensible(1, 16)[:-1] + b'x', DATA), 'unknown codec'),
  'unknown extensible codec': (
    tiny.riff(tiny.extensible(0x99, 16), DATA), 'unknown codec 0x0099'),
  'no channels': (tiny.riff(tiny.fmt(channels=0), DATA), 'channels is 0'),
  'no rate': (tiny.riff(tiny.fmt(rate=0), DATA), 'rate is 0'),
  'odd depth': (tiny.riff(tiny.fmt(bits=7), DATA), '7 bits of PCM'),
  'half floats': (tiny.riff(tiny.fmt(3), DATA), '16 bits of float'),
  'wrong frame': (tiny.riff(tiny.fmt(align=4), DATA), '4 bytes a frame'),
  'no samples': (tiny.riff(tiny.fmt(), b''), 'length zero'),
  'NaN': (tiny.riff(tiny.fmt(3, bits=32), nan.tobytes()), 'first is sample 5'),
  'inf': (tiny.riff(tiny.fmt(3, bits=32), inf.tobytes()), 'first is sample 2'),
  'too large': (
    tiny.riff(tiny.fmt(3, bits=64), np.array([1e300]).tobytes()),
    'first is sample 0'),
  'cut Ogg': (b'OggS' + bytes(20), 'cut short'),
  'Ogg checksum': (b'OggS' + bytes(23), 'wrong checksum of the page at byte 0'),
}  # fmt: skip


@pytest.mark.parametrize('case', BAD)
def test_a_bad_file_is_named_with_its_reason(case, tmp_path):
  content, reason = BAD[case]
  path = tmp_path / 'clip.wav'
  path.write_bytes(content)
  with pytest.raises(BadData, match=reason) as raised:
    audio.read(path)
  text = str(raised.value)
  assert text.startswith(f'{path}: ') and '\n' not in text


@pytest.mark.parametrize('end', range(len(GOOD)))
def test_no_truncated_file_is_read(end):
  with pytest.raises(BadData, match='clip'):
    audio.decode(GOOD[:end], 'clip')


def test_no_damaged_head_raises_anything_else():
  for at in range(44):
    for value in (0, 1, 0x7F, 0xFF):
      content = bytearray(GOOD)
      content[at] = value
      try:
        clip = audio.decode(bytes(content), 'clip')
      except BadData:
        continue
      # Rate, byte rate and the like cannot be seen to be wrong.
      assert clip.samples.size == 80 * 2 // (clip.bits // 8)


def test_a_file_that_is_not_there(tmp_path):
  with pytest.raises(BadData, match='No such file'):
    audio.read(tmp_path / 'none.wav')


@pytest.mark.parametrize(
  'content', [b'fLaC', tiny.riff(tiny.fmt(7, bits=8), bytes(80))]
)
def test_without_soundfile_it_says_what_to_install(content, monkeypatch):
  monkeypatch.setitem(sys.modules, 'soundfile', None)
  with pytest.raises(BadData, match=r"pip install 'lstm_jax\[audio\]'"):
    audio.decode(content, 'clip')


def test_plain_wav_needs_no_soundfile(monkeypatch):
  monkeypatch.setitem(sys.modules, 'soundfile', None)
  assert len(audio.decode(GOOD, 'clip').samples) == 80


def written(kind, subtype, count=40_000):
  """A file as soundfile writes it, and its 16-bit samples."""
  soundfile = pytest.importorskip('soundfile', reason='reads other codecs')
  noise = np.random.default_rng(0).standard_normal(count)
  values = np.clip(noise * 4000, -32768, 32767).astype(np.int16)
  file = io.BytesIO()
  soundfile.write(file, values, 16000, format=kind, subtype=subtype)
  return file.getvalue(), values


@pytest.mark.parametrize('bits', [16, 24])
def test_flac_is_exact(bits):
  content, values = written('FLAC', f'PCM_{bits}')
  clip = audio.decode(content, 'clip')
  assert (clip.rate, clip.bits, clip.codec) == (16000, bits, f'PCM_{bits}')
  np.testing.assert_array_equal(clip.samples[:, 0] * 32768, values)


@pytest.mark.parametrize(
  'kind, subtype',
  [
    ('WAV', 'MS_ADPCM'),
    ('WAV', 'IMA_ADPCM'),
    ('WAV', 'ULAW'),
    ('WAV', 'ALAW'),
    ('WAVEX', 'ULAW'),
    ('OGG', 'VORBIS'),
  ],
)
def test_lossy_codecs(kind, subtype):
  content, values = written(kind, subtype)
  clip = audio.decode(content, 'clip')
  assert (clip.rate, clip.bits, clip.codec) == (16000, 16, subtype)
  # Codecs of blocks fill their last one.
  assert len(values) <= len(clip.samples) < len(values) + 2048
  off = clip.samples[: len(values), 0] * 32768 - values
  assert np.std(off) < 0.7 * np.std(values)


@pytest.mark.parametrize(
  'kind, subtype',
  [('FLAC', 'PCM_16'), ('OGG', 'VORBIS'), ('WAV', 'MS_ADPCM'), ('WAV', 'ULAW')],
)
def test_no_truncated_file_of_another_codec_is_read(kind, subtype):
  content, _ = written(kind, subtype)
  for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
    with pytest.raises(BadData, match='clip'):
      audio.decode(content[: int(share * len(content))], 'clip')


def test_a_flac_file_that_promises_less_is_not_read():
  content, _ = written('FLAC', 'PCM_16')
  facts = int.from_bytes(content[18:26], 'big') - 1000
  with pytest.raises(BadData, match='do not have the checksum'):
    audio.decode(content[:18] + facts.to_bytes(8, 'big') + content[26:], 'clip')


def test_what_soundfile_leaves_out_is_noticed(monkeypatch):
  content, _ = written('OGG', 'VORBIS')
  import soundfile

  read = soundfile.SoundFile.read
  monkeypatch.setattr(
    soundfile.SoundFile, 'read', lambda *args, **how: read(*args, **how)[:-1]
  )
  with pytest.raises(BadData, match='39,999 frames, it says 40,000'):
    audio.decode(content, 'clip')


def test_an_ogg_file_cut_between_pages_is_not_read():
  content, _ = written('OGG', 'VORBIS')
  ends = [
    at for at in range(1, len(content)) if content.startswith(b'OggS', at)
  ]
  assert len(ends) > 3
  for end in ends:
    with pytest.raises(BadData, match='not the end'):
      audio.decode(content[:end], 'clip')


@pytest.mark.parametrize(
  'kind, subtype', [('FLAC', 'PCM_16'), ('OGG', 'VORBIS')]
)
def test_codecs_with_checksums_are_right_or_refused(kind, subtype):
  content, _ = written(kind, subtype)
  right, refused = audio.decode(content, 'clip').samples, 0
  drawn = np.random.default_rng(1)
  for at in [*range(100), *drawn.integers(100, len(content), 100)]:
    damaged = bytearray(content)
    damaged[at] ^= 1 << drawn.integers(8)
    try:
      found = audio.decode(bytes(damaged), 'clip').samples
    except BadData:
      refused += 1
    else:
      np.testing.assert_array_equal(found, right)
  assert refused > 100
