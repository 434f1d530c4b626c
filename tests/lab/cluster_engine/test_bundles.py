"""Which trials a worker that is free is given."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from lstm_jax.lab.cluster import bundles
from lstm_jax.lab.cluster.bundles import Piece


def piece(key, *names, seconds=100.0, length=10, is_joinable=True):
  return Piece(key, key, length, names, seconds, is_joinable)


def test_what_a_worker_has_compiled_comes_first_then_what_nobody_has():
  a, b, c = (piece(key, key, seconds=900.0 - i) for i, key in enumerate('abc'))
  chosen = lambda compiled, under_way: bundles.next_bundle(
    [a, b, c], compiled, under_way, 8
  )
  assert chosen({'c'}, {'a', 'c'}) == [c]
  assert chosen((), {'a'}) == [b]
  # Nobody idles for want of a program of its own.
  assert chosen((), {'a', 'b', 'c'}) == [a]
  assert bundles.next_bundle([], (), (), 1) == []


def test_one_program_is_taken_whole_as_long_as_others_have_as_much():
  pieces = [piece('a', '1'), piece('a', '2'), piece('b', '3', seconds=600.0)]
  pieces = bundles.longest_first(pieces)
  assert bundles.next_bundle(pieces, {'a'}, (), 4) == pieces[1:]
  assert bundles.next_bundle(pieces, {'a'}, (), 5) == pieces[1:2]
  other_length = piece('a', '2', length=20)
  assert bundles.next_bundle([pieces[1], other_length], (), (), 1) == [
    pieces[1]
  ]
  alone = [p._replace(is_joinable=False) for p in pieces[1:]]
  assert bundles.next_bundle(alone, (), (), 1) == alone[:1]


def test_short_trials_of_one_program_are_worth_no_second_compilation():
  pieces = [piece('a', str(i), seconds=1.0) for i in range(4)]
  assert bundles.next_bundle(pieces, (), (), 8) == pieces


@given(
  seconds=st.lists(st.integers(1, 50), min_size=1, max_size=30),
  slots=st.integers(1, 9),
)
def test_everything_is_given_out_once_and_nobody_waits(seconds, slots):
  waiting = bundles.longest_first(
    piece(str(s % 4), str(i), seconds=100.0 * s) for i, s in enumerate(seconds)
  )
  ready, compiled, names = [0.0] * slots, [set() for _ in range(slots)], []
  while waiting:
    i = ready.index(min(ready))
    taken = bundles.next_bundle(
      waiting, compiled[i], set().union(*compiled), slots
    )
    assert taken
    waiting = [one for one in waiting if one not in taken]
    ready[i] += sum(one.seconds for one in taken)
    compiled[i].add(taken[0].program)
    names += [name for one in taken for name in one.names]
  assert sorted(names) == sorted(map(str, range(len(seconds))))
  # No worse than twice the best: a bundle is a fair share or one piece.
  assert max(ready) <= 200 * max(sum(seconds) / slots, max(seconds))


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
