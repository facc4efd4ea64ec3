#!/bin/sh
# test.sh BUILD [ctest options] - runs all tests of a build folder; the exit status is the verdict.
#
# The closing line counts test functions (a script or a program that dies counts as one): "N passed, N failed".
set -u
build=${1:?usage: test.sh BUILD [ctest options]}
shift
jobs=$(nproc 2>/dev/null || echo 2)
log=$build/Testing/Temporary/LastTest.log
out=$(mktemp)
trap 'rm -f "$out" "$out.rc"' EXIT
rm -f "$log"

{ ctest --test-dir "$build" -j "$jobs" --output-on-failure --no-tests=error "$@" 2>&1; echo $? >"$out.rc"; } | tee "$out"
verdict=$(cat "$out.rc")

# ctest's own lines ("4/7 Test #2: name ....***Failed 0.60 sec") give the verdict of each program; in the log each
# begins with "3/20 Testing: name", and a cmocka program prints the counts of its functions.
[ -f "$log" ] || : >"$log"
awk -v verdict="$verdict" '
    FNR == NR {
        if (match($0, /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: [^ ]+/)) {
            name = substr($0, RSTART, RLENGTH); sub(/.*: /, "", name)
            state[name] = /   Passed / ? "passed" : /\*\*\*Skipped/ ? "skipped" : "failed"
        }
        next
    }
    /^[0-9]+\/[0-9]+ Testing: / { name = $3 }
    /^\[  PASSED  \] [0-9]+ test/ { p[name] += $4 }
    /^\[  FAILED  \] [0-9]+ test\(s\), listed below/ { f[name] += $4 }
    /^\[  SKIPPED \] [0-9]+ test\(s\), listed below/ { s[name] += $4 }
    END {
        for (name in state) {
            passed += p[name]; skipped += s[name]; failed += f[name]
            if (state[name] == "passed" && !p[name] && !s[name]) passed++
            if (state[name] == "skipped") skipped++
            if (state[name] == "failed" && !f[name]) failed++
        }
        if (verdict != 0 && !failed) failed = 1
        if (skipped) printf "%d skipped (what they need is not here)\n", skipped
        printf "%d passed, %d failed\n", passed, failed
    }' "$out" "$log"
exit "$verdict"
