"""`python -m experiments.readme`: the figures of README.md, from kept results.

What stands between `<!-- from: FILE -->` and `<!-- end -->` in README.md and in
docs/reproduction.md is made from that file; nobody writes a figure there by
hand.

  docs/quickstart.csv   trials of the quick start, taken from a run folder
  docs/paper1997.csv    the rows of `--grid=paper1997`, see docs/reproduction.md
"""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while


from lstm_jax.lab.run.commands import readme as command


@mains.guarded('readme')
def main(argv=None):
  """Runs the command line `argv` and returns its exit code."""
  return command.run(argv)


if __name__ == '__main__':
  mains.run(main)
