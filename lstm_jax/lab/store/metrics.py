"""The metrics of a trial: one line each.

A record holds `metrics`, name -> number; the table of a run has a column for
each that is named here, and reports take words, units and directions from here.
A metric that is not named is kept in the record and shown by its own name.
"""

from typing import NamedTuple


class Metric(NamedTuple):
  """A number that a trial comes to.

  Attributes:
    name: in records, and of its column.
    words: what it is.
    unit: 'sequences', 'share' (a fraction, shown in percent), 'loss', 'error'
      or 'count'.
    better: 1 where more is better, -1 where less is, 0 for neither.
    over: the trials whose mean sums it up: 'solved', 'unsolved', 'finished'
      (neither diverged nor failed) or 'all'.
    published: key of the published figure that it is compared with, '' for
      none. Of several that are published the first in the table counts.
  """

  name: str
  words: str
  unit: str
  better: int = 0
  over: str = 'all'
  published: str = ''


METRICS = (
  Metric('weights', 'weights that are trained', 'count'),
  Metric(
    'sequences_to_success', 'training sequences until solved; or empty',
    'sequences', -1, 'solved', 'success_after',
  ),
  Metric('sequences_seen', 'training sequences shown', 'sequences'),
  Metric(
    'first_passed', 'training sequences until an evaluation was passed, '
    'whatever its mean error; or empty',
    'sequences', -1,
  ),
  Metric('test_wrong', 'test sequences judged wrong', 'count', -1, 'solved'),
  Metric('test_total', 'test sequences', 'count'),
  Metric(
    'test_absolute', 'mean absolute error on the test sequences', 'error', -1,
    'solved',
  ),
  Metric(
    'test_squared', 'mean squared error on the test sequences', 'error', -1,
    'solved',
  ),
  Metric(
    'train_absolute', 'last finite mean absolute error in training', 'error',
    -1, 'unsolved',
  ),
  Metric(
    'test_accuracy', 'share of the test part that is right, after the last '
    'epoch', 'share', 1, 'finished', 'accuracy',
  ),
  Metric(
    'valid_accuracy', 'share of the validation part that is right, last epoch',
    'share', 1, 'finished', 'valid_accuracy',
  ),
  Metric(
    'test_loss', 'loss on the test part, after the last epoch', 'loss', -1,
    'finished', 'loss',
  ),
  Metric(
    'best_epoch', 'epoch of the best validation, from 1', 'count', 0,
    'finished',
  ),
  Metric(
    'best_test_accuracy', 'share of the test part that is right, by the '
    'network of that epoch', 'share', 1, 'finished',
  ),
  Metric(
    'best_test_loss', 'loss on the test part, by the network of that epoch',
    'loss', -1, 'finished',
  ),
  Metric(
    'valid_loss', 'loss on the validation part, last epoch', 'loss', -1,
    'finished',
  ),
  Metric(
    'train_accuracy', 'share right in training, last epoch', 'share', 1,
    'finished',
  ),
  Metric('train_loss', 'loss in training, last epoch', 'loss', -1, 'finished'),
)  # fmt: skip
BY_NAME = {metric.name: metric for metric in METRICS}
