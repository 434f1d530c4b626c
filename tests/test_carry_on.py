"""What a release and a hosted check rely on says the same everywhere."""

import re

import yaml

import lstm_jax as lj
from tests.children import ROOT


def loaded(path):
  return yaml.safe_load((ROOT / path).read_text('utf-8'))


def test_the_citation_is_complete():
  citation = loaded('CITATION.cff')
  required = {'cff-version', 'message', 'title', 'authors'}
  assert required | {'abstract', 'keywords', 'license'} <= {*citation}
  assert str(citation['version']) == lj.__version__
  (paper,) = citation['references']
  assert {'type', 'title', 'authors', 'year', 'doi'} <= {*paper}


def test_the_hosted_check_takes_the_versions_of_the_readme():
  steps = loaded('.github/workflows/ci.yml')['jobs']['run']
  versions = steps['strategy']['matrix']['include']
  readme = (ROOT / 'README.md').read_text('utf-8').replace('\n', ' ')
  for one in versions:
    python, jax = one['python'], str(one['jax'])
    assert re.search(
      rf'\b{re.escape(python)} and (?:jax )?{re.escape(jax)}', readme
    )
  setup = (ROOT / 'setup.cfg').read_text('utf-8')
  said = re.findall(r'Python :: (3\.\d+)', setup)
  assert said == [one['python'] for one in versions]


def test_the_hosted_check_runs_nothing_that_can_change_under_its_name():
  text = (ROOT / '.github' / 'workflows' / 'ci.yml').read_text('utf-8')
  used = re.findall(r'uses: (\S+)', text)
  assert used and all(re.search(r'@[0-9a-f]{40}$', one) for one in used)
  assert '.ci/run' in text


def test_hooks_are_the_programs_of_the_environment():
  (local,) = loaded('.pre-commit-config.yaml')['repos']
  assert local['repo'] == 'local'
  assert {hook['language'] for hook in local['hooks']} == {'system'}
