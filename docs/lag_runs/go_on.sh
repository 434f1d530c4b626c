#!/bin/sh
# Goes on with a run of the lag law that is kept here, in a folder of its own
# beside this checkout, by the code and the packages that began it.
#
#   sh docs/lag_runs/go_on.sh                            adding at T = 1,000,000
#   sh docs/lag_runs/go_on.sh trigger --devices=1        another; words of the sweep
#
# On another processor than the one that it was saved on add --allow_drift, which
# marks the records made from then on.
set -eu
cd "$(dirname "$0")/../.."
name=adding-1000000
case ${1-} in [!-]*) name=$1 && shift ;; esac
case $name in
  adding-1000000) code=274d3cc row=adding-longest length=1000000 out=million ;;
  trigger) code=dbfbbbd row=trigger length=31623,100000 out=trigger-3 ;;
  *)
    echo "$0: $name: give adding-1000000 or trigger" >&2
    exit 2
    ;;
esac
begun=../begun-$code
[ -d "$begun" ] || git worktree add --detach "$begun" "$code"
[ -d "$begun/$out" ] || tar -xf "docs/lag_runs/$name.tar.xz" -C "$begun"
cp lstm_jax/lab/plan/grids/lag_law.toml "$begun/laglaw2.toml"
grid=lag_law
[ "$code" != 274d3cc ] || grid=laglaw2.toml
cd "$begun"
# An environment of its own. The first run was begun by a checkout that was not
# installed, the others by an installed one: each is another program to the other.
if [ ! -x .venv/bin/python ]; then
  python3.11 -m venv .venv
  .venv/bin/pip install -q jax==0.10.2 jaxlib==0.10.2 flax==0.12.8 optax==0.2.8 \
    numpy==2.4.6 scipy absl-py safetensors matplotlib
  [ "$code" = 274d3cc ] || .venv/bin/pip install -q --no-deps -e .
fi
# The rule in C++, of that code.
.venv/bin/python -m lstm_jax.nn.native
exec .venv/bin/python -m experiments.sweep --grid="$grid" --row="$row" \
  --length="$length" --out="$out" "$@"
