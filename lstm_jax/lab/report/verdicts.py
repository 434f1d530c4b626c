"""The verdict on a reading of a published row, by a rule fixed in advance.

What was published decides by which rule: sequences to success and shares of
solved trials by that of this file, an accuracy or a loss of one run by that of
`further_run`. A rule is printed in every report that uses it; the figures in
its text are the constants that the code uses, so the two cannot drift apart.
"""

import math
from collections.abc import Mapping, Sequence

from lstm_jax.lab.report import further_run, two_samples
from lstm_jax.lab.report.verdict_words import (
  NO_VERDICT,
  NOT,
  REPRODUCED,
  UNDER,
  WIDEST,
  Verdict,
)
from lstm_jax.lab.store.documents import Figures
from lstm_jax.ops.intervals import wilson

FEWEST = 10  # trials
LEVEL = 0.95
ALPHA = 0.05
WIDEST_SHARE = 0.4  # width of the interval of our share of solved trials
TRIALS = 10  # published trials where the paper gives no number

RULE = (
  'The paper prints means over trials, no scatter. So the scatter is taken '
  'from our trials, and the question is whether the published mean could be '
  'the mean of further trials of the same kind.',
  f'Mean. Ours is over the solved trials. The {100 * LEVEL:g} % interval for '
  'the mean of as many further trials as were published is our mean divided '
  'and multiplied by r, log r = t · c · √(1/n + 1/n_published): n our '
  'solved trials, t Student’s quantile for n − 1, c the larger of '
  'the standard deviation of the logarithms and of standard deviation / mean. '
  'On the log scale, because twice and half the published figure are equally '
  'far off; the larger of two, because either alone is too small for some '
  'skewed distribution. '
  f'Where the paper gives no number of trials, {TRIALS} are assumed.',
  'Share. Solved trials of all trials, against the published successes by '
  f'Fisher’s exact test, two-sided, at {100 * ALPHA:g} %. Where the paper '
  'gives no share, all its trials count as successful; where it gives one in '
  'words, shares are not compared. Where its share is 0, only shares are.',
  f'{REPRODUCED}: the published mean lies in the interval, and the shares '
  'agree.',
  f'{NOT}: it lies outside, or the shares differ, or none of our trials '
  'solved the task where published ones did.',
  f'{UNDER}: fewer than {FEWEST} trials, or trials still to come; or no '
  f'contradiction, but too little was shown: r is above {WIDEST:g}, fewer '
  'than two trials solved, or the Wilson interval of our share is wider than '
  f'{100 * WIDEST_SHARE:g} points.',
  'A mean over solved trials is too small where some were stopped by their '
  'budget: they would have taken longer. Medians count them as infinite. '
  'One reading in twenty fails by chance although it is right; and of several '
  'readings one fits more easily by chance than of one alone, so their '
  'number stands beside the best. Whole tables decide, not single rows.',
)


def rule_of(figures: Figures) -> tuple[str, ...]:
  """The rule by which a row with these published figures is judged."""
  return further_run.RULE if further_run.metric_of(figures) else RULE


def verdict(
  values: Mapping[str, Sequence[float]],
  trials: int,
  missing: int,
  figures: Figures,
) -> Verdict:
  """The verdict on our trials, by the rule for what was published.

  Args:
    values: metric -> one number a trial, of those that it is summed up over,
      see `store.metrics`; 'test_total' among them.
    trials: that have ended, solved or not.
    missing: trials of the plan still to come.
    figures: the published ones: `success_after`, `trials`, `success_percent`;
      or `accuracy` and `valid_accuracy` in percent, `loss`, `of` (test
      examples); each may be missing.
  """
  if further_run.metric_of(figures):
    return further_run.verdict(values, missing, figures)
  sequences = values.get('sequences_to_success', ())
  return verdict_of_means(sequences, trials, missing, figures)


def published_mean(figures: Figures) -> float | None:
  """Published sequences to success."""
  if published_percent(figures) == 0:
    return None  # what is printed there is the cap
  return figures.get('success_after')


