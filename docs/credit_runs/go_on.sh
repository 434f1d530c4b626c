#!/bin/sh
# Goes on with the runs of docs/credit.md, a folder a task, until all are done.
#
#   sh docs/credit_runs/go_on.sh                      all of them
#   sh docs/credit_runs/go_on.sh adding --devices=1   one; words of the sweep
#
# What is kept here is unpacked where there is no such folder yet.
set -eu
cd "$(dirname "$0")/../.."
tasks='adding memory_chain flip_flop'
case ${1-} in [!-]*) tasks=$1 && shift ;; esac
mkdir -p runs
for task in $tasks; do
  kept=docs/credit_runs/$task.tar.xz
  if [ -f "$kept" ] && [ ! -d "runs/credit-$task" ]; then
    tar -xf "$kept" -C runs
  fi
  python -m experiments.sweep --grid=credit --task="$task" \
    --out="runs/credit-$task" "$@"
done
