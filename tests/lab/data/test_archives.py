"""Archives: read where they lie, refused where they are not honest."""

import hashlib
import tarfile

import pytest

from lstm_jax.lab.data.files import archives
from lstm_jax.lab.data.files.errors import BadData
from tests import tiny_sets as tiny

FILES = [('set/a.txt', b'first'), ('set/b/c.txt', bytes(3000)), ('set/d', b'')]
MODES = {'a.tar': 'w', 'a.tar.gz': 'w:gz', 'a.tgz': 'w:gz', 'a.tar.xz': 'w:xz'}


def contents(path, report=None):
  given = () if report is None else (report,)
  with archives.opened(path, path.parent, *given) as archive:
    return {name: archive.read(name) for name in archive.sizes}


@pytest.mark.parametrize('name', MODES)
def test_all_files_are_read(name, tmp_path):
  path = tiny.tar(tmp_path / name, FILES, MODES[name])
  assert contents(path) == dict(FILES)
  with archives.opened(path, tmp_path) as archive:
    assert archive.sizes == {name: len(data) for name, data in FILES}
  assert list(tmp_path.iterdir()) == [path]


def test_leading_dots_are_no_part_of_a_name(tmp_path):
  path = tiny.tar(tmp_path / 'a.tar', [('./set/a', b'x'), ('set//b', b'y')])
  assert contents(path) == {'set/a': b'x', 'set/b': b'y'}


def member(name, kind, target=''):
  made = tarfile.TarInfo(name)
  made.type, made.linkname = kind, target
  return made


REFUSED = {
  'absolute': ('/etc/passwd', 'an absolute name'),
  'climbing': ('../outside', r"a name with '\.\.'"),
  'climbing inside': ('set/../../outside', r"a name with '\.\.'"),
  'symlink': (member('set/l', tarfile.SYMTYPE, '/etc'), 'a link to /etc'),
  'hard link': (member('set/l', tarfile.LNKTYPE, 'set/a.txt'), 'a link to set'),
  'device': (member('set/dev', tarfile.CHRTYPE), 'no file and no folder'),
  'fifo': (member('set/fifo', tarfile.FIFOTYPE), 'no file and no folder'),
  'twice': ('set/a.txt', 'is there twice'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_members_that_are_refused(case, tmp_path):
  made, reason = REFUSED[case]
  path = tiny.tar(tmp_path / 'a.tar', [*FILES, (made, b'')])
  with pytest.raises(BadData, match=reason) as raised:
    contents(path)
  named = made if isinstance(made, str) else made.name
  assert str(raised.value).startswith(f'{path}: member {named}: ')
  left_out = []
  assert contents(path, left_out.extend) == dict(FILES)
  assert len(left_out) == 1


@pytest.mark.parametrize('name', MODES)
def test_no_truncated_archive_is_read(name, tmp_path):
  # Files that do not compress: gzip and xz then end where the tar does.
  files = [(f'set/{i}', tiny.samples(700, seed=i).tobytes()) for i in range(4)]
  whole = tiny.tar(tmp_path / name, files, MODES[name]).read_bytes()
  ends = (
    range(0, 8 * 1024, 512) if name == 'a.tar' else range(0, len(whole), 97)
  )
  for end in ends:
    (tmp_path / name).write_bytes(whole[:end])
    with pytest.raises(BadData, match='damaged or cut short'):
      contents(tmp_path / name)


def test_a_damaged_header_is_not_the_end(tmp_path):
  path = tiny.tar(tmp_path / 'a.tar', FILES)
  damaged = bytearray(path.read_bytes())
  damaged[1024 + 10] ^= 1  # in the header of the second member
  path.write_bytes(damaged)
  with pytest.raises(BadData, match='no member and no end at byte 1,024'):
    contents(path)


@pytest.mark.parametrize('name', ['a.tar.gz', 'a.tar.xz'])
def test_a_flipped_bit_in_a_compressed_archive_is_seen(name, tmp_path):
  files = [('set/a', tiny.samples(2000).tobytes())]
  path = tiny.tar(tmp_path / name, files, MODES[name])
  damaged = bytearray(path.read_bytes())
  damaged[len(damaged) // 2] ^= 1
  path.write_bytes(damaged)
  with pytest.raises(BadData, match='damaged or cut short'):
    contents(path)


@pytest.mark.parametrize('content', [b'', b'<html></html>', b'\x1f\x8b<html>'])
def test_what_is_no_archive(content, tmp_path):
  path = tmp_path / 'a.tar.gz'
  path.write_bytes(content)
  with pytest.raises(BadData, match='a.tar.gz: damaged or cut short'):
    contents(path)


def test_an_archive_that_is_not_there(tmp_path):
  with pytest.raises(BadData, match='No such file'):
    contents(tmp_path / 'a.tar')


def test_checksums(tmp_path):
  path = tmp_path / 'a'
  path.write_bytes(b'content')
  right = hashlib.sha256(b'content').hexdigest()
  archives.checked(path, right, 7)
  with pytest.raises(BadData, match='7 bytes, the published file has 8'):
    archives.checked(path, right, 8)
  with pytest.raises(BadData, match=f'wrong checksum: sha256 {right}, '):
    archives.checked(path, '0' * 64, 7)
