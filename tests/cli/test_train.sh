#!/bin/sh
# weft train as a user runs it: LLaMA-Factory's keys, files of a run, going on after a stop, refusals, full and pt.
. "$(dirname "$0")/training.sh"

small_model
rows 24 '{"instruction": "第%d问：此物价几何？", "input": "", "output": "三文钱，不二价。第%d回。"}' >"$dir/rows.jsonl"
cat >"$dir/recipe.yaml" <<END
### model
model_name_or_path: $dir/model
trust_remote_code: true
### method
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 4
lora_target: all
### dataset
dataset: $dir/rows.jsonl
template: qwen
cutoff_len: 128
val_size: 0.25
overwrite_cache: true
### output
output_dir: $dir/run
logging_steps: 1
save_steps: 5
plot_loss: true
### train
per_device_train_batch_size: 2
gradient_accumulation_steps: 2
learning_rate: 1.0e-2
num_train_epochs: 3.0
lr_scheduler_type: cosine
warmup_ratio: 0.1
bf16: true
ddp_timeout: 180000000
END
"$weft" train "$dir/recipe.yaml" >"$dir/out1" 2>"$dir/err1" || fail "first run"
for f in recipe.yaml log.jsonl history.jsonl loss.svg adapter/adapter_config.json adapter/adapter_model.safetensors \
         checkpoint-15/manifest.json checkpoint-15/adapter_model.safetensors; do
    [ -s "$dir/run/$f" ] || fail "$f is missing"
done
grep -q 'ddp_timeout is ignored' "$dir/err1" || fail "an ignored key is not named"
grep -q 'memory plan: ' "$dir/out1" || fail "no memory plan"
grep -q 'validation loss' "$dir/out1" || fail "no validation loss"
[ "$(grep -c '"loss"' "$dir/run/log.jsonl")" = 15 ] || fail "expected 15 updates in the log"
cmp "$dir/run/adapter/adapter_model.safetensors" "$dir/run/checkpoint-15/adapter_model.safetensors" || fail "adapter is not that of the end"

# Again: nothing to do, same bytes.  With another setting: refused by name, and the recipe of the run stays.
sum=$(cat "$dir/run/adapter/adapter_model.safetensors" "$dir/run/log.jsonl" "$dir/run/recipe.yaml" | cksum)
"$weft" train "$dir/recipe.yaml" >"$dir/out2" 2>"$dir/err2" || fail "second run"
grep -q 'finished already' "$dir/out2" || fail "the second run trained"
code=0; "$weft" train "$dir/recipe.yaml" lr_scheduler_type=linear >"$dir/out3" 2>"$dir/err3" || code=$?
[ $code = 3 ] || fail "exit $code instead of 3"
grep -q 'lr_scheduler_type: "cosine" then, "linear" now' "$dir/err3" || fail "what differs is not named"
[ "$sum" = "$(cat "$dir/run/adapter/adapter_model.safetensors" "$dir/run/log.jsonl" "$dir/run/recipe.yaml" | cksum)" ] || fail "a refused run changed files"

# One thread and three give the same adapter; a flag is a setting, too.
for n in 1 3; do
    "$weft" train "$dir/recipe.yaml" --output_dir "$dir/t$n" --threads $n --quiet >/dev/null 2>"$dir/err4" || fail "$n threads"
    cmp "$dir/run/adapter/adapter_model.safetensors" "$dir/t$n/adapter/adapter_model.safetensors" || fail "$n threads: other bytes"
done

# Stopped by a signal: 130, and gone on to the same bytes.
"$weft" train "$dir/recipe.yaml" output_dir="$dir/stopped" num_train_epochs=3 >"$dir/out5" 2>"$dir/err5" &
pid=$!
tries=0
while [ ! -d "$dir/stopped/checkpoint-5" ] && [ $tries -lt 600 ] && kill -0 $pid 2>/dev/null; do sleep 0.02; tries=$((tries + 1)); done
kill -INT $pid 2>/dev/null || true
code=0; wait $pid || code=$?
[ $code = 130 ] || [ $code = 0 ] || fail "exit $code after SIGINT"      # 0: it was faster
"$weft" train "$dir/recipe.yaml" output_dir="$dir/stopped" --quiet >/dev/null 2>"$dir/err6" || fail "going on"
cmp "$dir/run/adapter/adapter_model.safetensors" "$dir/stopped/adapter/adapter_model.safetensors" || fail "stopped run: other bytes"

# All weights on plain text, from scratch, with Muon; the result is a model like any other.
i=0
while [ $i -lt 60 ]; do echo "却说那日天色已晚，众人在店中坐定，吃了几杯酒，第$i回。"; i=$((i + 1)); done >"$dir/story.txt"
"$weft" train model_name_or_path="$dir/model" stage=pt finetuning_type=full train_from_scratch=true optim=muon dataset="$dir/story.txt" \
    cutoff_len=64 max_steps=6 learning_rate=6e-3 compat=clean output_dir="$dir/full" --json >"$dir/out7" 2>"$dir/err7" || fail "pt"
grep -q '"steps":6' "$dir/out7" || fail "no JSON result"
[ -s "$dir/full/model/model.safetensors" ] && [ -s "$dir/full/model/tokenizer.json" ] || fail "no model"
"$weft" generate "$dir/full/model" --prompt 却说 -n 4 --quiet >/dev/null 2>"$dir/err8" || fail "the model does not speak"

# Refusals say what to do.
code=0; "$weft" train "$dir/recipe.yaml" output_dir="$dir/x" mem=1M >/dev/null 2>"$dir/err9" || code=$?
[ $code = 3 ] && grep -q 'Cheapest changes: ' "$dir/err9" || fail "a plan above mem is not refused"
printf '{"instruction": "x", "output": 5}\n' >>"$dir/rows.jsonl"
code=0; "$weft" train "$dir/recipe.yaml" output_dir="$dir/x" >/dev/null 2>"$dir/err10" || code=$?
[ $code = 3 ] && grep -q 'skip_bad=true' "$dir/err10" || fail "a bad row is not refused"
"$weft" train "$dir/recipe.yaml" output_dir="$dir/x" skip_bad=true max_steps=1 --quiet >/dev/null 2>"$dir/err11" || fail "skip_bad"
code=0; "$weft" train "$dir/recipe.yaml" lora_rnk=4 >/dev/null 2>"$dir/err12" || code=$?
[ $code = 2 ] && grep -q 'lora_rank' "$dir/err12" || fail "a misspelt key does not name the nearest"
echo ok
