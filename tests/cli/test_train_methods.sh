#!/bin/sh
# Every method of training by its keys: it runs, a stopped run goes on to the same bytes, what it writes can be talked
# to, merged and gone on with, and what excludes each other is named.
. "$(dirname "$0")/training.sh"

cat >"$dir/config.json" <<END
{"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "vocab_size": 8192, "hidden_size": 24, "intermediate_size": 40,
 "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 512,
 "rms_norm_eps": 1e-6, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}, "tie_word_embeddings": true,
 "use_sliding_window": true, "sliding_window": 16, "hidden_act": "silu",
 "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
END
"$weft" model random --config "$dir/config.json" -o "$dir/model" --quiet
rows 12 '{"instruction": "第%d问：此物价几何？", "input": "", "output": "三文钱，不二价。第%d回。"}' >"$dir/rows.jsonl"
common="model_name_or_path=$dir/model dataset=$dir/rows.jsonl
        cutoff_len=64 learning_rate=1e-2 num_train_epochs=2 logging_steps=1
        save_strategy=no eval_strategy=no lora_rank=3"
echo "stage: sft" >"$dir/recipe.yaml"

# name, keys, word of the result
run() {
    name=$1 what=$2
    shift 2
    # shellcheck disable=SC2086
    "$weft" train "$dir/recipe.yaml" $common output_dir="$dir/$name" "$@" >"$dir/out" 2>"$dir/err" || fail "$name"
    grep -q "are trained ($what)" "$dir/out" || fail "$name: the method is not told"
    first=$(sed -n 's/.*"loss": *\([0-9.]*\).*/\1/p' "$dir/$name/log.jsonl" | head -n 1)
    last=$(sed -n 's/.*"loss": *\([0-9.]*\).*/\1/p' "$dir/$name/log.jsonl" | tail -n 1)
    awk "BEGIN { exit !($last < $first) }" || fail "$name: the loss went from $first to $last"
}
run dora lora use_dora=true
run pissa lora pissa_init=true pissa_iter=4
run plus lora loraplus_lr_ratio=16 lora_init=gaussian
run tables lora additional_target=embed_tokens,lm_head init_rng=torch
run freeze freeze finetuning_type=freeze freeze_trainable_layers=1 freeze_extra_modules=norm

grep -q '"use_dora": true' "$dir/dora/adapter/adapter_config.json" || fail "use_dora is not written"
grep -q '"r": 6' "$dir/pissa/adapter/adapter_config.json" || fail "PiSSA is not written with twice the rank"
grep -q '"init_lora_weights": true' "$dir/pissa/adapter/adapter_config.json" || fail "PiSSA is not written as plain LoRA"
tr -d ' \n' <"$dir/tables/adapter/adapter_config.json" | grep -q '"modules_to_save":\["embed_tokens","lm_head"\]' ||
    fail "modules_to_save is not written"

# pissa_convert: false: the rank as trained, for the model beside it, and for no other; together they are what
# the converted adapter makes of the base
run kept lora pissa_init=true pissa_iter=4 pissa_convert=false
grep -q '"r": 3' "$dir/kept/adapter/adapter_config.json" || fail "the branches were converted"
grep -q '"base_model_name_or_path": ".*/kept/pissa_base"' "$dir/kept/adapter/adapter_config.json" || fail "pissa_base is not named"
cmp "$dir/pissa/log.jsonl" "$dir/kept/log.jsonl" >/dev/null 2>&1 || [ "$(grep -o '"loss": *[0-9.]*' "$dir/pissa/log.jsonl")" = \
    "$(grep -o '"loss": *[0-9.]*' "$dir/kept/log.jsonl")" ] || fail "pissa_convert changed the losses"
ask() { "$weft" generate "$@" --prompt 第3问：此物价几何？ --max_new_tokens 12 --temperature 0 --f32 2>"$dir/err"; }
ask "$dir/model" --adapter "$dir/pissa" >"$dir/answer" || fail "generate with pissa"
ask "$dir/kept/pissa_base" --adapter "$dir/kept" >"$dir/answer2" || fail "generate with pissa_base"
cmp "$dir/answer" "$dir/answer2" || fail "pissa_base and its adapter answer something else"
if ask "$dir/model" --adapter "$dir/kept" >"$dir/out"; then fail "the adapter was put on another model"; fi
grep -q 'trained on another base' "$dir/err" || fail "the other base is not told"

"$weft" inspect "$dir/dora/adapter" >"$dir/out" 2>"$dir/err" || fail "inspect"
grep -q 'use_dora.*true' "$dir/out" || fail "inspect does not tell DoRA"
"$weft" inspect "$dir/tables/adapter" >"$dir/out" 2>"$dir/err" || fail "inspect"
grep -q 'modules_to_save.*lm_head' "$dir/out" || fail "inspect does not tell the copies of tables"

