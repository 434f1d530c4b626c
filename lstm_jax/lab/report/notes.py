"""Notes on a row, below its table."""

from lstm_jax.choices import count_of
from lstm_jax.lab.report import further_run, verdict_words, verdicts
from lstm_jax.lab.report.measures import METRIC_WORDS
from lstm_jax.lab.report.readings import Reading
from lstm_jax.lab.report.rows import Row
from lstm_jax.lab.report.summaries import shown_text
from lstm_jax.lab.store.metrics import BY_NAME

# Keys of `published` that have a place in the columns.
_PLACED = {'success_after', 'st1', 'success_percent', 'trials', 'low', 'high'}
_PLACED |= {'wrong', 'of', 'fraction', 'absolute', 'difference', 'weights'}
_PLACED |= {'accuracy', 'valid_accuracy', 'loss', 'epochs'}


def notes(row: Row) -> list[str]:
  """Returns the notes on a row, one sentence each."""
  sentences = []
  for r in row.readings:
    head = f'{r.letter}: ' * (len(row.readings) > 1 or r.unit == 'sequences')
    if row.figures:
      sentences.append(f'{head}{r.verdict.word}: {r.verdict.reason}.')
    sentences_of = [*_of_sequences(r), *_of_seeds(r)]
    sentences += [f'{head}{sentence}' for sentence in sentences_of]
  if not row.figures:
    return sentences
  words = {r.verdict.word for r in row.readings}
  if verdict_words.REPRODUCED not in words:
    tail = ' so far' if verdict_words.UNDER in words else ''
    sentences.insert(0, f'No reading reproduces this row{tail}.')
  of_one_run = further_run.metric_of(row.figures)
  if not (of_one_run or row.figures.get('trials')):
    sentences.append(
      'The number of published trials is not given; '
      f'{verdicts.TRIALS} are assumed.'
    )
  figures_left = {k: v for k, v in row.figures.items() if k not in _PLACED}
  if figures_left:
    words = ', '.join(
      f'{name} {shown_text(value)}' for name, value in figures_left.items()
    )
    sentences.append(f'Also published: {words}.')
  return sentences


def _of_sequences(r: Reading):
  """Of trials that are to solve their task."""
  if r.trials > r.solved > 0:
    yield (
      f'the mean leaves out the {r.trials - r.solved:,} of {r.trials:,} trials '
      'that did not solve the task; stopped early or by their budget, they '
      'would have taken longer.'
    )
  if r.constant:
    yield (
      f'{r.constant:,} of {r.trials - r.solved:,} unsolved trials at the level '
      f'of a constant ({r.predictor}): they had learned nothing from their '
      'inputs.'
    )
  if r.weak:
    yield (
      f'{r.weak:,} of {r.solved:,} solved trials at the level of a constant '
      f'({r.predictor}) in the test.'
    )
  if r.given_up:
    options = dict(r.setting.task_options)
    sequences = options.get('blind_sequences', 0)
    yield (
      f'{count_of(r.given_up, "trial")} given up early: for {sequences:,} '
      'training sequences the errors of the last step were the same to the '
      'last bit whatever the first symbol, at each look; they count as not '
      'solved.'
    )
  for status in ('diverged', 'failed'):
    number_of = getattr(r, status)
    if number_of and r.unit == 'sequences':
      yield f'{count_of(number_of, "trial")} {status}.'


def _of_seeds(r: Reading):
  """Of trials that are trained to their end."""
  if r.unit == 'sequences':
    return
  if measure := r.measures.get(r.metric):
    low, high = (
      further_run.metric_text(x, r.metric) for x in (measure.low, measure.high)
    )
    name = METRIC_WORDS[r.metric].capitalize()
    words = f'{name} of the seeds: from {low} to {high}'
    if r.level:
      words += (
        f'; {r.level.above} of {r.trials} better than the best predictor '
        f'without recurrence, {r.level.name} '
        f'({further_run.metric_text(r.level.value, r.metric)})'
      )
    yield f'{words}.'
  for name, measure_ in r.measures.items():
    if name not in BY_NAME:
      words = further_run.span(measure_.interval, name)
      interval = f' [{words}]' if words else ''
      name = name.replace('_', ' ')
      yield f'{name}: {measure_.mean:.3g}{interval}, mean of the seeds.'
  for status in ('diverged', 'failed'):
    if number_of := getattr(r, status):
      yield (
        f'{number_of:,} of {r.trials:,} trials {status}: they are in no mean.'
      )
