#!/bin/sh
# Goes on with a run of docs/credit.md that is kept here, or begins it, in a folder
# of its own beside this checkout, by the code and the packages that began it.
#
#   sh docs/credit_runs/go_on.sh                      all tasks, one after another
#   sh docs/credit_runs/go_on.sh adding --devices=1   one; words of the sweep
#
# On another processor than the one that it was saved on add --allow_drift, which
# marks the records made from then on.
set -eu
cd "$(dirname "$0")/../.."
tasks='flip_flop adding'
case ${1-} in
  flip_flop | adding) tasks=$1 && shift ;;
  [!-]*) echo "$0: $1: give one of $tasks" >&2 && exit 2 ;;
esac
code=931a9e3
begun=../begun-$code
[ -d "$begun" ] || git worktree add --detach "$begun" "$code"
mkdir -p "$begun/credit"
for task in $tasks; do
  kept=docs/credit_runs/$task.tar.xz
  if [ -f "$kept" ] && [ ! -d "$begun/credit/$task" ]; then
    tar -xf "$kept" -C "$begun/credit"
  fi
done
cd "$begun"
# An environment of its own.
if [ ! -x .venv/bin/python ]; then
  python3.11 -m venv .venv
  .venv/bin/pip install -q jax==0.10.2 jaxlib==0.10.2 flax==0.12.8 optax==0.2.8 \
    numpy==2.4.6 scipy absl-py safetensors matplotlib optuna
  .venv/bin/pip install -q --no-deps -e .
fi
for task in $tasks; do
  .venv/bin/python -m experiments.sweep --grid=credit --task="$task" \
    --out="credit/$task" "$@"
done
