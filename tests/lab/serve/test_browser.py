"""The page in a real browser: what stands on it is what the records say.

Chromium is driven by Playwright. It is not downloaded: the one of the system is
used, and where there is none these tests fail and say what to install.
"""

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import socket
import urllib.error
import urllib.request

import numpy as np
import pytest

from lstm_jax.lab.report import trace
from lstm_jax.lab.serve.watching import Watch
from lstm_jax.lab.store import trial_records
from lstm_jax.lab.store.folder import open_folder
from tests.children import await_that, ended, start
from tests.lab.run.test_plan_parts import GRID
from tests.older_records import as_files

pytestmark = pytest.mark.slow

# Six trials that are solved within seconds, and twelve that go on for minutes.
SWEEP = (
  '--grid=quickstart --row=order-rule-of-1997,order-srn --length=20 '
  '--budget=3000000 --checkpoint_seconds=1 --progress=none'
).split()
PLANNED = 18
PATIENCE = 120_000  # milliseconds


@pytest.fixture(scope='module')
def browser():
  from playwright.sync_api import sync_playwright

  path = shutil.which('chromium') or shutil.which('chromium-browser')
  if path is None:
    pytest.fail(
      'there is no chromium here: install it (apt-get install chromium) to '
      'test the page'
    )
  with sync_playwright() as playwright:
    held = playwright.chromium.launch(
      executable_path=path, args=['--no-sandbox', '--disable-gpu']
    )
    yield held
    held.close()


@contextlib.contextmanager
def serving(*folders):
  """The address of a page of folders."""
  server = start('-m', 'experiments.serve', *folders, '--port=0')
  try:
    line = server.stdout.readline()
    assert 'http://127.0.0.1:' in line, server.stderr.read()
    yield line.split()[-1]
  finally:
    server.kill()
    server.communicate()


@contextlib.contextmanager
def opened(browser, address, width=1400):
  """A page at an address; what it asks for and complains of is looked at."""
  context = browser.new_context(viewport={'width': width, 'height': 900})
  page = context.new_page()
  page.set_default_timeout(PATIENCE)
  complaints, hosts = [], set()
  page.on('pageerror', lambda error: complaints.append(str(error)))
  page.on(
    'console',
    lambda line: complaints.append(line.text) if line.type == 'error' else None,
  )
  page.on('request', lambda one: hosts.add(one.url.split('/')[2]))
  page.goto(address)
  yield page
  context.close()
  assert not complaints
  assert {host.partition(':')[0] for host in hosts if host} == {'127.0.0.1'}


def table(page, place):
  """The rows of a table of the page, as lists of texts."""
  return page.locator(f'{place} tbody tr').evaluate_all(
    'rows => rows.map(r => [...r.children].map(c => c.innerText.trim()))'
  )


def counts(page):
  """(ended, planned) as the page says them."""
  words = page.locator('#state .lead').inner_text()
  return tuple(map(int, re.match(r'(\d+) of (\d+) trials', words).groups()))


def records_of(path):
  return trial_records.read_records(open_folder(path))[0]


@pytest.fixture(scope='module')
def killed(browser, tmp_path_factory):
  """A folder whose sweep was looked at while it ran, and then killed."""
  path = tmp_path_factory.mktemp('browser')  # a folder that is empty yet
  with serving(path) as address, opened(browser, address) as page:
    page.get_by_text('no run here').wait_for()
    sweep = start('-m', 'experiments.sweep', *SWEEP, f'--out={path}')
    await_that(sweep, (path / 'lock').exists)
    try:
      assert sweep.poll() is None, sweep.communicate()
      page.get_by_text('A process works on it').wait_for()
      page.get_by_text('under way', exact=False).first.wait_for()
      # Rows fill while trials run, without anybody touching the page.
      page.wait_for_function(
        '() => /^[1-9][0-9]* of 18/.test('
        "document.querySelector('#state .lead').innerText)"
      )
      before = len(records_of(path))
      ended, planned = counts(page)
      assert planned == PLANNED and 1 <= ended <= len(records_of(path))
      assert before >= 1 and sweep.poll() is None
      row = page.locator('#rows a').first
      row.focus()
      page.keyboard.press('Enter')
      page.locator('#learning .main-svg').first.wait_for()
      page.wait_for_function(
        "() => document.querySelector('#trials').innerText.includes('solved')"
      )
    finally:
      sweep.send_signal(signal.SIGKILL)
      sweep.communicate()
    page.get_by_text('No process works on it').wait_for()
  return path


