#!/bin/sh
# A sweep on a slice of TPUs, by xpk: its hosts run one program of JAX.
#
#   pip install xpk
#   sh launch/xpk.sh --grid=paper1997 --seeds=30 --out=/runs/paper1997
#
# To fill in, as variables: the cluster, the image (launch/Dockerfile with
# --build-arg=JAX=tpu), and where /runs is mounted (a storage of xpk).
set -eu
# The command is one word to xpk, and a shell reads it again: each word in quotes.
command='lstm-jax sweep --distributed'
for word; do
  command="$command '$(printf %s "$word" | sed "s/'/'\\\\''/g")'"
done
exec xpk workload create \
  --cluster="${CLUSTER:?name of a cluster of xpk}" \
  --workload="${WORKLOAD:-lstm-jax}" \
  --tpu-type="${TPU_TYPE:-v5litepod-8}" \
  --num-slices=1 \
  --docker-image="${IMAGE:?image made from launch/Dockerfile}" \
  --max-restarts=20 \
  --command="$command"
