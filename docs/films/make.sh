#!/usr/bin/env bash
# Trains one network on each of the six families of tasks of the 1997 paper, by its
# own rule, and films it. About two minutes of training and three of drawing.
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
film first_symbol 'First symbol, T = 20' --task=first_symbol --length=20 \
  --set=task.symbols=20 --cell=lstm1997 --learner=truncated1997 --blocks=1 --block_size=1 \
  --set=learner.optimizer=sgd --set=learner.update=every_step --learning_rate=1 \
  --set=cell.output_gates=false --set=cell.bias=none --set=cell.cells_hear=nothing \
  --set=cell.gates_hear=nothing --set=cell.g=[0,1] --set=cell.h=identity \
  --set=cell.outputs_see_inputs=true --set=cell.init_range=0.2 --seeds=1 --budget=60000
film two_sequence 'Two sequences, T = 100' --grid=table4 --row=T100-N3-literal --seeds=1
film adding 'Adding, T = 100' --grid=table7 --row=T100-cells --seeds=1
film multiplication 'Multiplication, T = 100' --grid=table8 --row=n140-linear-inputs --seeds=1
film temporal_order 'Temporal order, T = 100' --grid=table9 --row=6a-inputs --seeds=1
