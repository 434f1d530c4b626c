"""Names of the flags, and what `--help` says of them."""

from lstm_jax.lab.plan.text_columns import item
from lstm_jax.lab.store import faults

PROGRESS = ('auto', 'live', 'plain', 'none')
XLA_PROFILES = ('auto', 'none')
ENGINES = ('local', 'dask')
COMPILE_CACHES = ('auto', 'off')

# Name -> (placeholder, help), in groups. No placeholder: a switch.
GROUPS: dict[str, dict[str, tuple[str | None, str]]] = {
  'What to train (a comma list makes a grid; with --grid, a flag selects)': {
    'task': (
      'NAME,...',
      'tasks; or data of your own: a .npz, a .csv, a folder of sounds (see '
      'docs/data.md)',
    ),
    'cell': (
      'NAME,...',
      'cells; of tasks, cells and rules also path/to/file.py:factory (see '
      'docs/own_code.md)',
    ),
    'learner': ('NAME,...', 'learning rules'),
    'length': ('N,...', 'T, sequence length of the task'),
    'window': (
      'N,...',
      'steps an error travels back, or full; of a data set, steps it sees or '
      'milliseconds of a spectrum',
    ),
    'hidden': ('N,...', 'hidden units of cells without blocks'),
    'blocks': ('N,...', 'memory-cell blocks of lstm1997'),
    'block_size': ('N,...', 'cells a block'),
    'learning_rate': ('X,...', 'learning rates'),
    'set': (
      'NAME=V,...',
      'an option or number, as task.output=linear or '
      'cell.input_gate_bias=-3:-6 (one value a block) or =lag (-log T - 2.3), '
      'learner.form=auto (compiled steps where they are faster); repeatable; '
      'with --grid it overrides',
    ),
    'seeds': ('N', 'a count (10: seeds 0 to 9) or a list (3,5-9)'),
    'budget': (
      'N',
      'training sequences a trial may see; of a data set, epochs',
    ),
    'tune': (
      'N',
      'choose what is not said among N settings a row (16), on seeds of their '
      'own, and run the best on --seeds (see docs/tuning.md)',
    ),
    'tune_seeds': ('N', 'seeds that each of them is tried on (5)'),
    'futility': (
      'N',
      'only the first N seeds of a row of which no tuning seed was solved',
    ),
  },
  'Named grids': {
    'grid': ('NAME', 'run the grid NAME; quickstart if nothing is asked for'),
    'row': ('NAME,...', 'only these rows of the grid'),
    'size': ('WORD', 'of a grid that comes in sizes (the first, see --list)'),
  },
  'Look before you run': {
    'list': (None, 'print all tasks, cells, learners and grids'),
    'verify': (
      None,
      'say what is in the folder, and what the command would do; run nothing',
    ),
    'dry_run': (None, 'print the plan: trials, programs, estimated time'),
    'help': (None, 'print this'),
  },
  'How to run': {
    'out': ('FOLDER', 'run folder (runs/NAME); the same command continues it'),
    'shard': (
      'I/N',
      'run the i-th of n parts of the plan, 0 <= i < n; array jobs, srun and '
      'indexed jobs say it by the environment (see docs/clusters.md)',
    ),
    'distributed': (
      None,
      'this process is one of several of a JAX program, as on a slice of TPUs; '
      'JAX says which part it runs',
    ),
    'engine': (
      'WORD',
      "local: this process; dask: Dask's workers, on many machines (local; see "
      'docs/clusters.md)',
    ),
    'scheduler': (
      'ADDRESS',
      'of --engine=dask: HOST:PORT, tls://HOST:PORT or the scheduler file '
      "(a cluster of this machine's cores)",
    ),
    'devices': ('N', 'cores to use, or accelerators where there are any (all)'),
    'checkpoint_seconds': ('X', 'save long trials this often (20)'),
    'progress': ('WORD', ', '.join(PROGRESS) + ' (auto)'),
    'xla_profile': (
      'WORD',
      'XLA flags for small networks: auto, none (auto; none for data sets)',
    ),
    'compile_cache': (
      'FOLDER',
      'keep compiled programs there for later runs; off: nowhere (auto: with '
      "the user's caches)",
    ),
    'data_dir': ('FOLDER', 'where data sets are (see lstm-jax data --help)'),
    'serve': (
      None,
      'show the run in a browser: prints the address of a page, which is a '
      'process of its own; on a terminal it stays after the run, until Ctrl-C',
    ),
    'skip_bad': (None, 'leave out damaged files of data sets, and count them'),
    'export_study': (
      'FILE',
      'of a tuned run: write its searches as studies of Optuna, into a new '
      'SQLite file',
    ),
    'retry_failed': (None, 'run failed trials of the folder again'),
    'rerun_changed': (
      None,
      'run trials again whose code has changed since; old records are kept',
    ),
    'allow_drift': (
      None,
      'continue a folder made by other versions, code or machines; what is '
      'made from now on says so',
    ),
    'yes': (None, 'run a plan of more than 100,000 trials'),
  },
}

_EXAMPLES = """\
Trains recurrent networks over long time lags, many trials at once, and prints
what was measured beside what was published.

  lstm-jax sweep                            the quickstart
  lstm-jax sweep --list                     what there is
  lstm-jax sweep --length=80                one thing of it changed
  lstm-jax sweep --grid=table3 --row=q100-p100-inputs
  lstm-jax sweep --task=adding --cell=srn,lstm --learner=bptt \\
      --length=10,20,40 --window=5,full --seeds=8 --dry_run
"""


def text() -> str:
  """The text of `--help`."""
  lines = [_EXAMPLES]
  for title, group in GROUPS.items():
    lines.append(f'{title}:')
    for name, (placeholder, words) in group.items():
      head = f'  --{name}' + (f'={placeholder}' if placeholder else '')
      lines += item(head, words, 0, 30)
    lines.append('')
  lines.append(faults.EXIT_CODES)
  return '\n'.join(lines)
