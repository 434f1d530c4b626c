"""The header of a WAV file, believed only where the file bears it out.

Readers of WAV tend to return what they find and warn. Here a file that holds
less than its header says, or more, is an error: nothing is shortened in
silence.

Source: Multimedia Programming Interface and Data Specifications 1.0 (IBM and
Microsoft, 1991), and the definition of WAVEFORMATEXTENSIBLE.
"""

import struct
from typing import NamedTuple

PCM, FLOAT = 1, 3
RATES = (1_000, 768_000)  # frames a second
CHANNELS = 64
LONGEST = 60.0  # seconds; the clips of all collections last 4 or 5
CODECS = {
  PCM: 'PCM',
  2: 'MS ADPCM',
  FLOAT: 'float',
  6: 'A-law',
  7: 'mu-law',
  17: 'IMA ADPCM',
  49: 'GSM 6.10',
  85: 'MP3',
}

_EXTENSIBLE = 0xFFFE
# What follows the codec in the GUID of an extensible format.
_GUID_TAIL = bytes.fromhex('000000001000800000aa00389b71')
_FMT = struct.Struct('<HHIIHH')
_CHUNK = struct.Struct('<4sI')


class Header(NamedTuple):
  """The header of a WAV file: what it says of its samples.

  Attributes:
    codec: number of the format; a key of `CODECS`, or unknown.
    channels: number of channels.
    rate: frames a second.
    bits: bits of a sample; ADPCM and its like: of a stored one.
    align: bytes of a frame, of a block where the codec has blocks.
    start: first byte of the samples.
    size: bytes of the samples.
  """

  codec: int
  channels: int
  rate: int
  bits: int
  align: int
  start: int
  size: int


def header(content: bytes) -> Header:
  """Reads and checks the header.

  Args:
    content: the bytes of the file.

  Returns:
    `Header`.

  Raises:
    ValueError: the reason why this is no whole WAV file.
  """
  if len(content) < 12 or content[:4] != b'RIFF' or content[8:12] != b'WAVE':
    raise ValueError(f'no RIFF WAVE file, it starts with {content[:12]!r}')
  (size_said,) = struct.unpack_from('<I', content, 4)
  num_bytes = len(content) - 8
  if size_said > num_bytes + size_said % 2:
    raise ValueError(
      f'cut short: the header says {size_said + 8:,} bytes, there are '
      f'{num_bytes + 8:,}'
    )
  # Fewer bytes than a chunk's head are leftovers of an editor, no samples.
  if num_bytes - size_said >= _CHUNK.size:
    raise ValueError(
      f'wrong length in the header: {size_said + 8:,} bytes, there are '
      f'{num_bytes + 8:,}'
    )
  fmt, data = None, None
  for name, start, size in _chunks(content):
    if name == b'fmt ' and fmt is None:
      fmt = _format(content[start : start + size])
    elif name == b'data' and data is None:
      data = start, size
  if fmt is None or data is None:
    raise ValueError(f'no {"fmt" if fmt is None else "data"} chunk')
  return _check(Header._make((*fmt, *data)))


def _chunks(content):
  """`(name, start, size)` of each chunk; the samples' must be all there."""
  at, has_data = 12, False
  while len(content) - at >= _CHUNK.size:
    name, size = _CHUNK.unpack_from(content, at)
    if not (name.isascii() and name.decode('ascii', 'replace').isprintable()):
      raise ValueError(
        f'wrong length in a header: byte {at:,} should start a chunk, it is '
        f'{name!r}'
      )
    at += _CHUNK.size
    num_left = len(content) - at
    if size > num_left:
      if has_data:
        return  # a note after the samples, which are whole
      raise ValueError(
        f'cut short: its {name.decode().strip()} chunk says {size:,} bytes, '
        f'there are {num_left:,}'
      )
    yield name, at, size
    has_data = has_data or name == b'data'
    at += size + size % 2


def _format(chunk):
  """codec, channels, rate, bits, align of a format chunk."""
  if len(chunk) < _FMT.size:
    raise ValueError(
      f'wrong length in the header: a fmt chunk of {len(chunk)} bytes'
    )
  codec, channels, rate, _, align, bits = _FMT.unpack_from(chunk)
  if codec == _EXTENSIBLE:
    if len(chunk) < 40:
      raise ValueError(
        'wrong length in the header: an extensible fmt chunk of '
        f'{len(chunk)} bytes'
      )
    codec = int.from_bytes(chunk[24:26], 'little')
    if chunk[26:40] != _GUID_TAIL:
      raise ValueError(f'unknown codec {chunk[24:40].hex()}')
  return codec, channels, rate, bits, align


def bounded(rate: int, channels: int, frames: int) -> None:
  """Checks what a header says before any of it is used.

  Args:
    rate: frames a second.
    channels: number of them.
    frames: of the clip.

  Raises:
    ValueError: no clip has such numbers.
  """
  low, high = RATES
  for name, value in (('channels', channels), ('rate', rate)):
    if not value:
      raise ValueError(f'wrong header: {name} is 0')
  if not low <= rate <= high:
    raise ValueError(
      f'wrong header: a rate of {rate:,} Hz, must be {low:,} to {high:,}'
    )
  if channels > CHANNELS:
    raise ValueError(
      f'wrong header: {channels:,} channels, more than {CHANNELS}'
    )
  if frames > LONGEST * rate:
    raise ValueError(
      f'lasts {frames / rate:,.0f} s, more than the {LONGEST:g} of any clip'
    )


def _check(head):
  """`head` if its numbers agree."""
  # The samples of a coded block are counted where they are decoded.
  is_pcm = head.codec in (PCM, FLOAT) and head.align
  frames = head.size // head.align if is_pcm else 0
  bounded(head.rate, head.channels, frames)
  if head.codec not in CODECS:
    raise ValueError(f'unknown codec 0x{head.codec:04x}')
  if head.codec in (PCM, FLOAT):
    widths = (8, 16, 24, 32) if head.codec == PCM else (32, 64)
    if head.bits not in widths:
      raise ValueError(
        f'wrong header: {head.bits} bits of {CODECS[head.codec]}, known are '
        + ', '.join(map(str, widths))
      )
    if head.align != head.channels * head.bits // 8:
      raise ValueError(
        f'wrong header: {head.align} bytes a frame where {head.channels} '
        f'channels of {head.bits} bits are {head.channels * head.bits // 8}'
      )
    if head.size % head.align:
      raise ValueError(
        f'cut short: {head.size:,} bytes of samples end within a frame of '
        f'{head.align}'
      )
  if not head.size:
    raise ValueError('no samples: a clip of length zero')
  return head
