"""Whatever interrupts a sweep, running it again ends in the same table."""

import errno
import os
import random
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lstm_jax import results
from lstm_jax.store import checkpoints, faults, files, seal
from lstm_jax.store.folder import open_folder
from tests import fake_sweep

ROOT = Path(__file__).parent.parent
# The order of the steps is what is tested; waiting for a real disk is not.
QUICK = files.DISK._replace(
  fsync=lambda fd: None, fsync_directory=lambda path: None
)


class Died(BaseException):
  """The process is gone: no later step happens, no handler runs."""


def stop_at(k, error):
  """A disk that fails from its step k on: dead, or with an OSError once."""
  count = 0

  def before(name, arguments):
    nonlocal count
    count += 1
    if count == k or (count > k and error is Died):
      raise error() if error is Died else OSError(error, os.strerror(error))

  return fake_sweep.stepwise(before, QUICK)


def table(path):
  return (path / 'results.csv').read_bytes()


def hidden(path):
  return [str(p) for p in path.rglob('.*')]


def child(*arguments, **options):
  return subprocess.run(
    [sys.executable, '-m', 'tests.fake_sweep', *map(str, arguments)],
    cwd=ROOT,
    capture_output=True,
    text=True,
    **options,
  )


@pytest.fixture(scope='module')
def clean(tmp_path_factory):
  """A sweep nothing happened to: its folder and how many steps it took."""
  path = tmp_path_factory.mktemp('clean') / 'run'
  steps = []
  fake_sweep.sweep(path, fake_sweep.stepwise(lambda *s: steps.append(s), QUICK))
  assert {name for name, _ in steps} == set(files.Disk._fields)
  assert len(table(path).splitlines()) == 4
  return path, len(steps)


def test_death_at_every_step(clean, tmp_path):
  reference, steps = clean
  announced = []
  for k in range(1, steps + 1):
    path = tmp_path / f'{k}'
    announced.clear()
    try:
      fake_sweep.sweep(path, stop_at(k, Died), announce=announced.append)
    except Died:
      pass
    done = [word for word in announced if word != 'chunk']
    if done:
      assert set(done) <= results.read_records(open_folder(path))[0].keys()
    again = []
    fake_sweep.sweep(path, QUICK, announce=again.append)
    assert table(path) == table(reference), k
    assert hidden(path) == [], k
    # What was announced is not done again, and one chunk at most is lost.
    assert not set(done) & set(again), k
    total = announced.count('chunk') + again.count('chunk')
    assert total <= 3 * fake_sweep.CHUNKS + 1, k


@pytest.mark.parametrize(
  'code', [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO]
)
def test_full_disk_at_every_step(clean, tmp_path, code):
  reference, steps = clean
  stopped = 0
  # Every code takes another path through nothing but the message: thin out.
  every = 1 if code == errno.ENOSPC else 7
  for k in range(1, steps + 1, every):
    path = tmp_path / f'{k}'
    try:
      fake_sweep.sweep(path, stop_at(k, code))
    except faults.StorageError as error:
      stopped += 1
      assert error.exit_code == 74
      assert str(tmp_path) in str(error) and os.strerror(code) in str(error)
    fake_sweep.sweep(path, QUICK)
    assert table(path) == table(reference), k
    assert hidden(path) == [], k
  # The others were steps of the log or of a lock's text, which may fail.
  assert stopped >= len(range(1, steps + 1, every)) - 3


def test_short_writes(clean, tmp_path):
  one_byte = QUICK._replace(write=lambda fd, data: os.write(fd, data[:1]))
  fake_sweep.sweep(tmp_path / 'run', one_byte)
  assert table(tmp_path / 'run') == table(clean[0])


def test_file_system_without_hard_links(clean, tmp_path):
  def refuse(source, target):
    raise OSError(errno.EPERM, 'no hard links here')

  disk = QUICK._replace(link=refuse)
  folder = fake_sweep.sweep(tmp_path / 'run', disk)
  assert table(tmp_path / 'run') == table(clean[0])
  with pytest.raises(FileExistsError):
    files.publish(folder.path / 'plan.json', b'', disk=disk)


