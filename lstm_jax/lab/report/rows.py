"""Rows of a report: published rows, and the readings of each.

A pure function of the plans' settings and of the sealed records. Settings with
the same `source`, `line` and length are readings of one published row, from
whatever grids; where a plan names no lines, those with the same task, learner,
length and figures. Trials with the same setting but their seeds are one
reading.

Keys of `published`, all optional: `success_after`, of a stop in two stages the
second's, with `st1` for the first's; `success_percent` (a number, or words);
`trials`; `low` and `high`, the range; `wrong` `of`, or `fraction`; `absolute`
or `difference`, the mean absolute test error; `accuracy` and `valid_accuracy`
in percent, `loss`, `of` (test examples); `weights`; `epochs`. Others are shown
as they are.
"""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from lstm_jax.lab.report import (
  naming,
  verdict_words,
)
from lstm_jax.lab.report.readings import Reading, data, reading_of
from lstm_jax.lab.report.summaries import parts, shown_text
from lstm_jax.lab.store.documents import Figures, Record
from lstm_jax.lab.store.setting import Setting


class Row(NamedTuple):
  """A published row and its readings.

  Attributes:
    name: the line of the table, or what else the row is called.
    anchor: a name that no other row of the report has, for links.
    source: the published table, or the name of the grid.
    task: name of the task.
    length: T, or None.
    figures: the published figures; empty for settings without any.
    readings: at least one.
    best: the reading with the best verdict; ties go to the larger share
      solved, then to the mean nearer to the published one.
  """

  name: str
  anchor: str
  source: str
  task: str
  length: int | None
  figures: Figures
  readings: tuple[Reading, ...]
  best: Reading


def published_rows(
  trials: Mapping[str, Setting], records: Mapping[str, Record]
) -> list[Row]:
  """Groups the trials of one or several runs by published row.

  Args:
    trials: of the plans, id -> setting.
    records: id -> record, of the trials that have ended.

  Returns:
    The rows in the order of their tables' numbers, those of one table in the
    order of the plan; settings without published figures last, as one `Row` a
    grid and task. Where plans disagree on the figures of a row the first
    counts.
  """
  groups = naming.groups(trials)
  rows = []
  anchors: set[str] = set()
  for name, group in zip(naming.row_names(groups), groups, strict=True):
    setting = group[0].setting
    figures = setting.figures
    source = naming.source_of(setting)
    anchors.add(anchor := naming.anchor(f'{source}-{name}', anchors))
    readings = _lettered(
      [
        reading_of(words, alike, records, figures)
        for words, alike in naming.named_readings(group)
      ],
      anchor,
    )
    rows.append(
      Row(
        name=name,
        anchor=anchor,
        source=source,
        task=setting.task,
        length=_common_value([trial.setting.length for trial in group]),
        figures=figures,
        readings=readings,
        best=min(readings, key=_place),
      )
    )
  return rows


def tried_words(row: Row) -> str:
  """Says how many readings of a row were tried, and what became of them."""
  count = len(row.readings)
  words = verdict_words.summed([r.verdict.word for r in row.readings])
  return f'{count} reading{"s" * (count != 1)} tried: {words}'


def _lettered(readings, anchor):
  """Readings with letters; those that see the same data stand together where
  predictors without recurrence are known, which belong to the data."""
  if any(reading.levels for reading in readings):
    by_data = parts(readings, data).values()
    readings = [reading for group in by_data for reading in group]
  letters = map(_letter, range(len(readings)))
  return tuple(
    reading._replace(letter=letter, anchor=f'{anchor}-{letter}')
    for letter, reading in zip(letters, readings, strict=True)
  )


def _common_value(values):
  return values[0] if len(set(values)) == 1 else None


def _letter(i):
  """A, B, ..., Z, AA, AB, ..."""
  head = _letter(i // 26 - 1) if i >= 26 else ''
  return head + chr(ord('A') + i % 26)


def _place(reading):
  """Sort key: the best reading first."""
  ratio = reading.verdict.ratio
  return (
    verdict_words.WORDS.index(reading.verdict.word),
    -reading.solved / max(reading.trials, 1),
    abs(math.log(ratio)) if ratio else math.inf,
  )


def title(row: Row) -> str:
  """A row in a few words: name, task, and length if the name has it not."""
  words = [] if row.task in row.name else [row.task]
  if row.length is not None and str(row.length) not in _numbers(row.name):
    words.append(f'T = {shown_text(row.length)}')
  return f'{row.name}: {", ".join(words)}' if words else row.name


def heading(row: Row) -> str:
  """A row among those of all tables."""
  return f'{row.source}, {title(row)}'


def _numbers(text):
  return re.findall(r'\d+', text)
