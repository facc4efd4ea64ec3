#!/bin/sh
# The screenplay reader on the example's screenplay against its oracle.  Needs python3; else skipped.
command -v python3 >/dev/null || exit 77
exec tests/oracle/compare.sh "$1" examples/persona/剧本.txt 秤婆
