"""Runs the tests that are of a device, and says which passed and which not."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from lstm_jax import public
from lstm_jax.lab.store import files

# cuDNN's layer against XLA's; sums into one row, which a CPU and an accelerator
# do in different ways; the loops of learners as an accelerator has them.
TESTS = (
  'tests/nn/test_cudnn.py',
  'tests/ops/test_one_hot.py',
  'tests/learners/test_steps_at_once.py',
)
_ROOT = Path(public.__file__).parent.parent


class Outcome(NamedTuple):
  """Outcomes of the tests, one by one.

  Attributes:
    passed: their names.
    failed: name -> the first line of why.
    left_out: name -> why it did not run.
    error: why there is no outcome at all, or not of all; '' where there is.
  """

  passed: tuple[str, ...] = ()
  failed: dict[str, str] = {}
  left_out: dict[str, str] = {}
  error: str = ''


def run(
  seconds: float, tests: Sequence[str] = TESTS, root: Path = _ROOT
) -> Outcome:
  """Runs tests in a process of their own, which has the device to itself.

  Args:
    seconds: after which they are ended.
    tests: files, or tests in them.
    root: of the checkout.
  """
  missing = [t for t in tests if not (root / t.partition('::')[0]).is_file()]
  if missing:
    return Outcome(
      error=f'no checkout with {missing[0]} here: they did not run'
    )
  with tempfile.TemporaryDirectory(prefix='lstm_jax-tests-') as folder:
    report = Path(folder) / 'tests.xml'
    command = [
      sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider',
      '--sample', f'--junitxml={report}', *tests,
    ]  # fmt: skip
    error = ''
    try:
      done = subprocess.run(
        command,
        cwd=root,
        # The rest of the check has the same device, at other times.
        env={'XLA_PYTHON_CLIENT_PREALLOCATE': 'false', **os.environ},
        capture_output=True,
        text=True,
        errors='replace',
        timeout=seconds,
      )
      if done.returncode not in (0, 1):
        lines = (done.stdout + done.stderr).split('\n')
        error = f'pytest ended with {done.returncode}: {lines[-2][:300]}'
    except subprocess.TimeoutExpired:
      error = f'the tests took more than {seconds:.0f} s and were ended'
    if not report.is_file():
      return Outcome(error=error or 'pytest wrote no report')
    return outcome_of(files.read(report).decode(), error)


def outcome_of(xml: str, error: str = '') -> Outcome:
  """The outcome that a report of pytest in JUnit's form tells.

  Args:
    xml: the report.
    error: as in `Outcome`.

  Example:
    >>> outcome_of('<a><testcase classname="t" name="x"/></a>').passed
    ('t::x',)
  """
  passed, failed, left_out = [], {}, {}
  for case in ElementTree.fromstring(xml).iter('testcase'):
    name = f'{case.get("classname")}::{case.get("name")}'
    told = {child.tag: child.get('message', '') for child in case}
    first = {tag: text.partition('\n')[0][:300] for tag, text in told.items()}
    if 'failure' in told or 'error' in told:
      failed[name] = first.get('failure', first.get('error', ''))
    elif 'skipped' in told:
      left_out[name] = first['skipped']
    else:
      passed.append(name)
  return Outcome(tuple(passed), failed, left_out, error)
