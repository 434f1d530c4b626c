"""Every command has absl's flags, as elsewhere, and leaves none of its own."""

import functools
import importlib
import re
import xml.dom.minidom

import pytest
from absl import flags, logging

import lstm_jax
from lstm_jax.lab import console
from lstm_jax.lab.commands import report, sweep, vanishing
from lstm_jax.lab.plan import flags as sweep_flags
from lstm_jax.lab.plan import parsers
from lstm_jax.lab.run import command, mains
from tests import children

# By name, the `Command` of every module of commands that has one.
COMMANDS = {
  found._COMMAND.name: found._COMMAND
  for found in (
    importlib.import_module(module)
    for module, _ in (
      *console.SUBCOMMANDS.values(),
      ('lstm_jax.lab.commands.readme', ''),
      ('lstm_jax.lab.bench.turns', ''),
    )
  )
}
# Given by one of our processes to another.
INNER = {'until_stdin_ends'}
ABSLS = {
  'alsologtostderr', 'log_dir', 'logger_levels', 'logtostderr',
  'only_check_args', 'pdb', 'pdb_post_mortem', 'profile_file', 'run_with_pdb',
  'run_with_profiling', 'showprefixforinfo', 'stderrthreshold',
  'use_cprofile_for_profiling', 'verbosity',
}  # fmt: skip


def ran(name, *words):
  return command.run(COMMANDS[name], [name, *words])


@pytest.mark.parametrize('name', COMMANDS)
def test_help_in_every_form_and_the_version(name, capsys):
  own = set(COMMANDS[name].define())
  said = {}
  for form in ('-h', '--help', '--helpshort', '--helpfull', '--version'):
    assert ran(name, form) == 0
    said[form], err = capsys.readouterr()
    assert not err
  assert said['-h'] == said['--help']
  assert said['--version'] == f'lstm-jax {lstm_jax.__version__}\n'
  listed = {
    form: {*re.findall(r'^  (?:-\w,)?--(?:\[no\])?(\w+):', said[form], re.M)}
    for form in ('--helpshort', '--helpfull')
  }
  assert own < listed['--helpshort'] and not listed['--helpshort'] & ABSLS
  assert listed['--helpfull'] >= own | ABSLS | {'flagfile', 'undefok'}
  for flag in own - INNER:
    assert f'--{flag}' in said['--help'], flag
  assert ran(name, '--helpxml') == 0
  page = xml.dom.minidom.parseString(capsys.readouterr().out.strip())
  named = {e.firstChild.data for e in page.getElementsByTagName('name')}
  assert named >= own | ABSLS


@pytest.mark.parametrize('name', COMMANDS)
def test_a_flag_that_is_not_there_has_one_line(name, capsys):
  assert ran(name, '--no_such_flag=1') == 2
  err = capsys.readouterr().err
  assert err.startswith(f'{name}: --no_such_flag: no such flag; ')
  assert err.count('\n') == 1
  assert ran(name, '--help=maybe') == 2
  assert '--help=maybe: ' in capsys.readouterr().err


def test_flags_from_a_file_and_flags_that_need_not_be_known(tmp_path, capsys):
  path = tmp_path / 'flags'
  path.write_text('# a comment\n--grid=table7\n--row=T100-linear\n')
  words = [f'--flagfile={path}', '--undefok=newer', '--newer=3', '--dry_run']
  assert ran('sweep', *words) == 0
  assert 'T100-linear' in capsys.readouterr().out


def test_nothing_of_ours_is_in_the_flags_of_the_process(capsys):
  before = {name: flags.FLAGS[name].value for name in flags.FLAGS}
  verbosity = logging.get_verbosity()
  # Flags of one name, of different types, in one process.
  assert ran('report', '--out=x', '--verbosity=1') == 2
  assert ran('bench', '--seconds=nan') == 2
  assert ran('sweep', '--length=5,6', '--out=y', '--dry_run') == 2
  assert ran('bench', '--length=5', '--only_check_args') == 0
  assert {name: flags.FLAGS[name].value for name in flags.FLAGS} == before
  assert logging.get_verbosity() == verbosity
  assert not {'seeds', 'length', 'grid', 'cell'} & {*flags.FLAGS}
  # A second call knows nothing of the first one.
  assert ran('report', '--verbosity=1') == ran('report', '--verbosity=0') == 2
  assert 'times' not in capsys.readouterr().err


