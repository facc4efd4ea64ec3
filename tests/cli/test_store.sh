#!/bin/sh
# The store and search from the command line: import, ls, export, rm, search.
set -u
weft=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export WEFT_HOME="$dir/home" LANG=C HF_HOME="$dir/hf" MODELSCOPE_CACHE="$dir/ms"
unset WEFT_LANG LC_ALL XDG_DATA_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE
failed=0
fail() { echo "FAILED: $*"; failed=1; }
check() { # what, wanted part, text
    case $3 in *"$2"*) ;; *) fail "$1: \"$3\" lacks \"$2\"" ;; esac
}

cat >"$dir/pairs.jsonl" <<'ROWS'
{"instruction":"谁在渡口？","input":"","output":"是阿沅。","weft":{"id":"s1","src":{"file":"ferry.txt","line":3}}}
{"instruction":"灯还亮着吗？","input":"","output":"亮着，没有灭。"}
{"instruction":"What time is it?","input":"","output":"Nobody knows."}
ROWS

check "empty store" "nothing is in the store yet" "$("$weft" ls)"
[ ! -e "$WEFT_HOME" ] || fail "looking made a store"

out=$("$weft" data import "$dir/pairs.jsonl" --project ferry) || fail "import: exit $?"
check "import" "ferry/pairs@1" "$out"
check "import" "rows kept" "$out"
check "again" "has these rows already" "$("$weft" data import "$dir/pairs.jsonl" --project ferry)"
sed 1d "$dir/pairs.jsonl" >"$dir/less.jsonl"
check "another version" "ferry/pairs@2" "$("$weft" data import "$dir/less.jsonl" --project ferry --name pairs)"
printf '%s\n{"instruction":3}\n' '{"instruction":"a","output":"b"}' >"$dir/bad.jsonl"
"$weft" data import "$dir/bad.jsonl" --project ferry >"$dir/out" 2>&1
[ $? -eq 4 ] || fail "a bad row is told by exit status 4"
check "bad row" "DS3" "$(cat "$dir/out")"

ls=$("$weft" ls)
check "ls" "ferry/pairs@2" "$ls"
check "ls --json" '"name":"pairs","version":1,"rows":3' "$("$weft" ls --json)"
"$weft" ls --project fery >"$dir/out" 2>&1
[ $? -eq 2 ] || fail "an unknown project is usage"
check "nearest" 'did you mean "ferry"' "$(cat "$dir/out")"

# What comes out is what went in, and its hash is the file's.
"$weft" data export ferry/pairs@1 -o "$dir/back.jsonl" -q || fail "export: exit $?"
[ "$(wc -l <"$dir/back.jsonl")" -eq 3 ] || fail "three rows come back"
check "hash" "$(sha256sum "$dir/back.jsonl" | cut -c1-64)" "$("$weft" ls --json)"
check "origin" '"ferry.txt"' "$(head -1 "$dir/back.jsonl")"
"$weft" data export ferry/pairs@9 -o "$dir/x" >"$dir/out" 2>&1
[ $? -eq 2 ] && [ ! -e "$dir/x" ] || fail "no such version, no file"

# The store's rows are searched, the newest versions only; the index follows what is removed.
out=$("$weft" data search 渡口 --store)
check "no newest version has it" "" "$out"
[ -z "$(printf %s "$out" | grep pairs@1)" ] || fail "an old version was searched: $out"
check "old versions" "ferry/pairs@1 row 1 <- ferry.txt:3" "$("$weft" data search 阿沅 --store --all-versions)"
check "newest version" "ferry/pairs@2 row 1" "$("$weft" data search 灯还亮 --store)"
check "words of two languages" '"found":1,' "$("$weft" data search "NOBODY knows" --project ferry --json)"
check "origin is not searched" '"found":0,' "$("$weft" data search ferry.txt --store --all-versions --json)"

