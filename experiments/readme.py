"""`python -m experiments.readme`: figures of README.md, from kept results.

No subcommand of `lstm-jax`: the pages that it writes are in a checkout alone.
"""

from lstm_jax.lab.run import mains

if __name__ == '__main__':
  mains.listen()  # before the imports that take a while


from lstm_jax.lab.commands import readme as command

main = mains.guarded('readme')(command.run)

if __name__ == '__main__':
  mains.run(main)
