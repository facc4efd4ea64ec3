#!/bin/sh
# model random, inspect, tokenizer, generate, chat and export on a very small random model.
set -eu
weft=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export LC_ALL=C
fail() { echo "FAIL: $*" >&2; exit 1; }
status() { want=$1; shift; got=0; "$@" >"$dir/out" 2>"$dir/err" || got=$?; [ "$got" = "$want" ] || { cat "$dir/out" "$dir/err" >&2; fail "status $got, expected $want: $*"; }; }

cat >"$dir/config.json" <<END
{"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "vocab_size": 8192, "hidden_size": 32, "intermediate_size": 64,
 "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 128,
 "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": true, "hidden_act": "silu"}
END
status 0 "$weft" model random --config "$dir/config.json" -o "$dir/a" --seed 7
status 0 "$weft" model random --config "$dir/config.json" -o "$dir/b" --seed 7 --threads 1
cmp "$dir/a/model.safetensors" "$dir/b/model.safetensors" || fail "one seed, two models"
status 0 "$weft" model random --config "$dir/config.json" --gguf Q4_0 -o "$dir/small.gguf" --seed 7
status 0 "$weft" generate "$dir/small.gguf" --prompt 你是谁 -n 2
"$weft" export "$dir/a" --gguf BF16 -o "$dir/exported.gguf" --quiet
"$weft" model random --config "$dir/config.json" --gguf BF16 -o "$dir/drawn.gguf" --seed 7 --quiet
"$weft" inspect "$dir/exported.gguf" >"$dir/one"; "$weft" inspect "$dir/drawn.gguf" >"$dir/two"
sed 's/exported/drawn/' "$dir/one" | cmp -s - "$dir/two" || fail "drawn into a file, and exported: two models"
status 2 "$weft" model random --like qwen9 -o "$dir/c"
grep -q 'qwen2.5-0.5b' "$dir/err" || fail "known shapes are not listed"

status 0 "$weft" inspect "$dir/a" --json
grep -q '"verdict":"accept"' "$dir/out" || fail "$(cat "$dir/out")"
# What nobody reads is said, once, and harms nothing.
cp -r "$dir/a" "$dir/odd"
sed 's/"model_type"/"mystery_scaling": 3, "model_type"/' "$dir/a/config.json" >"$dir/odd/config.json"
status 0 "$weft" generate "$dir/odd" --prompt 你是谁 -n 2
[ "$(grep -c 'mystery_scaling' "$dir/err")" = 1 ] || fail "an unknown setting of config.json: $(cat "$dir/err")"
status 0 "$weft" inspect "$dir/odd"
grep -q 'odd: .*mystery_scaling' "$dir/out" || fail "$(cat "$dir/out")"
status 0 "$weft" generate "$dir/a" --prompt 你是谁 -n 2
grep -q 'warning' "$dir/err" && fail "a warning about nothing: $(cat "$dir/err")"
head -c 1000 "$dir/a/model.safetensors" >"$dir/cut.safetensors"
status 3 "$weft" inspect "$dir/cut.safetensors" --json
grep -q '"verdict":"error"' "$dir/out" && grep -q '"rule":"ST' "$dir/out" || fail "$(cat "$dir/out")"
printf '{"instruction":"a","input":"","output":"b"}\n{"instruction":1}\n' >"$dir/rows.jsonl"
status 4 "$weft" inspect "$dir/rows.jsonl" --json
grep -q '"verdict":"partial"' "$dir/out" && grep -q '"rows":1,"bad_rows":1' "$dir/out" || fail "$(cat "$dir/out")"

text='秤婆说：“一两是一两。” Hello, world 123'
ids=$("$weft" tokenizer encode tiny --text "$text")
[ "$("$weft" tokenizer decode tiny --text "$ids")" = "$text" ] || fail "decode(encode(x)) is not x"
status 3 "$weft" tokenizer decode tiny --text '12 9999999'
grep -q 'byte 3' "$dir/err" || fail "place of a bad id: $(cat "$dir/err")"

# The same seed gives the same answer; a pipe is one turn a line; too long a conversation is an error, not a crash.
one=$("$weft" generate "$dir/a" --prompt 你是谁 -n 12 --temperature 1 --seed 3)
two=$("$weft" generate "$dir/a" --prompt 你是谁 -n 12 --temperature 1 --seed 3 --threads 1)
[ "$one" = "$two" ] || fail "one seed, two answers"
status 0 sh -c 'printf "你好\n再见\n" | "$1" chat "$2" -n 6 --json' sh "$weft" "$dir/a"
[ "$(wc -l <"$dir/out")" = 2 ] || fail "two turns expected"
long=$(printf '很长%.0s' $(seq 200))
status 3 "$weft" generate "$dir/a" --prompt "$long"
grep -q 'context' "$dir/err" || fail "$(cat "$dir/err")"
status 2 "$weft" generate "$dir/a"
status 2 "$weft" export "$dir/a" -o "$dir/x"
grep -q 'usage: weft export' "$dir/err" || fail "$(cat "$dir/err")"

# One file instead of a folder, and back; the exact types keep every answer.  How to sample stands in a file beside the
# weights, which GGUF has no place for.
rm "$dir/a/generation_config.json" 2>/dev/null || true
one=$("$weft" generate "$dir/a" --prompt 你是谁 -n 12 --temperature 1 --seed 3)
status 0 "$weft" export "$dir/a" --gguf BF16 -o "$dir/a.gguf"
status 0 "$weft" inspect "$dir/a.gguf" --json
grep -q '"kind":"gguf","verdict":"accept"' "$dir/out" || fail "$(cat "$dir/out")"
two=$("$weft" generate "$dir/a.gguf" --prompt 你是谁 -n 12 --temperature 1 --seed 3)
[ "$one" = "$two" ] || fail "a GGUF file answers otherwise: $one / $two"
status 0 "$weft" export "$dir/a.gguf" -o "$dir/back"
cmp "$dir/a/model.safetensors" "$dir/back/model.safetensors" || fail "weights changed on the way through GGUF"
two=$("$weft" generate "$dir/back" --prompt 你是谁 -n 12 --temperature 1 --seed 3)
[ "$one" = "$two" ] || fail "a folder made from GGUF answers otherwise"
status 0 "$weft" export "$dir/a" --gguf Q4_0 -o "$dir/q.gguf"
status 0 "$weft" generate "$dir/q.gguf" --prompt 你是谁 -n 4
status 2 "$weft" export "$dir/a" --gguf Q3_K -o "$dir/q3.gguf"
grep -q 'Q8_0' "$dir/err" || fail "$(cat "$dir/err")"
head -c 2000 "$dir/q.gguf" >"$dir/cut.gguf"
status 3 "$weft" inspect "$dir/cut.gguf" --json
grep -q '"rule":"GG' "$dir/out" || fail "$(cat "$dir/out")"
status 3 "$weft" generate "$dir/cut.gguf" --prompt 你是谁
status 0 "$weft" doctor
