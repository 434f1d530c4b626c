"""The trials of a plan: their settings once, ids and seeds beside them.

In memory a trial is a mapping that shares with the other seeds of its setting
all but the id and the seed. In plan.json settings stand in a list, and trials
in blocks of consecutive seeds of one setting:

  'settings': [{'grid': ..., 'task': ..., 'budget': ...}, ...]
  'trials': [{'setting': 0, 'seeds': [[0, 999]], 'ids': '68e92... 8e895...'}]
  'programs': lists of trials as places in the plan, [first, last]
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from lstm_jax.lab.store import seal
from lstm_jax.lab.store.documents import Entry, Plan
from lstm_jax.lab.store.setting import Setting, entry_of

_OWN = ('id', 'seed')


class PlanTrial(Mapping[str, object]):
  """A trial of a plan.

  Attributes:
    fields: what it shares with the other seeds of its setting.
    id: of the trial.
    seed: its seed.
  """

  __slots__ = ('fields', 'id', 'seed')

  def __init__(self, fields: Mapping[str, object], id: str, seed: int) -> None:
    self.fields, self.id, self.seed = fields, id, seed

  def __getitem__(self, key: str) -> object:
    return getattr(self, key) if key in _OWN else self.fields[key]

  def __iter__(self) -> Iterator[str]:
    yield from _OWN
    yield from self.fields

  def __len__(self) -> int:
    return len(_OWN) + len(self.fields)

  def __eq__(self, other: object) -> bool:
    if isinstance(other, PlanTrial):
      return (
        self.id == other.id
        and self.seed == other.seed
        and (self.fields is other.fields or self.fields == other.fields)
      )
    return super().__eq__(other)

  def __repr__(self) -> str:
    return repr(dict(self))


def of_entries(entries: Iterable[Entry]) -> list[PlanTrial]:
  """Trials that share their fields, of entries that do not.

  Raises:
    ValueError: an entry has no id or no seed, or holds what has no JSON form.
  """
  by_text: dict[str, dict[str, object]] = {}
  trials = []
  for entry in entries:
    if isinstance(entry, PlanTrial):
      trials.append(entry)
      continue
    if missing := [key for key in _OWN if key not in entry]:
      raise ValueError(f'plan: a trial without {" and ".join(missing)}')
    plain = seal.to_plain(dict(entry))
    fields = {key: plain[key] for key in plain if key not in _OWN}
    fields = by_text.setdefault(seal.canonical(fields), fields)
    trials.append(PlanTrial(fields, str(plain['id']), cast(int, plain['seed'])))
  return trials


def entries_of(trials: Mapping[str, Setting]) -> list[PlanTrial]:
  """The trials of settings, as a plan has them.

  Args:
    trials: id -> setting.
  """
  fields: dict[object, dict[str, object]] = {}
  entries = []
  for name, setting in trials.items():
    if setting.family not in fields:
      entry = entry_of(setting)
      fields[setting.family] = {k: entry[k] for k in entry if k not in _OWN}
    entries.append(PlanTrial(fields[setting.family], name, setting.seed))
  return entries


def packed(plan: Plan) -> dict[str, object]:
  """A plan as plan.json has it.

  Args:
    plan: of `PlanTrial`s.
  """
  trials = cast(list[PlanTrial], plan['trials'])
  numbers = _numbers_of(trials)
  blocks: list[dict[str, object]] = []
  ids: list[str] = []
  seeds: list[list[int]] = []
  last = None
  for trial in trials:
    if trial.fields is not last:
      ids, seeds, last = [], [], trial.fields
      number = numbers[id(last)]
      blocks.append({'setting': number, 'seeds': seeds, 'ids': ids})
    ids.append(trial.id)
    _append(seeds, trial.seed)
  for block in blocks:
    block['ids'] = ' '.join(cast(list[str], block['ids']))
  settings = {numbers[id(trial.fields)]: trial.fields for trial in trials}
  places = {trial.id: place for place, trial in enumerate(trials)}
  return {
    **plan,
    'settings': [settings[number] for number in sorted(settings)],
    'trials': blocks,
    'programs': _in_places(plan['programs'], places),
  }


def unpacked(
  content: Mapping[str, object], like: Plan | None = None
) -> dict[str, object]:
  """The plan that plan.json holds, see `packed`.

  Args:
    content: of plan.json.
    like: a plan whose list of trials is taken where it is the same.

  Raises:
    ValueError, TypeError, KeyError, IndexError: it holds no such thing.
  """
  content = dict(content)
  settings = cast(list[dict[str, object]], content.pop('settings'))
  blocks = cast(list[dict[str, object]], content['trials'])
  if like is not None and _is_same(settings, blocks, packed(like)):
    trials = cast(list[PlanTrial], like['trials'])
  else:
    trials = []
    for block in blocks:
      trials += _trials_of_block(settings, block)
  content['trials'] = trials
  names = [trial.id for trial in trials]
  content['programs'] = _in_names(content['programs'], names)
  return content


def _is_same(settings, blocks, other):
  """Tells whether the trials of plan.json are those of a packed plan."""
  # As text: 1 equals 1.0 and True as numbers.
  return seal.canonical([settings, blocks]) == seal.canonical(
    [other['settings'], other['trials']]
  )


def _trials_of_block(settings, block):
  number = block['setting']
  if type(number) is not int or number < 0:
    raise ValueError(f'setting {number!r}')
  ids = cast(str, block['ids']).split(' ')
  seeds = _spread(cast(list[list[int]], block['seeds']), len(ids))
  if len(seeds) != len(ids):
    raise ValueError(f'{len(ids)} ids of {len(seeds)} seeds')
  fields = settings[number]
  return [PlanTrial(fields, *pair) for pair in zip(ids, seeds, strict=True)]


def _numbers_of(trials):
  """Identity of the fields of trials -> number of those that are equal."""
  numbers: dict[int, int] = {}
  by_text: dict[str, int] = {}
  for trial in trials:
    if id(trial.fields) not in numbers:
      text = seal.canonical(trial.fields)
      numbers[id(trial.fields)] = by_text.setdefault(text, len(by_text))
  return numbers


def _append(ranges: list[list[int]], number: int) -> None:
  """Appends a number to ranges, [first, last] each."""
  if ranges and ranges[-1][1] + 1 == number:
    ranges[-1][1] = number
  else:
    ranges.append([number, number])


def _spread(ranges: Sequence[Sequence[int]], most: int) -> list[int]:
  """The numbers of ranges; raises ValueError where they are more than `most`.

  Checked before anything is made of them: a file can say any number.
  """
  numbers: list[int] = []
  for first, last in ranges:
    if type(first) is not int or type(last) is not int:
      raise ValueError(f'range {first!r} to {last!r}')
    if not 0 <= last - first < most - len(numbers):
      raise ValueError(f'{first} to {last}: more than {most}')
    numbers += range(first, last + 1)
  return numbers


def _in_places(value, places):
  """Programs whose lists of trials are ranges of places; others stay."""
  if isinstance(value, dict):
    return {key: _in_places(inner, places) for key, inner in value.items()}
  if isinstance(value, list) and all(
    isinstance(name, str) and name in places for name in value
  ):
    ranges: list[list[int]] = []
    for name in value:
      _append(ranges, places[name])
    return ranges
  return value


def _in_names(value, names):
  """Programs whose lists are of trials again, see `_in_places`."""
  if isinstance(value, dict):
    return {key: _in_names(inner, names) for key, inner in value.items()}
  if isinstance(value, list) and all(isinstance(one, list) for one in value):
    places = _spread(value, len(names))
    if places and min(places) < 0:
      raise ValueError(f'place {min(places)}')
    return [names[place] for place in places]
  return value
