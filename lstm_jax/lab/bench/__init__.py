"""Things that `lstm-jax bench` times; the command is `lab.commands.bench`."""