def test_file_size_limit(clean, tmp_path):
  """The kernel's own refusal, not a simulated one."""
  path = tmp_path / 'run'
  plan = (clean[0] / 'plan.json').stat().st_size
  limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (plan // 2,) * 2)
  # The module's plan has 40 trials, far over the limit.
  ended = child(path, preexec_fn=limit)
  assert ended.returncode and 'StorageError' in ended.stderr
  assert not (path / 'plan.json').exists() and hidden(path) == []
  assert child(path).returncode == 0
  assert len(table(path).splitlines()) == 41


def test_kill_loop(tmp_path):
  kills, seed = 30, 20261121
  ended = child(tmp_path / 'run', '--kill', kills, seed)
  assert ended.returncode == 0, ended.stderr
  computed, needed, states = map(int, ended.stdout.split())
  print(f'seed {seed}: {computed} of {needed} chunks, {states} states')
  assert needed <= computed <= needed + kills
  assert states >= 5
  assert hidden(tmp_path) == []
  plan = fake_sweep.make_plan(trials=2 + kills // 2)
  fake_sweep.sweep(tmp_path / 'clean', QUICK, plan)
  assert table(tmp_path / 'run') == table(tmp_path / 'clean')


def test_finished_run_is_left_alone(clean):
  path, _ = clean
  look = lambda: {
    p: (p.stat().st_mtime_ns, p.read_bytes())
    for p in path.rglob('*')
    if p.is_file() and p.name not in ('log', 'lock')
  }
  before = look()
  chunks = []
  fake_sweep.sweep(path, announce=chunks.append)
  assert look() == before and chunks == []


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
        if inode not in safe and keep():
          content = content[: len(content) // 2]
        place.write_bytes(content)


def journal_of(root):
  """The journal of a sweep in `root/run`, with what it announced."""
  root.mkdir()
  journal = Journal(root)
  announce = lambda word: journal.steps.append(('announced', word))
  fake_sweep.sweep(root / 'run', journal.disk, announce=announce)
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


def test_power_loss_after_every_step(clean, tmp_path):
  journal = journal_of(tmp_path / 'before')
  assert table(tmp_path / 'before' / 'run') == table(clean[0])
  halfway = 0
  steps = range(len(journal.steps) + 1)
  for k, path in power_losses(journal, steps, tmp_path):
    if promised(journal, k):
      found, problems = results.read_records(open_folder(path))
      assert promised(journal, k) <= found.keys() and problems == [], k
      halfway += len(found) < 3
    fake_sweep.sweep(path, QUICK)
    assert table(path) == table(clean[0]), k
  assert halfway > 20


@pytest.mark.parametrize('left_out', ['sync', 'directory'])
def test_power_loss_is_felt_without_syncs(tmp_path, left_out):
  """The check above can fail: every kind of sync is needed."""
  journal = journal_of(tmp_path / 'before')
  journal.steps = [step for step in journal.steps if step[0] != left_out]
  steps = [len(journal.steps)]
  lost = 0
  for k, path in power_losses(journal, steps, tmp_path):
    try:
      found, problems = results.read_records(open_folder(path))
      lost += bool(problems) or found.keys() != promised(journal, k)
    except faults.StoreError:
      lost += 1
  assert lost


def damaged(data):
  """Every flipped bit of a byte in turn, and every truncation."""
  for at in range(len(data)):
    flipped = bytearray(data)
    flipped[at] ^= 1 << (at % 8)
    yield bytes(flipped)
    flipped[at] ^= 0xFF
    yield bytes(flipped)
    yield data[:at]
  yield data + b'\n'
  yield data + data


def test_every_damage_to_a_record_is_seen(clean, tmp_path):
  path = tmp_path / 'run'
  shutil.copytree(clean[0], path)
  folder = open_folder(path)
  trial = list(folder.trials)[1]
  file = path / 'records' / f'{trial}.json'
  whole = file.read_bytes()
  for data in damaged(whole):
    with pytest.raises(faults.Corrupt, match=trial):
      seal.unseal_json('record', data, file)
  for data in list(damaged(whole))[::40]:
    file.write_bytes(data)
    found, problems = results.read_records(folder)
    assert len(found) == 2 and [p.path for p in problems] == [file]
    assert problems[0].damaged and str(file) in problems[0].reason
  results.write_csv(folder)
  assert trial.encode() not in table(path)
  assert [p.path for p in results.repair(folder)] == [file]
  assert file.with_name(f'{file.name}.bad').read_bytes() == data
  assert f'set aside as {file.name}.bad' in (path / 'log').read_text()
  fake_sweep.sweep(path, QUICK)
  assert table(path) == table(clean[0])


def test_every_damage_to_the_plan_is_seen(clean, tmp_path):
  path = tmp_path / 'run'
  path.mkdir()
  every = list(damaged((clean[0] / 'plan.json').read_bytes()))
  for data in every:
    with pytest.raises(faults.Corrupt, match=r'plan\.json'):
      seal.unseal_json('plan', data, path / 'plan.json')
  for data in every[::200]:
    (path / 'plan.json').write_bytes(data)
    with pytest.raises(faults.Corrupt, match=r'plan\.json'):
      open_folder(path)


@pytest.fixture
def saved(tmp_path):
  """A folder with two generations of a checkpoint."""
  disk = stop_at(10**9, Died)
  folder = fake_sweep.create_or_open(
    tmp_path / 'run', fake_sweep.make_plan(), disk=disk
  )
  for chunk in (1, 2):
    arrays = {'state/x': fake_sweep.np.arange(2.0) + chunk}
    checkpoints.save(folder, 'lane', arrays, {'chunk': chunk})
  return folder


def test_every_damage_to_a_checkpoint_is_seen(saved):
  file = saved.path / 'checkpoints' / 'lane.2'
  whole = file.read_bytes()
  for data in damaged(whole):
    file.write_bytes(data)
    ((name, meta, arrays),), problems = checkpoints.load(saved)
    assert (name, meta) == ('lane', {'chunk': 1})
    assert arrays['state/x'].tolist() == [1.0, 2.0]
    assert len(problems) == 1 and str(file) in problems[0]
    bad = file.with_name('lane.2.bad')
    assert bad.read_bytes() == data and not file.exists()
    bad.unlink()


def reseal(file, old, new):
  """Changes the header of a checkpoint and seals it again."""
  payload = seal.unseal(file.read_bytes(), file)
  assert payload.count(old) == 1 and len(old) == len(new)
  file.write_bytes(seal.seal(payload.replace(old, new)))


@pytest.mark.parametrize(
  'old, new, reason',
  [
    (b'[2]]', b'[9]]', 'do not fit'),
    (b'"<f8", [2]', b'"<f4", [2]', 'do not fit'),
    (b'"<f8", [2]', b'"|O", [2] ', 'not stored'),
    (b'"<f8", [2]', b'"zzz", [2]', 'not understood'),
    (b'"<f8", [2]', b'"<f8",[-2]', 'do not fit'),
    (b'"lane"', b'"line"', 'misplaced'),
    (b'"generation": 2', b'"generation": 3', 'misplaced'),
    (b'"meta"', b'"mate"', 'not a checkpoint'),
  ],
)
def test_a_checkpoint_that_lies_is_refused(saved, old, new, reason):
  reseal(saved.path / 'checkpoints' / 'lane.2', old, new)
  ((_, meta, _),), problems = checkpoints.load(saved)
  assert meta == {'chunk': 1}
  assert reason in problems[0]


def test_files_swapped_in_from_elsewhere(clean, saved, tmp_path):
  # Another trial's record, another plan's record.
  path = tmp_path / 'copy'
  shutil.copytree(clean[0], path)
  folder = open_folder(path)
  one, two, three = (path / 'records' / f'{t}.json' for t in folder.trials)
  shutil.copy(two, one)
  other = fake_sweep.make_plan(changes=None, jax='0.11.0')
  fake_sweep.sweep(tmp_path / 'other', QUICK, other)
  shutil.copy(tmp_path / 'other' / 'records' / three.name, three)
  shutil.copy(two, path / 'records' / f'{two.stem} (copy).json')
  found, problems = results.read_records(folder)
  assert list(found) == [two.stem]
  assert len(problems) == 3 and all(problem.damaged for problem in problems)
  results.repair(folder)
  fake_sweep.sweep(path, QUICK)
  assert table(path) == table(clean[0])
  # Another checkpoint, another plan's checkpoint.
  lane = saved.path / 'checkpoints'
  shutil.copy(lane / 'lane.2', lane / 'other.1')
  foreign = fake_sweep.create_or_open(
    tmp_path / 'foreign', fake_sweep.make_plan(trials=2), disk=QUICK
  )
  checkpoints.save(foreign, 'lane', {}, {})
  shutil.copy(foreign.path / 'checkpoints' / 'lane.1', lane / 'lane.3')
  loaded, problems = checkpoints.load(saved)
  assert [(name, meta) for name, meta, _ in loaded] == [('lane', {'chunk': 2})]
  assert len(problems) == 2 and all('misplaced' in p for p in problems)


def test_a_huge_file_is_not_read(saved):
  file = saved.path / 'checkpoints' / 'lane.2'
  os.truncate(file, files.LARGEST + 1)
  ((_, meta, _),), problems = checkpoints.load(saved)
  assert meta == {'chunk': 1} and 'more than' in problems[0]
