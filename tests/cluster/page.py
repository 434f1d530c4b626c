"""Blocks of the page of clusters, run as they stand."""

import re
import subprocess

from tests.cluster.slurm import ROOT


def block(name):
  """Lines of the block of docs/clusters.md after `<!-- cluster: NAME -->`."""
  text = (ROOT / 'docs' / 'clusters.md').read_text()
  (lines,) = re.findall(
    rf'<!-- cluster: {name} -->\n```sh\n(.*?)```', text, re.S
  )
  return lines


def run(name, environ, folder, seconds=3600):
  """Runs a block in a folder that has `launch/` beside it; what it prints."""
  launch = folder / 'launch'
  if not launch.exists():
    launch.symlink_to(ROOT / 'launch')
  done = subprocess.run(
    ['bash', '-euc', block(name)],
    cwd=folder, env=environ, capture_output=True, text=True, timeout=seconds,
  )  # fmt: skip
  assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
  return done.stdout


def submit(name, environ, folder):
  """Runs a block that hands a job in, and returns its number."""
  (number,) = re.findall(
    r'Submitted batch job (\d+)', run(name, environ, folder)
  )
  return int(number)
