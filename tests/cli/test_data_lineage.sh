#!/bin/sh
# Versions and origins of datasets: weft data mix | sample | diff | review | apply | trace.
. "$(dirname "$0")/data.sh"
one=tests/data/traps_1.txt
two=tests/data/traps_2.txt

# `script` makes a terminal, where the system has any to give.
terminal() { command -v script >/dev/null && script -qec true /dev/null >/dev/null 2>&1; }

"$weft" data script $one $two --role 阿沅 -q -o "$work/rows.jsonl" || exit 1
i=0
while [ $i -lt 400 ]; do echo "{\"instruction\":\"g$i\",\"input\":\"\",\"output\":\"a$i\"}"; i=$((i + 1)); done >"$work/general.jsonl"
n=$(wc -l <"$work/rows.jsonl")

# mix: shares as asked, a funnel by set, the same bytes for any number of threads, ids that differ and lead back.
status 0 "$weft" data mix "$work/general.jsonl:0.7" "$work/rows.jsonl:0.3" -o "$work/mix1.jsonl" --threads 1
has out "not drawn"; has out "part of the mix"; has out "dataset hash "
status 0 "$weft" data mix "$work/general.jsonl:0.7" "$work/rows.jsonl:0.3" -o "$work/mix4.jsonl" --threads 4 --json
has out "\"rows\":$n,\"drawn\":$n,\"repeated\":0,\"not_drawn\":0,\"written\":$n,"
same "$work/mix1.jsonl" "$work/mix4.jsonl"
[ "$(grep -c '"from":{"set":"'"$work"'/rows.jsonl"' "$work/mix1.jsonl")" -eq "$n" ] || fail "rows of the persona in the mix"
[ "$(grep -o '"weft":{"id":"[^"]*"' "$work/mix1.jsonl" | sort -u | wc -l)" -eq "$(wc -l <"$work/mix1.jsonl")" ] || fail "ids differ"
grep -q '"id":"rows.s000001"' "$work/mix1.jsonl" || fail "id of a mixed row"
status 0 "$weft" data mix "$work/general.jsonl:0.7" "$work/rows.jsonl:0.3" -o "$work/mix5.jsonl" --seed 43
cmp -s "$work/mix1.jsonl" "$work/mix5.jsonl" && fail "another seed gives another order"
status 2 "$weft" data mix "$work/general.jsonl:401" -o "$work/no.jsonl"; has err "400 rows, 401 are asked for"
[ -e "$work/no.jsonl" ] && fail "a refused mix leaves a file"
status 0 "$weft" data mix "$work/general.jsonl:401" --repeat --json; has out '"repeated":1'
printf 'not json\n' >>"$work/general.jsonl"
status 4 "$weft" data mix "$work/general.jsonl:10" "$work/rows.jsonl" -o "$work/part.jsonl"; has out "JS2"; has out "left out"
[ "$(wc -l <"$work/part.jsonl")" -eq $((n + 10)) ] || fail "numbers and whole sets"
status 0 "$weft" data sample "$work/rows.jsonl" --rows 5 -o "$work/five.jsonl"
[ "$(wc -l <"$work/five.jsonl")" -eq 5 ] || fail "a sample of five"
status 0 "$weft" data sample "$work/rows.jsonl" --share 0.5 --json; has out "\"rows\":$(((n + 1) / 2))"
status 2 "$weft" data sample "$work/rows.jsonl"
status 0 env WEFT_LANG=zh "$weft" data mix "$work/rows.jsonl"; has out "没有写出"

# diff: nothing, or rows added, removed and changed with the characters that changed; status 0 or 4.
status 0 "$weft" data convert "$work/rows.jsonl" --to messages -o "$work/same.json"
status 0 "$weft" data diff "$work/rows.jsonl" "$work/same.json"; has out "unchanged"
sed -e '2s/放下吧，我看看。/放下罢，我瞧瞧。/' -e '5d' "$work/rows.jsonl" >"$work/new.jsonl"
echo '{"instruction":"新问题","input":"","output":"新回答"}' >>"$work/new.jsonl"
status 4 "$weft" data diff "$work/rows.jsonl" "$work/new.jsonl"
has out "~ #2 s000002"; has out "[-吧-]{+罢+}，我[-看看-]{+瞧瞧+}。"; has out "- #5 s000005"; has out "新问题 => 新回答"
has err "1 added, 1 removed, 1 changed"
status 4 "$weft" data diff "$work/rows.jsonl" "$work/new.jsonl" --json
has out "\"before\":$n,\"after\":$n,\"same\":$((n - 2)),\"changed\":1,\"added\":1,\"removed\":1"
status 4 env WEFT_LANG=zh "$weft" data diff "$work/rows.jsonl" "$work/new.jsonl" -q; has err "两个版本不同"

# review: doubtful rows are listed with their source, decisions go to a patch file, and a rebuild follows them.
"$weft" data script $one $two --role 阿沅 --review --chorus -q -o "$work/doubt.jsonl" || fail "rows with doubts"
status 0 "$weft" data review "$work/doubt.jsonl" --list; has out "in doubt: "; has out "  >  "; has out "rows in doubt"
status 0 "$weft" data review "$work/doubt.jsonl" --json
ids=$(grep -o '{"row":[0-9]*,"id":"[^"]*","why"' "$work/out" | sed 's/.*"id":"\([^"]*\)".*/\1/')
first=$(echo "$ids" | sed -n 1p); second=$(echo "$ids" | sed -n 2p); third=$(echo "$ids" | sed -n 3p)
[ -n "$third" ] || fail "three rows in doubt at least"
doubts=$(echo "$ids" | wc -l)
echo '{"instruction":"问","input":"","output":"改过的回答"}' >"$work/edit.json"
status 0 "$weft" data review "$work/doubt.jsonl" -p "$work/p.jsonl" --decide "$first=drop,$second=keep" --note 试
has out "decided"; has out "2 decisions added"
status 0 "$weft" data review "$work/doubt.jsonl" -p "$work/p.jsonl" --decide "$third=edit:$work/edit.json" --json
has out "\"doubtful\":$doubts,\"decided\":3,\"taken\":1,\"unfit\":0"
status 2 "$weft" data review "$work/doubt.jsonl" -p "$work/p.jsonl" --decide 9999=drop; has err 'no row "9999"'
status 2 "$weft" data review "$work/doubt.jsonl" -p "$work/p.jsonl" --decide 1=dorp; has err "ROW=keep"
[ "$(wc -l <"$work/p.jsonl")" -eq 3 ] || fail "three decisions in the patch file"
status 0 "$weft" data apply "$work/doubt.jsonl" --patches "$work/p.jsonl" -o "$work/applied.jsonl"
has out "rows after them"; has out "edited"
status 0 "$weft" data script $one $two --role 阿沅 --review --chorus --patches "$work/p.jsonl" -o "$work/rebuilt.jsonl"
same "$work/applied.jsonl" "$work/rebuilt.jsonl"
grep -q "\"id\":\"$first\"" "$work/rebuilt.jsonl" && fail "a dropped row"
grep "\"id\":\"$third\"" "$work/rebuilt.jsonl" | grep -q '改过的回答.*"edited"' || fail "an edited row"
# The source grows at its top: other lines, other ids, other hash; the decisions follow their rows.
mkdir -p "$work/src/tests/data"; { echo "（新加的一行）"; cat $one; } >"$work/src/$one"; cp $two "$work/src/$two"
case $weft in /*) abs=$weft ;; *) abs=$(pwd)/$weft ;; esac
(cd "$work/src" && "$abs" data script $one $two --role 阿沅 --review --chorus --patches "$work/p.jsonl" --json -o moved.jsonl) >"$work/out" 2>"$work/err"
has out '"dropped":1,"edited":1'; has out '"unfit":0'
# Rows that read differently now: the decision is reported, never dropped, and the command says partial.
status 4 "$weft" data script $one $two --role 阿沅 --review --chorus --prefix '{speaker}：' --patches "$work/p.jsonl" -o "$work/other.jsonl"
has err "does not fit: the row from this place reads differently now"; has err "3 decisions do not fit"
echo '{"weft_patch":1}' >>"$work/p.jsonl"
status 3 "$weft" data apply "$work/doubt.jsonl" --patches "$work/p.jsonl"; has err "[DP1]"; has err "p.jsonl:4"
# Signs of quality make a row doubtful as well, by name.
printf '%s\n' '{"instruction":"灯呢？","output":""}' '{"instruction":"谁在那儿？","output":"谁在那儿？"}' '{"instruction":"今晚来吗？","output":"来的，我带着灯。"}' >"$work/signs.jsonl"
status 0 "$weft" data review "$work/signs.jsonl" --json; has out '"doubtful":2'; has out 'empty_answer'; has out 'same_as_prompt'
status 0 "$weft" data review "$work/signs.jsonl" --json --signs empty_answer; has out '"doubtful":1'
status 0 "$weft" data review "$work/signs.jsonl" --json --signs none; has out '"doubtful":0'
status 2 "$weft" data review "$work/signs.jsonl" --signs emty_answer; has err 'did you mean "empty_answer"'
status 0 "$weft" data stats "$work/signs.jsonl" --json; hash=$(grep -o '"hash":"[0-9a-f]*"' "$work/out")
status 0 "$weft" data check "$work/signs.jsonl" --json; has out "$hash"
# At a terminal (script makes one): d drops the first, k keeps the second, q ends.
if terminal; then
    printf 'dkq' | TERM=xterm timeout 30 script -qec "$weft data review $work/doubt.jsonl -p $work/tty.jsonl" /dev/null >"$work/out" 2>&1
    [ "$(grep -c '"do":"drop"' "$work/tty.jsonl")" -eq 1 ] && [ "$(grep -c '"do":"keep"' "$work/tty.jsonl")" -eq 1 ] ||
        fail "decisions at a terminal"
    printf 'eq' | EDITOR="sed -i s/assistant/assistant/;true" TERM=xterm timeout 30 script -qec "$weft data review $work/doubt.jsonl -p $work/ed.jsonl" /dev/null >"$work/out" 2>&1
    [ -e "$work/ed.jsonl" ] && fail "an edit that changes nothing is no decision"
    printf 'eq' | EDITOR='sed -i s/。/！/' TERM=xterm timeout 30 script -qec "$weft data review $work/doubt.jsonl -p $work/ed.jsonl" /dev/null >"$work/out" 2>&1
    [ "$(grep -c '"do":"edit"' "$work/ed.jsonl")" -eq 1 ] || fail "an edit with EDITOR"
fi

# trace: a mixed row to its set, to the lines of its source; a changed source and a lost parent are said.
status 0 "$weft" data trace rows.s000002 "$work/mix1.jsonl"
has out "mixed from  $work/rows.jsonl #2 s000002"; has out "made by     script/default@1"; has out "source      $one"
has out ">      8  阿沅：放下吧，我看看。（拧开灯罩）灯芯湿了，换一根就好。"
status 0 "$weft" data trace 2 "$work/rows.jsonl" --json
has out '"source_file":"found","lines":['; has out "\"sha256\":\"$(sha256sum $one | cut -d' ' -f1)\""
printf '%s\n' '{"text":"子","weft":{"id":"c","via":"ask/augment@1","parents":["s000002","lost"]}}' >"$work/child.jsonl"
status 4 "$weft" data trace c "$work/child.jsonl" "$work/rows.jsonl"
has out "made by     ask/augment@1"; has out "$work/rows.jsonl#2  s000002"; has out "lost: not in the files given"; has err "1 steps of the way back"
printf '%s\n' '{"text":"a","weft":{"id":"a","parents":["b"]}}' '{"text":"b","weft":{"id":"b","parents":["a"]}}' >"$work/circle.jsonl"
status 4 "$weft" data trace a "$work/circle.jsonl"; has out "a circle"
status 2 "$weft" data trace s999999 "$work/rows.jsonl"; has err 'no row "s999999"'
(cd "$work/src" && "$abs" data script $one --role 阿沅 -q -o t.jsonl && echo 改了 >>$one && "$abs" data trace 1 t.jsonl) >"$work/out" 2>"$work/err"
[ $? -eq 4 ] || fail "a changed source is partial"
has out "its lines are not shown"; has out "sha256 now"

# convert: a table for spreadsheets and back, the same bytes; an entry in dataset_info.json, and a dataset by its
# name there.
status 0 "$weft" data convert "$work/rows.jsonl" -o "$work/rows.csv"
[ "$(head -c 3 "$work/rows.csv" | od -An -tx1 | tr -d ' ')" = efbbbf ] || fail "byte order mark of a table"
status 0 "$weft" data convert "$work/rows.csv" -o "$work/back.jsonl"
same "$work/rows.jsonl" "$work/back.jsonl"
status 0 "$weft" data convert "$work/rows.jsonl" -o "$work/rows.tsv" --to sharegpt
status 0 "$weft" data convert "$work/rows.tsv" -o "$work/back.jsonl"
same "$work/rows.jsonl" "$work/back.jsonl"
mkdir -p "$work/lf"
status 0 "$weft" data convert "$work/rows.jsonl" -o "$work/lf/阿沅.json" --to messages --enter "$work/lf/dataset_info.json"; has err 'entry "阿沅" added'
status 0 "$weft" data convert "$work/rows.jsonl" -o "$work/lf/阿沅.json" --to sharegpt --enter "$work/lf/dataset_info.json"; has err "replaced"
grep -q '"file_name": "阿沅.json"' "$work/lf/dataset_info.json" || fail "file_name of an entry"
status 0 "$weft" data convert 阿沅 --info "$work/lf/dataset_info.json" -o "$work/back.jsonl"
same "$work/rows.jsonl" "$work/back.jsonl"
status 3 "$weft" data show 阿源 --info "$work/lf/dataset_info.json"; has err 'did you mean "阿沅"'
status 0 "$weft" data mix 阿沅:5 --info "$work/lf/dataset_info.json" --json; has out '"rows":5,'

# A persona dataset built twice, with 1 and with 4 threads: the same bytes in every file; the hash is that of check.
for t in 1 4; do
    status 0 "$weft" data script $one $two --role 阿沅 --turns multi --review -q -o "$work/b$t.jsonl" --threads $t
    status 0 "$weft" data split "$work/b$t.jsonl" -o "$work/parts$t" --valid 0.2 --test 0.1 --near 0.5 --threads $t -q
    status 4 "$weft" data mix "$work/parts$t/train.jsonl:0.5" "$work/general.jsonl:0.5" --repeat -o "$work/m$t.jsonl" --threads $t -q
done
same "$work/b1.jsonl" "$work/b4.jsonl"
for f in train valid test; do same "$work/parts1/$f.jsonl" "$work/parts4/$f.jsonl"; done
same "$work/parts1/report.json" "$work/parts4/report.json"
[ "$(wc -l <"$work/m1.jsonl")" -eq "$(wc -l <"$work/m4.jsonl")" ] || fail "mixes of equal parts"
status 0 "$weft" data check "$work/parts1/train.jsonl" --json
hash=$(grep -o '"hash":"[0-9a-f]*"' "$work/out" | cut -d'"' -f4)
grep -q "\"hash_train\":\"$hash\"" "$work/parts1/report.json" || fail "the hash of a part is that of check"
status 0 "$weft" data convert "$work/parts1/train.jsonl" --to messages --no-origin -o "$work/plain.json"
status 0 "$weft" data check "$work/plain.json"; has out "dataset hash $hash"
status 0 "$weft" data split "$work/rows.jsonl" -o "$work/byspeaker" --by asker --valid 0.3 --json; has out '"by":"asker"'; has out '"moves":['

# show: pages at a terminal, rows found by text and flag; plain elsewhere.
if terminal; then
    printf 'nG/灯芯湿了\nq' | TERM=xterm timeout 30 script -qec "$weft data show $work/rows.jsonl" /dev/null >"$work/out" 2>&1
    has out " 1/$n "; has out " 2/$n "; has out " $n/$n "; has out "no other row fits"
    printf 'q' | TERM=xterm timeout 30 script -qec "$weft data show $work/rows.jsonl --grep 灯芯湿了" /dev/null >"$work/out" 2>&1
    has out " 2/$n "; has out ">      8  阿沅"
fi
status 0 "$weft" data show "$work/rows.jsonl"; [ "$(grep -c '^#' "$work/out")" -eq 5 ] || fail "five rows elsewhere"

exit $failed
