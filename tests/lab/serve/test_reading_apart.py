"""A page answers others while it reads a data set for somebody."""

import threading

import numpy as np
import pytest
import waitress

from lstm_jax.lab.commands import serve
from lstm_jax.lab.plan import catalog
from lstm_jax.lab.run import inside_data
from lstm_jax.lab.serve import board, links
from lstm_jax.lab.serve.links import Selection
from lstm_jax.lab.serve.watching import Watch
from lstm_jax.lab.store import nets, trial_records
from lstm_jax.lab.store.folder import create_or_open
from lstm_jax.lab.store.setting import entry_of
from tests.fake_sweep import QUICK, record_of
from tests.lab.plan.test_plan import made
from tests.lab.serve.test_page import asked

PATIENCE = 20  # seconds, of what takes none


class StuckReads:
  """`catalog.build` whose reads of a data set last until they are let on."""

  def __init__(self, build):
    self._build = build
    self.let_on = {name: threading.Event() for name in ('sine', 'other')}
    self.begun = {name: threading.Event() for name in ('sine', 'other')}
    self.reads = []

  def build(self, kind, *args, **options):
    if kind == 'datasets':
      name = 'other' if options['noise'] > 0.3 else 'sine'
      self.reads.append(name)
      self.begun[name].set()
      assert self.let_on[name].wait(PATIENCE)
    return self._build(kind, *args, **options)


@pytest.fixture
def stuck(monkeypatch):
  stuck_reads = StuckReads(catalog.build)
  monkeypatch.setattr(catalog, 'build', stuck_reads.build)
  yield stuck_reads
  for event in stuck_reads.let_on.values():
    event.set()


def settings_of():
  """Of two trials, each on another data set."""
  line = '--task=noisy_sine --cell=srn --hidden=2 --seeds=1 --budget=9'
  return made(f'{line} --set=task.noise=0.1,0.5').trials


def application(app, sockets, **options):
  """Stands for `waitress.create_server`: nothing listens."""
  del options
  for one in sockets:
    one.close()
  return app


def make_client(path):
  """(browser of the page of a folder of two rows on data, their names)."""
  settings = settings_of()
  plan = {
    'flags': {}, 'trials': [entry_of(one) for one in settings],
    'programs': {}, 'provenance': {},
  }  # fmt: skip
  opened = create_or_open(path, plan, disk=QUICK)
  for trial in opened.trials:
    record = record_of(
      trial, np.arange(4.0), status='budget', sequences_seen=99
    )
    trial_records.write_record(opened, record)
    nets.save(opened, trial, {'w': np.ones(2)})
  app, address = serve._server([str(path)], '127.0.0.1', 0, '')

  def client():
    browser = app.test_client()
    browser.get('/' + address.rpartition('/')[2])
    return browser

  return client, [line.key for line in board.lines(Watch(path).look())]


def ask_inside(client, row, answers):
  """Asks for the inside of a row's network, in a thread of its own."""
  browser = client()
  search = links.query_of(Selection(rows=(row,)))
  stages = asked(browser, 'stages.data', place__search=search)['stages.data']

  def ask():
    answer = asked(
      browser, 'inside-0.figure', stages__data=stages, stage__value=0,
      step__value=0, seed__value=0,
    )  # fmt: skip
    answers.append(answer['inside-said-0.children'])

  thread = threading.Thread(target=ask, daemon=True)
  thread.start()
  return thread


def test_who_needs_no_data_does_not_wait(tmp_path, stuck, monkeypatch):
  monkeypatch.setattr(waitress, 'create_server', application)
  client, (sine, other) = make_client(tmp_path / 'run')
  first, second, state = [], [], []
  waiting = ask_inside(client, sine, first)
  assert stuck.begun['sine'].wait(PATIENCE)

  # The page answers, and reads another set.
  ask = lambda: state.append(asked(client(), 'state.children'))
  looking = threading.Thread(target=ask, daemon=True)
  looking.start()
  looking.join(PATIENCE)
  assert state and not first
  stuck.let_on['other'].set()
  ask_inside(client, other, second).join(PATIENCE)
  assert 'does not fit' in second[0] and not first

  stuck.let_on['sine'].set()
  waiting.join(PATIENCE)
  assert 'does not fit' in first[0]


def test_a_set_is_read_once_for_all(stuck):
  """Who needs it as well waits for it, and does not read it again."""
  follower, followed = inside_data.followers(), []
  setting, _ = settings_of()
  follow = lambda: followed.append(follower(setting))
  threads = [threading.Thread(target=follow, daemon=True) for _ in range(3)]
  for thread in threads:
    thread.start()
  assert stuck.begun['sine'].wait(PATIENCE)
  assert not followed
  stuck.let_on['sine'].set()
  for thread in threads:
    thread.join(PATIENCE)
  assert len(followed) == 3 and stuck.reads == ['sine']
