"""The seams: what a cell, a task, a learner and a stop rule are.

Everything here is a NamedTuple of pure functions made by a factory, as in
optax. Axis letters, declared once and used in every docstring:

  T  time steps of a sequence
  I  inputs of the network (external input lines)
  K  outputs of the network
  U  units of the hidden layer that have a net input (gates and cells)
  C  memory cells (or plain hidden units) of the hidden layer
  S  sources: what the weights of one hidden unit multiply
  *  lanes: any number of trailing axes, none for one network on one sequence

**Lanes last.** A function is written for one network and one sequence, features
on the first axes; every array may carry the same trailing lane axes, one lane a
trial. `[C, *]` is `[C]` for one network and `[C, 32]` for thirty-two. Lanes
never
meet: no function reduces over `*`. The layout is what lets one compiled loop
fill the vector unit with trials of a network of four cells.

Time is in the names: `h_t` is now, `h_tm1` one step ago.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import (
  TYPE_CHECKING,
  NamedTuple,
  Protocol,
  TypeVar,
  runtime_checkable,
)

import jax
import numpy as np
from jax.typing import ArrayLike, DTypeLike

Array = jax.Array
# NamedTuples of arrays. What stands for all of them in an annotation is at run
# time a function, of which `|` makes no type.
if TYPE_CHECKING:
  Params = NamedTuple
  Carry = NamedTuple
  Episode = NamedTuple
else:

  @runtime_checkable
  class Params(Protocol):
    """Weights of a network, a NamedTuple of arrays; each cell has its own."""

    _fields: tuple[str, ...]

  @runtime_checkable
  class Carry(Protocol):
    """State between steps, a NamedTuple of arrays; each cell has its own."""

    _fields: tuple[str, ...]

  @runtime_checkable
  class Episode(Protocol):
    """Facts of one sequence, a NamedTuple of arrays; each task has its own."""

    _fields: tuple[str, ...]


# A function that is annotated with one of these gives back a tree like the one
# it is given, with other arrays in it.
Tree = TypeVar('Tree')
Fields = TypeVar('Fields', bound=NamedTuple)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class OneHot:
  """`[size, *]` with a 1 in row `index` and zeros elsewhere, not written out.

  As the input of a step it costs the one column of weights that it picks,
  however many lines there are (`ops.arrays`).

  Attributes:
    index: `[*]` integers, the row; `[T, *]` for a whole sequence.
    size: rows, a Python int.
  """

  index: Array
  size: int = dataclasses.field(metadata={'static': True})


# What a step reads: `[I, *]`.
Source = Array | OneHot


class Key(NamedTuple):
  """The two words of a threefry key."""

  high: Array  # [*] uint32
  low: Array  # [*] uint32


# What is read as a key: its two words.
KeyData = Key | Array | tuple[np.uint32, np.uint32]


class Sequence(NamedTuple):
  """A sequence as arrays.

  Attributes:
    inputs: `[T, I, *]`, or a `OneHot` with `index` `[T, *]`.
    targets: `[T, K, *]`, read only where `mask` is 1.
    mask: `[T, *]`, 1 at the steps whose error counts, 0 elsewhere (also past
      the end of a sequence that is shorter than T).
    length: `[*]` integers, number of steps; what lies past it is never read.
  """

  inputs: Source
  targets: Array
  mask: Array
  length: Array


class Signal(NamedTuple):
  """The value of the first steps, in place of their noise or added to it.

  Attributes:
    steps: how many.
    value: `[*]` float32, the same at each of them.
    is_noisy: whether the noise is added to it.
  """

  steps: int
  value: Array
  is_noisy: bool


class Drawn(NamedTuple):
  """The inputs of a sequence drawn by position, for code outside XLA.

  Line 0 of step t is `scale` times element t of the key's uniform numbers and
  `shift`, the other lines are 0; or, with `symbols`, one line is on, that of
  this number and the leading `bits` of element t of the key's words. Then the
  events, in their order, each at one step: of numbers it sets a line to its
  value, of symbols the line is the one that is on.

  Attributes:
    key: words, `[*]` each.
    events: of each the step `[*]`, negative for never, the line `[*]` and the
      value.
    scale, shift: of numbers.
    symbols, bits: of symbols; None: numbers.
    signal: None: numbers are uniform. Else they are the noise of
      `two_sequence`, `scale` times a normal number, and this is what line 0 has
      at first.
  """

  key: KeyData
  events: tuple[tuple[Array, Array, float], ...]
  scale: float = 1.0
  shift: float = 0.0
  symbols: int | None = None
  bits: int = 1
  signal: Signal | None = None


class Stream(NamedTuple):
  """A sequence as functions of the time step: nothing is stored.

  A sequence of a million steps is then as cheap to hold as one of ten, and the
  compiled loop makes each input where it is used. `t` is `[*]` integers, one
  clock a lane, `0 <= t < length`; values asked for outside are unspecified.

  Attributes:
    length: `[*]` integers, number of steps.
    input_at: `t -> x_t [I, *]`, or a `OneHot` of size I.
    target_at: `t -> [K, *]`.
    scored_at: `t -> bool [*]`, whether the error of this step counts.
    drawn: what `input_at` does, where code outside XLA can do it; else None.
  """

  length: Array
  input_at: Callable[[Array], Source]
  target_at: Callable[[Array], Array]
  scored_at: Callable[[Array], Array]
  drawn: Drawn | None = None


class Connection(NamedTuple):
  """Weights that multiply a field of the carry of one step ago.

  Attributes:
    weights: name of a field of the params, `[U, S, *]`.
    activations: name of a field of the carry, `[S, *]`.
    rows: how many of the first rows of the weights; None: all.
  """

  weights: str
  activations: str
  rows: int | None = None


def _nothing(params: Params) -> tuple[Array, ...]:
  """The extra weights of a cell that has none."""
  del params
  return ()


class Equations(NamedTuple):
  """A step of a cell, given once; the rest follows from it (`ops.step`).

    net_x = W_x x(t) + b,  net_h = sum_i W_i z_i(t-1)
    carry(t), gates = advance(extra, carry(t-1), net_x + net_h)
    net_k(t) = W_out y(t) [+ W_out_x x(t)] + b_out

  From it come the `step` of the cell, the parts that learning rules look at,
  and the products that a layer has for all steps at once. W_x and b are the
  fields `w_x` and `b` of the params; `w_out`, `w_out_x` and `b_out` are those
  of the output units.

  Attributes:
    advance: `(extra, carry_tm1, net [U, *]) -> (carry_t, gates)`; gates is a
      dictionary of the activations inside, name -> array. With
      `separate_nets`: `(extra, carry_tm1, net_x [R, *], net_h [Q, *])`.
    output: name of the carry field y that a layer outputs, `[C, *]`.
    recurrent: a `Connection` for each z_i; none: net_h is 0.
    extra: `params -> tuple` of the other weights of the hidden layer.
    bias: whether there is b.
    products: False: there are none; the net input is x(t) itself, and the extra
      weights are all params.
    separate_nets: whether `advance` takes net_x and net_h one by one.
    readout: names of the weights of the output units; those that end in `_x`
      multiply x(t), the others y(t). None of them: the output units are units
      of the layer, net_k is the first K rows of the net input.
    compiled_loop: name of the loop that code outside XLA has for the same
      equations (`nn.native.loops`); None: none.
  """

  advance: Callable[..., tuple[Carry, dict[str, Array]]]
  output: str
  recurrent: tuple[Connection, ...] = ()
  extra: Callable[[Params], tuple[Array, ...]] = _nothing
  bias: bool = True
  products: bool = True
  separate_nets: bool = False
  readout: tuple[str, ...] = ('w_out',)
  compiled_loop: str | None = None


class CompiledRule(NamedTuple):
  """The recurrence of an internal state, as code outside XLA is told of it.

  Attributes:
    forgets: True for the cells of `lstm`: units in the order y_in, y_f, g,
      y_out, as many of each as cells. False for those of `lstm1997`: y_in,
      y_out, net_c, activations of gates before those of cells.
    in_gates, out_gates: how many; 0: none.
    block: cells that share a gate.
    g, h: numbers of the squashing functions: g of [-2, 2], [-1, 1], [0, 1]; h
      of [-1, 1], [-2, 2], identity.
  """

  forgets: bool
  in_gates: int = 0
  out_gates: int = 0
  block: int = 1
  g: int = 0
  h: int = 0


class InternalState(NamedTuple):
  """The carry field that keeps its error, where a cell has one (s_c).

  Its recurrence is elementwise, and `Equations.advance` reads no extra weights
  and the sum of the net inputs.

  Attributes:
    field: its name.
    unit_of_cell: kind of unit -> `[C]` integers: the row of the net input that
      acts on each entry of the field through this kind of unit.
    carousel: True where the recurrence is the constant 1, so that the sum over
      time needs no recursion.
    compiled: what code outside XLA knows of it (`nn.native.truncated`); None:
      nothing.
  """

  field: str
  unit_of_cell: Mapping[str, np.ndarray]
  carousel: bool = False
  compiled: CompiledRule | None = None


class Cell(NamedTuple):
  """A recurrent network: inputs, one hidden layer of cells, a linear readout.

  A cell knows nothing of errors or learning rules. The field names of its carry
  are the contract with rules that cut the error at some of them.

  Attributes:
    num_inputs: I.
    num_outputs: K.
    init: `(key, numbers) -> params` of one network (no lanes). `numbers` maps
      every name in `numbers` to an array; ours take `key` alone too.
    initial_carry: `(lanes, dtype) -> carry` at the start of a sequence; a
      NamedTuple of `[C, *lanes]` arrays.
    step: `(params, carry_tm1, x_t [I, *]) -> (carry_t, net_k [K, *])`. `net_k`
      is the net input of the output units; the task owns the output unit.
    mask: pytree like `params`, numpy, without lanes: 1 where a weight exists
      and 0 where the connectivity leaves it out. Weights that do not exist are
      0 and stay 0.
    numbers: name -> default, a numpy array of the shape that `init` reads
      (initial range, gate biases). They are traced: trials that differ in them
      share a program.
    equations: what the step is made of; None: nothing but `step` is known,
      and layers scan it (`nn.equations`).
    internal: the carry field that keeps its error; None: there is none.
  """

  num_inputs: int
  num_outputs: int
  init: Callable[..., Params]
  initial_carry: Callable[..., Carry]
  step: Callable[[Params, Carry, Source], tuple[Carry, Array]]
  mask: Params
  numbers: Mapping[str, np.ndarray]
  equations: Equations | None = None
  internal: InternalState | None = None

  # A cell may be a static argument of `jax.jit`: cells are the same where they
  # have the same functions, mask and numbers. Arrays have no hash, and do not
  # need one: cells with the same functions are compared.
  def __hash__(self) -> int:
    return hash((self.num_inputs, self.num_outputs, self.init, self.step))

  def __eq__(self, other: object) -> bool:
    if self is other:
      return True
    if not isinstance(other, Cell):
      return NotImplemented
    return (
      self[:5] == other[:5]
      and self.equations == other.equations
      and self.internal is other.internal
      and _same_arrays(self.mask, other.mask)
      and _same_arrays(self.numbers, other.numbers)
    )

  def __ne__(self, other: object) -> bool:
    return not self == other


def _same_arrays(tree: object, other: object) -> bool:
  """Tells whether two trees of plain arrays are the same; nan is itself."""
  if tree is other:
    return True
  leaves, others = (map(np.asarray, jax.tree.leaves(t)) for t in (tree, other))
  return len({jax.tree.structure(tree) for tree in (tree, other)}) == 1 and all(
    a.shape == b.shape and np.array_equal(a, b, equal_nan=True)
    for a, b in zip(leaves, others, strict=True)
  )


class Judgement(NamedTuple):
  """The outputs of a sequence, rated before the network learned from it.

  Attributes:
    right: `[*]` bool, whether every scored step met the task's tolerance.
    absolute: `[*]` mean absolute error over scored steps and outputs.
    squared: `[*]` mean squared error over scored steps and outputs.
  """

  right: Array
  absolute: Array
  squared: Array


class Evidence(NamedTuple):
  """A sequence that lanes were shown, as a stop rule is told of it.

  Attributes:
    judgement: of the outputs, before the network learned from it.
    learned: `[*]` bool, the lanes that learned from it: they run, their
      numbers are finite, and it was not of an evaluation.
    seen: `[*]` training sequences so far, this one included.
    first_passed: `[*]` training sequences when an evaluation was first passed
      but for its mean error; 0 before.
    length: `[*]` the task's T.
    key: a `prng.Key`, what a rule draws its own sequences from.
    next_key: the key of the sequence that comes next.
    params: `[..., *]` the weights after it.
    judge: `(params, episode) -> judgement`, without learning.
  """

  judgement: Judgement
  learned: Array
  seen: Array
  first_passed: Array
  length: Array
  key: KeyData
  next_key: KeyData
  params: Params
  judge: Callable[[Params, Episode], Judgement]


class Verdict(NamedTuple):
  """The verdict of a stop rule after a sequence; `[*]` bool each.

  Attributes:
    solved: whether the trial has succeeded.
    futile: whether it cannot succeed any more.
    passed: whether an evaluation was passed but for its mean error.
  """

  solved: Array | np.bool_ = np.False_
  futile: Array | np.bool_ = np.False_
  passed: Array | np.bool_ = np.False_


class StopRule(NamedTuple):
  """A rule that ends a trial before its budget is spent: solved, or futile.

  A rule may take sequences of its own between those of training: the network
  does not learn from them. One that takes none needs `init` and `update` alone.

  Attributes:
    init: `(lanes, dtype) -> state`, arrays `[..., *]`.
    update: `(state, Shown) -> (state, Verdict)`, after every sequence.
    evaluating: `state -> bool [*]`, whether the next sequence is the rule's.
    next_key: `(state, key, training) -> key` of the next sequence: made of
      the rule's `key` where it is the rule's, else `training`.
    next_episode: `(state, training, key, length [*], data) -> episode`, drawn
      from this key where it is the rule's, else `training`; `data` is what the
      task has prepared.
  """

  init: Callable[[tuple[int, ...], DTypeLike], object]
  update: Callable[[object, Evidence], tuple[object, Verdict]]
  evaluating: Callable[[object], Array | np.bool_] = lambda state: np.False_
  next_key: Callable[[object, KeyData, KeyData], KeyData] = (
    lambda state, key, training: training
  )
  next_episode: Callable[..., Episode] = (
    lambda state, training, key, length, data: training
  )


# Options -> what the best predictor that ignores its input reaches under them.
Trivial = tuple[tuple[dict[str, object], dict[str, object]], ...]


class Task(NamedTuple):
  """A family of sequences and what counts as having learned it.

  Attributes:
    num_inputs: I.
    num_outputs: K.
    draw: `(key, length [*], data) -> episode`: the facts of one training
      sequence, a NamedTuple of arrays. `key` is a `prng.Key`; `length` is the
      task's T, a traced number; `data` is what `prepare` has made.
    fresh: `(key, length [*]) -> episode`, a sequence of the test after success.
    stream: `episode -> Stream`.
    longest: `int -> int`, steps of the longest sequence for a length T.
    error_at_end: True where only the last step is scored.
    output: `net_k [K, *] -> y_k [K, *]`, the output unit.
    loss: `(net_k [K, *], target [K, *]) -> [*]`, one step's error; its
      derivative by `net_k` is the error signal of the learning rules.
    correct: `(episode, t [*], y_k [K, *]) -> bool [*]`, one step's tolerance.
    stop_rule: when a trial is solved, and when it is futile.
    prepare: `(key, length [*]) -> data`, what a trial draws once and keeps, as
      a training set; a pytree of `[..., *]`.
    next_symbol: True where the target of every step is the input of the next.
    steps_at_once: steps that a learner's loop takes before it is asked whether
      there are more; None: the loop asks before each. An accelerator runs
      ahead of who gives it work, but where it is asked that one has to wait.
  """

  num_inputs: int
  num_outputs: int
  draw: Callable[..., Episode]
  fresh: Callable[[KeyData, Array], Episode]
  stream: Callable[[Episode], Stream]
  longest: Callable[[int], int]
  error_at_end: bool
  output: Callable[[Array], Array]
  loss: Callable[[Array, Array], Array]
  correct: Callable[[Episode, Array, Array], Array]
  stop_rule: StopRule
  prepare: Callable[[KeyData, Array], object] = lambda key, length: ()
  next_symbol: bool = False
  steps_at_once: int | None = None


class LearnerState(Protocol):
  """The state of a learner, as far as all have it."""

  @property
  def params(self) -> Params:
    """The weights that are judged."""


class ForeignSteps(NamedTuple):
  """A learner's `update` in three parts, one of which is code outside XLA.

  What stands between two calls of such code is then compiled as one loop, and
  not run as a list of kernels (see `training.online`).

  Attributes:
    prepare: `(params, episode) -> steps`, arrays alone.
    run: `steps -> steps`, the same arrays: the code outside XLA.
    update: `(state, episode, steps) -> (state, judgement)`, after `run`.
  """

  prepare: Callable[[Params, Episode], object]
  run: Callable[..., object]
  update: Callable[..., tuple[LearnerState, Judgement]]


class Learner(NamedTuple):
  """A learning rule or algorithm, applied to a cell on a task.

  Attributes:
    init: `(key, numbers) -> state` of one network; `numbers` holds
      `learning_rate` and the cell's numbers. The state is a NamedTuple with a
      field `params`.
    update: `(state, episode) -> (state, judgement of the outputs before it)`.
    judge: `(params, episode) -> judgement`, without learning.
    extra_weights: weights of the judged net that only training uses, besides
      those in the cell's mask.
    foreign: `update` in parts; None: it has none, or cannot be parted.
  """

  init: Callable[[Array, Mapping[str, ArrayLike]], LearnerState]
  update: Callable[[LearnerState, Episode], tuple[LearnerState, Judgement]]
  judge: Callable[[Params, Episode], Judgement]
  extra_weights: int = 0
  foreign: ForeignSteps | None = None