@pytest.mark.parametrize(
  'line',
  [
    '--task=adding,reber --cell=srn --window=5,full --learning_rate=0.1',
    '--grid=table7 --row=T100-linear --set=cell.input_gate_bias=-3:-6',
    '--seeds=3,5-9 --shard=1/4 --set=task.output=linear --budget=7',
    '--devices=1 --checkpoint_seconds=2.5 --progress=none --out=~/x',
    '--verify --noskip_bad --yes',
  ],
)
def test_a_value_written_reads_back_as_itself(line):
  first, again = sweep_flags.define(), sweep_flags.define()
  parsers.read(first, ['sweep', *line.split()])
  written = first.flags_into_string().splitlines()
  parsers.read(again, ['sweep', *written])
  assert sweep_flags.request(again, {}) == sweep_flags.request(first, {})


@pytest.mark.parametrize(
  'name, line, code',
  [
    ('sweep', '--length=80', 0),
    ('sweep', '--length=3', 2),
    ('sweep', '--cell=srn --learner=truncated1997', 2),
    ('sweep', '--list', 0),
    ('vanishing', '--cell=srn', 0),
    ('vanishing', '--cell=srn --blocks=2', 2),
    ('bench', '--learners=kf', 0),
    ('bench', '--grid=tabel3', 2),
    ('data', 'imdb', 0),
    ('data', 'imbd', 2),
    ('report', 'nowhere', 2),
    ('predict', 'nowhere', 2),
  ],
)
def test_only_check_args_runs_nothing(
  name, line, code, capsys, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  acted = []
  checked = COMMANDS[name]._replace(act=acted.append)
  main = mains.guarded(name)(functools.partial(command.run, checked))
  assert main([name, *line.split(), '--only_check_args']) == code
  out, err = capsys.readouterr()
  assert out == '' and bool(err) == bool(code) and not acted
  assert not list(tmp_path.iterdir())


def test_absl_parses_types_of_its_own():
  defined = sweep_flags.define()
  kinds = {n: defined[n].flag_type() for n in defined if not defined[n].boolean}
  assert kinds['seeds'] == 'seeds' and kinds['shard'] == 'part'
  assert kinds['out'] == kinds['data_dir'] == 'place'
  assert kinds['budget'] == 'int' and kinds['cell'] == 'list'
  assert kinds['checkpoint_seconds'] == 'float'
  parsers.read(defined, ['x', '--seeds=2,4-5', '--shard=0/3', '--budget=9'])
  assert defined.seeds == (2, 4, 5) and defined.shard == (0, 3)
  assert defined.budget == 9 and defined.cell is None
  # Set from Python, a value is held to the same.
  with pytest.raises(flags.IllegalFlagValueError, match='needs --grid'):
    defined.row = ('a',)
  for one in (sweep, report, vanishing):
    assert callable(one.run)


CODE = """
import sys
from absl import flags, logging
from lstm_jax.lab.plan import parsers
from lstm_jax.lab.run import command, mains

def define():
  defined = flags.FlagValues()
  parsers.switch(defined, 'help', '')
  return defined

def act(request):
  mains.note('try', 'a note')
  mains.say('try', 'an error')
  logging.info('of others')
  return 3

one = command.Command('try', define, str, lambda defined, words: None, act)
mains.run(mains.guarded('try')(lambda argv=None: command.run(one, argv)))
"""


@pytest.mark.parametrize(
  'words, lines',
  [
    ((), ['try: a note', 'try: an error']),
    (('--verbosity=-2',), ['try: an error']),
    (('--verbosity=-3', '--logtostderr'), []),
    (('--verbosity=0',), ['try: a note', 'try: an error', '] of others']),
    (('--log_dir=.',), ['try: a note', 'try: an error']),
    (('--profile_file=profile',), ['try: a note', 'try: an error']),
  ],
)
def test_messages_go_through_absls_logging(words, lines, tmp_path):
  done = children.python(
    '-c', CODE, *words, returns=3, cwd=tmp_path,
    env={'PYTHONPATH': str(children.ROOT)},
  )  # fmt: skip
  said = done.stderr.splitlines()
  assert len(said) == len(lines), done.stderr
  for line, end in zip(said, lines, strict=True):
    assert line.endswith(end) and (end.startswith(']') or line == end)
  files = {path.name for path in tmp_path.iterdir()}
  if words == ('--log_dir=.',):
    assert (tmp_path / 'lstm-jax-try.INFO').read_text().splitlines() == lines
  else:
    assert files == ({'profile'} if 'profile' in str(words) else set())
