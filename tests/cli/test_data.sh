#!/bin/sh
# The verbs on data, whole outputs: weft read, weft data script | check | convert | split | show.
. "$(dirname "$0")/data.sh"
one=tests/data/traps_1.txt
two=tests/data/traps_2.txt

# read: any charset gives the same text; --json the bytes of each line.
status 0 "$weft" read $one -q
same "$work/out" $one
iconv -f UTF-8 -t GB18030 $one >"$work/gb.txt"
iconv -f UTF-8 -t UTF-16 $one >"$work/utf16.txt"
for f in gb utf16; do
    status 0 "$weft" read "$work/$f.txt"
    same "$work/out" $one
done
printf 'a\r\nb\200' >"$work/bad.txt"
status 3 "$weft" read "$work/bad.txt"; has err "[TX1]"
status 4 "$weft" read "$work/bad.txt" --charset utf-8 --json; has out '"line":2,"bytes":[3,5]'; has out '"places":[{"line":2,"byte":4}]'
status 4 "$weft" read $one "$work/bad.txt"; has err "1 of 2 files"
status 3 "$weft" read "$weft"; has err "ELF"
status 2 "$weft" read
status 5 "$weft" read "$work/none.txt"

# script: rows equal the frozen answers of the oracle, the account balances, nothing is written without -o.
status 0 "$weft" data script $one $two --role 阿沅 --alias 沈掌柜=沈老板,夫人沈氏@3- -o "$work/rows.jsonl"
has out "52 rows with 52 answers, from 60 turns of 阿沅"
has out "doubtful speaker"
[ "$(wc -l <"$work/rows.jsonl")" -eq 52 ] || fail "rows written"
status 0 "$weft" data script $one --role 阿沅 --json
has out '"funnel":{"lines":158,'
status 0 "$weft" data script $one --role 阿沅
has out "nothing written"
status 0 "$weft" data script $one --role 阿沅 --mode seed -o "$work/seed.json"
head -3 "$work/seed.json" >"$work/head"
printf '[\n    {\n        "instruction": "阿沅，铺子还开着么？",\n' >"$work/want"
same "$work/head" "$work/want"
grep -q '"weft"' "$work/seed.json" && fail "seed mode into .json has no origin"
status 0 "$weft" data script $one --role 阿沅 -o - ; has out '"via":"script/default@1"'
status 3 "$weft" data script $one --role 阿源; has err "阿沅 ("
status 2 "$weft" data script $one; has err "--role"
status 2 "$weft" data script $one --rôle x
status 2 "$weft" data script $one --role 阿沅 --mode sead; has err "seed"
status 4 "$weft" data script $one "$work/bad.txt" --role 阿沅; has err "[TX1]"
status 0 env WEFT_LANG=zh "$weft" data script $one --role 阿沅; has out "说话者存疑"

# check
status 0 "$weft" data check "$work/rows.jsonl"; has out "verdict: good"; has out "different rows"
cat "$work/rows.jsonl" >"$work/mixed.jsonl"
printf '{"instruction":"x"}\n\nnot json\n{"instruction":"q","output":""}\n' >>"$work/mixed.jsonl"
status 4 "$weft" data check "$work/mixed.jsonl"
has out "mixed.jsonl:53:1: DS3: output is missing"; has out "mixed.jsonl:55:2: JS2:"; has out "verdict: bad"; has err "2 of 55 rows were left out"
status 4 "$weft" data check "$work/mixed.jsonl" --json
has out '"rows":53,'; has out '"units_in":56,"blank":1,'; has out '{"reason":"DS3: output is missing","count":1}'
printf 'words\n' >"$work/words.jsonl"
status 3 "$weft" data check "$work/words.jsonl"; has err "[DS9]"

# convert: through every format and back, byte for byte; a format that cannot say a row leaves it out by name.
for to in sharegpt messages; do
    status 0 "$weft" data convert "$work/rows.jsonl" -o "$work/$to.json" --to $to
    status 0 "$weft" data convert "$work/$to.json" -o "$work/back.jsonl"
    same "$work/rows.jsonl" "$work/back.jsonl"
done
status 0 "$weft" data convert "$work/rows.jsonl" -o - --limit 1 --no-origin
printf '%s\n' '{"instruction":"阿沅，铺子还开着么？","input":"","output":"开着。天黑以前，灯铺从不打烊。"}' >"$work/want"
same "$work/out" "$work/want"
status 3 "$weft" data convert "$work/rows.jsonl" -o "$work/text.jsonl" --to text; has err "conversation is no text row"
[ -e "$work/text.jsonl" ] && fail "a failed conversion leaves a file"
cp "$work/sharegpt.json" "$work/wrong.jsonl"
status 0 "$weft" data convert "$work/wrong.jsonl" -o "$work/back.jsonl"; has err "not JSON lines as its name says"

# split: parts add up, are the same again, and never replace other people's files.
status 0 "$weft" data split "$work/rows.jsonl" -o "$work/parts" --valid 0.1 --test 0.1 --json
has out '"by":"scene"'
cat "$work/parts/train.jsonl" "$work/parts/valid.jsonl" "$work/parts/test.jsonl" | sort >"$work/sum"
sort "$work/rows.jsonl" >"$work/want"
same "$work/sum" "$work/want"
cp "$work/parts/valid.jsonl" "$work/valid.jsonl"
status 0 "$weft" data split "$work/rows.jsonl" -o "$work/parts" --valid 0.1 --test 0.1
same "$work/valid.jsonl" "$work/parts/valid.jsonl"
touch "$work/parts/mine.txt"
status 2 "$weft" data split "$work/rows.jsonl" -o "$work/parts"; has err "mine.txt"
[ -e "$work/parts/mine.txt" ] || fail "a file was lost"
status 0 "$weft" data split "$work/rows.jsonl" -o "$work/byrow" --by row --valid 10
[ "$(wc -l <"$work/byrow/valid.jsonl")" -eq 10 ] || fail "val_size rows"

# show: rows by id, text and flag, with the lines of their source.
status 0 "$weft" data show "$work/rows.jsonl" --id s000002 --source --context 0
has out "s000002  $one:7-8"; has out ">      8  阿沅：放下吧，我看看。（拧开灯罩）灯芯湿了，换一根就好。"
status 0 "$weft" data show "$work/rows.jsonl" --flag self; has out "奴婢说的是心里话"
status 0 "$weft" data show "$work/rows.jsonl" --find 灯芯湿了 --json; has out '"id":"s000002"'
status 3 "$weft" data show "$work/rows.jsonl" --find 没有这样的话; has err "none of 52 rows fits"
status 0 "$weft" data show "$work/rows.jsonl" --limit 2 --json
[ "$(wc -l <"$work/out")" -eq 2 ] || fail "two rows as JSON lines"

# A full disk is noticed.
status 5 "$weft" data script $one --role 阿沅 -o /dev/full
"$weft" read $one >/dev/full 2>"$work/err"; [ $? -eq 5 ] || fail "read to a full disk"
exit $failed
