"""Writes the report of comparisons."""

from lstm_jax.lab.report import metric_content, metric_drawing, publishing, runs
from lstm_jax.lab.report.metric_markdown import document
from lstm_jax.lab.report.metric_page import page


def write(folders, out=None):
  """Writes report.html, report.md and figures, as `report.writing.write`.

  Args:
    folders: of `folder.open_folder`, at least one, no two the same, their
      trials all comparisons (`kind.all_comparisons`).
    out: the directory it goes to, made if missing; None for the folder itself,
      if there is one only.

  Returns:
    The files, report.html and report.md first. Those that would not change are
    not touched, and nothing is drawn where the records are those of the report
    that is there.

  Raises:
    ValueError: several folders and no `out`.
    Refused: a record of another version; `out` is the folder of a run, and not
      of the only one.
    StorageError, Unusable: the disk.
  """
  out = publishing.directory(folders, out)
  held = [runs.read(opened) for opened in folders]
  key = publishing.key(
    [[run.identity, run.records, run.problems] for run in held]
  )
  there = publishing.there(out, key)
  if there:
    return there
  report = metric_content.made(held)
  pictures, left_out = {}, publishing.LEFT_OUT
  if publishing.can_draw():
    pictures, left_out = metric_drawing.draw_all(report), ''
  return publishing.publish(
    out,
    folders[0].disk,
    pictures,
    page(report, pictures, left_out, key),
    lambda linked: document(report, linked, left_out),
  )
