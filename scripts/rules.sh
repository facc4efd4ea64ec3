#!/bin/sh
# rules.sh [--check] - fills the column "tested" of docs/robustness.md: for each rule that the code names ("ST7"), the
# test programs that name it too.  Rows of rules that no code names are left as they are written.
# --check changes nothing and fails when the page is out of date.
set -eu
cd "$(dirname "$0")/.."
page=docs/robustness.md
new=$(mktemp)
trap 'rm -f "$new"' EXIT
perl -ne '
    if (/^\| ([A-Z]{2}\d+) \| (.*) \| ([^|]*) \|$/) {
        my ($rule, $meaning, $tested) = ($1, $2, $3);
        my @code = grep { $_ } split /\n/, `git grep -l "\\"$rule\\"" -- src`;
        my @tests = grep { m{^tests/[^/]+/test_} } split /\n/, `git grep -l "\\"$rule\\"" -- tests`;
        s{^tests/}{} for @tests;
        if (@code) { $tested = @tests ? join(", ", map { "`$_`" } @tests) : "no test names it yet" }
        $_ = "| $rule | $meaning | $tested |\n";
    }
    print' "$page" >"$new"
if [ "${1:-}" = --check ]; then
    cmp -s "$new" "$page" || { echo "docs/robustness.md is out of date: scripts/rules.sh"; exit 1; }
else
    cp "$new" "$page"
fi
