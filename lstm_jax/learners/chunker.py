"""The neural sequence chunker: history compression by two networks.

Schmidhuber (1992), "Learning complex, extended sequences using the principle of
history compression", Neural Computation 4(2). The automatizer A sees every
symbol of a sequence and predicts the next one; the chunker C sees only what A
did not predict, a sequence with the predictable left out and the long lags
with it. A also learns to predict C's state: so it comes to remember what C
found worth remembering, predicts more, and C sees less.

The description leaves much open. Here, with x(1), ..., x(T+1) the symbols of a
sequence, h(C) what the output units of C see of its hidden layer, both nets
zero at first:

  for t = 1, ..., T + 1:
    if t = 1 or A failed to predict x(t):
      C is trained: its outputs predict x(t)       (not at t = 1)
      C takes x(t) as its next input
    if t <= T:
      A takes x(t)
      A is trained: its outputs predict x(t+1), its others h(C)

* A has one output unit more for each value of C that it predicts, with the
  connections and the unit of its others, and the same error. No error of A
  goes back into C.
* Teacher's targets and next inputs are the same here, one term of A's error.
* Both nets have the cell's form and learn by the same kind of rule, forwards in
  time; C's time has one step for each symbol that it sees.
* Symbols carry no code of the time at which they came.
* What the whole has learned is judged by A alone.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.learners import _judge
from lstm_jax.learners._chunker import net_step
from lstm_jax.learners._chunker.sequence import (
  Form,
  State,
  listen,
  one_sequence,
)
from lstm_jax.ops.checked import checked
from lstm_jax.ops.initial import initial_params
from lstm_jax.types import Cell, Learner, Task

NEEDS = {
  'readout': 'the network below has more output units, which this cell, whose '
  'output units are in its recurrent layer, cannot have'
}
TASK_NEEDS = {
  'next_symbol': 'it predicts the next symbol of a sequence at every step, '
  'and this task does not ask for that'
}
NUMBERS = {
  'learning_rate': 0.1,
  # Of C; None: that of A.
  'upper_learning_rate': None,
  # A failed where an output is further than this from the symbol.
  'failure_threshold': 0.2,
}
RANGES = {'learning_rate': (0.01, 10.0, 'log')}


@checked
def chunker(
  cell: Cell,
  task: Task,
  *,
  failure: Literal['error', 'argmax'] = 'error',
  predicts: Literal['hidden', 'hidden_and_outputs'] = 'hidden',
  rule: Literal['rtrl', 'elman'] = 'rtrl',
  upper_rule: Literal['rtrl', 'elman'] = 'rtrl',
  upper_outputs: Literal['as_cell', 'see_hidden'] = 'as_cell',
  update: Literal['every_step', 'sequence'] = 'every_step',
) -> Learner:
  """Neural sequence chunker: a second network sees what the first mispredicts.

  Args:
    cell: the form of both nets, one whose output units feed nothing.
    task: one that asks for the next symbol at every step: inputs and targets
      one-hot over one alphabet, each target the input of the step after it.
    failure: when A failed to predict a symbol: 'error', an output is further
      from it than the number `failure_threshold`, or 'argmax', another symbol
      has an output as large.
    predicts: what A predicts of C: the activations that C's output units see,
      or those and C's outputs.
    rule: how A learns: 'rtrl', the exact gradient, or 'elman', error through
      the current step only.
    upper_rule: how C learns, 'current step' being one of its own.
    upper_outputs: what C's output units see: what the cell says, or its hidden
      layer alone. Direct links from its input are enough for C where the next
      symbol follows from the last one; its hidden layer, of which A is to
      learn, then has nothing to remember.
    update: when the weights move: A's at every step and C's whenever it sees a
      symbol, or both once with the sum over the sequence.

  Numbers: `learning_rate` of A, `upper_learning_rate` of C, None for the same,
  `failure_threshold`.

  Returns:
    The learner. Its judgement is of A's outputs, without the other network.

  Raises:
    ValueError: an option outside its choices; a cell whose output units are in
      its recurrent layer; a task whose inputs and targets are not of one size,
      or that has an error at the end only.

  Example:
    >>> import lstm_jax as lj
    >>> task = lj.reber(targets='next_symbol')
    >>> cell = lj.srn(7, 7)
    >>> learner = lj.chunker(cell, task)
    >>> sorted(learner._fields)
    ['extra_weights', 'foreign', 'init', 'judge', 'update']
  """
  upper_cell = cell
  if upper_outputs == 'see_hidden':
    upper_cell = net_step.without_direct_links(cell)
  form = Form(
    cell, upper_cell, task, failure, predicts, rule, upper_rule,
    online=update == 'every_step',
  )  # fmt: skip

  carry, outputs = cell.initial_carry(), jnp.zeros(task.num_outputs)
  num_rows = len(listen(form, carry, outputs))

  def init(key, numbers):
    params = initial_params(cell, key, numbers)
    of_c, of_rows = (jax.random.fold_in(key, n) for n in (1, 2))
    rate, r = jnp.asarray(numbers['learning_rate']), numbers['init_range']
    upper_rate = jnp.asarray(numbers['upper_learning_rate'])
    rows = {
      name: jnp.asarray(exists[:1], rate.dtype).repeat(num_rows, axis=0)
      for name, exists in cell.mask._asdict().items()
      if net_step.of_outputs(name)
    }
    for i, (name, exists) in enumerate(rows.items()):
      values = jax.random.uniform(
        jax.random.fold_in(of_rows, i), exists.shape, rate.dtype, -r, r
      )
      rows[name] = values * exists
    return State(
      params=params,
      predictor=rows,
      upper=jax.tree.map(
        jnp.multiply, initial_params(cell, of_c, numbers), upper_cell.mask
      ),
      learning_rate=rate,
      upper_learning_rate=jnp.where(jnp.isnan(upper_rate), rate, upper_rate),
      failure_threshold=jnp.asarray(numbers['failure_threshold']),
    )

  def update_once(state, episode):
    return one_sequence(form, state, episode)

  def judge(params, episode):
    return _judge.judge_forward(cell, task, params, episode)

  of_a_row = sum(
    int(np.sum(exists[0]))
    for name, exists in cell.mask._asdict().items()
    if net_step.of_outputs(name)
  )
  return Learner(init, update_once, judge, num_rows * of_a_row)
