#!/bin/sh
# weft data ask and weft data augment: rules without a model, prompts, a service of ours, and what goes wrong.
. "$(dirname "$0")/data.sh"
mock=
trap '[ -z "$mock" ] || kill "$mock" 2>/dev/null; rm -rf "$work"' EXIT

cat >"$work/scale.md" <<END
杆秤是用杠杆来称重量的器具。它由秤杆、秤砣和秤盘组成。秤砣位于秤杆的另一头，可以来回滑动。

旧制十六两为一斤，所以半斤就是八两。公秤是集市上供众人校验轻重的秤，谁来称都只收一文钱。
END
cat >"$work/talk.jsonl" <<END
{"instruction":"你吃了么？","output":"吃了，谢谢。"}
{"instruction":"今天天气怎么样？","output":"天气很好。"}
{"instruction":"这茶多少钱一碗？","output":"五块钱。"}
END
cat >"$work/persona.jsonl" <<END
{"instruction":"老人家，茶多少钱？","output":"两文一碗，真话不要钱。","weft":{"id":"s000001"}}
{"instruction":"你是谁？","output":"老身是掌秤的。","weft":{"id":"s000002"}}
{"instruction":"秤准不准？","output":"一两是一两，少一钱也不成。","weft":{"id":"s000003"}}
END

# By rule, offline.
status 0 "$weft" data ask --task summarise --offline "$work/scale.md" --max 60 -o "$work/s.jsonl"
has out "rows made"
lines "$work/s.jsonl" 2
grep -q '"via":"rule/extract@1"' "$work/s.jsonl" || fail "a rule does not name itself"
status 0 "$weft" data ask --task qa --offline "$work/scale.md" -o "$work/q.jsonl" --json
has out '"rows":3'
grep -q '"instruction":"杆秤是什么？"' "$work/q.jsonl" || fail "qa by rule"
# Two of the three share no word with any line of hers: no row, and said so.
status 4 "$weft" data augment --offline --persona "$work/persona.jsonl" --role 秤婆 "$work/talk.jsonl" -o "$work/r.jsonl"
grep -q '"instruction":"这茶多少钱一碗？","input":"","output":"两文一碗，真话不要钱。"' "$work/r.jsonl" || fail "rag by rule"
grep -q '"parents":\["r000003","s000001"' "$work/r.jsonl" || fail "retrieved ids are not in the row"
status 2 "$weft" data ask --task judge --offline "$work/talk.jsonl"; has err "has no rule"

# What cannot be.
status 2 "$weft" data ask --task sumarise "$work/scale.md"; has err "nearest is summarise"
status 2 "$weft" data ask "$work/scale.md"; has err "--task is missing"
status 2 "$weft" data ask --task qa "$work/scale.md" -o "$work/x.jsonl"; has err "who shall answer"
status 2 "$weft" data ask --task qa "$work/scale.md" --preset deepsek -m m -o "$work/x"; has err "nearest is deepseek"
status 2 "$weft" data ask --task qa "$work/scale.md" --preset deepseek -m m -o "$work/x"; has err "DEEPSEEK_API_KEY is not set"
status 2 "$weft" data ask --task qa "$work/scale.md" --endpoint http://localhost:1 -o "$work/x"; has err "--model is missing"
status 2 "$weft" data ask --task qa "$work/scale.md" --endpoint ftp://x -m m -o "$work/x"
status 2 "$weft" data ask --task judge "$work/scale.md" --offlin; has err "offline"
printf 'task: qa\nfiles: [scale.md]\nofline: true\n' >"$work/bad.yaml"
status 3 "$weft" data ask "$work/bad.yaml"; has err "bad.yaml:3:"; has err "offline"

# A recipe: paths stand beside it, flags go before it.
printf 'task: qa\nfiles: [scale.md]\noffline: true\npairs: 1\n' >"$work/ask.yaml"
status 0 "$weft" data ask "$work/ask.yaml" -o "$work/one.jsonl"; lines "$work/one.jsonl" 1
status 0 "$weft" data ask "$work/ask.yaml" -o "$work/two.jsonl" --pairs 2; lines "$work/two.jsonl" 2

# Nobody there: the message names the address, the reason and the setting, and the reasons stand in the doubtful file.
status 6 "$weft" data ask --task qa "$work/scale.md" --endpoint http://127.0.0.1:1/v1 -m m \
    --retry-ms 2 -o "$work/nobody.jsonl"
