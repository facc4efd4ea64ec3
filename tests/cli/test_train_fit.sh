#!/bin/sh
# weft train with a limit of memory: what it chooses, what it says, and that a run goes on with it.
. "$(dirname "$0")/training.sh"
small_model
long=$(i=0; while [ $i -lt 150 ]; do printf '河东三十年，'; i=$((i + 1)); done)
rows 48 "{\"instruction\": \"问$long%d\", \"output\": \"答$long%d\"}" >"$dir/rows.jsonl"
cat >"$dir/recipe.yaml" <<END
model_name_or_path: $dir/model
dataset: $dir/rows.jsonl
cutoff_len: 400
lora_rank: 4
per_device_train_batch_size: 16
gradient_accumulation_steps: 1
logging_steps: 1
save_steps: 2
max_steps: 40
learning_rate: 1e-3
END
mib() { sed -n "s/.*memory plan: \([0-9.]*\) MiB of .*/\1/p" "$1" | awk '{ printf "%d", $1 + 0.5 }'; }

"$weft" train "$dir/recipe.yaml" output_dir="$dir/asked" max_steps=1 >"$dir/out1" 2>"$dir/err1" || fail "as asked"
[ -e "$dir/asked/fit.yaml" ] && fail "a run that was not fitted says that it was"
asked=$(mib "$dir/out1")
[ "$asked" -gt 20 ] || fail "no plan: $(cat "$dir/out1")"

# Three quarters of that: fewer rows at a time, the same update; said in both languages, and written beside the run.
limit=$((asked * 3 / 4))
"$weft" train "$dir/recipe.yaml" output_dir="$dir/fitted" max_steps=1 --mem ${limit}M --json >"$dir/out2" 2>"$dir/err2" || fail "with mem"
grep -q "fit: per_device_train_batch_size: " "$dir/err2" || fail "not told what was chosen"
grep -q "as asked it takes" "$dir/err2" || fail "not told why"
batch=$(sed -n 's/^per_device_train_batch_size: //p' "$dir/fitted/recipe.yaml")
steps=$(sed -n 's/^gradient_accumulation_steps: //p' "$dir/fitted/recipe.yaml")
[ "$batch" -lt 16 ] && [ $((batch * steps)) = 16 ] || fail "$batch x $steps rows an update"
grep -q "^per_device_train_batch_size: $batch\$" "$dir/fitted/fit.yaml" || fail "fit.yaml is not what was chosen"
grep -q "\"per_device_train_batch_size\":$batch,\"gradient_accumulation_steps\":$steps" "$dir/out2" || fail "JSON: $(cat "$dir/out2")"
plan=$(mib "$dir/err2")
[ "$plan" -le "$limit" ] || fail "a plan of $plan above $limit"
"$weft" train "$dir/recipe.yaml" output_dir="$dir/zh" max_steps=1 --mem ${limit}M --lang zh >"$dir/out3" 2>"$dir/err3" || fail "in Chinese"
grep -q "适配：per_device_train_batch_size: $batch" "$dir/out3" || fail "in Chinese: $(cat "$dir/out3")"

# --fit alone takes what the machine has; fit=false refuses instead of choosing.
"$weft" train --fit "$dir/recipe.yaml" output_dir="$dir/free" max_steps=1 >"$dir/out4" 2>"$dir/err4" || fail "--fit"
grep -q "fit: " "$dir/out4" || fail "--fit says nothing"
code=0; "$weft" train "$dir/recipe.yaml" output_dir="$dir/off" mem=${limit}M fit=false >"$dir/out5" 2>"$dir/err5" || code=$?
[ $code = 3 ] && grep -q "this run needs" "$dir/err5" || fail "fit=false: $code"
code=0; "$weft" train "$dir/recipe.yaml" output_dir="$dir/none" --mem 5M --fit precision >"$dir/out6" 2>"$dir/err6" || code=$?
# A sanitizer's shadow is too large a part of what is measured for a choice to help.
sanitizer=$(sed -n 's/^WEFT_SANITIZE:STRING=//p' "$(dirname "$weft")/CMakeCache.txt")
[ $code = 3 ] && { [ -n "$sanitizer" ] || grep -q "quantization_type: " "$dir/err6"; } || fail "the smallest plan is not named"
code=0; "$weft" train "$dir/recipe.yaml" --fit=perhaps >"$dir/out7" 2>"$dir/err7" || code=$?
[ $code = 2 ] || fail "--fit=perhaps: $code"

# Killed, and gone on with where there is more memory: the choice stays, and so does the result.
"$weft" train "$dir/recipe.yaml" output_dir="$dir/whole" --mem ${limit}M >"$dir/out8" 2>"$dir/err8" || fail "a whole run"
"$weft" train "$dir/recipe.yaml" output_dir="$dir/killed" --mem ${limit}M >"$dir/out9" 2>"$dir/err9" &
pid=$!
tries=0
while [ ! -e "$dir/killed/checkpoint-2" ] && [ $tries -lt 600 ]; do sleep 0.05; tries=$((tries + 1)); done
kill -9 $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
[ -e "$dir/killed/adapter" ] && fail "the run was over before it was killed"
"$weft" train "$dir/recipe.yaml" output_dir="$dir/killed" --fit >"$dir/out10" 2>"$dir/err10" || fail "it does not go on"
grep -q "resuming from" "$dir/err10" || fail "it began anew"
grep -q "nothing needs to change.*per_device_train_batch_size: $batch" "$dir/out10" || fail "$(cat "$dir/out10")"
cmp "$dir/whole/adapter/adapter_model.safetensors" "$dir/killed/adapter/adapter_model.safetensors" || fail "another result"
# without fit the recipe's own settings are told to differ
code=0; "$weft" train "$dir/recipe.yaml" output_dir="$dir/killed" >"$dir/out11" 2>"$dir/err11" || code=$?
[ $code = 3 ] && grep -q "per_device_train_batch_size" "$dir/err11" || fail "other settings go on silently"
echo ok
