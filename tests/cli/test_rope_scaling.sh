#!/bin/sh
# rope_scaling: rows longer than the model was made for; the stretched positions are in the whole model's config, in the
# adapter and in what is merged from it, and change what is answered.
. "$(dirname "$0")/training.sh"

small_model
sed -i 's/"max_position_embeddings": *512/"max_position_embeddings": 32/' "$dir/model/config.json"
grep -q '"max_position_embeddings": 32' "$dir/model/config.json" || fail "the model is not short"
rows 12 '{"instruction": "第%d问：此物价几何？问了又问，价钱几何，分量几何，成色几何，请掌柜细说。", "output": "三文钱，不二价。秤是准的，一两是一两。第%d回。"}' >"$dir/rows.jsonl"
train() {
    "$weft" train model_name_or_path="$dir/model" dataset="$dir/rows.jsonl" cutoff_len=80 logging_steps=1 learning_rate=1e-2 \
        max_steps=3 bf16=false "$@" >"$dir/out" 2>"$dir/err"
}
first() { grep -m1 -o '"loss": *[0-9.]*' "$1/log.jsonl"; }
train output_dir="$dir/plain" || fail "plain"
for kind in linear yarn llama3; do
    train rope_scaling=$kind output_dir="$dir/$kind" || fail "$kind"
    grep -q "positions: 96 instead of 32 (rope_scaling: $kind, factor 3)" "$dir/out" || fail "$kind is not told"
    [ "$(first "$dir/$kind")" != "$(first "$dir/plain")" ] || fail "$kind changed nothing"
    grep -q "\"rope_scaling\": \"$kind\"" "$dir/$kind/adapter/weft.json" || fail "$kind is not in the adapter"
    grep -q "^rope_scaling: $kind" "$dir/$kind/recipe.yaml" || fail "$kind is not in the recipe"
done
train rope_scaling=linear cutoff_len=32 output_dir="$dir/short" || fail "short"
grep -q 'rope_scaling has no effect' "$dir/err" || fail "no word of the useless scaling"
if train rope_scaling=dynamic output_dir="$dir/none"; then fail "dynamic was trained"; fi
grep -q 'rope_scaling: dynamic cannot be trained' "$dir/err" || fail "dynamic is not refused by name"

"$weft" export "$dir/model" --adapter "$dir/yarn" --merge --dtype f32 -o "$dir/merged" >"$dir/out" 2>"$dir/err" || fail "export"
grep -q '"rope_type": "yarn"' "$dir/merged/config.json" || fail "the merged config has no yarn"
grep -q '"max_position_embeddings": 96' "$dir/merged/config.json" || fail "the merged config has the old length"
ask() { "$weft" generate "$@" --prompt 第3问：此物价几何？问了又问，价钱几何，分量几何 --temperature 0 --max_new_tokens 24 --context 96 --f32 2>"$dir/err2"; }
ask "$dir/model" --adapter "$dir/yarn" >"$dir/a" || fail "generate with the adapter"
ask "$dir/merged" >"$dir/b" || fail "generate with the merged model"
cmp "$dir/a" "$dir/b" || fail "the merged model answers something else"
train finetuning_type=full learning_rate=1e-4 rope_scaling=linear output_dir="$dir/full" || fail "full"
grep -q '"rope_type": "linear"' "$dir/full/model/config.json" || fail "the whole model's config has no scaling"

# Going on with the adapter goes on with its positions.
train adapter_name_or_path="$dir/linear" output_dir="$dir/on" || fail "going on"
grep -q 'positions: 96 instead of 32 (rope_scaling: linear' "$dir/out" || fail "the adapter's positions were forgotten"
