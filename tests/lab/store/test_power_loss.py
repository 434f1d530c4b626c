"""A record that was announced survives a loss of power at any step."""

import os
import random
import shutil

import pytest

from lstm_jax.lab.store import faults, files, trial_records
from lstm_jax.lab.store.folder import create_or_open, open_folder
from tests.fake_sweep import QUICK, Died, make_plan, stepwise, sweep, table
from tests.older_records import packs


class Journal:
  """Logs the steps of a run, to lose power after any of them.

  A write is lost until its file is synced, a name until its directory is; what
  is not yet safe may be on the disk all the same, in any combination.
  """

  def __init__(self, root):
    self.root, self.steps = root, []
    self.names, self.fds, self.inodes = {}, {}, 0
    calls = dict(files.DISK._asdict())
    log = lambda *step: self.steps.append(step)

    def opened(path, flags, mode):
      fd = calls['open'](path, flags, mode)
      if str(path) not in self.names:
        self.inodes += 1
        self.names[str(path)] = self.inodes
        log('name', str(path), self.inodes)
      self.fds[fd] = self.names[str(path)]
      return fd

    def write(fd, data):
      log('write', self.fds[fd], bytes(data))
      return calls['write'](fd, data)

    def link(a, b):
      calls['link'](a, b)
      self.names[str(b)] = self.names[str(a)]
      log('name', str(b), self.names[str(b)])

    def rename(a, b):
      calls['rename'](a, b)
      self.names[str(b)] = self.names.pop(str(a))
      log('move', str(a), str(b), self.names[str(b)])

    def unlink(a):
      calls['unlink'](a)
      del self.names[str(a)]
      log('gone', str(a))

    def mkdir(a):
      calls['mkdir'](a)
      log('name', str(a), 'directory')

    self.disk = files.Disk(
      opened,
      write,
      lambda fd: log('sync', self.fds[fd]),
      link,
      rename,
      unlink,
      mkdir,
      lambda path: log('directory', str(path)),
    )

  def lose_power(self, k, target, keep):
    """Builds in `target` what is left after step k.

    `keep() -> bool` decides for each name and write that was not yet safe.
    """
    data, safe, names = {}, {}, {}
    waiting = []

    def apply(step):
      if step[0] == 'gone':
        names.pop(step[1], None)
      elif step[0] == 'move':
        names.pop(step[1], None)
        names[step[2]] = step[3]
      else:
        names[step[1]] = step[2]

    for step in self.steps[:k]:
      if step[0] == 'write':
        data[step[1]] = data.get(step[1], b'') + step[2]
      elif step[0] == 'sync':
        safe[step[1]] = data.get(step[1], b'')
      elif step[0] == 'directory':
        for change in waiting:
          if os.path.dirname(change[1]) == step[1]:
            apply(change)
        waiting = [c for c in waiting if os.path.dirname(c[1]) != step[1]]
      elif step[0] in ('name', 'move', 'gone'):
        waiting.append(step)
    for change in waiting:
      if keep():
        apply(change)
    for name, inode in sorted(names.items()):
      place = target / os.path.relpath(name, self.root)
      if not place.parent.is_dir():
        continue
      if inode == 'directory':
        place.mkdir(exist_ok=True)
      else:
        content = data.get(inode, b'') if keep() else safe.get(inode, b'')
        if content != safe.get(inode) and keep():
          # Of what was appended since, a part is on the disk.
          sure = len(safe.get(inode, b''))
          content = content[: sure + (len(content) - sure) // 2]
        place.write_bytes(content)


def journal_of(root):
  """The journal of a sweep in `root/run`, with what it announced."""
  root.mkdir()
  journal = Journal(root)
  announce = lambda word: journal.steps.append(('announced', word))
  sweep(root / 'run', journal.disk, announce=announce)
  return journal


def power_losses(journal, steps, tmp_path):
  """(k, folder) after a loss of power at each of the steps, three ways each."""
  draw = random.Random(1)
  ways = [lambda: False, lambda: True, lambda: draw.random() < 0.5]
  for k in steps:
    for way in ways:
      target = tmp_path / 'after'
      target.mkdir()
      journal.lose_power(k, target, way)
      yield k, target / 'run'
      shutil.rmtree(target)


def promised(journal, k):
  """The trials whose records were announced within the first k steps."""
  announced = {step[1] for step in journal.steps[:k] if step[0] == 'announced'}
  return announced - {'chunk'}


def test_power_loss_after_every_step(tmp_path, request):
  journal = journal_of(tmp_path / 'before')
  whole = table(tmp_path / 'before' / 'run')
  halfway = 0
  # Of the three trials, which take the same steps, other ones each.
  apart = 1 if request.config.getoption('--all') else 4
  steps = range(0, len(journal.steps) + 1, apart)
  for k, path in power_losses(journal, steps, tmp_path):
    if promised(journal, k):
      found, problems = trial_records.read_records(open_folder(path))
      assert promised(journal, k) <= found.keys() and problems == [], k
      halfway += len(found) < 3
    sweep(path, QUICK)
    assert table(path) == whole, k
  assert halfway > 20 // apart


def test_what_a_dead_process_published_is_made_safe(tmp_path):
  """A record found at the start is counted on, so it must outlive the power."""
  journal = Journal(tmp_path)
  path = tmp_path / 'run'

  def die(name, arguments):
    if name == 'fsync' and any(p.stat().st_size for p in packs(path)):
      raise Died

  with pytest.raises(Died):
    sweep(path, stepwise(die, journal.disk))
  folder = create_or_open(path, make_plan(), disk=journal.disk)
  found, _ = trial_records.read_records(folder)
  (tmp_path / 'after').mkdir()
  journal.lose_power(len(journal.steps), tmp_path / 'after', keep=lambda: False)
  kept, _ = trial_records.read_records(open_folder(tmp_path / 'after' / 'run'))
  assert len(found) == 1 and kept == found


@pytest.mark.parametrize('left_out', ['sync', 'directory'])
def test_power_loss_is_felt_without_syncs(tmp_path, left_out):
  """The check above can fail: every kind of sync is needed."""
  journal = journal_of(tmp_path / 'before')
  journal.steps = [step for step in journal.steps if step[0] != left_out]
  steps = [len(journal.steps)]
  lost = 0
  for k, path in power_losses(journal, steps, tmp_path):
    try:
      found, problems = trial_records.read_records(open_folder(path))
      lost += bool(problems) or found.keys() != promised(journal, k)
    except faults.StoreError:
      lost += 1
  assert lost
