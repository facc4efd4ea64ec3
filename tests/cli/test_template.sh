#!/bin/sh
# template_mode: llamafactory: a template by name trains, travels with the adapter, the whole model, the merged
# folder and the GGUF file, and is what chat renders with; names and tokens that there are not are told.
. "$(dirname "$0")/training.sh"

small_model
rows 12 '{"instruction": "第%d问：此物价几何？", "input": "", "output": "三文钱，不二价。第%d回。"}' >"$dir/rows.jsonl"
cat >"$dir/recipe.yaml" <<END
model_name_or_path: $dir/model
template: default
template_mode: llamafactory
dataset: $dir/rows.jsonl
cutoff_len: 128
output_dir: $dir/run
logging_steps: 1
learning_rate: 1.0e-2
max_steps: 4
END
train() { "$weft" train "$dir/recipe.yaml" "$@" >"$dir/out" 2>"$dir/err"; }
train || fail "llamafactory mode"
head -1 "$dir/run/adapter/chat_template.jinja" | grep -q '^{#- weft {"template": "default", "pieces": true' ||
    fail "the adapter does not bring its template"
grep -q 'template is ignored' "$dir/err" && fail "the template is said to be ignored"
first() { grep -m1 -o '"loss": *[0-9.]*' "$1/log.jsonl"; }
train template_mode=model output_dir="$dir/model-mode" || fail "model mode"
grep -q 'recipe.yaml:2:11: template is ignored: .*template_mode: llamafactory' "$dir/err" || fail "ignored, but not said"
[ ! -e "$dir/model-mode/adapter/chat_template.jinja" ] || fail "a model's own template was written beside the adapter"
[ "$(first "$dir/run")" != "$(first "$dir/model-mode")" ] || fail "the template changed nothing"

# Chat takes the adapter's template: no mismatch, and the answer is that of the merged model and the GGUF file.
ask() { "$weft" generate "$@" --prompt 秤准不准？ --temperature 0 --max_new_tokens 12 --f32 2>"$dir/err2"; }
ask "$dir/model" --adapter "$dir/run" >"$dir/answer" || fail "generate with the adapter"
"$weft" export "$dir/model" --adapter "$dir/run" --merge --dtype f32 -o "$dir/merged" >"$dir/out" 2>"$dir/err" || fail "export"
cmp "$dir/run/adapter/chat_template.jinja" "$dir/merged/chat_template.jinja" || fail "the merged model has another template"
ask "$dir/merged" >"$dir/answer2" || fail "generate with the merged model"
cmp "$dir/answer" "$dir/answer2" || fail "the merged model answers something else"
"$weft" export "$dir/model" --adapter "$dir/run" --merge --gguf F32 -o "$dir/m.gguf" >"$dir/out" 2>"$dir/err" || fail "gguf"
ask "$dir/m.gguf" >"$dir/answer3" || fail "generate with the GGUF file"
cmp "$dir/answer" "$dir/answer3" || fail "the GGUF file answers something else"
rm "$dir/run/adapter/chat_template.jinja"
if ask "$dir/model" --adapter "$dir/run" >"$dir/out"; then fail "another template was not noticed"; fi
grep -q 'trained with another chat template' "$dir/err2" || fail "the mismatch is not named"

# All weights: the template and its end of turn are in the model's folder.
train finetuning_type=full template=gemma output_dir="$dir/none0" && fail "a token that is not there was taken"
grep -q 'template gemma writes the token <end_of_turn>' "$dir/err" || fail "the token is not named"
train finetuning_type=full learning_rate=1e-4 template=qwen default_system=你是渡口看秤的人。 output_dir="$dir/full" || fail "full"
grep -q "set system = '你是渡口看秤的人。'" "$dir/full/model/chat_template.jinja" || fail "no default system text"
grep -q '"eos_token": "<|im_end|>"' "$dir/full/model/tokenizer_config.json" || fail "no eos token"
ask "$dir/full/model" >/dev/null || fail "generate with all weights"

# A run goes on with its template alone.
if train template=vicuna max_steps=5; then fail "another template went on"; fi
grep -q 'the chat template' "$dir/err" || fail "what differs is not named"

# Names.
code=0; train template=qwenn output_dir="$dir/none" || code=$?
[ $code = 2 ] || [ $code = 3 ] || fail "exit $code"
grep -q 'no template "qwenn"; the nearest name is qwen' "$dir/err" || fail "no nearest name"
[ ! -e "$dir/none" ] || fail "a run was begun"
sed -i 's/^template: .*/template: alpacca/' "$dir/recipe.yaml"
if train output_dir="$dir/none"; then fail "alpacca"; fi
grep -q 'recipe.yaml:2:11: no template "alpacca"; the nearest name is alpaca' "$dir/err" || fail "no place"
sed -i '/^template: /d' "$dir/recipe.yaml"
if train output_dir="$dir/none"; then fail "no name"; fi
grep -q 'needs "template: NAME"' "$dir/err" || fail "a missing name is not told"
if train template=glm4 train_on_prompt=true output_dir="$dir/none"; then fail "train_on_prompt"; fi
grep -q 'exclude each other' "$dir/err" || fail "train_on_prompt is not refused"
if train template_mode=model default_system=x output_dir="$dir/none"; then fail "default_system"; fi
grep -q 'default_system needs template_mode: llamafactory' "$dir/err" || fail "default_system is not refused"
