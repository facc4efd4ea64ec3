#!/bin/sh
# weft plot: runs by folder, by log, by their word in the store; what is no run is named.
. "$(dirname "$0")/training.sh"

small_model
rows 12 '{"instruction": "第%d问：此物价几何？", "output": "三文钱，不二价。第%d回。"}' >"$dir/rows.jsonl"
for lr in 1.0e-2 1.0e-3; do
    "$weft" train model_name_or_path="$dir/model" dataset="$dir/rows.jsonl" val_size=0.25 stage=sft cutoff_len=64 \
        per_device_train_batch_size=3 num_train_epochs=2 logging_steps=1 eval_steps=2 learning_rate=$lr \
        output_dir="$dir/runs/lr$lr" project=shop --quiet >"$dir/out" 2>"$dir/err" || fail "training"
done

"$weft" plot "$dir/runs/lr1.0e-2/" low="$dir/runs/lr1.0e-3/log.jsonl" -o "$dir/both.svg" --title '<two>' >"$dir/table" 2>"$dir/err" || fail "plot"
grep -q '^  lr1.0e-2  *6 ' "$dir/table" || fail "no line for the folder: $(cat "$dir/table")"
grep -q '^  low  *6 ' "$dir/table" || fail "no line for the log"
grep -q '&lt;two&gt;' "$dir/both.svg" || fail "the title is not in the picture"
grep -q '>lr1.0e-2</text>' "$dir/both.svg" || fail "the run is not in the picture"

# By the store's word, and the numbers of the log.
"$weft" plot fast=run:shop/lr1.0e-2 --json >"$dir/json" 2>"$dir/err" || fail "plot --json"
last=$(sed -n 's/.*"eval_loss": *\([0-9.]*\).*/\1/p' "$dir/runs/lr1.0e-2/log.jsonl" | tail -n 1)
grep -q "\"run\": *\"fast\".*\"steps\": *6.*\"eval_loss\": *$last" "$dir/json" || fail "not the log's numbers: $(cat "$dir/json")"

# One run is drawn in the terminal; two of one name stand as they were typed; - is standard output.
"$weft" plot "$dir/runs/lr1.0e-2" >"$dir/one" 2>"$dir/err" || fail "one run"
grep -q '◆' "$dir/one" || fail "no curve in the terminal"
mkdir "$dir/other" && cp -R "$dir/runs/lr1.0e-2" "$dir/other/lr1.0e-2"
"$weft" plot "$dir/runs/lr1.0e-2" "$dir/other/lr1.0e-2" -o - >"$dir/same.svg" 2>"$dir/err" || fail "two of one name"
grep -q ">$dir/other/lr1.0e-2</text>" "$dir/same.svg" || fail "two runs of one name cannot be told apart"
[ "$(head -c 4 "$dir/same.svg")" = '<svg' ] || fail "-o - prints more than the picture"

refused() {
    want=$1 word=$2
    shift 2
    code=0; "$weft" plot "$@" >"$dir/out" 2>"$dir/err" || code=$?
    [ $code = "$want" ] || fail "plot $*: exit $code instead of $want"
    grep -q "$word" "$dir/err" || fail "plot $*: not said: $word"
}
refused 2 'expected at least one RUN'
refused 2 'is no run' "$dir/nothing"
refused 2 'no run "run:shop/absent"' run:shop/absent
refused 2 'both want standard output' "$dir/runs/lr1.0e-2" -o - --json
mkdir "$dir/new" && : >"$dir/new/log.jsonl"
refused 3 'holds no loss yet' "$dir/new"
echo '{"current_steps": 1, "loss"' >"$dir/new/log.jsonl" && echo '{"current_steps": 2, "loss": 1}' >>"$dir/new/log.jsonl"
refused 3 'log.jsonl' "$dir/new"
"$weft" plot --lang zh "$dir/runs/lr1.0e-2" "$dir/runs/lr1.0e-3" -o "$dir/zh.svg" >"$dir/out" 2>"$dir/err" || fail "Chinese"
grep -q '最低（步）' "$dir/zh.svg" || fail "not in Chinese"
echo "plot: all as it should be"
