#!/bin/sh
# The verbs that look after rows: weft data dedup | stats | check | clean.
. "$(dirname "$0")/data.sh"

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

# ---- clean ----
cat >"$work/dirty.jsonl" <<'END'
{"instruction":"打13812345678 ","input":"","output":"（笑）好的呀"}
{"instruction":"问","input":"","output":""}
{"instruction":"问题","input":"","output":"作为一个AI，我不知道。"}
{"instruction":"问题","input":"","output":"甲甲"}
{"instruction":"问题","input":"","output":"乙乙"}
{"instruction":" 问a@b.cn","input":"","output":"答","kto_tag":true}
END
cp "$work/dirty.jsonl" "$work/before.jsonl"
status 0 "$weft" data clean "$work/dirty.jsonl" --repair all --mask all --drop all --keep-per-prompt 1 \
    -o "$work/clean.jsonl" --log "$work/log.jsonl"
has out "3 rows written"; has out "#1 turn 1: mask: 打13812345678 -> 打[PHONE]****"
cat >"$work/want" <<'END'
{"instruction":"打[PHONE]****","input":"","output":"好的呀","weft":{"flags":["cleaned","masked"]}}
{"instruction":"问题","input":"","output":"甲甲"}
{"instruction":" 问a@b.cn","input":"","output":"答","kto_tag":true}
END
same "$work/clean.jsonl" "$work/want"
same "$work/dirty.jsonl" "$work/before.jsonl"           # the original stays
lines "$work/log.jsonl" 6
grep -qF '"row":1,"change":"directions","where":"turn 2","before":"（笑）好的呀","after":"好的呀"' "$work/log.jsonl" || fail "log of a repair"
grep -qF '"row":5,"left_out":"enough answers to this prompt"' "$work/log.jsonl" || fail "log of a row left out"
status 0 "$weft" data clean "$work/dirty.jsonl" --drop empty_answer,boilerplate --json
has out '"rows_in":6,"rows_out":4,"changed":0,"judged":1,"left_out":{"quality: empty_answer":1,"quality: boilerplate":1}'
status 0 "$weft" data clean "$work/dirty.jsonl" --mask mobile --judged -o - ; has out '打[PHONE]****'; has out '问a@b.cn'
status 0 "$weft" data clean - --drop_pii all --judged --json <"$work/dirty.jsonl"; has out '"rows_out":4'; has out '"private data":2'
printf '我不知道\n' >"$work/examples.txt"
status 0 "$weft" data clean "$work/dirty.jsonl" --drop example --examples "$work/examples.txt" --json; has out '"quality: example":1'
status 3 "$weft" data clean "$work/dirty.jsonl" --min-chars 1000 --judged -o "$work/none.jsonl"; has err "no row is left"
[ -e "$work/none.jsonl" ] && fail "an empty set was written"
status 2 "$weft" data clean "$work/dirty.jsonl"; has err "nothing is asked for"
status 2 "$weft" data clean "$work/dirty.jsonl" --drop boilerplat; has err "boilerplate"
status 2 "$weft" data clean "$work/dirty.jsonl" --mask phone
status 0 env WEFT_LANG=zh "$weft" data clean "$work/dirty.jsonl" --drop all; has out "以 AI 自称或拒答的回答"

# ---- check: every finding with what to do about it ----
status 0 "$weft" data check "$work/dirty.jsonl" --quality --pii
has out "boilerplate              1   16.7 %  #3:2  answers that speak as an AI"
has out "mobile                   1   16.7 %  #1:1"; has out "weft data clean --mask all"
has out "fix: weft data clean --drop empty_answer leaves them out"
hasnt out "13812345678  "
status 0 "$weft" data check "$work/dirty.jsonl" --quality --pii --json
has out '"quality":[{"name":"empty_answer","rows":1,"first_row":2,"first_turn":2}'
has out '"pii":[{"name":"mobile","rows":1,"pieces":1,"first_row":1,"first_turn":1},{"name":"email"'
has out '"fixes":["weft data clean --drop empty_answer leaves them out"'
status 0 "$weft" data check "$work/dirty.jsonl"; hasnt out "signs of quality"
status 0 env WEFT_LANG=zh "$weft" data check "$work/dirty.jsonl" --quality; has out "建议：舍去：clean --drop boilerplate"

# ---- stats ----
status 0 "$weft" data stats "$work/dirty.jsonl"
has out "num_train_epochs 15: 10 to 20 are usual for 6 rows"; has out "answers by characters:"; has out "####"
has out "rows mostly in: Han 5 Latin 1"
status 0 "$weft" data stats "$work/dirty.jsonl" --json
has out '"rows":6,"unique_rows":6'; has out '"rows_mostly":{"Han":5,"Latin":1}'; has out '"epochs_range":[10,20]'; hasnt out cutoff_len
if [ -d models/tiny ]; then
    status 0 "$weft" data stats "$work/dirty.jsonl" --model models/tiny
    has out "cutoff_len 512: the smallest that cuts less than 1 %"; has out "rows longer than 2048"
    status 4 "$weft" data stats "$work/rows.jsonl" --model models/tiny --json; has out '"not_counted":0,"cutoff_len":512'
fi
status 4 "$weft" data stats "$work/rows.jsonl" --json; has out '"units_in":9,"blank":1,"rows":7'; has out '"preference_rows":1,"kto_rows":2'
status 2 "$weft" data stats
status 0 env WEFT_LANG=zh "$weft" data stats "$work/dirty.jsonl"; has out "通常 10 到 20 轮"

exit $failed
