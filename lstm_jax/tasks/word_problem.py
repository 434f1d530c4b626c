"""Word problem of a group: the product of the elements so far.

Source: Merrill, Petty & Sabharwal, "The illusion of state in state-space
models" (2024, arXiv 2404.08819), section 5. A sequence is T elements of a
group, each uniform on all of them; after each the network must name the product
of those so far. In S5, the permutations of five things, this is as hard as any
problem of NC1 (Barrington, 1989): it is what transformers, S4 and Mamba of
fixed depth cannot do for all lengths, and what one layer of a recurrent network
learned there. Choices:

* `group`: S5 and A5 (even permutations), which are not solvable; Z60, as large
  as A5 and commutative; S3, small; Z2, which is parity.
* Elements are numbered: permutations in lexicographic order, the integers of
  Z_n. A product of permutations does the first factor first.
* The product of each prefix is drawn, uniform and independent, and an element
  is what leads from one to the next: the same distribution, and no step needs
  those before it.
* `scored`: after every element, as published, or at the end alone.
* A sequence is right where all its scored steps are; the stop rule is the
  project's own (see `_classes`).
"""

import itertools
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax.ops.checked import Count, checked, shared
from lstm_jax.ops.prng import KeyData, integer_at
from lstm_jax.tasks import _classes
from lstm_jax.tasks._outputs import ClassOutput
from lstm_jax.types import Array, Task, Trivial

NUMBERS = {'length': 100}
SHORTEST = 1
PROVIDES = {'error_at_end': {'scored': 'end'}}
MEAN_STEPS = (1, 0)
TRIVIAL: Trivial = (
  (
    {'group': 's5'},
    {
      'predictor': '1/120 for every output, one a bit larger',
      'absolute': 0.0165278,
      'squared': 0.00826389,
    },
  ),
  (
    {'group': 'a5'},
    {
      'predictor': '1/60 for every output, one a bit larger',
      'absolute': 0.0327778,
      'squared': 0.0163889,
    },
  ),
  (
    {'group': 'z60'},
    {
      'predictor': '1/60 for every output, one a bit larger',
      'absolute': 0.0327778,
      'squared': 0.0163889,
    },
  ),
  (
    {'group': 's3'},
    {
      'predictor': '1/6 for every output, one a bit larger',
      'absolute': 0.277778,
      'squared': 0.138889,
    },
  ),
  (
    {'group': 'z2'},
    {
      'predictor': '1/2 for every output, one a bit larger',
      'absolute': 0.5,
      'squared': 0.25,
    },
  ),
)


class Episode(NamedTuple):
  """The facts of one sequence: its products follow from the key."""

  key: KeyData  # [*]
  length: Array  # [*] int32, steps


@shared
@checked
def word_problem(
  *,
  group: Literal['s5', 'a5', 'z60', 's3', 'z2'] = 's5',
  scored: Literal['every_step', 'end'] = 'every_step',
  output: ClassOutput = 'softmax',
  streak: Count = 1000,
) -> Task:
  """Word problem of a group: names the product of the elements so far.

  Inputs are a `OneHot` over the elements of the group, targets one-hot too.

  Args:
    group: S5, A5, Z60, S3 or Z2, of 120, 60, 60, 6 and 2 elements.
    scored: whether every step has an error or the last one alone.
    output: output unit, see `outputs.output_unit`.
    streak: right sequences in a row that the stop rule asks for.

  Returns:
    The task; its length T is the number of elements.

  Raises:
    ValueError: an option outside its choices, a streak below 1. The task's
      `longest` raises it for a length below 1.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.word_problem(group='a5')
    >>> task.num_inputs, task.num_outputs, task.longest(100)
    (60, 60, 100)
  """
  steps_between = _steps_between(group)
  size = len(steps_between)

  def steps(episode):
    def product_at(t):
      # Of no elements it is the neutral one, number 0.
      return jnp.where(t < 0, 0, integer_at(episode.key, t, 0, size))

    def input_at(t):
      pair = product_at(t - 1) * size + product_at(t)
      return _classes.symbol(jnp.asarray(steps_between.ravel())[pair], size)

    return _classes.Steps(
      length=episode.length,
      input_at=input_at,
      class_at=product_at,
      asked_at=lambda t: (t == episode.length - 1) | (scored == 'every_step'),
    )

  return _classes.class_task(
    num_inputs=size,
    num_classes=size,
    draw=Episode,
    steps=steps,
    longest=lambda length: _classes.at_least(length, SHORTEST, 'word_problem'),
    error_at_end=scored == 'end',
    output=output,
    streak=streak,
  )


def _steps_between(group):
  """`[N, N]` int32: the element x with p x = q, of every p and q."""
  kind, n = group[0], int(group[1:])
  if kind == 'z':
    number = np.arange(n, dtype=np.int32)
    return (number[None] - number[:, None]) % n
  all_of_n = np.array([*itertools.permutations(range(n))])
  inversions = sum(
    all_of_n[:, i] > all_of_n[:, j]
    for i, j in itertools.combinations(range(n), 2)
  )
  elements = all_of_n[inversions % 2 == 0] if kind == 'a' else all_of_n
  number_of = {tuple(p): i for i, p in enumerate(elements.tolist())}
  # First p, then x: (p x)(i) = x(p(i)); so x(p(i)) = q(i).
  return np.array(
    [
      [number_of[tuple(q[np.argsort(p)].tolist())] for q in elements]
      for p in elements
    ],
    np.int32,
  )
