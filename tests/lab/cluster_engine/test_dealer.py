"""Who runs what, by a simulation of workers that come, end and die."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_jax.lab.cluster import bundles
from lstm_jax.lab.cluster.bundles import Piece
from lstm_jax.lab.cluster.dealer import Dealer, Thread
from lstm_jax.lab.plan import deal_costs, dealing, estimate, flags, plan
from lstm_jax.lab.store.setting import by_id


class Run:
  """A run of some pieces by threads that each take what is expected of them.

  Attributes:
    spent: seconds of all threads, starts left out.
    lost: those of them that were spent on what died, and on compiling what is
      compiled again for it.
    most: the greatest number of threads there was.
  """

  def __init__(self, pieces, threads):
    self.dealer, self.threads = Dealer(pieces), list(threads)
    self.pieces = bundles.longest_first(pieces)
    self.clock, self.spent, self.lost, self.most = 0.0, 0.0, 0.0, len(threads)
    self.ends = {}  # thread -> when its bundle ends
    self.began = {}  # thread -> when it began
    self.compiled = {}  # thread -> programs
    self.ended, self.released = set(), 0
    self.order = []

  def deal(self):
    """Gives every free thread what it is to have."""
    idle = None
    for thread in self.threads:
      if thread in self.dealer.given:
        continue
      bundle = self.dealer.next_bundle(thread, self.threads, self.ended)
      if not bundle:
        idle = thread
        continue
      assert len({(p.key, p.length) for p in bundle}) == 1
      held = self.compiled.setdefault(thread, set())
      more = 0.0 if bundle[0].program in held else estimate.COMPILE
      held.add(bundle[0].program)
      self.began[thread] = self.clock
      self.ends[thread] = self.clock + more + bundles.work_of(bundle)
      self.order.append((thread, bundle))
    return idle

  def step(self):
    """Goes on to the next end of a bundle."""
    thread = min(self.ends, key=self.ends.get)
    self.clock = self.ends.pop(thread)
    self.spent += self.clock - self.began[thread]
    pieces = self.dealer.given[thread]
    self.ended |= {name for piece in pieces for name in piece.names}
    self.dealer.ended(thread)

  def release(self, idle):
    """Has a bundle handed back where that is worth it; whether it was.

    Of each bundle the first piece has begun, and nothing of it has ended.
    """
    begun = {name for of in self.dealer.given.values() for name in of[0].names}
    not_begun = {
      thread: list(of[1:])
      for thread, of in self.dealer.given.items()
      if of[0].is_joinable
    }
    thread = self.dealer.worth_releasing(
      idle, self.threads, self.ended, not_begun
    )
    if thread is None:
      return False
    self.released += 1
    pieces = self.dealer.given[thread]
    # It begins anew without loss: what it has done counts for nothing here.
    compiled = self.clock - self.began[thread]
    self.ends.pop(thread)
    self.lost += compiled - estimate.COMPILE
    self.spent += compiled
    rest = bundles.rest_of(pieces, self.ended, begun)
    self.dealer.hand_back(thread, rest)
    return True

  def die(self, thread):
    """A worker goes, in the middle of its bundle."""
    self.threads.remove(thread)
    self.dealer.forget(thread.address)
    programs = self.compiled.pop(thread, set())
    self.lost += estimate.COMPILE * len(programs)
    if thread in self.ends:
      seconds = self.clock - self.began[thread]
      self.ends.pop(thread)
      self.spent += seconds
      self.lost += seconds
      pieces = self.dealer.given[thread]
      self.dealer.hand_back(thread, bundles.rest_of(pieces, self.ended, ()))

  def join(self, thread):
    self.threads.append(thread)
    self.most = max(self.most, len(self.threads))

  def bound(self):
    """Seconds that the run may spend, starts left out."""
    costs = [bundles.cost_of(piece) for piece in self.pieces]
    return max(
      deal_costs.bound(costs, min(number, len(costs)))
      for number in range(1, self.most + 1)
    )

  def to_end(self, chance=None):
    """Runs all of it; with a `chance` workers die and others come."""
    number = len(self.threads)
    while True:
      if (idle := self.deal()) is not None:
        while idle is not None and self.release(idle):
          assert self.released <= 100 + len(self.pieces)
          idle = self.deal()
      if not self.ends:
        break
      self.step()
      if chance and chance.random() < 0.3 and len(self.threads) > 1:
        self.die(chance.choice(self.threads))
      if chance and chance.random() < 0.3 and len(self.threads) < 16:
        self.join(Thread(f'w{number}', 0))
        number += 1
    assert self.ended == {n for piece in self.pieces for n in piece.names}
    assert not self.dealer.waiting and not self.dealer.given
    return self


def threads(number):
  return [Thread(f'w{i}', 0) for i in range(number)]


@st.composite
def plans(draw):
  """Pieces of programs whose groups take seconds to an hour."""
  pieces = []
  for i in range(draw(st.integers(1, 9))):
    seconds = draw(st.sampled_from([0.5, 3.0, 20.0, 60.0, 130.0, 900.0]))
    is_joinable = draw(st.booleans()) or draw(st.booleans())
    for length in range(draw(st.integers(1, 2))):
      for at in range(draw(st.integers(1, 5))):
        names = tuple(f'{i}-{length}-{at}-{n}' for n in range(16))
        idle = deal_costs.idle_of(seconds) if is_joinable else 0.0
        program = str(i)
        pieces.append(
          Piece(program, program, length, names, seconds, is_joinable, idle)
        )
  return pieces


@settings(max_examples=60)
@given(pieces=plans(), number=st.integers(1, 16))
def test_what_is_dealt_on_the_way_costs_what_a_deal_in_advance_may(
  pieces, number
):
  run = Run(pieces, threads(number)).to_end()
  assert run.spent <= run.bound() + run.lost + 1e-6
  assert run.released or not run.lost


@settings(max_examples=60)
@given(pieces=plans(), number=st.integers(1, 16), seed=st.integers(0, 99))
def test_workers_that_die_and_come_late_cost_what_was_lost(
  pieces, number, seed
):
  run = Run(pieces, threads(number)).to_end(random.Random(seed))
  assert run.spent <= run.bound() + run.lost + 1e-6


@pytest.fixture(scope='module')
def paper():
  words = '--grid=paper1997 --seeds=30 --length=100'
  made = plan.expand(flags.parse(['sweep', *words.split()], {}))
  trials = by_id(made.trials)
  members = dealing.members_of(trials)
  keys = {name: key for key, names in members.items() for name in names}
  groups = dealing.groups_of_plan(trials, members)
  return bundles.pieces_of(groups, trials, keys)


@pytest.mark.parametrize('number', range(1, 17))
def test_the_paper_s_plan_costs_what_its_deal_in_advance_does(paper, number):
  run = Run(paper, threads(number)).to_end()
  assert run.spent <= run.bound() + run.lost + 1e-6
  costs = [bundles.cost_of(piece) for piece in run.pieces]
  advance = deal_costs.best(costs, min(number, len(costs)))
  assert run.clock <= 1.15 * advance.end


def test_eight_workers_take_no_pool_of_the_paper_s_plan_apart(paper):
  run = Run(paper, threads(8)).to_end()
  assert not run.released
  pools = [bundle[0].key for _, bundle in run.order]
  assert len(pools) == len(set(pools)) == 14
  # The longest come first, each to a worker of its own.
  assert len({thread for thread, _ in run.order[:8]}) == 8


def test_who_comes_late_is_given_what_has_not_begun_where_that_is_worth_it():
  names = [tuple(f'{i}-{n}' for n in range(16)) for i in range(6)]
  pieces = [Piece('a', 'a', 9, of, 900.0, True, 450.0) for of in names]
  run = Run(pieces, threads(1))
  assert run.deal() is None
  run.join(Thread('late', 0))
  idle = run.deal()
  assert idle == Thread('late', 0)
  assert run.release(idle)
  assert run.deal() is None
  given = run.dealer.given.values()
  assert sorted(len(of) for of in given) == [3, 3]
  # Of one that is all but done it is not.
  small = [piece._replace(seconds=9.0, idle=4.5) for piece in pieces[:2]]
  run = Run(small, threads(1))
  run.deal()
  run.join(Thread('late', 0))
  assert not run.release(run.deal())


def test_who_comes_back_under_its_address_has_compiled_nothing():
  names = iter(range(9))
  make = lambda key: Piece(key, key, 9, (str(next(names)),), 90.0, True, 45.0)
  w0, w1 = Thread('w0', 0), Thread('w1', 0)
  for has_died, expected in ((False, w0), (True, w1)):
    dealer = Dealer([make('a')])
    dealer.next_bundle(w0, [w0], ())
    if has_died:
      dealer.forget('w0')
    dealer.hand_back(w0, [make('a')])
    given = [one for one in (w1, w0) if dealer.next_bundle(one, [w1, w0], ())]
    assert given == [expected]
