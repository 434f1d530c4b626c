"""Sealed files: never read wrong.

A sealed file carries its schema version and a SHA-256 over everything in it, so
that a flipped bit, a lost tail or an edit by hand is an error and not a number.
There are two forms: bytes (`seal`) and strict JSON that can be read by eye
(`seal_json`).
"""

import hashlib
import json
import math
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, overload

from lstm_jax.lab.store.faults import Corrupt, Refused

SCHEMA = 1
# Kinds of files whose content has changed since -> their version.
_SCHEMAS = {'plan': 3, 'record': 2}
MAGIC = b'lstm_jax'
_PLAIN_TYPES = {bool, int, str, type(None)}
_NAME = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_-]{0,99}')

_Dict = TypeVar('_Dict', bound=Mapping[str, object])

_HEAD = struct.Struct('<8sIQ')
_DIGEST = hashlib.sha256().digest_size


def seal(payload: bytes, schema: int = SCHEMA) -> bytes:
  """magic | schema | length | SHA-256 of the rest of the file | payload."""
  head = _HEAD.pack(MAGIC, schema, len(payload))
  return head + hashlib.sha256(head + payload).digest() + payload


def unseal(data: bytes, name: str | Path, schema: int = SCHEMA) -> bytes:
  """The payload of `seal`; `name` is for messages.

  Raises:
    Corrupt: a byte differs, is missing or is one too many.
    Refused: the file is whole, but of another schema version.
  """
  start = _HEAD.size + _DIGEST
  if len(data) < start:
    raise Corrupt(f'{name}: cut short at {len(data)} bytes')
  head, digest, payload = (
    data[: _HEAD.size],
    data[_HEAD.size : start],
    data[start:],
  )
  magic, schema_found, length = _HEAD.unpack(head)
  if magic != MAGIC:
    raise Corrupt(f'{name}: not a file of lstm_jax')
  if length != len(payload):
    raise Corrupt(f'{name}: {len(payload)} bytes where it says {length}')
  if hashlib.sha256(head + payload).digest() != digest:
    raise Corrupt(f'{name}: the checksum does not match')
  check_schema(schema_found, schema, name)
  return payload


def schema_of(kind: str) -> int:
  """The version in which a kind of file is written."""
  return _SCHEMAS.get(kind, SCHEMA)


def seal_json(kind: str, content: object, schema: int | None = None) -> bytes:
  """A sealed file that can be read by eye: strict JSON with its SHA-256.

  Args:
    kind: what the file is, e.g. 'record'.
    content: a dict of plain values, see `to_plain`.
    schema: version; None: that of today.
  """
  schema = schema_of(kind) if schema is None else schema
  document = {'format': f'lstm_jax {kind}', 'schema': schema}
  document['sha256'] = digest([*document.values(), content])
  document['content'] = content
  return (json.dumps(document, indent=2, allow_nan=False) + '\n').encode()


def unseal_json(
  kind: str,
  data: bytes,
  name: str | Path,
  older: Mapping[int, Callable[..., object]] | None = None,
  today: Callable[..., object] | None = None,
) -> object:
  """The content of `seal_json`; any other byte than it wrote is an error.

  Args:
    kind: what the file is.
    data: its bytes.
    name: of the file, for messages.
    older: an older version -> what makes its content that of today.
    today: the same for the version of today; None: it is left as it is.

  Raises:
    Corrupt: the file was damaged or edited.
    Refused: the file is whole, but of another schema version.
  """
  try:
    document = json.loads(bytes(data).decode('utf-8'))
    schema_found, content = document['schema'], document['content']
    is_canonical = seal_json(kind, content, schema_found) == bytes(data)
  except json.JSONDecodeError as error:
    raise Corrupt(
      f'{name}: not a {kind} of lstm_jax: damaged or edited, no JSON ({error})'
    ) from error
  except (ValueError, KeyError, TypeError, RecursionError) as error:
    raise Corrupt(f'{name}: not a {kind} of lstm_jax: {error!r}') from error
  if not is_canonical:
    raise Corrupt(f'{name}: the checksum does not match: damaged or edited')
  convert = (older or {}).get(schema_found)
  if convert is None:
    check_schema(schema_found, schema_of(kind), name)
    convert = today or (lambda content: content)
  try:
    return convert(content)
  except (ValueError, TypeError, AttributeError, LookupError) as error:
    raise Corrupt(f'{name}: not a {kind} of lstm_jax: {error!r}') from error


def check_schema(version: int, schema: int, name: str | Path) -> None:
  """Raises `Refused` where a file is of another version than is read."""
  if version != schema:
    raise Refused(
      f'{name}: written with schema {version}, this lstm_jax reads {schema};'
      f' use a{" newer" if version > schema else "n older"} lstm_jax'
    )


def canonical(value: object) -> str:
  """The one JSON text of a plain value: keys sorted, no blanks."""
  return json.dumps(
    value, sort_keys=True, separators=(',', ':'), allow_nan=False
  )


def digest(value: object) -> str:
  """SHA-256, in hexadecimal, of the canonical JSON of a plain value."""
  return hashlib.sha256(canonical(value).encode()).hexdigest()


@overload
def to_plain(
  value: _Dict, reasons: dict[str, str] | None = ..., at: str = ...
) -> _Dict: ...


@overload
def to_plain(
  value: object, reasons: dict[str, str] | None = ..., at: str = ...
) -> object: ...


def to_plain(
  value: object, reasons: dict[str, str] | None = None, at: str = ''
) -> object:
  """`value` as strict JSON can hold it: dict, list, str, numbers, None.

  Arrays and their scalars become lists and numbers, tuples lists.

  Args:
    value: anything made of those.
    reasons: where a float is not finite it becomes None and
      `reasons['a/b/0']` says 'nan', 'inf' or '-inf'. Without `reasons` it is
      an error.
    at: the path so far.

  Raises:
    ValueError: a value has no JSON form, or is not finite.
  """
  path_of = lambda key: f'{at}/{key}' if at else str(key)
  if hasattr(value, 'tolist'):
    value = value.tolist()
  if isinstance(value, dict):
    if not all(isinstance(key, str) for key in value):
      raise ValueError(f'{at or "value"}: keys must be strings, got {value!r}')
    return {k: to_plain(v, reasons, path_of(k)) for k, v in value.items()}
  if isinstance(value, list | tuple):
    if {*map(type, value)} <= _PLAIN_TYPES:  # as most long ones are
      return list(value)
    return [to_plain(v, reasons, path_of(i)) for i, v in enumerate(value)]
  if isinstance(value, float) and not math.isfinite(value):
    if reasons is None:
      raise ValueError(f'{at or "value"}: {value} is not finite')
    reasons[at] = str(value)
    return None
  if value is None or isinstance(value, bool | int | float | str):
    return value
  raise ValueError(
    f'{at or "value"}: {type(value).__name__} has no JSON form; allowed are'
    ' dict, list, str, bool, int, float, None and arrays of them'
  )


def check_name(name: str, subject: str) -> None:
  """Raises ValueError unless `name` is safe as part of a file name."""
  if not _NAME.fullmatch(name):
    raise ValueError(
      f'{subject} {name!r}: allowed are 1 to 100 letters, digits, - and _'
    )
