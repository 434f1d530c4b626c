#!/bin/sh
# Goes on with the run of adding at T = 1,000,000 that is kept here, in a folder of
# its own beside this checkout, by the code that began it.
#
#   sh docs/lag_runs/go_on.sh
set -eu
cd "$(dirname "$0")/../.."
[ -d ../begun ] || git worktree add --detach ../begun 274d3cc
[ -d ../begun/million ] || tar -xf docs/lag_runs/adding-1000000.tar.xz -C ../begun
cp lstm_jax/lab/plan/grids/lag_law.toml ../begun/laglaw2.toml
cd ../begun
exec python -m experiments.sweep --grid=laglaw2.toml --row=adding-longest \
  --length=1000000 --out=million
