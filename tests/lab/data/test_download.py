"""IMDB is downloaded, checked, and its failures say what to do."""

import functools
import hashlib
import http.server
import threading

import pytest

from lstm_jax.lab.data.files import making, published, reviews
from lstm_jax.lab.data.files.errors import BadData, Missing
from tests import tiny_sets as tiny
from tests.tiny_sets import load


@pytest.fixture(autouse=True)
def few_reviews(monkeypatch):
  monkeypatch.setattr(reviews, 'REVIEWS_OF_CLASS', 3)


@pytest.fixture
def server(tmp_path):
  """A server of `tmp_path/web` on this machine; yields its address."""
  (tmp_path / 'web').mkdir()
  handler = functools.partial(Silent, directory=tmp_path / 'web')
  with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as made:
    threading.Thread(target=made.serve_forever, args=(0.05,)).start()
    yield f'http://127.0.0.1:{made.server_port}'
    made.shutdown()


class Silent(http.server.SimpleHTTPRequestHandler):
  def log_message(self, *args):
    del args

  def do_HEAD(self):
    if self.path != '/promised.tar.gz':
      return super().do_HEAD()
    self.send_response(200)
    self.end_headers()


@pytest.mark.parametrize('right', [True, False])
def test_imdb_is_downloaded_and_checked(right, tmp_path, server, monkeypatch):
  home = tiny.imdb(tmp_path / 'whole')
  path = tiny.packed(home, tmp_path / 'web' / 'aclImdb_v1.tar.gz', 'w:gz')
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  monkeypatch.setattr(
    making,
    'IMDB_ARCHIVE',
    published.Download(
      f'{server}/{path.name}',
      path.name,
      digest if right else '0' * 64,
      path.stat().st_size,
    ),
  )
  if right:
    held = load('imdb', tmp_path / 'data')
    assert held.counts == {'train': [3, 3], 'test': [3, 3]}
    assert load('imdb', tmp_path / 'data', say=pytest.fail)
  else:
    for _ in range(2):
      with pytest.raises(BadData, match='wrong checksum'):
        load('imdb', tmp_path / 'data')
      assert not list((tmp_path / 'data').rglob('*aclImdb*'))


@pytest.mark.parametrize(
  'address, reason',
  [
    ('{server}/none.tar.gz', 'HTTP Error 404'),
    ('{server}/promised.tar.gz', 'Failed to get url .* HTTP code: 404'),
    ('http://127.0.0.1:9/a.tar.gz', 'refused'),
  ],
)
def test_a_failed_download_says_what_to_do(
  address, reason, tmp_path, server, monkeypatch
):
  url = address.format(server=server)
  gone = published.IMDB_ARCHIVE._replace(url=url)
  monkeypatch.setattr(making, 'IMDB_ARCHIVE', gone)
  with pytest.raises(
    Missing, match=f'downloaded .*{reason}.*aclImdb'
  ) as raised:
    load('imdb', tmp_path / 'data')
  assert len(str(raised.value)) < 900
