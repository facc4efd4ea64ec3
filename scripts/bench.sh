#!/bin/sh
# bench.sh BUILD - builds and runs the programs of bench/, one after the other so that none disturbs another.
# They print ratios (of the machine's measured limit, or to another program), which mean the same tomorrow.
set -u
build=${1:?usage: bench.sh BUILD [NAME...]}
shift
root=$(cd "$(dirname "$0")/.." && pwd)
failed=0
for source in "$root"/bench/bench_*.c; do
    name=$(basename "$source" .c)
    [ $# -eq 0 ] || case " $* " in *" $name "*) ;; *) continue ;; esac
    cmake --build "$build" --target "$name" >/dev/null || { echo "$name: the build fails"; failed=1; continue; }
    echo "== $name"
    "$build/$name" || { echo "$name: failed"; failed=1; }
done
exit $failed
