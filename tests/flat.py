"""Plans and records written flat, as tables have them, for brevity in tests."""

from lstm_jax.lab.store import schema_1
from lstm_jax.lab.store.setting import Setting, entry_of, setting_of


def stored(flat) -> dict:
  """A flat trial as a plan stores it, under its own id where it has one."""
  setting = setting_of(schema_1.entry(flat))
  return {**entry_of(setting), **{k: flat[k] for k in ('id',) if k in flat}}


def settings(flats) -> dict[str, Setting]:
  """Id -> setting of flat trials."""
  return {one['id']: setting_of(one) for one in map(stored, flats)}


def record(flat) -> dict:
  """A flat record as it is sealed."""
  return schema_1.record(flat)


def records(flats) -> dict[str, dict]:
  """Id -> record, of flat ones."""
  return {flat['trial']: record(flat) for flat in flats}
