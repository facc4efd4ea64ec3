#!/bin/sh
# The same rows, the same number of updates, five ways to train: LoRA, all weights, GaLore, BAdam, QLoRA.  Offline; some
# minutes.  What is finished is skipped, what was stopped goes on: remove runs/methods to start over.
#   sh examples/methods/run.sh [KEY=VALUE...]      settings for all five, such as num_train_epochs=1
set -eu
cd "$(dirname "$0")/../.."
weft=${WEFT:-build/weft}
out=runs/methods

# Rows and held-out rows: whole scenes, so that no question of a held-out scene was seen in training.
if [ ! -s $out/dataset/report.json ]; then
    mkdir -p $out
    "$weft" data script examples/persona/剧本.txt --role 秤婆 --alias 秤婆=何秤婆,何氏,何秤正 -o $out/rows.jsonl
    "$weft" data split $out/rows.jsonl --valid 0.1 -o $out/dataset
fi

for method in lora full galore badam qlora; do
    "$weft" train examples/methods/$method.yaml "$@"
done
"$weft" plot LoRA=$out/lora full=$out/full GaLore=$out/galore BAdam=$out/badam QLoRA=$out/qlora \
    --title "tiny: five ways to train it on the same 515 rows" -o $out/curves.svg

# The first three questions of the persona demo, to the base and to all five.
head -n 3 examples/persona/questions.txt >$out/questions.txt
ask() {
    name=$1
    shift
    echo "== $name"
    "$weft" generate "$@" --prompts $out/questions.txt --temperature 0 --max_new_tokens 64
}
ask base tiny
ask LoRA tiny --adapter $out/lora
ask full $out/full/model
ask GaLore $out/galore/model
ask BAdam $out/badam/model
ask QLoRA tiny --adapter $out/qlora
