"""`python -m experiments.report FOLDER ...`: runs beside what was published.

Writes report.html, one page that needs nothing else, report.md with its
figures in figures/, and results.csv, one row a trial. All are made from the
sealed records alone; a run that is still going on is reported as far as it has
come.
"""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while


from lstm_jax.lab.run.commands import report as command


@mains.guarded('report')
def main(argv=None):
  """Runs the command line `argv` and returns its exit code."""
  return command.run(argv)


if __name__ == '__main__':
  mains.run(main)
