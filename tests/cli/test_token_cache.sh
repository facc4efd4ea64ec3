#!/bin/sh
# Tokens kept by weft train: the same bits with and without them; what is damaged, foreign or of other rows is not
# taken.
. "$(dirname "$0")/training.sh"

small_model
rows 30 '{"instruction": "第%d问：此物价几何？", "output": "三文钱，不二价。第%d回。"}' >"$dir/rows.jsonl"
train() {
    out=$1
    shift
    "$weft" train model_name_or_path="$dir/model" dataset="$dir/rows.jsonl" val_size=0.2 stage=sft cutoff_len=64 \
        per_device_train_batch_size=3 max_steps=6 logging_steps=1 learning_rate=1e-2 output_dir="$dir/$out" --threads 2 "$@" \
        >"$dir/out" 2>"$dir/err" || fail "training $out"
}
taken() { grep -c 'tokens: taken from' "$dir/out" || true; }
same() { cmp "$dir/$1/adapter/adapter_model.safetensors" "$dir/plain/adapter/adapter_model.safetensors" || fail "$1: other bits"; }

train plain
[ ! -e "$dir/home/cache" ] || fail "the tokens of a small dataset are kept unasked"
train first tokenized_path="$dir/kept"
[ "$(taken)" = 0 ] || fail "taken from nowhere"
[ "$(find "$dir/kept" -name '*.tokens' | wc -l)" = 2 ] || fail "expected the training and the validation rows"
same first
train second tokenized_path="$dir/kept"
[ "$(taken)" = 2 ] || fail "not taken: $(cat "$dir/out")"
same second
train anew tokenized_path="$dir/kept" overwrite_cache=true
[ "$(taken)" = 0 ] || fail "taken in spite of overwrite_cache"
same anew

# Another setting, other rows, another template: other tokens.
train other tokenized_path="$dir/kept" cutoff_len=48
[ "$(taken)" = 0 ] || fail "taken for another cutoff_len"
sed 's/三文/五文/' "$dir/rows.jsonl" >"$dir/x" && mv "$dir/rows.jsonl" "$dir/was" && mv "$dir/x" "$dir/rows.jsonl"
train rows tokenized_path="$dir/kept"
[ "$(taken)" = 0 ] || fail "taken for other rows"
mv "$dir/was" "$dir/rows.jsonl"

# Damaged, cut short, of another program: said, made anew, and good again.
for harm in damage cut foreign; do
    for f in "$dir"/kept/*.tokens; do
        case $harm in
        damage) printf 'x' | dd of="$f" bs=1 seek=500 conv=notrunc 2>/dev/null ;;
        cut) head -c 480 "$f" >"$dir/x" && mv "$dir/x" "$f" ;;
        foreign) echo 'nothing of ours' >"$f" ;;
        esac
    done
    train "$harm" tokenized_path="$dir/kept"
    [ "$(taken)" = 0 ] || fail "$harm: taken"
    [ "$(grep -c 'the rows are tokenized anew' "$dir/err")" = 2 ] || fail "$harm: not said: $(cat "$dir/err")"
    same "$harm"
    train "$harm-again" tokenized_path="$dir/kept"
    [ "$(taken)" = 2 ] || fail "$harm: not made anew"
    same "$harm-again"
done

# A folder that cannot be written costs a warning.
: >"$dir/file"
train nowhere tokenized_path="$dir/file/kept"
grep -q 'not kept for the next run' "$dir/err" || fail "not said: $(cat "$dir/err")"
same nowhere

# Large datasets: in the store, listed and removed there.
awk 'BEGIN { s = "天地玄黄宇宙洪荒日月盈昃辰宿列张"; for (i = 0; i < 6; i++) s = s s
             for (i = 0; i < 1500; i++) printf "{\"instruction\": \"第%d问\", \"output\": \"%s\"}\n", i, s }' >"$dir/rows.jsonl"
train large max_steps=1 val_size=0
train large-again max_steps=1 val_size=0
[ "$(taken)" = 1 ] || fail "the tokens of a large dataset are not kept"
cmp "$dir/large/adapter/adapter_model.safetensors" "$dir/large-again/adapter/adapter_model.safetensors" || fail "other bits"
"$weft" ls tokens >"$dir/out" 2>"$dir/err" || fail "ls tokens"
grep -q 'cache:tokens  *1 files' "$dir/out" || fail "not listed: $(cat "$dir/out")"
"$weft" rm cache:tokens >"$dir/out" 2>"$dir/err" || fail "rm cache:tokens"
[ ! -e "$dir/home/cache/tokens" ] || fail "not removed"
echo "token cache: all as it should be"
