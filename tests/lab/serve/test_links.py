"""A link restores what it was made from."""

import doctest

from hypothesis import given
from hypothesis import strategies as st

from lstm_jax.lab.serve import links
from lstm_jax.lab.serve.links import Selection

NUMBER = st.integers(0, 2**31 - 1)
WORDS = st.lists(st.text(min_size=1), unique=True).map(tuple)


@given(
  st.builds(
    Selection,
    WORDS,
    WORDS,
    st.none() | NUMBER,
    NUMBER,
    st.none() | NUMBER,
  )
)
def test_there_and_back(shown):
  assert links.selection_of(links.query_of(shown)) == shown


@given(st.text())
def test_any_text_is_a_link(text):
  assert isinstance(links.selection_of(text), Selection)


def test_examples():
  found = doctest.testmod(links)
  assert found.attempted and not found.failed
