"""Records of trials on data sets: what they hold, and the table of curves."""

from lstm_jax.lab.store import files
from lstm_jax.training.examples import CURVES


def of_trial(name, result, reason):
  """The record of a trial on a data set.

  Args:
    name: its id.
    result: what `epoch_groups` made of a `Trained`; None: it failed.
    reason: why it failed, '' where it did not.
  """
  record = {
    'trial': name,
    'status': 'failed',
    'sequences_to_success': None,
    'sequences_seen': 0,
    'milestone': None,
    'weights': None,
    'test_wrong': None,
    'test_total': None,
    'test_absolute': None,
    'test_squared': None,
    'train_absolute': None,
    'reason': reason or None,
    'seconds': 0.0,
  }
  if result is None:
    return record
  test = result['test']
  record |= {
    'status': 'budget' if result.pop('finite') else 'diverged',
    'sequences_seen': result.pop('examples'),
    'test_total': test['total'],
    'seconds': round(result.pop('seconds'), 3),
  }
  if 'right' in test:
    record['test_wrong'] = test['total'] - test['right']
  if result.pop('loss') == 'squared':
    record['test_squared'] = test['loss']
  return record | result


def write_curves(opened, records):
  """Writes curves.csv: one line a trial and epoch, from the records alone."""
  lines = [','.join(('trial', 'epoch', *CURVES))]
  for trial, record in records.items():
    curves = record.get('curves') or {}
    for epoch in range(len(curves.get('train_loss', ()))):
      values = (curves.get(name) for name in CURVES)
      told = [
        '' if v is None or v[epoch] is None else repr(v[epoch]) for v in values
      ]
      lines.append(','.join((trial, str(epoch + 1), *told)))
  data = ('\n'.join(lines) + '\n').encode()
  files.write(opened.path / 'curves.csv', data, opened.disk)
