"""Notes on a row, below its table."""

from lstm_jax.lab.report import further_run, verdict_words, verdicts
from lstm_jax.lab.report.measures import JUDGED
from lstm_jax.lab.report.readings import Reading
from lstm_jax.lab.report.rows import Row
from lstm_jax.lab.report.summaries import shown
from lstm_jax.lab.store.metrics import BY_NAME

# Keys of `published` that have a place in the columns.
_PLACED = {'success_after', 'st1', 'success_percent', 'trials', 'low', 'high'}
_PLACED |= {'wrong', 'of', 'fraction', 'absolute', 'difference', 'weights'}
_PLACED |= {'accuracy', 'valid_accuracy', 'loss', 'epochs'}


def notes(row: Row) -> list[str]:
  """Returns the notes on a row, one sentence each."""
  said = []
  for r in row.readings:
    head = f'{r.letter}: ' * (len(row.readings) > 1 or r.unit == 'sequences')
    if row.figures:
      said.append(f'{head}{r.verdict.word}: {r.verdict.reason}.')
    found = [*_of_sequences(r), *_of_seeds(r)]
    said += [f'{head}{sentence}' for sentence in found]
  if not row.figures:
    return said
  words = {r.verdict.word for r in row.readings}
  if verdict_words.REPRODUCED not in words:
    more = ' so far' if verdict_words.UNDER in words else ''
    said.insert(0, f'No reading reproduces this row{more}.')
  of_one_run = further_run.metric_of(row.figures)
  if not (of_one_run or row.figures.get('trials')):
    said.append(
      'The number of published trials is not given; '
      f'{verdicts.TRIALS} are assumed.'
    )
  rest = {k: v for k, v in row.figures.items() if k not in _PLACED}
  if rest:
    words = ', '.join(f'{name} {shown(value)}' for name, value in rest.items())
    said.append(f'Also published: {words}.')
  return said


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
      f'{r.given_up:,} trials given up early: for {sequences:,} training '
      'sequences the errors of the last step were the same to the last bit '
      'whatever the first symbol, at each look; they count as not solved.'
    )
  for status in ('diverged', 'failed'):
    number_of = getattr(r, status)
    if number_of and r.unit == 'sequences':
      yield f'{number_of:,} trials {status}.'


def _of_seeds(r: Reading):
  """Of trials that are trained to their end."""
  if r.unit == 'sequences':
    return
  if held := r.measures.get(r.metric):
    low, high = (further_run.shown(x, r.metric) for x in (held.low, held.high))
    words = (
      f'{JUDGED[r.metric].capitalize()} of the seeds: from {low} to {high}'
    )
    if r.level:
      words += (
        f'; {r.level.above} of {r.trials} better than the best predictor '
        f'without recurrence, {r.level.name} '
        f'({further_run.shown(r.level.value, r.metric)})'
      )
    yield f'{words}.'
  for name, one in r.measures.items():
    if name not in BY_NAME:
      words = further_run.span(one.interval, name)
      interval = f' [{words}]' if words else ''
      name = name.replace('_', ' ')
      yield f'{name}: {one.mean:.3g}{interval}, mean of the seeds.'
  for status in ('diverged', 'failed'):
    if number_of := getattr(r, status):
      yield (
        f'{number_of:,} of {r.trials:,} trials {status}: they are in no mean.'
      )
