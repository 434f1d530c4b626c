"""The table of learning curves: one line a trial and epoch."""

from lstm_jax.lab.store import files
from lstm_jax.training.examples import CURVES


def write(opened, records):
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
