"""Runs the tests that are of a device, and says which passed and which not."""

import os
import subprocess
import sys
import tempfile
import time
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
  """Runs tests, each file in a process that has the device to itself.

  Args:
    seconds: that all may take; a file has its share of what is left.
    tests: files.
    root: of the checkout.
  """
  end = time.monotonic() + seconds
  whole = Outcome()
  for i, name in enumerate(tests):
    share = max(end - time.monotonic(), 0) / (len(tests) - i)
    outcome = _run_file(share, name, root)
    errors = filter(None, (whole.error, outcome.error))
    whole = Outcome(
      whole.passed + outcome.passed,
      whole.failed | outcome.failed,
      whole.left_out | outcome.left_out,
      '; '.join(errors),
    )
  return whole


def _run_file(seconds, name, root):
  """The outcome of one file's tests."""
  if not (root / name).is_file():
    return Outcome(error=f'{name}: there is no checkout with it here')
  with tempfile.TemporaryDirectory(prefix='lstm_jax-tests-') as folder:
    report = Path(folder) / 'tests.xml'
    command = [
      sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider',
      '--sample', f'--junitxml={report}', name,
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
        lines = (done.stdout + done.stderr).strip().split('\n')
        error = (
          f'{name}: pytest ended with {done.returncode}: {lines[-1][:300]}'
        )
    except subprocess.TimeoutExpired:
      error = f'{name}: it took more than {seconds:.0f} s and was ended'
    if not report.is_file():
      return Outcome(error=error or f'{name}: pytest wrote no report')
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
