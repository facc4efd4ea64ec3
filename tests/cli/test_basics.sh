#!/bin/sh
# Exit codes, languages, help, and an output that cannot be written.
set -eu
weft=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export WEFT_HOME="$dir/home"
unset WEFT_LANG LC_ALL LC_MESSAGES LANG || true

fail() { echo "FAIL: $*" >&2; exit 1; }
expect() {  # expect STATUS COMMAND...
    want=$1; shift
    got=0; "$@" >"$dir/out" 2>"$dir/err" || got=$?
    [ "$got" = "$want" ] || { cat "$dir/err" >&2; fail "status $got, expected $want: $*"; }
}

expect 0 "$weft" --version
grep -qx 'weft [0-9]*\.[0-9]*\.[0-9]*' "$dir/out" || fail "version: $(cat "$dir/out")"
expect 0 "$weft"
grep -q 'usage: weft VERB' "$dir/out" || fail "no usage"
"$weft" data review --help | grep -q '^usage: weft data review ' || fail "the usage of a verb of data lacks data"
expect 2 "$weft" trian
grep -q 'did you mean "weft train"' "$dir/err" || fail "no nearest verb: $(cat "$dir/err")"
expect 2 env LANG=zh_CN.UTF-8 "$weft" trian
grep -q '您是想用' "$dir/err" || fail "not Chinese: $(cat "$dir/err")"
expect 2 "$weft" --lang zh trian
grep -q '您是想用' "$dir/err" || fail "--lang before the verb: $(cat "$dir/err")"

# Every verb explains itself in both languages, and rejects a flag it does not know by naming the nearest.
for verb in $("$weft" | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
    expect 0 "$weft" help "$verb"
    [ -s "$dir/out" ] || fail "help $verb is empty"
    expect 0 "$weft" --lang zh help "$verb"
    grep -q '用法' "$dir/out" || fail "help $verb is not Chinese"
done
expect 2 "$weft" chat tiny --temprature 1
grep -q 'temperature' "$dir/err" || fail "no nearest flag: $(cat "$dir/err")"
expect 2 "$weft" chat no-such-model
grep -q 'no model "no-such-model"' "$dir/err" || fail "model: $(cat "$dir/err")"

# A full disk is noticed; a reader that has seen enough is no failure.
expect 5 sh -c '"$1" help run >/dev/full' sh "$weft"
"$weft" help run | head -1 >/dev/null || fail "broken pipe"