has err "http://127.0.0.1:1/v1 answered none of"; has err "Connection refused"; has err "--endpoint"
has nobody.jsonl.doubtful "Connection refused"

# Prompts to be edited.
status 0 "$weft" data ask --task judge --copy-prompt "$work/prompts"
[ -s "$work/prompts/judge.zh.txt" ] && [ -s "$work/prompts/judge.en.txt" ] || fail "prompts were not copied"
status 2 "$weft" data ask --task judge --copy-prompt "$work/prompts"; has err "is there already"
sed 's/{answer}/{anwser}/' "$work/prompts/judge.zh.txt" >"$work/prompts/bad.txt"
status 3 "$weft" data ask --task judge --prompt "$work/prompts/bad.txt" "$work/talk.jsonl" --endpoint http://localhost:1 -m m -o "$work/x"
has err "bad.txt:"; has err "{answer}"

if [ -x "${WEFT_MOCKS:-build/mock}/mock_llm" ]; then
    cat >"$work/answers" <<END
{"match": "给下面这组数据打分", "answer": "{\"score\": 6, \"reasons\": \"切题。\"}"}
{"match": "请仿照口吻另写", "answer": "[{\"instruction\":\"你从哪里来？\",\"output\":\"从河那边来。\"},{\"instruction\":\"你吃了么？\",\"output\":\"吃过了。\"}]"}
{"match": "请写出秤婆会怎样回答", "answer": "<think>她自称老身</think>秤婆：老身不知{hash}"}
{"match": "的编号：1、2、3\\n", "answer": "[{\\"id\\":1,\\"speaker\\":\\"老和尚\\"},{\\"id\\":2,\\"speaker\\":\\"？\\"},{\\"id\\":3,\\"speaker\\":\\"?\\"}]"}
{"match": "写3组问答", "answer": "\`\`\`json\n[{\"question\":\"半斤是几两？\",\"answer\":\"半斤就是八两。\",\"evidence\":\"半斤就是八两\"},{\"question\":\"假的？\",\"answer\":\"假的。\",\"evidence\":\"半斤就是九两\"}]\n\`\`\`"}
END
    "${WEFT_MOCKS:-build/mock}/mock_llm" --answers "$work/answers" --bill "$work/bill" >"$work/port" &
    mock=$!
    i=0; while [ ! -s "$work/port" ] && [ $i -lt 100 ]; do sleep 0.05; i=$((i + 1)); done
    url=http://127.0.0.1:$(head -1 "$work/port")/v1
    bill() { grep -c '"event":"asked"' "$work/bill"; }

    status 0 "$weft" data ask --task judge "$work/talk.jsonl" --endpoint "$url" -m mock -o "$work/j.jsonl" --dry-run --price-in 1
    has out "requests to send"
    [ "$(bill)" = 0 ] || fail "a dry run asked"
    status 0 "$weft" data ask --task judge "$work/talk.jsonl" --endpoint "$url" -m mock -o "$work/j.jsonl" --limit 1
    has out "the other 2, judged by these"
    status 0 "$weft" data ask --task judge "$work/talk.jsonl" --endpoint "$url/" -m mock -o "$work/j.jsonl"
    [ "$(bill)" = 3 ] || fail "judge: $(bill) requests for 3 rows"
    lines "$work/j.jsonl" 3
    grep -q '"judge":{"score":6,"reasons":"切题。","via":"ask/judge@1+' "$work/j.jsonl" || fail "no verdict in the row"

    # The store has the batch with its bill, and the prompt word for word.
    status 0 "$weft" ls calls; has out "ask/judge@1+"; has out "done, "; has out "mock: "
    status 0 "$weft" ls calls prompts --json; has out '"task":"judge","prompt":"ask/judge@1+'; has out '"state":"done"'; has out '"project":"default","name":"judge.'
    [ "$(tr "{" "\n" <"$work/out" | grep "\"endpoint\":\"$url" | grep -o "\"asked\":[0-9]*" | cut -d: -f2 | awk "{ n += \$1 } END { print n }")" -eq "$(bill)" ] ||
        fail "the store has every request of the bill"
    # The model's total counts each request once, also where an answer is used a second time.
    total() { "$weft" ls calls --json | tr '{' '\n' | sed -n "s|.*\"endpoint\":\"$url\",\"model\":\"mock\",\"requests\":\([0-9]*\),\"answered\":\([0-9]*\).*|\1 \2|p"; }
    [ "$(total)" = "3 3" ] || fail "of the model: $(total)"
    cp "$work/j.jsonl.calls" "$work/j2.calls"
    status 0 "$weft" data ask --task judge "$work/talk.jsonl" --endpoint "$url" -m mock -o "$work/j2.jsonl" --ledger "$work/j2.calls"
    [ "$(total)" = "3 3" ] && [ "$(bill)" = 3 ] || fail "a second use: $(total)"
    status 0 "$weft" ls calls; has out "3 requests in all, 3 answered"
    status 0 "$weft" data ask --task qa "$work/scale.md" --endpoint "$url" -m mock -o "$work/qa.jsonl"
    has out "left out"; has out "the evidence does not stand in the source"; has out "replies in code fences"
    lines "$work/qa.jsonl" 1
    status 0 "$weft" data augment "$work/talk.jsonl" --examples 2 --draws 4 --endpoint "$url" -m mock -o "$work/a.jsonl"
    has out "nearly equal to another new row"
    lines "$work/a.jsonl" 2
    status 0 "$weft" data augment "$work/talk.jsonl" --draws 4 --endpoint "$url" -m mock -o "$work/a.jsonl" --against "$work/a.jsonl"
    has out "nearly equal to a row of --against"
    status 0 "$weft" data augment "$work/talk.jsonl" --persona "$work/persona.jsonl" --role 秤婆 --endpoint "$url" -m mock -o "$work/rag.jsonl"
    has out "replies with thoughts"
    lines "$work/rag.jsonl" 3
    grep -q '"output":"老身不知' "$work/rag.jsonl" || fail "name or thoughts stand in the row"

    # A speaker is chosen among the candidates; the text stays the source's; what is not answered stays as the
    # rules have it.
    status 4 "$weft" data ask --task dialogue --below 0.9 examples/novelist/小说.txt --endpoint "$url" -m mock -o "$work/d.jsonl" --json
    has out '"speeches":33,"open":21,"chosen":3,"nobody":6,"unanswered":12,"unknown":7'
    grep -q '"speaker":"老和尚".*"rule":"chosen"' "$work/d.jsonl" || fail "the chosen speaker is not written"
    grep -q '"problem":"有 1 个名字不在名单里"\|"problem":"不是合法的 JSON"' "$work/d.jsonl.doubtful" || fail "a wrong name was taken"
    status 4 "$weft" data ask --task dialogue --below 0.9 examples/novelist/小说.txt --endpoint "$url" -m mock -o "$work/d2.jsonl" \
        --ledger "$work/d.jsonl.calls" --role 宋小满
    grep -q '"via":"ask/dialogue@1+' "$work/d2.jsonl" || fail "rows with chosen speakers do not name the prompt"
    grep -q '"via":"prose/' "$work/d2.jsonl" || fail "rows without chosen speakers name the prompt"
    status 0 "$weft" data ask --task dialogue --offline examples/novelist/小说.txt --role 老和尚 -o "$work/d0.jsonl"
    grep -q '"via":"prose/' "$work/d0.jsonl" || fail "dialogue by rule"

    sed 's/^version: 1/version: 2/; s/四件事/几件事/' "$work/prompts/judge.zh.txt" >"$work/prompts/two.txt"
    status 0 "$weft" data ask --task judge "$work/talk.jsonl" --compare "$work/prompts/two.txt" --endpoint "$url" -m mock -o "$work/c.jsonl"
    has out "ask/judge@1+"; has out "ask/judge@2+"; has out "corrective turns"
    [ ! -e "$work/c.jsonl" ] || fail "comparing wrote rows"

    # A damaged ledger is refused by record, and repaired.
    printf 'X' | dd of="$work/j.jsonl.calls" bs=1 seek=100 conv=notrunc 2>/dev/null
    status 3 "$weft" data ask --task judge "$work/talk.jsonl" --endpoint "$url" -m mock -o "$work/j.jsonl"; has err "record 1 (byte 48)"
    before=$(bill)
    status 0 "$weft" data ask --task judge "$work/talk.jsonl" --endpoint "$url" -m mock -o "$work/j.jsonl" --repair
    [ "$(bill)" = "$before" ] || fail "a repaired ledger asked again"
fi
exit $failed
