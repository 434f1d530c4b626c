"""The package as such: its version and its public names.

Below everything else, so that whoever asks for them needs nothing more.
"""

VERSION = '0.1.0'

# Public name -> the module that has it, under the same name; '': it is a module
# itself.
NAMES = {
  # Cells: (num_inputs, num_outputs, **options) -> Cell.
  'cascaded': 'cells.cascaded',
  'cornn': 'cells.cornn',
  'fully_recurrent': 'cells.fully_recurrent',
  'gru': 'cells.gru',
  'indrnn': 'cells.indrnn',
  'janet': 'cells.janet',
  'lem': 'cells.lem',
  'lru': 'cells.lru',
  'lstm': 'cells.lstm',
  'lstm1997': 'cells.lstm1997',
  'lstm_layernorm': 'cells.lstm_layernorm',
  'mingru': 'cells.mingru',
  'minlstm': 'cells.minlstm',
  'slstm': 'cells.slstm',
  'srn': 'cells.srn',
  # Tasks: (**options) -> Task.
  'adding': 'tasks.adding',
  'associative_recall': 'tasks.associative_recall',
  'copying': 'tasks.copying',
  'first_symbol': 'tasks.first_symbol',
  'flip_flop': 'tasks.flip_flop',
  'memory_chain': 'tasks.memory_chain',
  'multiplication': 'tasks.multiplication',
  'parity': 'tasks.parity',
  'reber': 'tasks.reber',
  'selective_copying': 'tasks.selective_copying',
  'temporal_order': 'tasks.temporal_order',
  'trigger': 'tasks.trigger',
  'two_sequence': 'tasks.two_sequence',
  'word_problem': 'tasks.word_problem',
  # Learners: (cell, task, **options) -> Learner.
  'bptt': 'learners.bptt',
  'cascade': 'learners.cascade',
  'chunker': 'learners.chunker',
  'elman': 'learners.elman',
  'eprop': 'learners.eprop',
  'guess': 'learners.guess',
  'kf': 'learners.kf',
  'rflo': 'learners.rflo',
  'rtrl': 'learners.rtrl',
  'snap1': 'learners.snap1',
  'truncated1997': 'learners.truncated1997',
  'uoro': 'learners.uoro',
  # The layer: a cell over whole sequences, or one step at a time.
  'layer': 'nn.layer',
  'Run': 'nn.layer',
  'layer_step': 'nn.one_step',
  'StepRun': 'nn.one_step',
  'initial_state': 'nn.one_step',
  'which_kernel': 'nn.layer',
  'make_stack': 'nn.stack',
  'init_stack': 'nn.stack',
  'run_stack': 'nn.stack',
  'Stack': 'nn.stack',
  'StackParams': 'nn.stack',
  'StackRun': 'nn.stack',
  'draw_noise': 'nn.dropout',
  'expected_noise': 'nn.dropout',
  'Noise': 'nn.dropout',
  'import_weights': 'nn.convert',
  'export_weights': 'nn.convert',
  'import_stack': 'nn.stack_weights',
  'export_stack': 'nn.stack_weights',
  'LinenRecurrent': 'nn.flax_modules',
  'NnxRecurrent': 'nn.flax_modules',
  # A learner meets a task: seeds side by side, arrays come back.
  'train': 'training.train',
  'TrainResult': 'training.train_result',
  'Progress': 'training.train_result',
  'set_xla_flags': 'lab.run.xla_flags',
  # The laboratory: many networks into a folder, reported, opened again.
  'sweep': 'lab.run.in_python',
  'SweepRow': 'lab.report.sweep_rows',
  'report': 'lab.run.in_python',
  'load': 'lab.run.kept',
  'Kept': 'lab.run.kept',
  # A network on one sequence, and the error that flows back in it.
  'draw_sequence': 'training.drawn_sequence',
  'unroll': 'ops.unroll',
  'error_by_lag': 'analysis.gradient_flow',
  'error_size': 'analysis.gradient_flow',
  # What cells, tasks and learners are.
  'Carry': 'types',
  'Cell': 'types',
  'Connection': 'types',
  'Equations': 'types',
  'InternalState': 'types',
  'Judgement': 'types',
  'Key': 'types',
  'Learner': 'types',
  'OneHot': 'types',
  'Params': 'types',
  'Sequence': 'types',
  'StopRule': 'types',
  'Stream': 'types',
  'Task': 'types',
  'Verdict': 'types',
  # Parts that cells, tasks and learners are made of.
  'build_cell': 'cells._build',
  'cell_factory': 'cells._build',
  'draw_weights': 'cells._build',
  'output_unit': 'tasks._outputs',
  'streak': 'tasks._stop_rules.streak',
  'descend': 'learners._descend',
  'judge_forward': 'learners._judge',
  # Checks of what others write.
  'testing': '',
}


def value_of(name: str) -> object:
  """The value of a public name, imported when it is first asked for.

  Args:
    name: one of `NAMES`.

  Raises:
    AttributeError: there is no such name; says which there are.
    ModuleNotFoundError: a package that it needs is not installed; says which
      extra has it.
  """
  import importlib

  if name not in NAMES:
    from lstm_jax.choices import unknown

    raise AttributeError(
      f'module {__package__!r} has no attribute {name!r}: '
      f'{unknown(name, ("__version__", *NAMES))}'
    )
  module = NAMES[name] or name
  try:
    content = importlib.import_module(f'{__package__}.{module}')
  except ModuleNotFoundError as error:
    from lstm_jax.extras import advice

    line = advice(error, f'{__package__}.{name}')
    if line is None:
      raise
    raise ModuleNotFoundError(line, name=error.name) from error
  return getattr(content, name) if NAMES[name] else content
