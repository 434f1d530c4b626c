"""Images as sequences of their pixels, one a step, in a file for a sweep.

  python examples/sequential_digits.py mnist.npz digits.npz
  python examples/sequential_digits.py mnist.npz permuted.npz --permute=0
  lstm-jax sweep --task=digits.npz --cell=srn,lstm --budget=20

Sequential and permuted MNIST are of Le, Jaitly & Hinton, "A simple way to
initialize recurrent networks of rectified linear units" (2015, arXiv
1504.00941): 784 steps of one pixel, in the order in which one reads, or in one
random order that is the same for all images. The first file holds `x_train`,
`y_train`, `x_test`, `y_test`, as the `mnist.npz` of Keras does, or `images` and
`labels`, such as the digits of scikit-learn (`load_digits`), of 8 by 8 pixels;
then parts are drawn.
"""

import argparse
import sys

import numpy as np


def pixels_of(images: np.ndarray, permute: int | None = None) -> np.ndarray:
  """The pixels of images `[N, ...]` as sequences `[N, T, 1]`.

  Args:
    images: row by row; all axes but the first are of pixels.
    permute: a seed: in a random order, one for all images. The order of a seed
      is the same with every release of numpy. None: as they are.
  """
  pixels = images.reshape(len(images), -1, 1)
  if permute is None:
    return pixels
  order = np.random.RandomState(permute).permutation(pixels.shape[1])
  return pixels[:, order]


def arrays_of(
  held: dict[str, np.ndarray], permute: int | None = None
) -> dict[str, np.ndarray]:
  """What a sweep reads: `inputs`, `targets` and, where it is known, `split`.

  Args:
    held: the arrays of a file of images.
    permute: as in `pixels_of`.

  Raises:
    ValueError: arrays of other names.
  """
  if {'images', 'labels'} <= held.keys():
    inputs = pixels_of(held['images'], permute)
    return {'inputs': inputs, 'targets': held['labels']}
  needed = ('x_train', 'y_train', 'x_test', 'y_test')
  if not {*needed} <= held.keys():
    names = ', '.join(sorted(held)) or 'nothing'
    raise ValueError(
      f'it holds {names}, and must hold images and labels, or '
      f'{", ".join(needed)}'
    )
  train, train_targets, test, test_targets = (held[name] for name in needed)
  return {
    'inputs': pixels_of(np.concatenate([train, test]), permute),
    'targets': np.concatenate([train_targets, test_targets]),
    'split': np.array(['train'] * len(train) + ['test'] * len(test)),
  }


def main(argv: list[str]) -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('images', help='a .npz of images and their classes')
  parser.add_argument('out', help='the .npz to be written')
  parser.add_argument('--permute', type=int, help='seed of an order of pixels')
  flags = parser.parse_args(argv)
  with np.load(flags.images) as file:
    held = {name: file[name] for name in file.files}
  try:
    arrays = arrays_of(held, flags.permute)
  except ValueError as error:
    parser.error(f'{flags.images}: {error}')
  np.savez_compressed(flags.out, **arrays)
  count, steps, _ = arrays['inputs'].shape
  print(f'{flags.out}: {count:,} sequences of {steps:,} steps')


if __name__ == '__main__':
  main(sys.argv[1:])
