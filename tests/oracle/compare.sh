#!/bin/sh
# compare.sh WEFT SCREENPLAY ROLE... - the reader's rows against the oracle's, in every mode, and conservation of lines.
# Exit status 0: all equal; the current folder is the source tree.
weft=$1
script=$2
shift 2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

compare() {     # ROLE MODE TURNS
    "$weft" data script "$script" --role "$1" --mode "$2" --turns "$3" -o "$work/got.jsonl" --json >"$work/report.json" 2>"$work/err"
    status=$?
    [ $status -eq 0 ] || { echo "$1 $2 $3: exit status $status: $(cat "$work/err")"; failed=1; return; }
    python3 tests/oracle/screenplay.py "$2" "$3" "$1" "$script" >"$work/want"
    python3 - "$work/got.jsonl" "$work/report.json" >"$work/got" <<'PYTHON' || { echo "$1 $2 $3: the account does not balance"; failed=1; }
import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    r = json.loads(line)
    turns = [t for pair in r.get("history", []) for t in pair] + [r["instruction"], r["output"]]
    print(json.dumps([turns, r["weft"]["src"]["line"], r["weft"]["src"]["last_line"]], ensure_ascii=False))
f = json.load(open(sys.argv[2], encoding="utf-8"))["funnel"]
sys.exit(f["lines"] != f["used"] + f["headings"] + f["narration"] + f["other"] + f["blank"] + sum(d["count"] for d in f["dropped"]))
PYTHON
    cmp -s "$work/got" "$work/want" || { echo "$1 $2 $3: rows differ from the oracle's"; diff "$work/got" "$work/want" | head -5; failed=1; }
    echo "$1 $2 $3: $(wc -l <"$work/want") rows"
}

for role in "$@"; do
    compare $role seed pairs
    compare $role huanhuan-compat pairs
    compare $role default pairs
    compare $role default multi
done

# json.dump(rows, f, ensure_ascii=False, indent=4), byte for byte.
"$weft" data script "$script" --role "$1" --mode seed -o "$work/seed.json" --quiet >/dev/null || failed=1
python3 - "$work/seed.json" <<'PYTHON' || { echo "seed.json differs from json.dump"; failed=1; }
import json, sys
text = open(sys.argv[1], encoding="utf-8").read()
sys.exit(text != json.dumps(json.loads(text), ensure_ascii=False, indent=4))
PYTHON
exit $failed
