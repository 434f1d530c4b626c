"""The table of learning curves: one line a trial and point."""

from collections.abc import Mapping

from lstm_jax.lab.store import files
from lstm_jax.lab.store.documents import Record
from lstm_jax.lab.store.folder import Folder


def write(opened: Folder, records: Mapping[str, Record]) -> None:
  """Writes curves.csv from the records alone, where any has a curve.

  Of trials in epochs `epoch` counts from 1; of others the curve `sequences`
  says where a point is.
  """
  curves = {trial: record['curves'] for trial, record in records.items()}
  names = list(
    dict.fromkeys(name for curve in curves.values() for name in curve)
  )
  if not names:
    return
  lines = [','.join(('trial', 'epoch', *names))]
  for trial, curve in curves.items():
    for at in range(max(map(len, curve.values()), default=0)):
      epoch = '' if 'sequences' in curve else str(at + 1)
      cells = [_word(curve.get(name, ()), at) for name in names]
      lines.append(','.join((trial, epoch, *cells)))
  data = ('\n'.join(lines) + '\n').encode()
  files.write(opened.path / 'curves.csv', data, opened.disk)


def _word(curve, at):
  value = curve[at] if at < len(curve) else None
  return '' if value is None else repr(value)
