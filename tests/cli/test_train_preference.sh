#!/bin/sh
# weft train over compared (dpo, orpo, simpo) and judged (kto) answers: all losses learn to tell the answers apart, runs
# repeat to the bit on any number of threads and after kill -9, and what does not fit is refused by name.
. "$(dirname "$0")/training.sh"

small_model
rows 20 '{"instruction": "第%d问：此茶几文？", "input": "", "chosen": "两文，不二价。第%d碗。", "rejected": "不知道，别问我。"}' >"$dir/pairs.jsonl"
i=0
while [ $i -lt 20 ]; do
    [ $((i % 2)) = 0 ] && good=true || good=false
    printf '{"messages": [{"role": "user", "content": "第%d问"}, {"role": "assistant", "content": "第%d答"}], "kto_tag": %s}\n' $i $((i % 4)) $good
    i=$((i + 1))
done >"$dir/judged.jsonl"
cat >"$dir/recipe.yaml" <<END
model_name_or_path: $dir/model
stage: dpo
finetuning_type: lora
lora_rank: 4
lora_target: all
dataset: $dir/pairs.jsonl
val_size: 4
cutoff_len: 128
output_dir: $dir/dpo
logging_steps: 1
save_steps: 3
per_device_train_batch_size: 2
gradient_accumulation_steps: 2
learning_rate: 1.0e-2
num_train_epochs: 3.0
lr_scheduler_type: cosine
END
# The last value of a key in a log.
last() { grep -o "\"$1\": [-0-9.e]*" "$2/log.jsonl" | tail -1 | sed 's/.*: //'; }
above() { awk "BEGIN { exit !($1 > $2) }"; }

"$weft" train "$dir/recipe.yaml" >"$dir/out1" 2>"$dir/err1" || fail "dpo"
[ "$(grep -c '"rewards/margins"' "$dir/dpo/log.jsonl")" -ge 12 ] || fail "no margins in the log"
above "$(last rewards/margins "$dir/dpo")" 0.2 || fail "dpo: the margin stays $(last rewards/margins "$dir/dpo")"
above "$(last eval_rewards/accuracies "$dir/dpo")" 0.99 || fail "dpo: unseen pairs are not told apart"
for loss in hinge ipo orpo simpo; do
    "$weft" train "$dir/recipe.yaml" pref_loss=$loss output_dir="$dir/$loss" --quiet >/dev/null 2>"$dir/err2" || fail "$loss"
    above "$(last eval_rewards/accuracies "$dir/$loss")" 0.99 || fail "$loss: unseen pairs are not told apart"
done
grep -q odds_ratio_loss "$dir/orpo/log.jsonl" || fail "orpo: no odds ratio in the log"

# The same bytes on three threads, and after a kill at an arbitrary moment.
"$weft" train "$dir/recipe.yaml" output_dir="$dir/t3" --threads 3 --quiet >/dev/null 2>"$dir/err3" || fail "three threads"
cmp "$dir/dpo/adapter/adapter_model.safetensors" "$dir/t3/adapter/adapter_model.safetensors" || fail "three threads: other bytes"
"$weft" train "$dir/recipe.yaml" output_dir="$dir/killed" --quiet >/dev/null 2>&1 &
pid=$!
tries=0
while [ ! -d "$dir/killed/checkpoint-3" ] && [ $tries -lt 400 ]; do sleep 0.02; tries=$((tries + 1)); done
kill -9 $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
"$weft" train "$dir/recipe.yaml" output_dir="$dir/killed" --quiet >/dev/null 2>"$dir/err4" || fail "resume"
cmp "$dir/dpo/adapter/adapter_model.safetensors" "$dir/killed/adapter/adapter_model.safetensors" || fail "resumed: other bytes"
strip() { sed 's/, "elapsed_time.*//' "$1/log.jsonl"; }
strip "$dir/dpo" >"$dir/log1"; strip "$dir/killed" >"$dir/log2"
cmp "$dir/log1" "$dir/log2" || fail "resumed: another log"

# Judged answers; all weights against a reference of its own.
"$weft" train "$dir/recipe.yaml" stage=kto dataset="$dir/judged.jsonl" output_dir="$dir/kto" num_train_epochs=4 --quiet >/dev/null 2>"$dir/err5" || fail "kto"
above "$(last rewards/chosen "$dir/kto")" "$(last rewards/rejected "$dir/kto")" || fail "kto: good answers are not above bad ones"
"$weft" train "$dir/recipe.yaml" finetuning_type=full learning_rate=1e-3 output_dir="$dir/full" >"$dir/out6" 2>"$dir/err6" || fail "full"
grep -q 'reference model' "$dir/out6" || fail "the plan does not count the reference model"
above "$(last rewards/margins "$dir/full")" 0.1 || fail "full: the margin stays $(last rewards/margins "$dir/full")"

# Refusals.
refuses() {
    want=$1; shift
    code=0; "$weft" train "$dir/recipe.yaml" output_dir="$dir/no" "$@" >/dev/null 2>"$dir/err7" || code=$?
    [ $code = 3 ] || fail "$*: exit $code instead of 3"
    grep -q "$want" "$dir/err7" || fail "$*: no \"$want\""
}
refuses 'packing and stage: dpo exclude each other' packing=true
refuses 'dpo_label_smoothing goes with' pref_loss=ipo dpo_label_smoothing=0.1
refuses 'ref_model goes with stages dpo and kto only' stage=sft ref_model="$dir/model"
sed 's/"intermediate_size": 64/"intermediate_size": 96/' "$dir/config.json" >"$dir/wider.json"
"$weft" model random --config "$dir/wider.json" -o "$dir/wider" --quiet
refuses 'ref_model: .*wider has other layers' ref_model="$dir/wider"
refuses 'row 1 has no chosen and rejected answers' dataset="$dir/judged.jsonl"
refuses 'row 1 has no kto_tag' stage=kto
echo ok
