#!/bin/sh
# rules.sh [--check] - fills the column "tested" of docs/robustness.md: for each rule, the test programs that name it
# ("ST7"), and those whose tests tests/rules.txt gives.
# --check changes nothing and fails when the page is out of date, or when tests/rules.txt lacks a rule of the page,
# names a test that does not run, or gives as bad input of a rule that the program names a test that does not name it.
set -eu
cd "$(dirname "$0")/.."
page=docs/robustness.md
new=$(mktemp)
trap 'rm -f "$new"' EXIT
perl - "$page" tests/rules.txt >"$new" <<'PERL' || [ "${1:-}" != --check ] || exit 1
use strict;
my ($page, $list) = @ARGV;
my ($faults, %code, %tests, %given, %program) = (0);
sub fault { print STDERR "$list: @_\n"; $faults++ }
sub quoted { my ($where, $into) = @_;
    for (split /\n/, `git grep -hoE --untracked '"[A-Z]{2}[0-9]{1,2}"' -- $where 2>&1` =~ s/"//gr) { $into->{$_} = 1 } }
quoted("src", \%code);
for (split /\n/, `git grep -oE --untracked '"[A-Z]{2}[0-9]{1,2}"' -- tests`) {
    $tests{$2}{$1} = 1 if m{^tests/([^/]+/test_[^:]+):"(\w+)"$};
}
# Functions and tables of a test program by name; which of them are in its list of tests.
sub program { my $name = shift;
    return $program{$name} if $program{$name};
    open my $f, "<", "tests/$name.c" or return undef;
    local $/;
    my $text = <$f>;
    my %parts;
    my $body = qr/\{[^\n]*\};?$|\{.*?^\}/ms;
    $parts{$1} .= $2 while $text =~ /^static [^;={]*?\b(\w+)(?:\[[^=;{]*|\([^;{]*?\))\s*=?\s*($body)/msg;
    return $program{$name} = { parts => \%parts, main => $text =~ /^int main\(.*?(^\{.*?^\})/ms ? $1 : "" };
}
sub names_rule { my ($p, $test, $rule) = @_;
    my $body = $p->{parts}{$test};
    return 1 if $body =~ /\b$rule\b/ || $test =~ /_${rule}_/i;
    for (keys %{$p->{parts}}) { return 1 if $body =~ /\b$_\b/ && $p->{parts}{$_} =~ /"$rule"/ }
    return 0 }
open my $l, "<", $list or die;
while (<$l>) {
    next if /^#|^\s*$/;
    my ($rule, @two) = split;
    @two == 2 or fault("line $.: expected rule, good and bad");
    fault("$rule comes twice") if $given{$rule};
    $given{$rule} = \@two;
    for my $i (0, 1) {
        my ($file, $test) = split /:/, $two[$i];
        my $p = program($file);
        if (!$p || !$p->{parts}{$test} || $p->{main} !~ /\b$test\b/) { fault("$rule: $two[$i] does not run"); next }
        $tests{$rule}{"$file.c"} = 1;
        fault("$rule: $two[$i] does not name it") if $i && $code{$rule} && !names_rule($p, $test, $rule);
    }
}
open my $d, "<", $page or die;
my %seen;
while (<$d>) {
    if (/^\| ([A-Z]{2}\d+) \| (.*) \| ([^|]*) \|$/) {
        my ($rule, $meaning, $tested) = ($1, $2, $3);
        $seen{$rule} = 1;
        fault("$rule of $page is not there") unless $given{$rule};
        if (!$code{$rule}) { $tests{$rule}{$1} = 1 while $tested =~ /`([^`]+\.(?:c|sh))`/g }   # found by people
        $_ = "| $rule | $meaning | " . join(", ", map { "`$_`" } sort keys %{$tests{$rule} || {}}) . " |\n";
    }
    print;
}
for (sort keys %given) { fault("$_ is no rule of $page") unless $seen{$_} }
exit $faults ? 1 : 0;
PERL
if [ "${1:-}" = --check ]; then
    cmp -s "$new" "$page" || { echo "docs/robustness.md is out of date: scripts/rules.sh"; exit 1; }
else
    cp "$new" "$page"
fi
