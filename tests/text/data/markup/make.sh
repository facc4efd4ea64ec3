#!/bin/sh
# make.sh - writes the files of this folder from ../containers/source.txt and hant.txt with
# other people's programs: pandoc,
# LibreOffice, iconv, Python's csv module.  Tests only read the results.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source=../containers/source.txt

sed -e 's/[<&\\*_]/\\&/g' -e 's/^\(第.章 \)/# \1/' -e 's/$/\n/' $source >"$work/source.md"
pandoc -f markdown-smart -t html5 -s --metadata pagetitle=灯 -o pandoc.html "$work/source.md"      # wraps its lines
sed 's/charset="utf-8"/charset="gb2312"/' pandoc.html | iconv -f UTF-8 -t GB18030 >pandoc-gb18030.html
iconv -f UTF-8 -t UTF-16 pandoc.html >pandoc-utf16.html
pandoc -f markdown-smart -t gfm --wrap=none -o pandoc.md "$work/source.md"

cp $source "$work/libreoffice.txt"
soffice -env:UserInstallation="file://$work/profile" --headless --infilter="Text (encoded):UTF8" \
    --convert-to html:HTML --outdir . "$work/libreoffice.txt" >/dev/null 2>&1

iconv -f UTF-8 -t GB18030 $source >iconv-gb18030.txt
iconv -f UTF-8 -t BIG5 ../containers/hant.txt >iconv-big5.txt

${PYTHON:-python3} - <<'PY'
import csv
text = open("../containers/source.txt", encoding="utf-8").read()
for name in "gbk", "utf-16":
    open(f"python-{name}.txt", "wb").write(text.encode(name))
lines = text.splitlines()
with open("python.csv", "w", encoding="utf-8-sig", newline="") as f:
    csv.writer(f).writerows(enumerate(lines, 1))
PY
