"""Small data sets as TensorFlow Datasets prepares them."""

import numpy as np


def prepare(folder, features, records, file_format='array_record', **more):
  """Prepares a data set; returns the folder of its version.

  Args:
    folder: the data folder.
    features: name -> what TFDS calls a feature, given its module of features.
    records: split -> list of records.
    file_format: of TFDS.
    **more: `name`, `config`.
  """
  import tensorflow_datasets as tfds

  class Mine(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    name = more.get('name', 'mine')
    VERSION = tfds.core.Version('1.0.0')

    def _info(self):
      made = {name: of(tfds.features) for name, of in features.items()}
      return tfds.core.DatasetInfo(
        builder=self,
        features=tfds.features.FeaturesDict(made),
        disable_shuffling=True,
      )

    def _split_generators(self, dl_manager):
      del dl_manager
      return {
        split: self._generate_examples(of) for split, of in records.items()
      }

    def _generate_examples(self, of):
      yield from enumerate(of)

    def _log_download_bytes(self):
      """Says nothing."""

    def _log_download_done(self):
      """Says nothing."""

  builder = Mine(data_dir=str(folder), file_format=file_format)
  builder.download_and_prepare()
  return folder / Mine.name / '1.0.0'


def walks(count=12, seed=0):
  """Records of walks of several lengths, and which way they went."""
  random = np.random.default_rng(seed)
  found = []
  for i in range(count):
    steps = random.normal(i % 2, 1, (random.integers(2, 6), 2))
    found.append(
      {'series': steps.astype(np.float32), 'label': ('down', 'up')[i % 2]}
    )
  return found


WALKS = {
  'series': lambda of: of.Tensor(shape=(None, 2), dtype=np.float32),
  'label': lambda of: of.ClassLabel(names=['down', 'up']),
}
