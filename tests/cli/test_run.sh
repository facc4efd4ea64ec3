#!/bin/sh
# The whole road on our own screenplay and a very small random model: outputs, skipping, and what makes a stage
# run again.
. "$(dirname "$0")/training.sh"

small_model
[ -s "$dir/model/model.safetensors" ] && [ -s "$dir/model/tokenizer.json" ] || fail "no model made"

cp examples/persona/剧本.txt "$dir/"
printf '你是谁？\n秤准不准？\n' >"$dir/questions.txt"
cat >"$dir/recipe.yaml" <<END
script: [剧本.txt]
role: 秤婆
alias: [秤婆=何秤婆, 何氏, 何秤正]
valid: 0.1
model_name_or_path: $dir/model
finetuning_type: lora
lora_rank: 4
cutoff_len: 128
per_device_train_batch_size: 4
learning_rate: 1.0e-3
max_steps: 4
template: qwen
logging_steps: 1
questions: questions.txt
max_new_tokens: 8
output_dir: $dir/run
END
"$weft" run "$dir/recipe.yaml" >"$dir/out1" 2>"$dir/err1" || { cat "$dir/err1" >&2; fail "first run"; }
for f in recipe.yaml dataset/train.jsonl dataset/valid.jsonl dataset/report.json log.jsonl loss.svg \
         adapter/adapter_config.json adapter/adapter_model.safetensors eval/answers.jsonl; do
    [ -s "$dir/run/$f" ] || fail "$f is missing"
done
[ "$(wc -l <"$dir/run/eval/answers.jsonl")" = 2 ] || fail "expected two answers"
grep -q 'used in rows' "$dir/out1" || fail "no funnel"
grep -q "recipe.yaml:12:11: template is ignored" "$dir/err1" || fail "an ignored key is not named"

# A second run does nothing again, and shows the answers again.
before=$(stat -c '%Y %s' "$dir/run/adapter/adapter_model.safetensors" "$dir/run/dataset/train.jsonl")
"$weft" run "$dir/recipe.yaml" >"$dir/out2" 2>"$dir/err2" || { cat "$dir/err2" >&2; fail "second run"; }
[ "$(grep -c 'unchanged: skipped' "$dir/err2")" = 2 ] || { cat "$dir/err2" >&2; fail "two stages should be skipped"; }
[ "$before" = "$(stat -c '%Y %s' "$dir/run/adapter/adapter_model.safetensors" "$dir/run/dataset/train.jsonl")" ] || fail "files were written again"
grep -q '你是谁' "$dir/out2" || fail "answers are not shown again"

# The resolved recipe alone repeats the run.
cp -r "$dir/run" "$dir/first"
sed "s#$dir/run#$dir/again#" "$dir/run/recipe.yaml" >"$dir/resolved.yaml"
"$weft" run "$dir/resolved.yaml" >/dev/null 2>"$dir/err3" || { cat "$dir/err3" >&2; fail "resolved recipe"; }
cmp "$dir/first/adapter/adapter_model.safetensors" "$dir/again/adapter/adapter_model.safetensors" || fail "another adapter from the resolved recipe"

# Another question: the comparison alone runs again.
printf '茶多少钱？\n' >>"$dir/questions.txt"
"$weft" run "$dir/recipe.yaml" >"$dir/out4" 2>"$dir/err4" || fail "third question"
[ "$(grep -c 'unchanged: skipped' "$dir/err4")" = 2 ] || fail "a new question should not train again"
[ "$(wc -l <"$dir/run/eval/answers.jsonl")" = 3 ] || fail "expected three answers"

# Errors name the file, the line and the nearest key.
sed 's/lora_rank/lora_ranck/' "$dir/recipe.yaml" >"$dir/bad.yaml"
got=0; "$weft" run "$dir/bad.yaml" >/dev/null 2>"$dir/err5" || got=$?
[ "$got" = 3 ] || fail "unknown key: status $got"
grep -q 'bad.yaml:7:.*lora_rank' "$dir/err5" || { cat "$dir/err5" >&2; fail "unknown key: message"; }
