#!/bin/sh
# Chunks of real novels: mode seed against its oracle, the default mode against the text.  Needs WEFT_SHARED_DATA (a
# folder with novels) and python3; else skipped.
[ -n "$WEFT_SHARED_DATA" ] && command -v python3 >/dev/null || exit 77
weft=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
found=0
check() {       # NOVEL GOLDEN
    [ -f "$WEFT_SHARED_DATA/$1" ] || return
    found=1
    novel=$WEFT_SHARED_DATA/$1
    "$weft" read "$novel" >"$work/text" 2>/dev/null
    "$weft" data chunk "$work/text" --mode seed --no-origin -o "$work/seed.jsonl" -q || failed=1
    python3 tests/oracle/chunk.py 800 "$work/text" >"$work/want.jsonl"
    cmp -s "$work/seed.jsonl" "$work/want.jsonl" || { echo "$1: mode seed differs from its oracle"; failed=1; }
    n=$(wc -l <"$work/seed.jsonl")
    [ "$n" -eq "$2" ] || { echo "$1: $n chunks, expected $2"; failed=1; }
    "$weft" data chunk "$work/text" -o "$work/default.jsonl" -q || failed=1
    python3 - "$work/text" "$work/default.jsonl" <<'PYTHON' || { echo "$1: the chunks are not the text"; failed=1; }
import json, sys
text = open(sys.argv[1], encoding="utf-8", newline="").read()
raw = open(sys.argv[1], "rb").read()
rows = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
assert "".join(r["text"] for r in rows) == text
assert max(len(r["text"]) for r in rows) <= 800
assert not any(r["text"].lstrip()[:1] in tuple("”’」』") for r in rows)
assert all(raw[slice(*r["weft"]["src"]["bytes"])].decode().rstrip("\n") == r["text"].rstrip("\n") for r in rows)
PYTHON
}
check 西游记白话文.txt 130
check 后宫—甄嬛传.txt 2040
[ $found -eq 1 ] || exit 77
exit $failed
