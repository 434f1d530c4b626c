#!/bin/sh
# Goes on with the run of adding at T = 1,000,000 that is kept here, in a folder of
# its own beside this checkout, by the code and the packages that began it.
#
#   sh docs/lag_runs/go_on.sh                words of the sweep may follow
#
# On another processor than the one that it was saved on add --allow_drift, which
# marks the records made from then on.
set -eu
cd "$(dirname "$0")/../.."
code=274d3cc
begun=../begun-$code
[ -d "$begun" ] || git worktree add --detach "$begun" "$code"
[ -d "$begun/million" ] || tar -xf docs/lag_runs/adding-1000000.tar.xz -C "$begun"
cp lstm_jax/lab/plan/grids/lag_law.toml "$begun/laglaw2.toml"
cd "$begun"
# An environment of its own, without lstm_jax: the run was begun by a checkout that
# was not installed, and an installed one would be another program to it.
if [ ! -x .venv/bin/python ]; then
  python3.11 -m venv .venv
  .venv/bin/pip install -q jax==0.10.2 jaxlib==0.10.2 flax==0.12.8 optax==0.2.8 \
    numpy==2.4.6 scipy absl-py safetensors matplotlib
fi
# The rule in C++, of that code.
.venv/bin/python -m lstm_jax.nn.native
exec .venv/bin/python -m experiments.sweep --grid=laglaw2.toml \
  --row=adding-longest --length=1000000 --out=million "$@"
