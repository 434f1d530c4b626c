"""A laboratory for long time lags in recurrent networks, as pure JAX functions.

  import lstm_jax as lj

  lj.set_xla_flags()
  print(lj.train(lj.adding(output='linear'), lj.lstm1997, lj.truncated1997,
                 length=100, learning_rate=0.5,
                 numbers={'input_gate_bias': [-3, -6]}))

All public names are in `public.NAMES`; each is imported when it is first used,
so that importing this package imports nothing else. By room:

  types      the seams: Cell, Task, Learner, StopRule, Sequence, Stream
  ops        arrays, the one scan over time, random numbers by position
  cells      one file a cell:          srn, lstm1997, lstm, gru, ...
  tasks      one file a task:          adding, temporal_order, ...
  learners   one file a learning rule: bptt, elman, truncated1997, ...
  nn         the recurrent layer: any cell over whole sequences
  training   a learner meets a task until solved or out of budget; minibatches
  analysis   the error of a sequence's last step, q steps earlier
  testing    what a cell, a task and a data set promise
  lab        all that has effects: plans, runs, the store, data, reports

Words, each for one thing:

  length     T, the task's length (sequences have T to T + T/10 steps)
  lag        the task's minimal time lag
  window     steps an error travels back from where it arises
  cut        carry fields that pass no error back from one step to the last
  cut_every  steps between two cuts, counted from where a sequence begins
  lane       one trial among those that run side by side
  sequences to success   training sequences shown until a trial is solved
  solved k/n             trials that were solved, of all trials

Of `lab`, plans, the store and reports answer without JAX.
"""

from typing import TYPE_CHECKING

from lstm_jax.public import NAMES
from lstm_jax.public import VERSION as __version__
from lstm_jax.public import value_of as _value_of

__all__ = ['__version__', *NAMES]