def published_trials(figures: Figures) -> int:
  """Trials behind a published figure, `TRIALS` where it is not said."""
  return int(figures.get('trials') or TRIALS)


def published_percent(figures: Figures) -> float | str | None:
  """Published share of successful trials, in percent, or in words."""
  return figures.get('success_percent')


def published_successes(figures: Figures) -> int | None:
  """Published successful trials; None where the share is given in words."""
  percent = published_percent(figures)
  if isinstance(percent, str):
    return None
  if percent is None and published_mean(figures) is None:
    return None
  trials = published_trials(figures)
  return trials if percent is None else round(percent / 100 * trials)


def verdict_of_means(
  sequences: Sequence[float],
  trials: int,
  missing: int,
  figures: Figures,
) -> Verdict:
  """Applies `RULE`.

  Args:
    sequences: to success, of solved trials.
    trials: that have ended, solved or not.
    missing: trials of the plan still to come.
    figures: the paper's: `success_after`, `trials`, `success_percent`; each
      may be missing.

  Returns:
    The `Verdict`.
  """
  mean = published_mean(figures)
  successes, of = published_successes(figures), published_trials(figures)
  num_solved = len(sequences)
  if mean is None and successes is None:
    return Verdict(NO_VERDICT, 'the paper gives no figure to compare')
  ratio = reach = p = None
  if mean and num_solved:
    ratio = math.fsum(sequences) / num_solved / mean
  mean_interval = None
  if num_solved > 1:
    mean_interval = two_samples.mean_of_others(sequences, of, LEVEL)
  if mean_interval:
    reach = math.sqrt(mean_interval.high / mean_interval.low)
  if successes is not None and trials:
    p = two_samples.same_share(num_solved, trials, successes, of)
  word, reason = _word(
    num_solved, trials, missing, mean, successes, of, reach, p
  )
  if word is None:
    word, reason = _compared(ratio, reach)
  if word == REPRODUCED and p is not None:
    low, high = wilson(num_solved, trials, LEVEL)
    if high - low > WIDEST_SHARE:
      word = UNDER
      reason = (
        f'no contradiction, but {num_solved} of {trials} leaves the share open '
        f'from {100 * low:.0f} to {100 * high:.0f} %'
      )
    elif ratio:
      reason = f'{reason}; the shares agree (p = {p:.2g})'
  return Verdict(word, reason, ratio, reach, p)


def _word(num_solved, trials, missing, mean, successes, of, reach, p):
  """(word, reason) as far as counts decide; word None where means must."""
  if missing:
    return UNDER, f'{missing:,} of {trials + missing:,} trials still to come'
  if trials < FEWEST:
    return UNDER, f'{_trials(trials)}, the rule asks for {FEWEST}'
  if not num_solved and successes != 0:
    return NOT, f'none of {_trials(trials)} solved the task'
  if p is not None and p < ALPHA:
    return NOT, (
      f'{num_solved} of {trials} solved, published {successes} of {of} '
      f'(p = {p:.2g})'
    )
  if mean is None:
    return REPRODUCED, (
      f'{num_solved} of {trials} solved, published {successes} of {of} '
      f'(p = {p:.2g}); no mean to compare'
    )
  if reach is None:
    return UNDER, 'one solved trial has no scatter'
  return None, ''


def _compared(ratio, reach):
  """(word, reason) from our mean over the published one."""
  if ratio >= 1:
    off = f'our mean is {ratio:.3g} times the published one'
  else:
    off = f'the published mean is {1 / ratio:.3g} times ours'
  distance = max(ratio, 1 / ratio)
  if distance > reach:
    return NOT, f'{off}; up to {reach:.3g} would be expected of chance'
  if reach > WIDEST:
    return UNDER, (
      f'{off}, and anything up to {reach:.3g} could be chance: more than '
      f'{WIDEST:g}'
    )
  return REPRODUCED, f'{off}; up to {reach:.3g} is expected of chance'


def _trials(count):
  return f'{count:,} trial' + 's' * (count != 1)
