"""Packages that only some of this package needs, and what installs them."""

# Module -> the extra that brings it.
EXTRAS = {
  'absl': 'lab',
  'optax': 'lab',
  'safetensors': 'lab',
  'scipy': 'lab',
  'importlib_resources': 'data',
  'tensorflow_datasets': 'data',
  'soundfile': 'audio',
  'flax': 'flax',
  'matplotlib': 'plot',
  'dash': 'serve',
  'plotly': 'serve',
  'waitress': 'serve',
  'bokeh': 'cluster',
  'cryptography': 'cluster',
  'dask': 'cluster',
  'distributed': 'cluster',
  'optuna': 'tune',
}


def advice(error: ImportError, what: str) -> str | None:
  """Says in one line what to install; None: no extra has what is missing.

  Args:
    error: what an import has raised.
    what: needs it, as the line begins.
  """
  package = (error.name or '').partition('.')[0]
  if not isinstance(error, ModuleNotFoundError) or package not in EXTRAS:
    return None
  return f"{what} needs {package}: pip install 'lstm_jax[{EXTRAS[package]}]'"
