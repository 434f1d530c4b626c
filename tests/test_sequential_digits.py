"""Images as sequences of pixels: the script, and a sweep of what it writes."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from tests.test_own_repository import ROOT

SCRIPT = ROOT / 'examples' / 'sequential_digits.py'
SHAPE = 5, 3  # rows, columns


def script():
  spec = importlib.util.spec_from_file_location('sequential_digits', SCRIPT)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def images(count=30, seed=0):
  random = np.random.default_rng(seed)
  return random.integers(256, size=(count, *SHAPE), dtype=np.uint8)


def test_pixels_come_row_by_row():
  pixels = script().pixels_of(images())
  assert pixels.shape == (30, 15, 1) and pixels.dtype == np.uint8
  for image, sequence in zip(images(), pixels, strict=True):
    expected = [image[row, column] for row in range(5) for column in range(3)]
    assert sequence[:, 0].tolist() == expected


def test_a_seed_is_one_order_of_the_pixels_for_all_images():
  pixels_of = script().pixels_of
  places = np.arange(15, dtype=np.uint8).reshape(1, *SHAPE)
  order = pixels_of(places, 0)[0, :, 0]
  # Written down: another release of numpy is to have the same.
  assert order.tolist() == [1, 6, 8, 9, 14, 4, 2, 13, 10, 7, 11, 3, 0, 5, 12]
  plain = pixels_of(images())
  np.testing.assert_array_equal(pixels_of(images(), 0), plain[:, order])
  assert pixels_of(places, 1)[0, :, 0].tolist() != order.tolist()


def test_parts_that_are_given_are_kept():
  train, test = images(20, 1), images(10, 2)
  classes = np.arange(30) % 3
  arrays = script().arrays_of(
    {
      'x_train': train, 'y_train': classes[:20],
      'x_test': test, 'y_test': classes[20:],
    }
  )  # fmt: skip
  assert arrays['split'].tolist() == ['train'] * 20 + ['test'] * 10
  np.testing.assert_array_equal(arrays['targets'], classes)
  np.testing.assert_array_equal(
    arrays['inputs'].reshape(30, *SHAPE), np.concatenate([train, test])
  )


def run(*words):
  done = subprocess.run(
    [sys.executable, *map(str, words)],
    capture_output=True, text=True, check=False, cwd=ROOT,
  )  # fmt: skip
  return done.returncode, done.stdout + done.stderr


def test_a_sweep_reads_what_the_script_writes(tmp_path):
  source, made = tmp_path / 'images.npz', tmp_path / 'digits.npz'
  np.savez(source, images=images(), labels=np.arange(30) % 3)
  code, text = run(SCRIPT, source, made, '--permute=0')
  assert code == 0 and '30 sequences of 15 steps' in text
  code, text = run(
    '-m', 'experiments.sweep', f'--task={made}', '--cell=lstm', '--seeds=1',
    '--budget=2', f'--out={tmp_path / "run"}', '--dry_run',
  )  # fmt: skip
  assert code == 0, text
  assert 'digits' in text and '1 trial' in text


@pytest.mark.parametrize('held', ({}, {'pixels': np.zeros(3)}))
def test_other_arrays_are_refused_by_name_in_one_line(tmp_path, held):
  source = tmp_path / 'other.npz'
  np.savez(source, **held)
  code, text = run(SCRIPT, source, tmp_path / 'out.npz')
  assert code == 2
  last = text.strip().splitlines()[-1]
  assert f'{source}: it holds {", ".join(held) or "nothing"}, and must' in last
  assert not (tmp_path / 'out.npz').exists()
