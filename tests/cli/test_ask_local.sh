#!/bin/sh
# weft data ask --local: a model of weft writes the answers, here the one that ships with it; short replies, offline.
set -eu
weft=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export WEFT_HOME="$work/home"
LANG=C WEFT_THREADS=1; export LANG WEFT_THREADS     # on a busy machine, threads of so small a model wait for each other
unset LC_ALL LC_MESSAGES WEFT_LANG WEFT_API_KEY || :
tiny=models/tiny
[ -s $tiny/model.safetensors ] || { echo "no models/tiny"; exit 77; }

fail() { echo "FAILED: $*" >&2; [ ! -s "$work/err" ] || cat "$work/err" >&2; exit 1; }
status() {      # WANTED COMMAND...
    want=$1; shift; got=0
    "$@" >"$work/out" 2>"$work/err" || got=$?
    [ $got -eq "$want" ] || fail "exit status $got, expected $want: $*"
}
asks() {        # COMMAND... -o FILE ...: rows in FILE, what gave none in FILE.doubtful
    got=0
    "$@" >"$work/out" 2>"$work/err" || got=$?
    [ $got = 0 ] || [ $got = 4 ] || fail "exit status $got: $*"
}
both() { cat "$1"; [ ! -e "$1.doubtful" ] || cat "$1.doubtful"; }   # a weak model may break a limit: that is told, row by row
same() { both "$1" >"$work/1"; both "$2" >"$work/2"; cmp -s "$work/1" "$work/2"; }
figure() { sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p" "$work/out"; }    # of --json
rows() { grep -o '"input":"[^"]*"' "$1"; }

head -30 examples/novelist/小说.txt >"$work/t.txt"
ask="data ask --task summarise $work/t.txt --max 200 --ask-max-tokens 24"
warm="$ask --ask-temperature 0.9 --local $tiny"

# Every passage gets its row, marked with the prompt; figures tell the speed.
asks "$weft" $ask --local $tiny -o "$work/a.jsonl"
grep -q 'tokens/s' "$work/out" || fail "no rate: $(cat "$work/out")"
n=$(both "$work/a.jsonl" | wc -l)
[ "$n" -ge 4 ] && [ -s "$work/a.jsonl" ] || fail "$n rows and doubtful ones"
[ "$(grep -c '"via":"ask/summarise@1+' "$work/a.jsonl")" = "$(wc -l <"$work/a.jsonl")" ] || fail "rows without their prompt"
asks "$weft" $ask --local $tiny -o "$work/a.jsonl" --json
[ "$(figure asked)" = 0 ] && [ "$(figure reused)" -ge "$n" ] || fail "asked again: $(cat "$work/out")"

# One seed gives one result, on any number of threads; another seed gives another.
asks "$weft" $warm --ask-seed 7 --threads 1 -o "$work/one.jsonl" --json
[ "$(figure asked)" -ge "$n" ] || fail "with a seed: $(cat "$work/out")"
asks "$weft" $warm --ask-seed 7 --threads 3 -o "$work/three.jsonl"
asks "$weft" $warm --ask-seed 8 -o "$work/other.jsonl"
same "$work/one.jsonl" "$work/three.jsonl" || fail "one seed, two results"
[ "$(rows "$work/one.jsonl")" != "$(rows "$work/other.jsonl")" ] || fail "the seed changes nothing"
# Asked for in two runs or in one: what came before does not colour an answer.
asks "$weft" $warm --ask-seed 7 --limit 1 -o "$work/piece.jsonl"
asks "$weft" $warm --ask-seed 7 -o "$work/piece.jsonl" --json
[ "$(figure asked)" -ge $((n - 1)) ] && [ "$(figure reused)" -ge 1 ] && same "$work/piece.jsonl" "$work/one.jsonl" || fail "in two runs other answers"

# The ledger knows a model by its content: under another name it is the same, with another weight it is another.
cp -r $tiny "$work/copy"; chmod -R u+w "$work/copy"; echo "a note" >"$work/copy/README.md"
asks "$weft" $ask --local "$work/copy" -o "$work/c.jsonl" --ledger "$work/a.jsonl.calls" --json
[ "$(figure asked)" = 0 ] && [ "$(figure reused)" -ge "$n" ] || fail "a copy is asked again: $(cat "$work/out")"
same "$work/a.jsonl" "$work/c.jsonl" || fail "a copy gives other rows"
size=$(wc -c <"$work/copy/model.safetensors")
printf '\1\1' | dd of="$work/copy/model.safetensors" bs=1 seek=$((size - 2)) conv=notrunc 2>/dev/null
asks "$weft" $ask --local "$work/copy" -o "$work/c.jsonl" --ledger "$work/a.jsonl.calls" --json
[ "$(figure asked)" -ge "$n" ] || fail "a changed model's answers were taken from the old one: $(cat "$work/out")"

# Questions and answers have a form, and the model is kept to it: what it writes is JSON, also where it was cut short.
qa="data ask --task qa $work/t.txt --max 200 --local $tiny"
asks "$weft" $qa --ask-max-tokens 90 -o "$work/q.jsonl" --json
[ $(($(figure ok) + $(figure flagged) + $(figure empty))) = "$n" ] || fail "qa: $(cat "$work/out")"
[ $got = 0 ] || [ "$(wc -l <"$work/q.jsonl.doubtful")" = $(($(figure flagged) + $(figure empty))) ] || fail "qa: doubtful"
! grep -q '不是合法的 JSON' "$work/q.jsonl.doubtful" || fail "qa: no JSON"
[ "$(grep -c '"reply":"\[[^"]*{[^"]*\\"question\\"' "$work/q.jsonl.doubtful")" = "$(figure flagged)" ] || fail "qa: another form"
"$weft" $qa --ask-max-tokens 90 -o "$work/k.jsonl" >/dev/null 2>&1 & p=$!
sleep 0.3
kill -9 $p 2>/dev/null || :
wait $p 2>/dev/null || :
asks "$weft" $qa --ask-max-tokens 90 -o "$work/k.jsonl"
same "$work/q.jsonl" "$work/k.jsonl" || fail "qa: killed, other rows"
asks "$weft" $qa --ask-max-tokens 9 -o "$work/s.jsonl" --json
[ $got = 4 ] && [ "$(figure failed)" = "$n" ] && grep -q 'the shortest answer of this form takes' "$work/s.jsonl.doubtful" ||
    fail "qa in too little room: $got, $(cat "$work/out")"

# A passage longer than the model can read costs only itself.
{ head -3 "$work/t.txt"; seq 1 6000 | tr '\n' ' '; } >"$work/long.txt"
asks "$weft" data ask --task summarise "$work/long.txt" --max 30000 --ask-max-tokens 8 --local $tiny -o "$work/l.jsonl" --json
[ $got = 4 ] && [ "$(figure failed)" -ge 1 ] || fail "a long passage: status $got, $(cat "$work/out")"
grep -q 'tokens long' "$work/l.jsonl.doubtful" || fail "a long passage: no reason"

# Ctrl-C: what was answered is kept, the rest is given up at once; the next run goes on. So after kill -9.
# Every copy of the story differs, or its passages would be asked about once.
for i in $(seq 12); do sed "s/。/，第$i回。/g" examples/novelist/小说.txt; done >"$work/much.txt"
much="data ask --task summarise $work/much.txt --max 200 --ask-max-tokens 24 --local $tiny"
"$weft" $much -o "$work/m.jsonl" >"$work/out" 2>"$work/err" & p=$!
sleep 0.4
kill -INT $p
got=0; wait $p || got=$?
[ $got = 130 ] || fail "Ctrl-C: status $got"
kept=$(awk '/good answers/ { print $3 }' "$work/out")
killed=0
for pause in 0.3 0.5 0.4; do
    "$weft" $much -o "$work/m.jsonl" >/dev/null 2>&1 & p=$!
    sleep $pause
    kill -9 $p 2>/dev/null && killed=$((killed + 1))
    wait $p 2>/dev/null || :
done
asks "$weft" $much -o "$work/m.jsonl" --json
[ "$(figure reused)" -ge "${kept:-1}" ] || fail "$kept answers before Ctrl-C: $(cat "$work/out")"
asks "$weft" $much -o "$work/whole.jsonl" --json
[ "${kept:-0}" -lt "$(wc -l <"$work/whole.jsonl")" ] || fail "Ctrl-C: all $kept answers were waited for"
same "$work/m.jsonl" "$work/whole.jsonl" || fail "stopped, and killed $killed times: other rows"

# Whom to ask.
status 2 "$weft" $ask --local nowhere-model -o "$work/x.jsonl"
grep -q nowhere-model "$work/err" || fail "no name"
status 2 "$weft" $ask --local $tiny --local-adapter "$work" -o "$work/x.jsonl"
grep -q adapter_config "$work/err" || fail "no adapter"
echo "local: $n rows; stopped with $kept answers, killed $killed times, $(wc -l <"$work/m.jsonl") rows"
