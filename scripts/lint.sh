#!/bin/bash
# lint.sh BUILD [FILE...] - what a compiler does not see.  Needs compile_commands.json in BUILD; clang-tidy-14 and
# clang-format-14 are used where they are installed (scripts/deps.sh dev).  LINT_TIDY=no leaves clang-tidy out.
#
# Fails on: an include that goes down the list of folders, printing or exiting or reading the environment outside
# src/cli, a line over 120 columns (strings not counted), anything clang-tidy reports, a rule without its good and its
# bad test (tests/rules.txt).
# Only told: files that clang-format would write otherwise, messages without a Chinese text.
set -u
build=${1:?usage: lint.sh BUILD [FILE...]}
shift
cd "$(dirname "$0")/.." || exit 1
failed=0
problem() { echo "lint: $1"; failed=1; }

# ---- includes: a file may use headers of its own folder and of folders above it in this list ----
order="base kernels text dataset tokens model train adapter engine eval store serve cli"
bad=$(grep -rnoE '^ *# *include "[a-z_]+/[^"]+"' src --include='*.[ch]' | awk -v order="$order" '
    BEGIN { n = split(order, names, " "); for (i = 1; i <= n; i++) rank[names[i]] = i }
    {
        split($0, part, "\""); split(part[2], to, "/"); split($0, at, "/")
        if (!(to[1] in rank)) print $0 "  (no folder of src/)"
        else if (!(at[2] in rank)) print $0 "  (the folder is not in the list of scripts/lint.sh)"
        else if (rank[to[1]] > rank[at[2]]) print $0
    }')
[ -z "$bad" ] || { echo "$bad"; problem "includes that go down the list: $order"; }

# ---- the library neither prints nor exits nor reads the environment ----
calls='(printf|vprintf|puts|putchar|perror|exit|_exit|quick_exit|abort|getenv|secure_getenv|setenv|system)'
bad=$(grep -rnE "(^|[^A-Za-z0-9_.>])$calls *\(" src --include='*.[ch]' | grep -v '^src/cli/' |
    grep -vE '^[^:]+:[0-9]+: *(\*|/\*|//)' | grep -vE ":.*/\*.*$calls *\(.*\*/")
bad=$bad$(grep -rnE "(fprintf|fputs|fwrite|dprintf|write) *\( *(stdout|stderr|STDOUT_FILENO|STDERR_FILENO|1,|2,)" \
    src --include='*.[ch]' | grep -v '^src/cli/')
[ -z "$bad" ] || { echo "$bad"; problem "printing, exiting or the environment outside src/cli"; }

# ---- line length, in characters; a string is not broken for its length and does not count ----
bad=$(git ls-files -z '*.c' '*.h' '*.sh' Makefile CMakeLists.txt | xargs -0 perl -CSD -ne '
    chomp; s/"(?:[^"\\]|\\.)*"/""/g; print "$ARGV:$.: ", length, " columns\n" if length > 120; close ARGV if eof')
[ -z "$bad" ] || { echo "$bad"; problem "lines over 120 columns"; }

# ---- clang-tidy ----
if [ "${LINT_TIDY:-}" = no ]; then :
elif command -v clang-tidy-14 >/dev/null; then
    if [ $# -gt 0 ]; then files=("$@"); else mapfile -t files < <(git ls-files 'src/*.c'); fi
    # Files of another processor's instruction level are not in the compilation database.
    known=()
    for f in "${files[@]}"; do grep -qF "/$f\"" "$build/compile_commands.json" && known+=("$f"); done
    printf '%s\0' "${known[@]}" | xargs -0 -n 4 -P "$(nproc)" clang-tidy-14 -quiet -p "$build" 2>/dev/null |
        grep -vE '^(Suppressed|Use -header-filter|[0-9]+ warnings? (generated|treated))' >"$build/clang-tidy.log"
    if grep -qE '(warning|error):' "$build/clang-tidy.log"; then
        cat "$build/clang-tidy.log"
        problem "$(grep -cE '(warning|error):' "$build/clang-tidy.log") reports of clang-tidy"
    fi
else
    echo "lint: no clang-tidy-14 here (scripts/deps.sh dev installs it)"
fi

# ---- information only ----
if command -v clang-format-14 >/dev/null; then
    n=0
    while read -r f; do
        clang-format-14 --dry-run -Werror "$f" 2>/dev/null || n=$((n + 1))
    done < <(git ls-files '*.c' '*.h')
    echo "lint: $n files that clang-format would write otherwise (make format)"
fi
# English formats handed to weft_fail and weft_fail_rule that no catalogue has; pieces of a literal are put together.
perl -0777 -ne '
    BEGIN { $lit = qr/"(?:[^"\\]|\\.)*"/s; $text = qr/$lit(?:\s*(?:$lit|PRI\w+))*/s;
            sub whole { my $t = shift; $t =~ s/"\s*"//g; $t =~ s/\s+/ /g; $t }
            $en = "", $n = 0 }
    if ($ARGV =~ /\.inc$/) { while (/\{\s*($text)\s*,/g) { $have{whole($1)} = 1 } }
    else { while (/weft_fail(?:_rule)?\(((?:[^"();]|\((?:[^()]|\([^()]*\))*\))*)($text)(?:\s*,\s*($text))?/g) {
        my ($first, $second) = ($2, $3);
        my $rule = $first =~ /^"[A-Z]{1,2}\d+"$/;
        next if $rule && !$second;
        my $words = whole($rule ? $second : $first);
        $words =~ s/PRI\w+|\\.//g;
        $words =~ s/%[-+ #0-9.*\x27]*(?:hh|h|ll|l|z|j|t)?[a-zA-Z%]//g;
        next if $words !~ /[A-Za-z]/;       # conversions and marks alone are of no language
        push @used, [$ARGV, whole($rule ? $second : $first)] } }
    END { for (@used) { next if $have{$_->[1]} || $seen{$_->[1]}++; print "    $_->[0]: $_->[1]\n"; $n++ }
          print "lint: $n messages without a Chinese text\n" }' src/base/zh/*.inc $(git ls-files 'src/*.c')
# Headings and units of the option tables are keys of the catalogue as well.
grep -rhoE '\.(group|unit) = "[^"]+"' src | sed 's/.*= "//; s/"$//' | sort -u | while read -r word; do
    grep -qF "{ \"$word\"," src/base/zh/*.inc || echo "lint: \"$word\" of an option table has no Chinese text"
done
scripts/rules.sh --check || problem "rules and their tests"
exit $failed
