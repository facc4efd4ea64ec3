#!/bin/sh
# The roads from a novel and from documents, on a very small random model: by rule, and with a service that is asked
# while the run is killed again and again.
set -eu
weft=$1
dir=$(mktemp -d)
export WEFT_HOME="$dir/home"
mock=
trap '[ -z "$mock" ] || kill "$mock" 2>/dev/null; rm -rf "$dir"' EXIT
export LC_ALL=C
unset WEFT_API_KEY
fail() { echo "FAIL: $*" >&2; exit 1; }

cat >"$dir/config.json" <<END
{"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "vocab_size": 8192, "hidden_size": 32, "intermediate_size": 64,
 "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 512,
 "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": true, "hidden_act": "silu"}
END
"$weft" model random --config "$dir/config.json" -o "$dir/model" --quiet
train="model_name_or_path=$dir/model lora_rank=4 cutoff_len=128 max_steps=2 logging_steps=1 max_new_tokens=4"

# By rule: files, funnel, rows with their way back, a second run that does nothing.
for road in novelist qa; do
    "$weft" run examples/$road/recipe.yaml $train "output_dir=$dir/$road" >"$dir/out" 2>"$dir/err" || { cat "$dir/err" >&2; fail "$road"; }
    for f in recipe.yaml dataset/chunks.jsonl dataset/train.jsonl dataset/valid.jsonl dataset/report.json \
        adapter/adapter_config.json; do
        [ -s "$dir/$road/$f" ] || fail "$road: $f is missing"
    done
    grep -q 'rows made' "$dir/out" || fail "$road: no funnel"
    grep -q '"flags":\["offline"\]' "$dir/$road/dataset/train.jsonl" || fail "$road: rows by rule are not marked"
    "$weft" run examples/$road/recipe.yaml $train "output_dir=$dir/$road" >"$dir/out" 2>"$dir/err" || fail "$road again"
    [ "$(grep -c 'unchanged: skipped' "$dir/err")" = 2 ] || { cat "$dir/err" >&2; fail "$road: stages should be skipped"; }
    "$weft" run examples/$road/recipe.yaml $train "output_dir=$dir/$road" chunk_max=120 overwrite_output_dir=true \
        >"$dir/out" 2>"$dir/err" || { cat "$dir/err" >&2; fail "$road: other chunks"; }
    [ "$(grep -c 'unchanged: skipped' "$dir/err")" = 0 ] || fail "$road: another chunk size must run again"
done

# Errors.
got=0; "$weft" run examples/qa/recipe.yaml $train "output_dir=$dir/x" novel=examples/novelist/小说.txt >"$dir/out" 2>"$dir/err" || got=$?
[ "$got" = 2 ] && grep -q "two kinds of input" "$dir/err" || fail "two kinds of input: $got"
got=0; "$weft" run examples/qa/recipe.yaml $train "output_dir=$dir/x" offline=false >"$dir/out" 2>"$dir/err" || got=$?
[ "$got" = 2 ] && grep -q "who shall answer" "$dir/err" || fail "nobody to ask: $got"

[ -x "${WEFT_MOCKS:-build/mock}/mock_llm" ] || exit 0
"${WEFT_MOCKS:-build/mock}/mock_llm" --delay 20 --bill "$dir/bill" >"$dir/port" &
mock=$!
i=0; while [ ! -s "$dir/port" ] && [ $i -lt 100 ]; do sleep 0.05; i=$((i + 1)); done
asked="offline=false ask_model=mock endpoint=http://127.0.0.1:$(head -1 "$dir/port")/v1 concurrency=2 chunk_max=60"
"$weft" run examples/novelist/recipe.yaml $train $asked "output_dir=$dir/whole" >"$dir/out" 2>"$dir/err" || { cat "$dir/err" >&2; fail "asked"; }
n=$(wc -l <"$dir/whole/dataset/chunks.jsonl")
once=$(grep -c '"event":"asked"' "$dir/bill")   # corrective turns too
[ "$once" -ge "$n" ] || fail "$once requests for $n chunks"
kills=0
for pause in 0.05 0.1 0.15 0.2 0.1 0.25 0.3 0.1; do
    "$weft" run examples/novelist/recipe.yaml $train $asked "output_dir=$dir/killed" >/dev/null 2>&1 &
    pid=$!
    sleep $pause
    kill -9 $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null || :
done
"$weft" run examples/novelist/recipe.yaml $train $asked "output_dir=$dir/killed" >"$dir/out" 2>"$dir/err" || { cat "$dir/err" >&2; fail "after kills"; }
for f in chunks train valid; do cmp "$dir/whole/dataset/$f.jsonl" "$dir/killed/dataset/$f.jsonl" || fail "$f differs after $kills kills"; done
# At most the two in flight at each kill may have been asked for in vain.
extra=$(($(grep -c '"event":"asked"' "$dir/bill") - 2 * once))
[ "$extra" -le $((2 * kills)) ] || fail "$extra requests too many after $kills kills"
