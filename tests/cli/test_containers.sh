#!/bin/sh
# Word documents and books at the command line: text, verdicts, exit status, origins.
set -eu
weft=$1
data=$(cd "$(dirname "$0")/../text/data/containers" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() {
    echo "FAIL: $*"
    exit 1
}
expect() { # STATUS COMMAND...
    want=$1 got=0
    shift
    "$@" >out 2>err || got=$?
    [ $got -eq "$want" ] || fail "exit $got, expected $want: $*: $(cat err)"
}

for file in python-docx.docx pandoc.docx libreoffice.docx ebooklib.epub libreoffice.epub; do
    expect 0 "$weft" read "$data/$file"
    cmp -s out "$data/source.txt" || fail "$file: another text"
done

# What was left out is told on standard error, in the language asked for.
expect 0 "$weft" read "$data/libreoffice-rich.docx" --lang zh
cmp -s out "$data/rich.txt" || fail "another text"
grep -q '略去 1 处修订删除的内容' err || fail "deletions are not told"

# Origins: part and bytes, which another program finds in the file.
expect 0 "$weft" read "$data/ebooklib.epub" --json
grep -q '"part":"EPUB/chap_0.xhtml".*"bytes":\[303,315\],"text":"渡口的灯"' out || fail "no origin: $(head -c 600 out)"

# The name says nothing: content decides.
cp "$data/pandoc.docx" book.txt
expect 0 "$weft" inspect book.txt
grep -q 'verdict: accept' out || fail "inspect does not accept a document called .txt"

# Cut short; one bad file among three costs only itself.
head -c 5000 "$data/pandoc.docx" >cut.docx
expect 3 "$weft" read cut.docx
grep -q 'cut.docx: byte 5000: .*\[ZP1\]' err || fail "no place: $(cat err)"
expect 4 "$weft" read cut.docx "$data/pandoc.docx" "$data/ebooklib.epub"
[ "$(wc -l <out)" -eq 24 ] || fail "the other two were not read"

# A limit is an option and says so.
expect 3 "$weft" read --max_zip_part_bytes 1000 "$data/pandoc.docx"
grep -q 'max_zip_part_bytes' err || fail "the limit does not name its option"

printf '\320\317\021\340\241\261\032\341 old' >old.doc
expect 3 "$weft" read old.doc
grep -q 'old Office document.*\[DX3\]' err || fail "$(cat err)"
echo ok
