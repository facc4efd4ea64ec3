#!/bin/sh
# weft read: every format there is a reader for, folders, one bad file among many, statistics, spans, output to a file.
. "$(dirname "$0")/data.sh"

is() {          # the whole output
    printf "$1" >"$work/want"
    cmp -s "$work/want" "$work/out" || { fail "output differs"; diff "$work/want" "$work/out" | head -10; }
}

# A page, Markdown, a table, a dataset under another name: text.
mkdir "$work/in" "$work/in/sub"
printf '<!doctype html><title>河灯</title><h1>第一章</h1>\n<p>雨下了<b>一夜</b>。<script>x</script>' >"$work/in/a.html"
printf '# 章\n\n见[灯](x)。\n' >"$work/in/b.md"
printf '\357\273\277问;答\r\n你好;"在\r\n呢"\r\n' >"$work/in/c.csv"
printf '{"instruction":"你好","input":"","output":"在\\n呢"}\n{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n' >"$work/in/d.txt"
printf '雨 停\n　了\n' >"$work/in/sub/e.txt"

status 0 "$weft" read "$work/in/a.html"; is '第一章\n雨下了一夜。\n'
has err "html, utf-8, 2 lines, 11 characters"
has err "left out as no text: 1 elements"
status 0 "$weft" read "$work/in/b.md"; is '章\n见灯。\n'
status 0 "$weft" read "$work/in/c.csv"; is '问\t答\n你好\t在\n呢\n'
status 0 "$weft" read "$work/in/d.txt"; is 'user: 你好\nassistant: 在\n呢\n\nuser: a\nassistant: b\n'
has err "rows, utf-8"
status 0 "$weft" read --reader txt "$work/in/b.md"; is '# 章\n\n见[灯](x)。\n'
status 0 "$weft" read --reader=html "$work/in/b.md"; is '# 章见[灯](x)。\n'
status 2 "$weft" read --reader htm "$work/in/b.md"; has err "html"
status 3 "$weft" read --reader rows "$work/in/b.md"; has err "[DS9]"

# Spans: one object a line, with the place in the original.
status 0 "$weft" read --json "$work/in/a.html"
has out '"verdict":"accept"'; has out '"title":"河灯"'; has out '"ignored":1'
has out '"line":2,"section":"第一章","bytes":[58,83]'
has out '"text":"雨下了一夜。"}'
[ "$(wc -l <"$work/out")" -eq 3 ] || fail "one object for the file and one for each line"
status 0 "$weft" read --json "$work/in/d.txt"; has out '"line":2,"bytes":[56,135],"text":"assistant: b"'

# Figures.
status 0 "$weft" read --stats "$work/in/sub/e.txt"; has out "txt, utf-8, 2 lines, 7 characters, 3 without white space"
status 0 "$weft" read --stats --json "$work/in/sub/e.txt"; has out '"chars":7,"chars_ink":3'
hasnt out '"text"'

# A folder: sorted, with what is below it; hidden files, links to folders and FIFOs are passed over and counted.
printf 'no' >"$work/in/.hidden"
ln -s .. "$work/in/sub/loop"
mkfifo "$work/in/sub/fifo"
status 0 "$weft" read "$work/in" -o "$work/all.txt"
[ ! -s "$work/out" ] || fail "-o leaves standard output empty"
has err "5 files: 5 read, 0 read in part, 0 refused; 3 entries"
printf '第一章\n雨下了一夜。\n章\n见灯。\n问\t答\n你好\t在\n呢\nuser: 你好\nassistant: 在\n呢\n\nuser: a\nassistant: b\n雨 停\n　了\n' >"$work/want"
cmp -s "$work/want" "$work/all.txt" || { fail "folder"; diff "$work/want" "$work/all.txt"; }
status 0 "$weft" read --stats "$work/in"; has out "in all: 5 files, 15 lines"
status 0 "$weft" read --hidden "$work/in"; has err "6 files"

# One bad file among a thousand costs only itself.
mkdir "$work/many"
i=0
while [ $i -lt 999 ]; do echo "行 $i" >"$work/many/$i.txt"; i=$((i + 1)); done
printf 'PK\003\004broken' >"$work/many/broken.docx"
printf 'x\200' >"$work/many/latin.txt"
status 4 "$weft" read "$work/many"
[ "$(wc -l <"$work/out")" -eq 999 ] || fail "999 of 1001 files"
has err "1001 files: 999 read, 0 read in part, 2 refused"
has err "broken.docx: "; has err "latin.txt: byte 1"; has err "[TX1]"; has err "2 of 1001 files could not be read"
status 4 "$weft" read --json --stats "$work/many"
has out '"verdict":"error","rule":"TX1"'
has out '{"files":1001,"accept":999,"partial":0,"error":2,"passed_over":0,"lines":999'
status 3 "$weft" read "$work/many/latin.txt"
status 3 "$weft" read "$work/many/latin.txt" "$work/many/broken.docx" -o "$work/none"; has err "none of 2 files"
[ ! -e "$work/none" ] || fail "nothing read, nothing written"
mkdir "$work/empty"; status 3 "$weft" read "$work/empty"; has err "no file in this folder"
status 4 "$weft" read "$work/no-such-file" "$work/in/b.md"; has err "no-such-file"

# A dataset with bad rows is partial; JSON of another kind is text.
printf '{"instruction":"a","output":"b"}\n{"instruction":1,"output":"b"}\n' >"$work/some.jsonl"
status 4 "$weft" read "$work/some.jsonl"; has err "some.jsonl:2:16: DS3"; is 'user: a\nassistant: b\n'
printf '{"name": "weft"}\n' >"$work/other.json"
status 0 "$weft" read "$work/other.json"; is '{"name": "weft"}\n'

# The other verbs that take text read the same formats.
printf '<!doctype html><h2>第1幕</h2>\n\n<p>（河边）\n<p>阿沅：你好。<p>船夫：走吧。\n\n<p>阿沅：走。' >"$work/play.html"
status 0 "$weft" data script "$work/play.html" --role 阿沅 -o "$work/rows.jsonl"
cp "$work/rows.jsonl" "$work/out"
has out '"instruction":"走吧。","input":"","output":"走。"'
has out '"line":4'; has out '"last_line":6'; has out '"bytes":[73,111]'
status 0 "$weft" data chunk "$work/play.html" --max 20 -o "$work/chunks.jsonl"
cp "$work/chunks.jsonl" "$work/out"; has out '"line":1'; has out '"last_line":6'

# inspect says what it is.
status 0 "$weft" inspect "$work/in/a.html"; has out "format: html"; has out "title: 河灯"
status 0 "$weft" inspect "$work/in/d.txt"; has out "rows"
exit $failed
