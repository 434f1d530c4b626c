#!/usr/bin/env bash
# Trains one network on each task of the 1997 paper, by its own rule, and films it.
# About four minutes of training and six of drawing.
#
#   docs/films/make.sh [FOLDER]    where the runs go (runs/films)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
runs=${1:-runs/films}
film() {  # name, title, flags of the sweep
  python -m experiments.sweep --progress=none --out="$runs/$1" "${@:3}"
  local row
  row=$(python -c "
import csv, sys
print(next(csv.DictReader(open(sys.argv[1])))['trial'])" "$runs/$1/results.csv")
  python -m experiments.film "$runs/$1" "$row" --name="$2" --out="docs/films/$1.gif"
}
film reber 'Embedded Reber grammar' --grid=table1 --row=3x2-rate0.5-inputs \
  --set=task.targets=legal_symbols --seeds=3
for middle in fixed random; do
  name=first_symbol title='First symbol (2a), T = 20'
  if [[ $middle == random ]]; then
    name=first_symbol_random title='First symbol (2b), T = 20'
  fi
  film $name "$title" --task=first_symbol --length=20 --set=task.middle=$middle \
    --set=task.symbols=20 --cell=lstm1997 --learner=truncated1997 --blocks=1 --block_size=1 \
    --set=learner.optimizer=sgd --set=learner.update=every_step --learning_rate=1 \
    --set=cell.output_gates=false --set=cell.bias=none --set=cell.cells_hear=nothing \
    --set=cell.gates_hear=nothing --set=cell.g=[0,1] --set=cell.h=identity \
    --set=cell.outputs_see_inputs=true --set=cell.init_range=0.2 --seeds=1 --budget=60000
done
film trigger 'Trigger (2c), q = 50' --grid=table3 --row=q50-p50-inputs --seeds=1
film two_sequence 'Two sequences (3a), T = 100' --grid=table4 --row=T100-N3-literal --seeds=1
film two_sequence_noise 'Two sequences (3b), T = 100' --grid=table5 --row=T100-N3-literal \
  --seeds=1
film two_sequence_targets 'Two sequences (3c), T = 100' --grid=table6 --row=T100-N3-literal \
  --seeds=1
film adding 'Adding, T = 100' --grid=table7 --row=T100-cells --seeds=1
film multiplication 'Multiplication, T = 100' --grid=table8 --row=n140-linear-inputs --seeds=1
film temporal_order 'Temporal order (6a), T = 100' --grid=table9 --row=6a-inputs --seeds=1
film temporal_order_3 'Temporal order (6b), T = 100' --grid=table9 --row=6b-inputs --seeds=1
