"""A process keeps as many programs as it may from one run to the next."""

from lstm_jax.lab.run.made import made_before


def test_the_first_programs_stay_and_later_ones_go():
  made = made_before(2)
  made.builds.update(dict.fromkeys('abc'))
  assert [made.keeps(name) for name in 'abca'] == [True, True, False, True]
  assert list(made.builds) == ['a', 'b']


def test_none_stays_unless_asked_for():
  made = made_before()
  made.builds['a'] = None
  assert not made.keeps('a') and not made.builds
