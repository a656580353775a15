#!/bin/sh
# Measures a state of the training with omma: measure.sh STATE OUT [COUNT]
#
# Exports the float checkpoint and the q8_0 one that ships, draws COUNT (500) held-out pictures, asks omma about them with
# both and PyTorch, and prints the tables of score.py. PYTHON names the interpreter.
set -eu
state=$1 out=$2 count=${3:-500} python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "$out"
cd "$root"
cargo build --bin omma --example answers
[ -e "$out/pictures/pictures.jsonl" ] || "$python" "$here/pictures.py" "$state/tokenizer.json" "$out/pictures" "$count"
"$python" "$here/export.py" "$state" "$out/float"
target/debug/omma quantize "$out/float" "$out/shipped" --to q8_0 > "$out/quantize.txt"
target/debug/examples/answers "$out/float" "$out/pictures" auto none > "$out/float.jsonl"
target/debug/examples/answers "$out/shipped" "$out/pictures" auto none > "$out/shipped.jsonl"
"$python" "$here/answers.py" "$state" "$out/pictures" auto none > "$out/torch.jsonl"
echo "float against PyTorch"
"$python" "$here/score.py" "$out/pictures" "$out/float.jsonl" "$out/torch.jsonl"
echo "as shipped against float"
"$python" "$here/score.py" "$out/pictures" "$out/shipped.jsonl" "$out/float.jsonl"
