"""The error of a promise that is not kept, and how it is told."""

import jax
import numpy as np

from lstm_jax.choices import type_words, with_article

Shaped = jax.Array | np.ndarray | jax.ShapeDtypeStruct


class Broken(ValueError):
  """A cell, task or data set is not what it promises; the message says how."""


def same(
  title: str,
  part: str,
  tree: object,
  whose: str,
  expected: object,
  dtypes: bool = True,
) -> None:
  """Raises `Broken` unless two trees agree in structure, shapes, dtypes."""
  if len({*map(jax.tree.structure, (tree, expected))}) > 1:
    names = [
      ', '.join(at for at, _ in leaves(tree)) for tree in (tree, expected)
    ]
    raise Broken(f'{title}: {part}: {names[0]}, {whose} has {names[1]}')
  for (at, leaf), (_, like) in zip(leaves(tree), leaves(expected), strict=True):
    if leaf.shape != like.shape or (dtypes and leaf.dtype != like.dtype):
      raise Broken(
        f'{title}: {part}: {at.lstrip(".")} is {words(leaf)}, {whose} has '
        f'{words(like)}'
      )


def leaves(tree: object) -> list[tuple[str, jax.Array]]:
  """`(name, leaf)` of a tree."""
  pairs = jax.tree_util.tree_flatten_with_path(tree)[0]
  return [(jax.tree_util.keystr(path), leaf) for path, leaf in pairs]


def words(array: Shaped) -> str:
  """The dtype and the shape of an array."""
  return f'{array.dtype}{list(array.shape)}'


def must_be(title: str, value: object, kind: type[object]) -> None:
  """Raises `Broken` unless a value is of a type."""
  if not isinstance(value, kind):
    raise Broken(
      f'{title}: is {type_words(value)}, must be {with_article(kind.__name__)}'
    )


def must_be_pair(who: str, value: object, of: str) -> None:
  """Raises `Broken` unless a function gives back a pair, `of` what in words."""
  if type(value) is tuple and len(value) == 2:
    return
  size = f' of {len(value)}' if isinstance(value, tuple) else ''
  raise Broken(f'{who}: gives {type_words(value)}{size}, must be the pair {of}')
