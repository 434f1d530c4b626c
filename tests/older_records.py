"""Run folders in the form before packs: a file for each record."""

from lstm_jax.lab.store import record_packs, seal


def as_files(path):
  """Has each record of a folder in a file of its own; returns the folder.

  The bytes are those that the version before has written.
  """
  place = path / 'records'
  lines, damaged = record_packs.read(place)
  assert not damaged
  for line in lines:
    file = place / f'{line.trial}.json'
    assert not file.exists()
    file.write_bytes(seal.seal_json('record', line.content))
  for name in record_packs.names(place):
    (place / name).unlink()
  return path


def packs(path):
  """The packs of a folder."""
  return sorted((path / 'records').glob('*.jsonl'))


def ended(path):
  """The trials of a folder that have a record, in whatever form."""
  place = path / 'records'
  lines, _ = record_packs.read(place)
  files = {file.stem for file in place.glob('[!.]*.json')}
  return files | {line.trial for line in lines}
