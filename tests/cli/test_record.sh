#!/bin/sh
# What the store remembers of runs: their data, base, state and losses; a store that cannot be used costs one warning.
set -u
weft=$1
# Boots and processes are told apart by /proc, which a bare chroot lacks.
[ -r /proc/sys/kernel/random/boot_id ] || exit 77
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export WEFT_HOME="$dir/home" LANG=C
unset WEFT_LANG LC_ALL XDG_DATA_HOME
failed=0
fail() { echo "FAILED: $*"; failed=1; }
check() { # what, wanted part, text
    case $3 in *"$2"*) ;; *) fail "$1: \"$3\" lacks \"$2\"" ;; esac
}

cat >"$dir/config.json" <<END
{"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "vocab_size": 8192, "hidden_size": 32, "intermediate_size": 64,
 "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 512,
 "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": true, "hidden_act": "silu"}
END
"$weft" model random --config "$dir/config.json" -o "$dir/model" --quiet || exit 1
i=0
while [ $i -lt 16 ]; do
    printf '{"instruction":"第%d问：此物价几何？","input":"","output":"三文钱，第%d回。"}\n' $i $i
    i=$((i + 1))
done >"$dir/rows.jsonl"
plain="model_name_or_path=$dir/model lora_rank=4 cutoff_len=128 logging_steps=1 --quiet"
settings="$plain dataset=$dir/rows.jsonl"
train() { timeout 60 "$weft" train $settings "$@"; }
endless() { # FOLDER: trains in the background until it is told otherwise; its number in pid
    timeout 60 "$weft" train $settings output_dir="$1" max_steps=1000000 --project stopped >"$dir/out" 2>&1 &
    outer=$!
    i=0
    while [ ! -s "$1/log.jsonl" ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i + 1)); done
    pid=$(cat /proc/$outer/task/$outer/children)
}

# A run that ends well names its data, base and losses; its dataset is the version in the store, whatever the format.
"$weft" data convert "$dir/rows.jsonl" --to messages -o "$dir/rows.json" -q >/dev/null || fail "convert"
"$weft" data import "$dir/rows.json" --project ferry -q >/dev/null || fail "import"
train output_dir="$dir/a/first" max_steps=3 >"$dir/out" 2>&1 || { fail "train"; cat "$dir/out"; }
ls=$("$weft" ls runs)
check "ls runs" "run:ferry/first" "$ls"
check "ls runs" "done, " "$ls"
check "ls runs" "dataset ferry/rows@1" "$ls"
check "ls runs" "3 steps, loss " "$ls"
case $ls in *"projects"*) fail "ls runs shows more than runs" ;; esac
check "Chinese" "完成" "$("$weft" ls runs --lang zh)"
json=$("$weft" ls runs --json)
check "data" "\"part\":\"train\",\"path\":\"$dir/rows.jsonl\",\"sha256\":\"$(sha256sum "$dir/rows.jsonl" | cut -c1-64)\"" "$json"
check "content" "\"content\":\"$("$weft" data check "$dir/rows.jsonl" --json | grep -o '"hash":"[0-9a-f]*"' | cut -d'"' -f4)\",\"rows\":16" "$json"
check "recipe" 'lora_rank: 4' "$json"
check "folder" "\"output_dir\":\"$dir/a/first\"" "$json"
"$weft" ls rums >"$dir/out" 2>&1
[ $? -eq 2 ] || fail "an unknown kind is usage"
check "nearest kind" "weft ls [runs]" "$(cat "$dir/out")"

# Another folder of the same name is another run; the same folder again is the same run.
train output_dir="$dir/b/first" max_steps=1 >/dev/null 2>&1 || fail "train again"
train output_dir="$dir/b/first" max_steps=1 >/dev/null 2>&1 || fail "train a third time"
[ "$("$weft" ls runs | grep -c 'run:ferry/first')" -eq 2 ] || fail "two runs of one name"
train output_dir="$dir/c" max_steps=1 --project mine >/dev/null 2>&1 || fail "train --project"
check "project" "run:mine/c" "$("$weft" ls runs)"

# From a run to a row and its source: by the file that was trained on; when that is another now, by the store's version.
printf '{"instruction":"灯呢？","input":"","output":"灭了。","weft":{"id":"s9","via":"script/default@1","src":{"file":"lamp.txt","line":2}}}\n' |
    cat "$dir/rows.jsonl" - >"$dir/lamp.jsonl"
