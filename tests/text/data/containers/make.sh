#!/bin/sh
# make.sh - writes the containers of this folder from source.txt and rich.fodt with other people's programs:
# python-docx and EbookLib (as modules of $PYTHON), pandoc, LibreOffice.  Tests only read the results.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: "${PYTHON:=python3}"

"$PYTHON" - <<'PY'
import docx, ebooklib
from ebooklib import epub
from html import escape

lines = open("source.txt", encoding="utf-8").read().splitlines()

document = docx.Document()
for line in lines:
    if line.startswith("第") and "章 " in line[:5]:
        document.add_heading(line, level=1)
        continue
    paragraph = document.add_paragraph()
    half = len(line) // 2                     # runs of different looks in one line
    paragraph.add_run(line[:half]).bold = True
    paragraph.add_run(line[half:])
document.save("python-docx.docx")

book = epub.EpubBook()
book.set_identifier("weft-test")
book.set_title(lines[0])
book.set_language("zh")
chapters, start = [], 0
bounds = [i for i, line in enumerate(lines) if line.startswith("第") and "章 " in line[:5]] + [len(lines)]
for number, (a, b) in enumerate(zip([0] + bounds[:-1], bounds)):
    page = epub.EpubHtml(title=lines[a], file_name="chap_%d.xhtml" % number, lang="zh")
    tag = "h1" if number else "p"
    page.content = "<%s>%s</%s>" % (tag, escape(lines[a]), tag) + "".join("<p>%s</p>" % escape(x) for x in lines[a + 1:b])
    book.add_item(page)
    chapters.append(page)
book.toc = chapters
book.add_item(epub.EpubNcx())
book.add_item(epub.EpubNav())
book.spine = ["nav"] + chapters
epub.write_epub("ebooklib.epub", book)
PY

# Markdown for pandoc: paragraphs apart, headings marked, nothing in them that Markdown would take for its own.
sed -e 's/[<&\\*_]/\\&/g' -e 's/^\(第.章 \)/# \1/' -e 's/$/\n/' source.txt >"$work/source.md"
pandoc -f markdown-smart -o pandoc.docx "$work/source.md"
pandoc -f markdown-smart --metadata title=灯 --split-level=1 -o pandoc.epub "$work/source.md" 2>/dev/null ||
    pandoc -f markdown-smart --metadata title=灯 --epub-chapter-level=1 -o pandoc.epub "$work/source.md"

cp source.txt "$work/libreoffice.txt"
office() { # FILTER FILE [IN-FILTER]
    soffice -env:UserInstallation="file://$work/profile" --headless ${3:+--infilter="$3"} --convert-to "$1" --outdir . \
        "$2" >/dev/null 2>&1
}
office docx:"MS Word 2007 XML" "$work/libreoffice.txt" "Text (encoded):UTF8"
office epub "$work/libreoffice.txt" "Text (encoded):UTF8"
cp rich.fodt "$work/libreoffice-rich.fodt"
office docx:"MS Word 2007 XML" "$work/libreoffice-rich.fodt"
ls -l *.docx *.epub