def test_after_a_kill_the_page_says_what_the_records_say(browser, killed):
  records = records_of(killed)
  with serving(killed) as address, opened(browser, address) as page:
    page.locator('#rows table').wait_for()
    assert counts(page) == (len(records), PLANNED)
    opened_folder = open_folder(killed)
    for cells in table(page, '#rows'):
      mine = [
        records[trial]
        for trial, setting in opened_folder.trials.items()
        if setting.row == cells[0] and trial in records
      ]
      solved = [one for one in mine if one['status'] == 'solved']
      assert cells[2].split('\n')[0] == f'{len(solved)}/{len(mine)}'
      assert cells[3] == f'{len(mine)} of 6'
      waits = [one['metrics']['sequences_to_success'] or np.inf for one in mine]
      middle = np.median(waits) if waits else None
      shown = '' if middle is None else f'{middle:,.0f}'
      if middle == np.inf:
        budgets = {s.budget for s in opened_folder.trials.values()}
        shown = f'> {max(budgets):,}'
      assert cells[5] == shown
    page.locator('#rows a').first.click()
    page.locator('#trials table').wait_for()
    for seed, trial, status, seen, success, _ in table(page, '#trials'):
      name = trial.partition(':')[0]
      assert str(opened_folder.trials[name].seed) == seed
      if name in records:
        metrics = records[name]['metrics']
        assert status.split('\n')[0].replace('budget spent', 'budget') == (
          records[name]['status'].replace('_', ' ')
        )
        assert seen.replace(',', '') == str(metrics['sequences_seen'])
        wait = metrics['sequences_to_success']
        assert success.replace(',', '') == ('' if wait is None else str(wait))
      else:
        assert status in ('under way', 'to come')


def test_a_network_is_stepped_through_with_the_keyboard(browser, killed):
  watch = Watch(killed)
  with serving(killed) as address, opened(browser, address) as page:
    page.locator('#rows a').first.click()
    page.locator('#inside-0 .main-svg').first.wait_for()
    words = page.locator('#inside-said-0').inner_text()
    trial = re.match(r'Trial (\w+)', words).group(1)
    seen, params = watch.networks(trial)[-1]
    assert f'after {seen:,} ' in words
    setting = watch.look().trials[trial]
    held = trace.trace(setting, params, seed=0)
    steps = len(held['mask'])
    heading = page.locator('#inside-numbers-0 h4')
    assert heading.inner_text() == f'Step {steps} of {steps}'
    handle = page.locator('#step [role=slider][aria-label]')
    handle.wait_for()
    handle.focus()
    for _ in range(3):
      page.keyboard.press('ArrowLeft')
    page.get_by_text(f'Step {steps - 3} of {steps}').wait_for()
    numbers = page.locator('#inside-numbers-0 dd').all_inner_texts()
    for text, values in zip(
      numbers,
      (held['inputs'], *held['carry'].values(), held['outputs']),
      strict=False,
    ):
      expected = [f'{v:.3g}' for v in values[steps - 4][:12]]
      assert text.split('  and')[0].split()[: len(expected)] == expected
    # The line that says "here" stands where the numbers are from.
    shapes = page.evaluate(
      "document.querySelector('#inside-0 .js-plotly-plot').layout.shapes"
    )
    assert shapes[0]['x0'] == steps - 3
    # Back to the start of training.
    page.locator('#stage [role=slider]').focus()
    page.keyboard.press('Home')
    page.get_by_text('after 0 training sequences').wait_for()
    # The link restores all of it, in another window.
    page.wait_for_function("() => location.search.includes('seen=0')")
    link = page.url
    other = page.context.new_page()
    other.goto(link)
    other.get_by_text('after 0 training sequences').wait_for()
    other.get_by_text(f'Step {steps - 3} of {steps}').wait_for()


