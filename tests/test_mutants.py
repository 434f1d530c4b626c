"""The faults of `tests.mutants` can be planted, each in one place."""

import ast

import pytest

from tests import mutants


@pytest.mark.parametrize('mutant', mutants.MUTANTS, ids=lambda m: m.name)
def test_every_fault_fits_the_source(mutant):
  text = (mutants.ROOT / 'lstm_jax' / mutant.path).read_text()
  wrong = mutants.planted(mutant, text)
  assert ast.dump(ast.parse(wrong)) != ast.dump(ast.parse(text))
  for name in mutant.tests:
    assert mutants.file_of(name)


def test_there_are_twenty_and_some_of_every_kind():
  places = [mutant.path for mutant in mutants.MUTANTS]
  assert len(places) >= 20
  for kind in ('cells/', 'learners/', 'lab/store/', 'nn/_scan.py'):
    assert sum(path.startswith(kind) for path in places) >= 3
  assert len({mutant.name for mutant in mutants.MUTANTS}) == len(places)


def test_a_place_that_is_gone_is_named():
  with pytest.raises(ValueError, match='stands 0 times in cells/lstm.py'):
    mutants.planted(mutants.MUTANTS[0], '')
