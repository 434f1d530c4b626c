"""Further sequences: read in the form that a record says, or refused."""

import numpy as np
import pytest

from lstm_jax.lab.data.files.errors import BadData
from lstm_jax.lab.data.own import arrays, dataset, fresh
from tests import own_data
from tests.hostile import sealed


def details_of(path, **options):
  """Details as a record keeps them, of a network on a file."""
  held = dataset.dataset(
    str(path),
    arrays.read(path),
    valid=0.15,
    test=0.15,
    split_seed=0,
    scale='standard',
    **options,
  )
  return held, {
    'after': held.after(None, None),
    'classes': list(held.classes),
  }


@pytest.mark.parametrize('targets', ['classes', 'numbers'])
def test_a_form_scales_as_the_training_did(targets, tmp_path):
  y = {'classes': own_data.classes(), 'numbers': own_data.inputs()[:, 0]}
  path = own_data.npz(tmp_path / 'a.npz', targets=y[targets])
  held, details = details_of(path)
  form = fresh.form_of(details)
  assert (form.num_inputs, form.num_outputs) == (2, 2)
  inputs, lengths = fresh.scaled(fresh.read(path, form), form)
  examples = held.pool(0).examples
  assert np.array_equal(inputs, examples.inputs)
  assert np.array_equal(lengths, examples.lengths)
  if targets == 'numbers':
    restored = form.targets.restored(examples.targets)
    assert np.allclose(restored, y['numbers'], atol=1e-5)


SOUND = {'features': 'log_mel', 'window': 25.0, 'hop': 20.0, 'rate': 16000}


@pytest.mark.parametrize('more', [None, {'sound': SOUND}])
def test_a_record_that_is_not_what_it_seems(more, tmp_path):
  _, details = details_of(own_data.npz(tmp_path / 'a.npz'), more=more)
  refused = 0
  for at in sealed.paths_in(details):
    for wrong in sealed.WRONG:
      bad = sealed.replaced(details, at, wrong)
      try:
        form = fresh.form_of(bad if isinstance(bad, dict) else {})
      except ValueError:
        refused += 1
        continue
      assert form.num_inputs >= 1 and form.num_outputs >= 1
      assert np.isfinite(form.inputs.scaled(np.zeros(form.num_inputs))).all()
  assert refused > 100


def test_a_table_for_what_was_trained_on_arrays(tmp_path):
  _, details = details_of(own_data.npz(tmp_path / 'a.npz'))
  form = fresh.form_of(details)
  with pytest.raises(BadData, match='must be a .npz, as what was trained on'):
    fresh.read(own_data.csv(tmp_path / 'a.csv'), form)
