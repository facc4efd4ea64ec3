#!/bin/sh
# QLoRA from the command line: tiny in fewer bits, a GGUF file as the base, resuming, and where such an adapter goes.
set -eu
weft=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export WEFT_HOME="$dir/home"
export LC_ALL=C
fail() { echo "FAIL: $*" >&2; exit 1; }
status() { want=$1; shift; got=0; "$@" >"$dir/out" 2>"$dir/err" || got=$?; [ "$got" = "$want" ] || { cat "$dir/out" "$dir/err" >&2; fail "status $got, expected $want: $*"; }; }

i=0
while [ $i -lt 12 ]; do
    printf '{"instruction":"第%d个问题是什么？","input":"","output":"这是第%d个回答，请记住。"}\n' $i $i
    i=$((i + 1))
done >"$dir/rows.jsonl"
cat >"$dir/r.yaml" <<END
model_name_or_path: tiny
dataset: $dir/rows.jsonl
lora_rank: 4
learning_rate: 1e-3
max_steps: 6
logging_steps: 1
per_device_train_batch_size: 2
quantization_bit: 4
END
loss_of() { sed -n 's/.*"train_loss":\([0-9.]*\).*/\1/p' "$dir/out"; }
status 0 "$weft" train "$dir/r.yaml" output_dir="$dir/nf4" --json
[ -f "$dir/nf4/adapter/adapter_model.safetensors" ] || fail "no adapter"
grep -q 'quantization_bit: 4' "$dir/nf4/recipe.yaml" || fail "$(cat "$dir/nf4/recipe.yaml")"
nf4=$(loss_of)
# one bit pattern for any number of threads, and after a stop
status 0 "$weft" train "$dir/r.yaml" output_dir="$dir/one" --threads 1
cmp "$dir/nf4/adapter/adapter_model.safetensors" "$dir/one/adapter/adapter_model.safetensors" || fail "threads change the result"
status 0 "$weft" train "$dir/r.yaml" output_dir="$dir/halves" max_steps=6 save_steps=3 save_total_limit=0
rm -r "$dir/halves/checkpoint-6" "$dir/halves/adapter"
status 0 "$weft" train "$dir/r.yaml" output_dir="$dir/halves" max_steps=6 save_steps=3 save_total_limit=0
cmp "$dir/nf4/adapter/adapter_model.safetensors" "$dir/halves/adapter/adapter_model.safetensors" || fail "resuming changes the result"
# another way to quantise is another run
status 3 "$weft" train "$dir/r.yaml" output_dir="$dir/halves" max_steps=6 save_steps=3 save_total_limit=0 quantization_bit=8
grep -q 'quantization' "$dir/err" || fail "$(cat "$dir/err")"

for how in int8 q8_0 q4_0; do
    status 0 "$weft" train "$dir/r.yaml" output_dir="$dir/$how" quantization_bit=0 quantization_type=$how --json
    [ -n "$(loss_of)" ] || fail "no loss for $how"
done
status 0 "$weft" train "$dir/r.yaml" output_dir="$dir/none" quantization_bit=0 --json
none=$(loss_of)
awk -v a="$nf4" -v b="$none" 'BEGIN { d = a - b; exit !(d < 0.3 && d > -0.3) }' || fail "losses $nf4 and $none are far apart"

# What excludes it is named.
status 3 "$weft" train "$dir/r.yaml" output_dir="$dir/x" finetuning_type=full
grep -q 'quantization_bit' "$dir/err" || fail "$(cat "$dir/err")"
status 3 "$weft" train "$dir/r.yaml" output_dir="$dir/x" quantization_bit=5

# The file itself as the base.
status 0 "$weft" export tiny --gguf Q8_0 -o "$dir/tiny.gguf"
status 0 "$weft" train "$dir/r.yaml" output_dir="$dir/file" model_name_or_path="$dir/tiny.gguf" quantization_bit=0 --json
awk -v a="$(loss_of)" -v b="$none" 'BEGIN { d = a - b; exit !(d < 0.05 && d > -0.05) }' || fail "a Q8_0 file trains otherwise"
status 0 "$weft" generate "$dir/tiny.gguf" --adapter "$dir/file" --prompt "第1个问题是什么？" -n 4
status 2 "$weft" train "$dir/r.yaml" output_dir="$dir/x" model_name_or_path="$dir/tiny.gguf"
grep -q 'quantised already' "$dir/err" || fail "$(cat "$dir/err")"
status 2 "$weft" train "$dir/r.yaml" output_dir="$dir/x" model_name_or_path="$dir/tiny.gguf" quantization_bit=0 finetuning_type=full
grep -q 'finetuning_type: lora' "$dir/err" || fail "$(cat "$dir/err")"

# Merging: into the base that is not quantised, and into no other.
status 2 "$weft" export "$dir/tiny.gguf" --adapter "$dir/file" --merge -o "$dir/merged"
grep -q 'unquantised' "$dir/err" || fail "$(cat "$dir/err")"
status 0 "$weft" export tiny --adapter "$dir/nf4" --merge -o "$dir/merged"
status 0 "$weft" generate "$dir/merged" --prompt "第1个问题是什么？" -n 4

# The bench trains on such bases, too.
for how in bf16 q8_0 nf4; do
    status 0 "$weft" bench train tiny --base $how --rows 2 --length 24 --json
    grep -q '2 x 24 tokens' "$dir/out" || fail "$(cat "$dir/out")"
done
status 5 "$weft" bench train tiny --base int8 --isa ref
grep -q -- '--base bf16' "$dir/err" || fail "$(cat "$dir/err")"
status 2 "$weft" bench train tiny --base f32
