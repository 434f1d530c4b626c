"""Nobody sees the page without the token, and no other site can ask for it."""

import flask
import pytest

from lstm_jax.lab.serve import guard

TOKEN = guard.new_token()


@pytest.fixture
def client():
  server = flask.Flask('test')
  guard.install(server, TOKEN, 8050, ('lab.example',))
  server.add_url_rule('/', view_func=lambda: 'the page')
  return server.test_client()


def test_a_token_becomes_a_cookie_and_leaves_the_address(client):
  first = client.get(f'/?row=a%20b&token={TOKEN}')
  assert first.status_code == 302
  assert first.headers['Location'] == '/?row=a+b'
  cookie = first.headers['Set-Cookie']
  assert 'HttpOnly' in cookie and 'SameSite=Lax' in cookie
  assert client.get('/').data == b'the page'


@pytest.mark.parametrize(
  'query',
  ['', '?token=', f'?token={TOKEN[:-1]}', '?token=é'],
  # Not the token itself, which is another one in every process.
  ids=['none', 'empty', 'cut short', 'not ASCII'],
)
def test_without_the_token_nothing_is_seen(client, query):
  answer = client.get(f'/{query}')
  assert answer.status_code == 403 and b'the page' not in answer.data


def test_a_wrong_cookie(client):
  client.set_cookie('lstm_jax_8050', TOKEN + 'x')
  assert client.get('/').status_code == 403
  # Nor does a right cookie make a wrong token right.
  client.set_cookie('lstm_jax_8050', TOKEN)
  assert client.get('/').status_code == 200
  assert client.get('/?token=no').status_code == 403


@pytest.mark.parametrize(
  'host, status',
  [
    ('localhost:8050', 302),
    ('127.0.0.1:9000', 302),  # forwarded from another port
    ('[::1]:8050', 302),
    ('lab.example', 302),
    ('evil.example:8050', 403),
    ('127.0.0.1.evil.example', 403),
    ('localhost.evil.example', 403),
    ('', 403),
  ],
)
def test_only_hosts_of_this_machine(client, host, status):
  answer = client.get(f'/?token={TOKEN}', headers={'Host': host})
  assert answer.status_code == status


def test_a_redirect_stays_here(client):
  answer = client.get(f'//evil.example/?token={TOKEN}')
  location = answer.headers.get('Location', '/')
  assert location.startswith('/') and not location.startswith('//')


def test_nothing_from_elsewhere_is_allowed(client):
  policy = client.get('/').headers['Content-Security-Policy']
  assert "default-src 'self'" in policy and 'http' not in policy


def test_tokens_differ():
  assert len({guard.new_token() for _ in range(100)}) == 100
  assert all(len(guard.new_token()) >= 32 for _ in range(10))
