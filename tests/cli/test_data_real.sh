#!/bin/sh
# The screenplay reader on a real screenplay against its oracle.  Needs WEFT_SHARED_DATA (a folder with the
# screenplay) and python3; else skipped.
[ -n "$WEFT_SHARED_DATA" ] && command -v python3 >/dev/null || exit 77
script=$(ls "$WEFT_SHARED_DATA"/*剧本*.txt 2>/dev/null | head -1)
[ -n "$script" ] || exit 77
exec tests/oracle/compare.sh "$1" "$script" 甄嬛 华妃 皇帝
