#!/bin/sh
# The verbs that look after rows: weft data dedup | stats | check | clean.
weft=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
LANG=C; export LANG
unset LC_ALL LC_MESSAGES WEFT_LANG

fail() { echo "FAILED: $*"; failed=1; }
status() {      # WANTED COMMAND...
    want=$1; shift
    "$@" >"$work/out" 2>"$work/err"
    got=$?
    [ $got -eq "$want" ] || fail "exit status $got, expected $want: $* ($(head -1 "$work/err"))"
}
has() { grep -qF -e "$2" "$work/$1" || { fail "no \"$2\" in:"; head -20 "$work/$1"; }; }
hasnt() { grep -qF -e "$2" "$work/$1" && { fail "\"$2\" in:"; head -20 "$work/$1"; }; }
same() { cmp -s "$1" "$2" || { fail "$1 and $2 differ"; diff "$1" "$2" | head -10; }; }
lines() { [ "$(wc -l <"$1")" -eq "$2" ] || fail "$1 has $(wc -l <"$1") lines, expected $2"; }

# ---- dedup ----
cat >"$work/rows.jsonl" <<'END'
{"instruction":"春眠不觉晓，处处闻啼鸟","input":"","output":"夜来风雨声，花落知多少"}
{"instruction":"春眠不觉晓，处处闻啼鸟","input":"","output":"夜来风雨声，花落知多少。"}
{"instruction":" 春眠不觉晓，处处闻啼鸟\n","input":"","output":"夜来风雨声，花落知多少"}

{"instruction":"问","input":"","output":"答","weft":{"id":"s1"}}
{"instruction":"问","output":5}
{"instruction":"问","input":"","output":"答","kto_tag":true}
{"instruction":"问","input":"","output":"答","kto_tag":false}
{"conversations":[{"from":"human","value":"问"}],"chosen":{"from":"gpt","value":"好"},"rejected":{"from":"gpt","value":"坏"}}
END
status 4 "$weft" data dedup "$work/rows.jsonl" -o "$work/out.jsonl" --report "$work/groups.jsonl"
has out "#2 = #1  0.95"; has out "#3 = #1  1.00"; has out "5 rows written"; has err "1 of 8 rows were left out"
sed -n '1p;5p;7,9p' "$work/rows.jsonl" >"$work/want"    # kept rows are as they were, in their own shapes
same "$work/out.jsonl" "$work/want" 2>/dev/null
lines "$work/out.jsonl" 5
lines "$work/groups.jsonl" 1
grep -qF '"dropped":[{' "$work/groups.jsonl" || fail "groups"
grep -qF '"kind":"near","jaccard":0.9545' "$work/groups.jsonl" || fail "near row in the report"
grep -qF '"kind":"exact","jaccard":1.0' "$work/groups.jsonl" || fail "exact row in the report"
status 4 "$weft" data dedup "$work/rows.jsonl" --json
has out '"units_in":9,"blank":1,"rows_in":7,"rows_out":5,"exact":1,"near":1,"judged":3'
status 4 "$weft" data dedup "$work/rows.jsonl" --exact -o "$work/exact.jsonl"; lines "$work/exact.jsonl" 6
status 4 "$weft" data dedup "$work/rows.jsonl" --keep longest -o "$work/longest.jsonl"
grep -qF '知多少。"}' "$work/longest.jsonl" || fail "the longest row stays"
for n in 1 3; do status 4 "$weft" data dedup "$work/rows.jsonl" --threads $n -o "$work/t$n.jsonl"; done
same "$work/t1.jsonl" "$work/t3.jsonl"
sed -n '1,3p' "$work/rows.jsonl" >"$work/a.jsonl"
sed -n '1p;5p' "$work/rows.jsonl" >"$work/b.jsonl"
status 0 "$weft" data dedup "$work/a.jsonl" "$work/b.jsonl" -o "$work/ab.jsonl"; lines "$work/ab.jsonl" 2
has out "#1 = $work/a.jsonl #1"
status 2 "$weft" data dedup - -o "$work/x.jsonl"; has err "read twice"
status 2 "$weft" data dedup
status 2 "$weft" data dedup "$work/a.jsonl" --threshold 3
status 0 env WEFT_LANG=zh "$weft" data dedup "$work/a.jsonl"; has out "近似重复"

exit $failed
