"""Words of messages: on a name that is not known, a value of another kind."""

import difflib
from collections.abc import Collection, Iterable

_VOWELS = 'aeio'  # u begins unit, update rule; what begins otherwise is below
# Letters whose names begin with a vowel: an LSTM, an RNN, a GRU.
_SPOKEN_VOWELS = 'AEFHILMNORSX'
_AN = ('un', 'up', 'ul', 'nd')  # an unknown, an update, an ndarray
_A = ('one', 'eu', 'uni', 'uno')
# Names of types that say less than a word does.
_KINDS = {
  'ArrayImpl': 'a jax.Array',
  'builtin_function_or_method': 'a function',
  'type': 'a class',
}


def listed(names: Iterable[object], most: int | None = None) -> str:
  """Names with commas between them, and how many more there are; or 'none'.

  Args:
    names: the names.
    most: how many are written out; None: all.
  """
  words = [str(name) for name in names]
  num_more = len(words[most:]) if most is not None else 0
  text = ', '.join(words[:most]) or 'none'
  return text + (f' and {num_more:,} more' if num_more else '')


def unknown(
  name: str,
  known: Collection[str],
  kind: str = '',
  most: int | None = None,
) -> str:
  """The end of a message about an unknown name: what exists, what is near.

  Args:
    name: the name.
    known: names that there are.
    kind: what they are names of, in the singular, where there may be none.
    most: how many are written out; None: all.
  """
  near = _nearest(name, known)
  return choose(known, kind, most) + (f'; did you mean {near}?' if near else '')


def _nearest(name, known):
  """The name that was meant, '' if none is near.

  `adding_problem` is more like word_problem, letter by letter, than like the
  name that it begins with.
  """
  begun = [one for one in known if len(one) > 2 and name.startswith(one)]
  if begun:
    return max(begun, key=len)
  near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
  return near[0] if near else ''


def choose(
  names: Collection[object], kind: str = '', most: int | None = None
) -> str:
  """Says what may be chosen, or that there is nothing.

  Args:
    names, kind, most: as of `unknown`.
  """
  if not names:
    return f'there is {f"no {kind}" if kind else "nothing"} to choose from'
  return f'choose from {listed(names, most)}'


def one_of(names: Collection[object]) -> str:
  """Says which of some words a value must be: 'must be one of a, b'."""
  return f'must be {"one of " * (len(names) > 1)}{listed(names)}'


def count_of(number: int, noun: str) -> str:
  """A number with its noun: '1 trial', '2,000 trials'.

  Args:
    number: of the things.
    noun: what each is, in the singular.
  """
  return f'{number:,} {noun}{"s" * (number != 1)}'


def with_article(noun: str) -> str:
  """A noun in the singular behind 'a' or 'an'."""
  word = noun.lstrip('_.') or noun
  if word[:2].isupper() or len(word) == 1:
    is_an = word[0].upper() in _SPOKEN_VOWELS
  else:
    word = word.lower()
    is_an = word[0] in _VOWELS or word.startswith(_AN)
    is_an = is_an and not word.startswith(_A)
  return f'{"an" if is_an else "a"} {noun}'


def type_words(value: object) -> str:
  """Words for the type of a value: 'an int', 'a list', 'None'."""
  if value is None:
    return 'None'
  name = type(value).__name__
  return _KINDS.get(name) or with_article(name)