# a run that was stopped goes on to the same adapter
for name in dora pissa tables; do
    case $name in
    dora) keys="use_dora=true" ;;
    pissa) keys="pissa_init=true pissa_iter=4" ;;
    tables) keys="additional_target=embed_tokens,lm_head init_rng=torch" ;;
    esac
    again="$dir/$name-again"
    # shellcheck disable=SC2086
    "$weft" train "$dir/recipe.yaml" $common output_dir="$again" $keys save_strategy=steps save_steps=4 >"$dir/out" 2>"$dir/err" ||
        fail "$name again"
    # as if killed after step 8: the last checkpoint and the result are gone
    rm -r "$again/checkpoint-12" "$again/adapter"
    # shellcheck disable=SC2086
    "$weft" train "$dir/recipe.yaml" $common output_dir="$again" $keys save_strategy=steps save_steps=4 >"$dir/out" 2>"$dir/err" ||
        fail "$name gone on with"
    grep -q '"resumed"' "$again/history.jsonl" || fail "$name began anew"
    cmp "$dir/$name/adapter/adapter_model.safetensors" "$again/adapter/adapter_model.safetensors" ||
        fail "$name: the run that was gone on with ended elsewhere"
done

# answers with the adapter, and of the merged model
for name in dora pissa tables; do
    "$weft" generate "$dir/model" --adapter "$dir/$name" --prompt 问 --max_new_tokens 8 --temperature 0 --f32 >"$dir/a" 2>"$dir/err" ||
        fail "generate with $name"
    "$weft" export "$dir/model" --adapter "$dir/$name" --merge --dtype f32 -o "$dir/$name-merged" >"$dir/out" 2>"$dir/err" ||
        fail "export $name"
    "$weft" generate "$dir/$name-merged" --prompt 问 --max_new_tokens 8 --temperature 0 --f32 >"$dir/b" 2>"$dir/err" ||
        fail "generate with $name merged"
    cmp "$dir/a" "$dir/b" || fail "$name answers otherwise when merged"
done
grep -q '"tie_word_embeddings": false' "$dir/tables-merged/config.json" || fail "the merged model is tied"
"$weft" generate "$dir/freeze/model" --prompt 问 --max_new_tokens 4 --temperature 0 >/dev/null 2>"$dir/err" || fail "generate with freeze"

# preferences compare with the base, of which copies of tables are no part: before the first update nothing differs
i=0
while [ $i -lt 12 ]; do
    printf '{"instruction": "第%d问：此茶几文？", "input": "", "chosen": "两文，不二价。", "rejected": "不知道，别问我。"}\n' $i
    i=$((i + 1))
done >"$dir/pairs.jsonl"
mv "$dir/rows.jsonl" "$dir/answers.jsonl" && mv "$dir/pairs.jsonl" "$dir/rows.jsonl"
run dpo lora stage=dpo learning_rate=1e-4 use_dora=true additional_target=lm_head pref_beta=0.5
awk "BEGIN { exit !($first > 0.6930 && $first < 0.6933) }" || fail "dpo begins at $first, not at ln 2"
mv "$dir/answers.jsonl" "$dir/rows.jsonl"

# gone on with
run more lora adapter_name_or_path="$dir/dora" use_dora=true
grep -q 'have no effect on an adapter that is gone on with' "$dir/err" || fail "keys without effect are not named"

for keys in "use_dora=true finetuning_type=full" "pissa_init=true use_dora=true" "additional_target=norm" \
            "finetuning_type=freeze freeze_trainable_modules=attention" "finetuning_type=freeze freeze_extra_modules=lm_head"; do
    code=0
    # shellcheck disable=SC2086
    "$weft" train "$dir/recipe.yaml" $common output_dir="$dir/no" $keys >"$dir/out" 2>"$dir/err" || code=$?
    [ $code -eq 2 ] || [ $code -eq 3 ] || fail "$keys: exit code $code"
    key=${keys##* }
    grep -q "${key%%=*}" "$dir/err" || fail "$keys: not named"
done
# Where the time goes: every second is in a line or in the rest, products are named by their matrices.
"$weft" train model_name_or_path=tiny dataset="$dir/rows.jsonl" max_steps=2 lora_rank=4 output_dir="$dir/profile" --profile --json \
    >"$dir/out_p" 2>"$dir/err_p" || fail "profile"
grep -q '"profile":{"seconds":' "$dir/out_p" || fail "no profile in $(cat "$dir/out_p")"
grep -q '"operation":"products, forward","matrix":"gate_proj, up_proj","n_out":704,"n_in":256,"type":"bf16","calls":' "$dir/out_p" \
    || fail "no product: $(cat "$dir/out_p")"
grep -q '"operation":"optimizer"' "$dir/out_p" || fail "no optimizer"
grep -q 'products, backward by W: lora_A \[4, 256\] f32' "$dir/err_p" || fail "no table"
grep -q 'everything else' "$dir/err_p" || fail "no rest"
echo ok