"$weft" data import "$dir/lamp.jsonl" --project lamp -q >/dev/null || fail "import"
"$weft" train $plain dataset="$dir/lamp.jsonl" output_dir="$dir/lamp" max_steps=1 >"$dir/out" 2>&1 || fail "train lamp"
out=$("$weft" data trace s9 --run lamp 2>"$dir/err")
check "trace --run" "trained in  lamp/lamp" "$out"
check "trace --run" "$dir/lamp.jsonl#17  s9" "$out"
check "trace --run" "made by     script/default@1" "$out"
check "by folder" '"run":"lamp/lamp"' "$("$weft" data trace s9 --run "$dir/lamp/adapter" --json 2>"$dir/err")"
echo '{"instruction":"a","output":"b"}' >"$dir/lamp.jsonl"
out=$("$weft" data trace 17 --run run:lamp/lamp 2>"$dir/err")
check "the store's version" "#17  s9" "$out"
check "the store's version" "lamp/lamp@1 of the store is" "$(cat "$dir/err")"
"$weft" rm lamp/lamp -q
"$weft" data trace s9 --run lamp >"$dir/out" 2>&1
[ $? -eq 3 ] || fail "data that are gone"
check "gone" "is another file now" "$(cat "$dir/out")"
"$weft" data trace s9 --run nobody >"$dir/out" 2>&1
[ $? -eq 2 ] || fail "a run that is not there is usage"

# Decisions are kept with the dataset, each once.
"$weft" data review "$dir/rows.jsonl" --decide 1=keep,2=drop -p "$dir/p.jsonl" -q >/dev/null || fail "review"
check "decisions" "2 decisions" "$("$weft" ls patches)"
check "decisions" "ferry/rows" "$("$weft" ls patches)"
"$weft" data apply "$dir/rows.jsonl" -p "$dir/p.jsonl" -q >/dev/null || fail "apply"
check "once" '"dataset":"rows","decisions":2' "$("$weft" ls patches --json)"

# Rows that cannot be used: the run failed, and the store has its message.
printf '{"instruction":3}\n' >>"$dir/rows.jsonl"
cp "$dir/rows.jsonl" "$dir/bad.jsonl"; sed -i '$d' "$dir/rows.jsonl"
train output_dir="$dir/d" max_steps=1 eval_dataset="$dir/bad.jsonl" >"$dir/out" 2>&1
[ $? -eq 3 ] || fail "a bad dataset is bad input"
check "failed" '"state":"failed"' "$("$weft" ls runs --json)"
check "why" "rows cannot be used" "$("$weft" ls runs)"

# Stopped, and killed.
endless "$dir/stop"
check "running" "running, " "$("$weft" ls runs)"
kill -TERM $pid; wait $outer
[ $? -eq 143 ] || fail "a stopped run is told by its exit status"
check "cancelled" "cancelled, " "$("$weft" ls runs)"
endless "$dir/kill"
kill -KILL $pid; wait $outer 2>/dev/null
check "interrupted" "run:stopped/kill" "$("$weft" ls runs 2>/dev/null | grep "interrupted, ")"

# The store is in use, is a file of something else, or has no place: one warning, and the training goes on.
if command -v flock >/dev/null; then
    (exec 9>"$WEFT_HOME/weft.db-lock"; flock -x 9; exec sleep 30 >/dev/null 2>&1) & pid=$!
    sleep 0.2
    train output_dir="$dir/locked" max_steps=1 >"$dir/out" 2>&1 || fail "train beside a locked store"
    kill $pid 2>/dev/null
    [ -d "$dir/locked/adapter" ] || fail "the adapter beside a locked store"
    [ "$(grep -c 'not recorded in the store' "$dir/out")" -eq 1 ] || fail "one warning: $(cat "$dir/out")"
fi
mkdir "$dir/foreign"; echo "not a database, but long enough to be looked at" >"$dir/foreign/weft.db"
WEFT_HOME="$dir/foreign" train output_dir="$dir/e" max_steps=1 >"$dir/out" 2>&1 || fail "train beside a foreign file"
[ "$(grep -c 'not recorded in the store' "$dir/out")" -eq 1 ] || fail "one warning: $(cat "$dir/out")"
WEFT_HOME=/proc/weft train output_dir="$dir/f" max_steps=1 >"$dir/out" 2>&1 || fail "train without a place for the store"
check "no place" "not recorded in the store" "$(cat "$dir/out")"
[ -d "$dir/f/adapter" ] || fail "the adapter without a store"
exit $failed