# Removing: one version, then all of them only when asked.
"$weft" rm ferry/pairs >"$dir/out" 2>&1
[ $? -eq 2 ] || fail "two versions need --all"
"$weft" rm ferry/pairs@2 -q || fail "rm version: exit $?"
check "removed rows are not found" '"found":1,' "$("$weft" data search 灯还亮 --store --all-versions --json)"
check "number is not given again" "ferry/pairs@3" "$("$weft" data import "$dir/less.jsonl" --project ferry --name pairs)"
"$weft" rm ferry >"$dir/out" 2>&1
[ $? -eq 2 ] || fail "a project that is not empty needs --all"
mkdir -p "$WEFT_HOME/models/small" && echo '{}' >"$WEFT_HOME/models/small/config.json"
check "models" "model:small" "$("$weft" ls)"
"$weft" rm model:small -q && [ ! -e "$WEFT_HOME/models/small" ] || fail "rm model"
"$weft" rm model:.. >/dev/null 2>&1
[ $? -eq 2 ] && [ -d "$WEFT_HOME" ] || fail "a model's name is no path"
"$weft" rm ferry --all -q || fail "rm --all: exit $?"
check "a removed project is not found" '"found":0,' "$("$weft" data search 灯还亮 --store --all-versions --json)"
check "empty again" "nothing is in the store yet" "$("$weft" ls)"

# Models in the caches of the Python tools, when they are whole.
commit=0123456789abcdef0123456789abcdef01234567
mkdir -p "$dir/hf/hub/models--owner--small--v2/refs" "$dir/hf/hub/models--owner--small--v2/snapshots/$commit" "$dir/hf/hub/models--half"
printf %s $commit >"$dir/hf/hub/models--owner--small--v2/refs/main"
touch "$dir/hf/hub/models--owner--small--v2/snapshots/$commit/config.json"
mkdir -p "$dir/ms/models/owner/Small-1___5"; touch "$dir/ms/models/owner/Small-1___5/model.safetensors"
check "half a model" "ms:owner/Small-1.5" "$("$weft" ls models)"
case $("$weft" ls models) in *hf:*) fail "a model without weights is listed" ;; esac
touch "$dir/hf/hub/models--owner--small--v2/snapshots/$commit/model.safetensors"
check "cached" "\"model\":\"hf:owner/small--v2\",\"path\":\"$dir/hf/hub/models--owner--small--v2/snapshots/$commit\"" "$("$weft" ls --json)"

# Search: rows by origin, lines by number, a kept index, Chinese messages.
printf '第一行没有名字。\n阿沅推开窗。\n' >"$dir/ferry.txt"
out=$("$weft" data search 阿沅 "$dir/pairs.jsonl" "$dir/ferry.txt")
check "row" "pairs.jsonl row 1 <- ferry.txt:3" "$out"
check "line" "ferry.txt:2" "$out"
check "none" '"found":0' "$("$weft" data search 沅阿 "$dir/ferry.txt" --json)"
check "any" "ferry.txt:2" "$("$weft" data search "谁把窗推开了，阿沅？" "$dir/ferry.txt" --any)"
"$weft" data search 阿沅 "$dir/ferry.txt" --index "$dir/i.db" -q >/dev/null || fail "index: exit $?"
check "kept index" '"found":1' "$("$weft" data search 阿沅 "$dir/ferry.txt" --index "$dir/i.db" --json)"
printf '阿沅走了。\n' >>"$dir/ferry.txt"
check "index made anew" '"found":2' "$("$weft" data search 阿沅 "$dir/ferry.txt" --index "$dir/i.db" --json)"
check "Chinese help" "两个字的人名" "$("$weft" help data search --lang zh)"

# A file of another kind in the store's place is refused and kept.
rm -rf "$WEFT_HOME" && mkdir "$WEFT_HOME"
head -c 5000 /dev/zero | tr '\0' 'x' >"$WEFT_HOME/weft.db"
"$weft" ls >"$dir/out" 2>&1
[ $? -eq 3 ] || fail "a foreign file is bad input"
check "rule" "[G4]" "$(cat "$dir/out")"
[ "$(wc -c <"$WEFT_HOME/weft.db")" -eq 5000 ] || fail "the foreign file is kept"
exit $failed
