#!/bin/sh
# fuzz.sh BUILD SECONDS - runs each fuzz target for that long; fails on any finding.
#
# The corpus of a target grows in BUILD/corpus/<target>, seeded from fuzz/seeds/<target>/ and the small files of
# tests/data/ and tests/*/data/.  A finding is left in BUILD/findings/<target>-*; make a test of it.
set -u
build=${1:?usage: fuzz.sh BUILD SECONDS [TARGET...]}
seconds=${2:?usage: fuzz.sh BUILD SECONDS [TARGET...]}
shift 2
root=$(cd "$(dirname "$0")/.." && pwd)
found=0 targets=0
mkdir -p "$build/findings" "$build/seeds"
# Large seeds make every run slow and teach little.
find "$root"/tests/data "$root"/tests/*/data -type f -size -8k -exec cp {} "$build/seeds/" \; 2>/dev/null

for program in "$build"/fuzz/fuzz_*; do
    [ -x "$program" ] || continue
    name=$(basename "$program")
    [ $# -eq 0 ] || case " $* " in *" $name "*) ;; *) continue ;; esac
    targets=$((targets + 1))
    corpus=$build/corpus/$name
    mkdir -p "$corpus"
    seeds=""
    [ -d "$root/fuzz/seeds/$name" ] && seeds="$root/fuzz/seeds/$name"
    [ -d "$build/seeds" ] && seeds="$seeds $build/seeds"
    log=$build/findings/$name.log
    # -malloc_limit_mb: a size taken from the input unchecked is a finding, not a swap storm.
    # shellcheck disable=SC2086
    "$program" -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=256 \
        -print_final_stats=1 -artifact_prefix="$build/findings/$name-" "$corpus" $seeds >"$log" 2>&1
    verdict=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    if [ $verdict -eq 0 ]; then
        echo "$name: ${runs:-0} executions, no finding"
    else
        found=$((found + 1))
        echo "$name: FINDING after ${runs:-?} executions, see $log"
        grep -E "ERROR|SUMMARY|runtime error|Test unit written" "$log" | head -5
    fi
done
echo "$targets targets, $found with findings"
[ "$targets" -gt 0 ] && [ $found -eq 0 ]
