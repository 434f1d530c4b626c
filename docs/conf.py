"""How Sphinx makes the site from these pages: `.ci/run` builds it."""

import sys
from pathlib import Path

import lstm_jax

sys.path.insert(0, str(Path(__file__).parent / '_extensions'))

project = 'lstm_jax'
author = 'The lstm_jax maintainers'
release = version = lstm_jax.__version__
language = 'en'

extensions = [
  'myst_nb',  # pages in Markdown, and the notebooks
  'sphinx.ext.autodoc',
  'sphinx.ext.napoleon',
  # Of this folder's _extensions:
  'notebooks',
  'offline',
  'plain_docstrings',
  'public_names',
]
exclude_patterns = ['_build', '_extensions', '**/.ipynb_checkpoints']
nitpicky = False

# Headings can be linked to as in Markdown elsewhere: page.md#a-heading.
myst_heading_anchors = 3
myst_enable_extensions = ['deflist']
# A notebook is shown as it is kept; the tests run it.
nb_execution_mode = 'off'
nb_merge_streams = True

autodoc_member_order = 'bysource'
autodoc_preserve_defaults = True
autodoc_typehints = 'signature'
autodoc_typehints_format = 'short'
autodoc_default_options = {'members': True}
maximum_signature_line_length = 70
napoleon_attr_annotations = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = ['Source']

html_theme = 'furo'
html_title = 'lstm_jax'
html_static_path = ['_static']
html_css_files = ['site.css']
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
  'light_css_variables': {'color-brand-primary': '#0b6e99'},
  'dark_css_variables': {'color-brand-primary': '#6cc4e8'},
}