if TYPE_CHECKING:
  from lstm_jax import testing as testing
  from lstm_jax.analysis.gradient_flow import error_by_lag as error_by_lag
  from lstm_jax.analysis.gradient_flow import error_size as error_size
  from lstm_jax.cells._build import build_cell as build_cell
  from lstm_jax.cells._build import cell_factory as cell_factory
  from lstm_jax.cells._build import draw_weights as draw_weights
  from lstm_jax.cells.cascaded import cascaded as cascaded
  from lstm_jax.cells.cornn import cornn as cornn
  from lstm_jax.cells.fully_recurrent import fully_recurrent as fully_recurrent
  from lstm_jax.cells.gru import gru as gru
  from lstm_jax.cells.indrnn import indrnn as indrnn
  from lstm_jax.cells.janet import janet as janet
  from lstm_jax.cells.lem import lem as lem
  from lstm_jax.cells.lru import lru as lru
  from lstm_jax.cells.lstm import lstm as lstm
  from lstm_jax.cells.lstm1997 import lstm1997 as lstm1997
  from lstm_jax.cells.lstm_layernorm import lstm_layernorm as lstm_layernorm
  from lstm_jax.cells.mingru import mingru as mingru
  from lstm_jax.cells.minlstm import minlstm as minlstm
  from lstm_jax.cells.slstm import slstm as slstm
  from lstm_jax.cells.srn import srn as srn
  from lstm_jax.lab.report.sweep_rows import SweepRow as SweepRow
  from lstm_jax.lab.run.in_python import report as report
  from lstm_jax.lab.run.in_python import sweep as sweep
  from lstm_jax.lab.run.kept import Kept as Kept
  from lstm_jax.lab.run.kept import load as load
  from lstm_jax.lab.run.xla_flags import set_xla_flags as set_xla_flags
  from lstm_jax.learners._descend import descend as descend
  from lstm_jax.learners._judge import judge_forward as judge_forward
  from lstm_jax.learners.bptt import bptt as bptt
  from lstm_jax.learners.cascade import cascade as cascade
  from lstm_jax.learners.chunker import chunker as chunker
  from lstm_jax.learners.elman import elman as elman
  from lstm_jax.learners.eprop import eprop as eprop
  from lstm_jax.learners.guess import guess as guess
  from lstm_jax.learners.kf import kf as kf
  from lstm_jax.learners.rflo import rflo as rflo
  from lstm_jax.learners.rtrl import rtrl as rtrl
  from lstm_jax.learners.snap1 import snap1 as snap1
  from lstm_jax.learners.truncated1997 import truncated1997 as truncated1997
  from lstm_jax.learners.uoro import uoro as uoro
  from lstm_jax.nn.convert import export_weights as export_weights
  from lstm_jax.nn.convert import import_weights as import_weights
  from lstm_jax.nn.dropout import Noise as Noise
  from lstm_jax.nn.dropout import draw_noise as draw_noise
  from lstm_jax.nn.dropout import expected_noise as expected_noise
  from lstm_jax.nn.flax_modules import LinenRecurrent as LinenRecurrent
  from lstm_jax.nn.flax_modules import NnxRecurrent as NnxRecurrent
  from lstm_jax.nn.layer import Run as Run
  from lstm_jax.nn.layer import layer as layer
  from lstm_jax.nn.layer import which_kernel as which_kernel
  from lstm_jax.nn.one_step import StepRun as StepRun
  from lstm_jax.nn.one_step import initial_state as initial_state
  from lstm_jax.nn.one_step import layer_step as layer_step
  from lstm_jax.nn.stack import Stack as Stack
  from lstm_jax.nn.stack import StackParams as StackParams
  from lstm_jax.nn.stack import StackRun as StackRun
  from lstm_jax.nn.stack import init_stack as init_stack
  from lstm_jax.nn.stack import make_stack as make_stack
  from lstm_jax.nn.stack import run_stack as run_stack
  from lstm_jax.nn.stack_weights import export_stack as export_stack
  from lstm_jax.nn.stack_weights import import_stack as import_stack
  from lstm_jax.ops.unroll import unroll as unroll
  from lstm_jax.tasks._outputs import output_unit as output_unit
  from lstm_jax.tasks._stop_rules.streak import streak as streak
  from lstm_jax.tasks.adding import adding as adding
  from lstm_jax.tasks.associative_recall import (
    associative_recall as associative_recall,
  )
  from lstm_jax.tasks.copying import copying as copying
  from lstm_jax.tasks.first_symbol import first_symbol as first_symbol
  from lstm_jax.tasks.flip_flop import flip_flop as flip_flop
  from lstm_jax.tasks.memory_chain import memory_chain as memory_chain
  from lstm_jax.tasks.multiplication import multiplication as multiplication
  from lstm_jax.tasks.parity import parity as parity
  from lstm_jax.tasks.reber import reber as reber
  from lstm_jax.tasks.selective_copying import (
    selective_copying as selective_copying,
  )
  from lstm_jax.tasks.temporal_order import temporal_order as temporal_order
  from lstm_jax.tasks.trigger import trigger as trigger
  from lstm_jax.tasks.two_sequence import two_sequence as two_sequence
  from lstm_jax.tasks.word_problem import word_problem as word_problem
  from lstm_jax.training.drawn_sequence import draw_sequence as draw_sequence
  from lstm_jax.training.train import train as train
  from lstm_jax.training.train_result import Progress as Progress
  from lstm_jax.training.train_result import TrainResult as TrainResult
  from lstm_jax.types import Carry as Carry
  from lstm_jax.types import Cell as Cell
  from lstm_jax.types import Connection as Connection
  from lstm_jax.types import Equations as Equations
  from lstm_jax.types import InternalState as InternalState
  from lstm_jax.types import Judgement as Judgement
  from lstm_jax.types import Key as Key
  from lstm_jax.types import Learner as Learner
  from lstm_jax.types import OneHot as OneHot
  from lstm_jax.types import Params as Params
  from lstm_jax.types import Sequence as Sequence
  from lstm_jax.types import StopRule as StopRule
  from lstm_jax.types import Stream as Stream
  from lstm_jax.types import Task as Task
  from lstm_jax.types import Verdict as Verdict
else:

  def __getattr__(name: str) -> object:
    """Imports a public name when it is first used (PEP 562)."""
    value = _value_of(name)
    globals()[name] = value  # asked once
    return value

  def __dir__() -> list[str]:
    """All public names."""
    return sorted(__all__)
