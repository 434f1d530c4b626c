"""Lets nobody see the page but who has its link.

Whoever can open a port of this machine could read it: other users, and pages of
other sites in the same browser. So a start draws a token that its link carries;
a browser that has come with it gets a cookie. A request must name a host that
is this machine's, or a name that somebody points at 127.0.0.1 would do.
"""

import ipaddress
import secrets
import socket
import urllib.parse
from collections.abc import Collection

import flask

_YEAR = 365 * 24 * 3600  # seconds
# Nothing is fetched from elsewhere, whatever a component has in mind.
_POLICY = (
  "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
  "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
  "font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)
_HEADERS = {
  'Content-Security-Policy': _POLICY,
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}


def new_token() -> str:
  """A token that nobody guesses."""
  return secrets.token_urlsafe(24)


def install(
  server: flask.Flask, token: str, port: int, hosts: Collection[str] = ()
) -> None:
  """Refuses requests without the token or with a strange host, by 403.

  Args:
    server: the application.
    token: of `new_token`.
    port: of the server, part of the cookie's name: cookies of one machine are
      shared by its ports.
    hosts: names that requests may have besides addresses, localhost and the
      name of this machine.
  """
  cookie = f'lstm_jax_{port}'
  host_names = {
    'localhost',
    socket.gethostname().lower(),
    *map(str.lower, hosts),
  }

  @server.before_request
  def check():
    if not _is_known(flask.request.host, host_names):
      return _refusal('this host is not known here')
    token_given = flask.request.args.get('token')
    if token_given is not None:
      if not _is_same(token_given, token):
        return _refusal('wrong token')
      response = flask.redirect(_without_token(flask.request))
      response.set_cookie(
        cookie, token, max_age=_YEAR, httponly=True, samesite='Lax'
      )
      return response
    if not _is_same(flask.request.cookies.get(cookie, ''), token):
      return _refusal('no token')
    return None

  @server.after_request
  def add_headers(response):
    response.headers.update(_HEADERS)
    return response


def _is_known(host, host_names):
  """Tells whether a Host header is this machine's, whatever the port."""
  try:
    name = urllib.parse.urlsplit(f'//{host}').hostname or ''
  except ValueError:
    return False
  if name in host_names:
    return True
  try:
    ipaddress.ip_address(name)
  except ValueError:
    return False
  return True


def _is_same(token_given, token):
  return secrets.compare_digest(token_given.encode(), token.encode())


def _without_token(request):
  """The path and query of a request, the token left out."""
  fields = [
    (name, value)
    for name, values in request.args.lists()
    for value in values
    if name != 'token'
  ]
  query = urllib.parse.urlencode(fields)
  # A path of two slashes would be another host.
  path = '/' + request.path.lstrip('/')
  return f'{path}?{query}' if query else path


def _refusal(reason):
  return flask.Response(
    f'403: {reason}. Open the link that the command has printed.\n',
    403,
    mimetype='text/plain',
  )
