"""The error of a promise that is not kept, and how it is told."""

import jax
import numpy as np

Shaped = jax.Array | np.ndarray | jax.ShapeDtypeStruct


class Broken(ValueError):
  """A cell, task or data set is not what it promises; the message says how."""


def same(
  who: str,
  what: str,
  found: object,
  whose: str,
  expected: object,
  dtypes: bool = True,
) -> None:
  """Raises `Broken` unless two trees agree in structure, shapes, dtypes."""
  if len({*map(jax.tree.structure, (found, expected))}) > 1:
    names = [
      ', '.join(at for at, _ in leaves(tree)) for tree in (found, expected)
    ]
    raise Broken(f'{who}: {what}: {names[0]}, {whose} has {names[1]}')
  for (at, leaf), (_, like) in zip(
    leaves(found), leaves(expected), strict=True
  ):
    if leaf.shape != like.shape or (dtypes and leaf.dtype != like.dtype):
      raise Broken(
        f'{who}: {what}: {at.lstrip(".")} is {words(leaf)}, {whose} has '
        f'{words(like)}'
      )


def leaves(tree: object) -> list[tuple[str, jax.Array]]:
  """`(name, leaf)` of a tree."""
  found = jax.tree_util.tree_flatten_with_path(tree)[0]
  return [(jax.tree_util.keystr(path), leaf) for path, leaf in found]


def words(array: Shaped) -> str:
  """The dtype and the shape of an array."""
  return f'{array.dtype}{list(array.shape)}'


def must_be(who: str, value: object, kind: type[object]) -> None:
  """Raises `Broken` unless a value is of a type."""
  if not isinstance(value, kind):
    raise Broken(
      f'{who}: is a {type(value).__name__}, must be a {kind.__name__}'
    )


def must_be_pair(who: str, value: object, of: str) -> None:
  """Raises `Broken` unless a function gives back a pair, `of` what in words."""
  if type(value) is tuple and len(value) == 2:
    return
  size = f' of {len(value)}' if isinstance(value, tuple) else ''
  raise Broken(
    f'{who}: gives a {type(value).__name__}{size}, must be the pair {of}'
  )
