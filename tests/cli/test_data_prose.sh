#!/bin/sh
# weft data chunk | prose: whole outputs on a small novel of our own.
. "$(dirname "$0")/data.sh"
novel=tests/dataset/data/ferry.txt

# chunk: the figures, the rows, the limits.
status 0 "$weft" data chunk $novel --max 60; has out "nothing written"; has out "chapters"
status 0 "$weft" data chunk $novel --max 60 -o "$work/chunks.jsonl" --json
has out '"chapters":2'; has out '"longest":60'
head -1 "$work/chunks.jsonl" >"$work/head"
has head '{"text":"《渡口》\n\n第一章 船\n\n'; has head '"via":"chunk/default@1"'; has head '"scene":"第一章 船"'
status 0 "$weft" data chunk $novel --mode seed --max 60 -o - ; has out '"via":"chunk/seed@1"'
status 0 "$weft" data chunk $novel --max 60 --max-tokens 20 --model tiny --json; has out '"over_tokens":0'
status 2 "$weft" data chunk $novel --max 60 --max-tokens 20; has err "--model"
status 2 "$weft" data chunk $novel --max 60 --overlap 40; has err "half of max"
status 2 "$weft" data chunk
status 0 env WEFT_LANG=zh "$weft" data chunk $novel; has out "文本块数"
iconv -f UTF-8 -t GB18030 $novel >"$work/gb.txt"
status 0 "$weft" data chunk "$work/gb.txt" --max 60 --no-origin -o "$work/gb.jsonl" --quiet
"$weft" data chunk $novel --max 60 --no-origin -o "$work/utf8.jsonl" --quiet
cmp -s "$work/gb.jsonl" "$work/utf8.jsonl" || fail "chunks of GB18030 differ"

# prose: figures without a role, speeches, rows.
status 0 "$weft" data prose $novel; has out "speaker unknown"; has out "speakers: 老船夫 5, 阿沅 5, 货郎 2"
status 0 "$weft" data prose $novel --speeches - ; has out '"text":"老伯，还渡不渡？","speaker":"阿沅"'; has out '"rule":"between"'
status 0 "$weft" data prose $novel --speeches "$work/doubt.jsonl" --doubtful -q
grep -q '"candidates":\[' "$work/doubt.jsonl" || fail "doubtful speeches have candidates"
grep -q '"rule":"before","flags":\[\],"scene":1,"chapter":"第一章 船"}' "$work/doubt.jsonl" && fail "a sure speech is not doubtful"
status 0 "$weft" data prose $novel --role 阿沅 -o "$work/rows.jsonl" --json; has out '"role":"阿沅"'
head -1 "$work/rows.jsonl" >"$work/head"; has head '"output":"我等得起。"'; has head '"prompt_speaker":"老船夫"'; has head '"confidence":'
status 0 "$weft" data prose $novel --role 阿沅 --turns multi -o - ; has out '"history":'
status 2 "$weft" data prose $novel -o "$work/x.jsonl"; has err "role"
status 3 "$weft" data prose $novel --role 阿源; has err "阿沅"
status 2 "$weft" data prose $novel --role 阿沅 -o - --speeches -
status 0 env WEFT_LANG=zh "$weft" data prose $novel --role 阿沅; has out "说话人未知"
exit $failed
