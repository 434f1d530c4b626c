"""Tables: what is good is returned, what is bad is named with its line."""

import re

import pytest

from lstm_jax.lab.data.files import tables
from lstm_jax.lab.data.files.errors import BadData

COLUMNS = {
  'name': tables.file_name,
  'fold': tables.integer(1, 3),
  'class': tables.choice({'cat': 0, 'dog': 1}),
}
GOOD = 'name,fold,class\na.wav,1,cat\nb.wav,3,dog\n'
ROWS = [
  {'name': 'a.wav', 'fold': 1, 'class': 0},
  {'name': 'b.wav', 'fold': 3, 'class': 1},
]


def read(text, report=None):
  content = text.encode() if isinstance(text, str) else text
  given = () if report is None else (report,)
  return tables.read(content, 'meta.csv', COLUMNS, 'name', *given)


@pytest.mark.parametrize(
  'text',
  [
    GOOD,
    GOOD.replace('\n', '\r\n'),
    '\ufeff' + GOOD,
    GOOD.rstrip('\n'),
    GOOD + '\n\n',
    'class,name,fold\ncat,"a.wav",1\ndog,b.wav,3\n',
  ],
)
def test_a_good_table(text):
  table = read(text)
  assert list(table.rows) == ROWS
  assert table.named == {'a.wav', 'b.wav'}


# What cannot be read at all.
HOPELESS = {
  'empty': ('', 'is empty'),
  'a byte-order mark alone': ('\ufeff', 'is empty'),
  'a blank line': ('\n', 'is empty'),
  'no rows': ('name,fold,class\n', 'no row'),
  'missing column': ('name,fold\na.wav,1\n', 'line 1 has no column class'),
  'wrong column': (GOOD.replace('fold', 'Fold'), 'line 1 has no column fold'),
  'two of a column': (
    'name,fold,fold,class\na,1,1,cat\n',
    'fold more than once',
  ),
  'Latin-1': (GOOD.encode() + b'caf\xe9.wav,1,cat\n', 'line 4 is not UTF-8'),
  'UTF-16': (GOOD.encode('utf-16'), 'line 1 is not UTF-8'),
  'a quote without end': (GOOD + '"c.wav,1,cat\n', 'line 4: unexpected end'),
}
# What is left out of the rows, if its reader wants that.
FAULTY = {
  'extra column': (
    'name,fold,class,more\na.wav,1,cat,x\nb.wav,3,dog,y\n',
    "line 1 has a column 'more'",
    2),
  'short row': (GOOD + 'c.wav,1\n', 'line 4: 2 fields where there are 3', 2),
  'long row': (GOOD + 'c.wav,1,cat,1\n', 'line 4: 4 fields', 2),
  'duplicate': (GOOD + 'a.wav,2,dog\n', 'line 4: a.wav is listed on line 2', 2),
  'no integer': (GOOD + 'c.wav,1.5,cat\n', "line 4: fold '1.5' is no", 2),
  'no number': (GOOD + 'c.wav,,cat\n', "line 4: fold '' is no integer", 2),
  'other digits': (GOOD + 'c.wav,\u0661,cat\n', 'line 4: fold', 2),
  'far too long': (GOOD + f'c.wav,{"9" * 9999},cat\n', 'line 4: fold', 2),
  'below': (GOOD + 'c.wav,0,cat\n', 'line 4: fold 0 is outside 1 to 3', 2),
  'negative': (GOOD + 'c.wav,-1,cat\n', 'line 4: fold -1 is outside', 2),
  'above': (GOOD + 'c.wav,4,cat\n', 'line 4: fold 4 is outside 1 to 3', 2),
  'unknown word': (GOOD + 'c.wav,1,cow\n', "line 4: class 'cow' is not one", 2),
  'no name': (GOOD + ',1,cat\n', "line 4: name '' is no file name", 2),
  'a path': (GOOD + '../c.wav,1,cat\n', "line 4: name '../c.wav' is no", 2),
  'NUL': (GOOD + 'c\0.wav,1,cat\n', "line 4: name 'c\\x00.wav' is no", 2),
  'two lines': (GOOD + '"c\n.wav",9,cat\n', "line 5: name 'c\\n.wav' is no", 2),
}  # fmt: skip


@pytest.mark.parametrize('case', HOPELESS)
def test_what_cannot_be_read(case):
  text, reason = HOPELESS[case]
  for report in (None, [].extend):
    with pytest.raises(BadData, match=reason) as raised:
      read(text, report)
    assert str(raised.value).startswith('meta.csv: ')


@pytest.mark.parametrize('case', FAULTY)
def test_what_is_faulty(case):
  text, reason, kept = FAULTY[case]
  with pytest.raises(BadData, match=re.escape(reason)) as raised:
    read(text)
  assert str(raised.value).startswith('meta.csv: line ')
  left_out = []
  assert list(read(text, left_out.extend).rows) == ROWS[:kept]
  (line,) = left_out
  assert reason in line and line.startswith('meta.csv: line ')


def test_the_first_few_faults_are_named_and_all_counted():
  text = GOOD + ''.join(f'{i}.wav,9,cat\n' for i in range(8))
  with pytest.raises(BadData, match=r'line 4: .*line 6: .*5 more \(8 in all\)'):
    read(text)


def test_names_of_bad_rows_are_known():
  text = GOOD + 'c.wav,9,cat\nd.wav\n'
  assert read(text, [].extend).named == {'a.wav', 'b.wav', 'c.wav', 'd.wav'}
