"""Which trials a worker that is free is given."""

import itertools

from lstm_jax.lab.cluster import bundles
from lstm_jax.lab.cluster.bundles import Piece
from lstm_jax.lab.plan.deal_costs import Slot


def piece(key, *names, seconds=100.0, length=10, is_joinable=True):
  idle = seconds / 2 if is_joinable else 0.0
  return Piece(key, key, length, names, seconds, is_joinable, idle)


def dealt(pieces, *slots, most=1e9):
  return bundles.deal(bundles.longest_first(pieces), slots, most)


def test_what_a_slot_has_compiled_is_dealt_to_it_and_what_nobody_has_spread():
  a, b, c = (piece(key, key, seconds=90.0 - i) for i, key in enumerate('abc'))
  one, two = Slot(held={'c'}), Slot(held={'a'})
  assert dealt([a, b, c], one, two) == [[b, c], [a]]
  assert dealt([a, b, c], one, two, Slot()) == [[b], [a], [c]]
  # Who is busy for long gets less.
  assert dealt([a, b, c], one, Slot(400.0, {'a'})) == [[a, b, c], []]


def test_a_pool_is_taken_apart_where_what_it_may_cost_allows():
  pieces = [piece('a', str(i)) for i in range(4)]
  whole = 10.0 + 400.0 + 50.0  # compiled, run, and idle at its end
  assert dealt(pieces, Slot(), Slot(), most=whole + 60.0)[1]
  assert not dealt(pieces, Slot(), Slot(), most=whole + 59.0)[1]
  # Where nothing is cheap enough what costs least is.
  assert not dealt(pieces, Slot(), Slot(), most=0.0)[1]


def test_a_slot_begins_with_the_longest_pool_whole():
  pieces = [piece('a', '1'), piece('b', '3', seconds=150.0), piece('a', '2')]
  queue = bundles.longest_first(pieces)
  assert bundles.next_bundle(queue) == [pieces[0], pieces[2]]
  other_length = piece('a', '2', length=20)
  assert bundles.next_bundle([pieces[0], other_length]) == [pieces[0]]
  alone = [p._replace(is_joinable=False) for p in pieces]
  assert bundles.next_bundle(alone) == [alone[1]]
  assert bundles.next_bundle([]) == []


def test_what_has_begun_stays_together_and_what_has_ended_is_gone():
  names = [str(i) for i in range(40)]
  of = [piece('a', *names[:16]), piece('a', *names[16:])]
  ended, begun = set(names[:10]), set(names[10:20])
  rest = bundles.rest_of(of, ended, begun)
  assert [one.names for one in rest] == [
    tuple(names[10:20]), tuple(names[20:36]), tuple(names[36:]),
  ]  # fmt: skip
  assert bundles.rest_of(of, names, begun) == []
  whole = [piece('e', *names[:3], is_joinable=False)]
  assert bundles.rest_of(whole, {'0'}, ()) == whole
  assert bundles.rest_of(whole, names, ()) == []
  assert len({*itertools.chain(*(one.names for one in rest))}) == 30