@pytest.mark.parametrize('width', [1400, 420])
def test_it_fits_the_window_and_has_names(browser, killed, width):
  with serving(killed) as address, opened(browser, address, width) as page:
    page.locator('#rows a').first.click()
    page.locator('#inside-0 .main-svg').first.wait_for()
    wide = page.evaluate('document.documentElement.scrollWidth')
    assert wide <= width
    assert page.locator('h1').count() == 1
    nameless = page.evaluate(
      """() => [...document.querySelectorAll(
        'a, input, [role=slider], progress, [role=region], [role=img]')]
        .filter(e => !e.closest('.modebar') && e.offsetParent)
        .filter(e => !(e.innerText || e.ariaLabel || e.title ||
          e.getAttribute('aria-labelledby') || (e.labels || []).length))
        .map(e => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    # Everything that can be clicked is reached by Tab, rows before sliders.
    reached = page.evaluate(
      """() => [...document.querySelectorAll(
        'a[href], input, [role=slider], summary')]
        .filter(e => e.offsetParent && e.tabIndex < 0).length"""
    )
    assert reached == 0


def test_two_folders_stand_side_by_side(browser, killed, tmp_path):
  other = tmp_path / 'other'
  shutil.copytree(killed, other)
  first = next((as_files(other) / 'records').glob('*.json'))
  first.write_bytes(first.read_bytes()[:-5])
  with serving(killed, other) as address, opened(browser, address) as page:
    page.get_by_text(first.name, exact=False).first.wait_for()
    page.locator('#rows a').first.click()
    page.locator('#inside-0 .main-svg').first.wait_for()
    page.locator('#inside-1 .main-svg').first.wait_for()
    heads = page.locator('#rows th[scope=col]').all_inner_texts()
    assert heads[-2:] == [f'{killed.name}: solved', 'other: solved']


def test_who_has_no_token_sees_nothing(browser, killed):
  with serving(killed) as address:
    context = browser.new_context()
    page = context.new_page()
    for strange in ('', '?token=x'):
      answer = page.goto(address.partition('?')[0] + strange)
      assert answer.status == 403
      assert 'Trials' not in page.content()
    context.close()


def test_folders_are_as_they_were(killed):
  # Nothing but what the sweep has written, whoever has looked.
  names = {path.relative_to(killed).parts[0] for path in killed.rglob('*')}
  assert names <= {'plan.json', 'records', 'checkpoints', 'nets', 'lock'}
  assert json.loads((killed / 'lock').read_text())['pid']  # of the killed one


def test_a_sweep_has_its_page_beside_it(killed, tmp_path):
  command = (*SWEEP, f'--out={tmp_path / "run"}', '--serve')
  sweep = start('-m', 'experiments.sweep', *command)
  try:
    line = next(one for one in sweep.stdout if 'The page:' in one)
    address = line.split()[-1]
    with urllib.request.urlopen(address.partition('?')[0] + 'x') as _:
      pass
  except urllib.error.HTTPError as refused:
    assert refused.code == 403  # it listens
  finally:
    sweep.kill()
    sweep.communicate()
  # Its process ends with that of the run, however that ends.
  port = int(re.search(r':(\d+)/', address).group(1))
  for _ in range(100 * 60):
    with socket.socket() as probe:
      if probe.connect_ex(('127.0.0.1', port)):
        return
    sweep.poll()
  pytest.fail('the page outlives its run')


def test_the_page_of_a_mixed_plan_stays_at_one_address(browser, tmp_path):
  grid = tmp_path / 'mixed.toml'
  grid.write_text(GRID)
  words = (f'--grid={grid}', f'--out={tmp_path / "run"}', '--progress=none')
  terminal, stdin = pty.openpty()  # on which the page stays after the run
  sweep = start('-m', 'experiments.sweep', *words, '--serve', stdin=stdin)
  try:
    lines = iter(sweep.stdout)
    address = next(one for one in lines if 'The page:' in one).split()[-1]
    # Opened before the first part has trained anything, and never again.
    with opened(browser, address) as page:
      rest = []
      for line in lines:
        rest.append(line)
        if 'stays until Ctrl-C' in line:
          break
      page.get_by_text('4 of 4 trials ended').wait_for()
      rows = [cells[0] for cells in table(page, '#rows')]
    sweep.send_signal(signal.SIGINT)
    rest += ended(sweep, 130).stdout.splitlines()
    assert rows == ['task', 'data']
    assert not [line for line in rest if 'The page:' in line]
    flags = json.loads((tmp_path / 'run' / 'plan.json').read_text())['content'][
      'provenance'
    ]['xla_flags']
    assert flags.keys() == {'auto', 'none'}  # it was in two parts
  finally:
    sweep.kill()
    sweep.communicate()
    os.close(terminal)
    os.close(stdin)


def test_a_row_on_data_has_its_matrix_and_its_networks(browser, tmp_path):
  draw = np.random.default_rng(0)
  data = tmp_path / 'mine.npz'
  names = np.array(['bird', 'cat', 'dog'])
  inputs = draw.normal(size=(60, 9, 2)).astype(np.float32)
  np.savez(data, inputs=inputs, targets=names[np.arange(60) % 3])
  words = ('--cell=lstm', '--seeds=2', '--budget=3', '--progress=none')
  run = tmp_path / 'run'
  ended(
    start('-m', 'experiments.sweep', f'--task={data}', *words, f'--out={run}')
  )
  with (
    serving(run, f'--data_dir={tmp_path}') as address,
    opened(browser, address) as page,
  ):
    page.locator('#rows a').first.click()
    page.locator('#confusion-0 .main-svg').first.wait_for()
    assert (
      'Test part, 2 trials' in page.locator('#confusion-said-0').inner_text()
    )
    page.locator('#inside-0 .main-svg').first.wait_for()
    words = page.locator('#inside-said-0').inner_text()
    assert 'sequence 0 of' in words and 'held out: it is' in words
    assert page.locator('#stage-name').inner_text() == 'Training: epochs seen'
    page.get_by_text('Step 9 of 9').wait_for()
    page.locator('#step [role=slider]').focus()
    page.keyboard.press('ArrowLeft')
    page.get_by_text('Step 8 of 9').wait_for()
    page.locator('#seed').fill('1')
    page.keyboard.press('Enter')
    page.get_by_text('sequence 1 of').wait_for()
  data.unlink()
  with serving(run) as address, opened(browser, address) as page:
    page.locator('#rows a').first.click()
    page.get_by_text('mine.npz is not in').wait_for()
