"""The data sets as their authors publish them: layout, classes, licence."""

from typing import NamedTuple


class Published(NamedTuple):
  """One data set.

  Attributes:
    title: its name for people.
    classes: in the order of the labels.
    folders: patterns of the folder that it comes in.
    archives: patterns of names of a tar that holds that folder, lower case.
    marker: a path inside the folder by which it is known.
    suffixes: ends of the names of its files.
    page: where it can be got.
    layout: what has to lie in the data folder.
    licence: and under which terms.
    citation: what its authors ask to cite.
  """

  title: str
  classes: tuple[str, ...]
  folders: tuple[str, ...]
  archives: tuple[str, ...]
  marker: str
  suffixes: tuple[str, ...]
  page: str
  layout: str
  licence: str
  citation: str


class Download(NamedTuple):
  """A file that may be fetched without asking.

  Attributes:
    url: where it is.
    name: its published name.
    sha256: what its bytes must hash to.
    size: bytes.
  """

  url: str
  name: str
  sha256: str
  size: int


# Checksum and size as TensorFlow Datasets 4.9.10 lists them.
IMDB_ARCHIVE = Download(
  'http://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz',
  'aclImdb_v1.tar.gz',
  'c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe',
  84_125_825,
)

SOUND = ('.wav', '.ogg', '.flac')

_ESC50 = tuple(
  """
  dog rooster pig cow frog cat hen insects sheep crow
  rain sea_waves crackling_fire crickets chirping_birds water_drops wind
  pouring_water toilet_flush thunderstorm
  crying_baby sneezing clapping breathing coughing footsteps laughing
  brushing_teeth snoring drinking_sipping
  door_wood_knock mouse_click keyboard_typing door_wood_creaks can_opening
  washing_machine vacuum_cleaner clock_alarm clock_tick glass_breaking
  helicopter chainsaw siren car_horn engine train church_bells airplane
  fireworks hand_saw
  """.split()
)
# Those of ESC-10 among them.
ESC10_TARGETS = (0, 1, 10, 11, 12, 20, 21, 38, 40, 41)
_ESC_CITATION = (
  'K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM '
  'Multimedia 2015, doi 10.1145/2733373.2806390'
)
_ESC_PAGE = 'https://github.com/karolpiczak/ESC-50'

PUBLISHED = {
  'imdb': Published(
    title='Large Movie Review Dataset v1.0 (IMDB)',
    classes=('neg', 'pos'),
    folders=('aclImdb*',),
    archives=('aclimdb*',),
    marker='train/neg/',
    suffixes=('.txt',),
    page='https://ai.stanford.edu/~amaas/data/sentiment/',
    layout='aclImdb_v1.tar.gz as it is, or the folder aclImdb/ that is in it',
    licence='for research; its authors ask to be cited',
    citation=(
      'A. L. Maas, R. E. Daly, P. T. Pham, D. Huang, A. Y. Ng, C. Potts, '
      '"Learning Word Vectors for Sentiment Analysis", ACL 2011'
    ),
  ),
  'urban_sound': Published(
    title='UrbanSound8K',
    classes=tuple(
      'air_conditioner car_horn children_playing dog_bark drilling '
      'engine_idling gun_shot jackhammer siren street_music'.split()
    ),
    folders=('UrbanSound8K*',),
    archives=('urbansound8k*',),
    marker='metadata/UrbanSound8K.csv',
    suffixes=SOUND,
    page='https://urbansounddataset.weebly.com/urbansound8k.html',
    layout=(
      'the folder UrbanSound8K/ with metadata/UrbanSound8K.csv and '
      'audio/fold1/ ... audio/fold10/, or a tar of it'
    ),
    licence='CC BY-NC 3.0',
    citation=(
      'J. Salamon, C. Jacoby, J. P. Bello, "A Dataset and Taxonomy for Urban '
      'Sound Research", ACM Multimedia 2014'
    ),
  ),
  'esc10': Published(
    title='ESC-10',
    classes=tuple(_ESC50[target] for target in ESC10_TARGETS),
    folders=('ESC-10*', 'ESC-50*'),
    archives=('esc*10*', 'esc*50*'),
    marker='meta/esc50.csv',
    suffixes=SOUND,
    page=_ESC_PAGE,
    layout=(
      'the folder ESC-50-master/ (unpacked, ESC-10 is a part of it) with '
      'meta/esc50.csv and audio/, or a tar of it'
    ),
    licence='CC BY 3.0',
    citation=_ESC_CITATION,
  ),
  'esc50': Published(
    title='ESC-50',
    classes=_ESC50,
    folders=('ESC-50*',),
    archives=('esc*50*',),
    marker='meta/esc50.csv',
    suffixes=SOUND,
    page=_ESC_PAGE,
    layout=(
      'the folder ESC-50-master/ (unpacked) with meta/esc50.csv and audio/, or '
      'a tar of it'
    ),
    licence='CC BY-NC 3.0',
    citation=_ESC_CITATION,
  ),
}
