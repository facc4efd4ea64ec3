# What the tests of the verbs on data begin with; read by them: . "$(dirname "$0")/data.sh"
# Sets weft, work (removed at the end), a store of its own and failed; says all that fails and goes on.  They end with
# exit $failed.
weft=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export WEFT_HOME="$work/home"
failed=0
LANG=C; export LANG
unset LC_ALL LC_MESSAGES WEFT_LANG WEFT_API_KEY DEEPSEEK_API_KEY EDITOR VISUAL

fail() { echo "FAILED: $*"; failed=1; }
status() {      # WANTED COMMAND...: its output in $work/out and $work/err
    want=$1; shift
    "$@" >"$work/out" 2>"$work/err"
    got=$?
    [ $got -eq "$want" ] || fail "exit status $got, expected $want: $* ($(head -1 "$work/err"))"
}
has() { grep -qF -e "$2" "$work/$1" || { fail "no \"$2\" in $1:"; head -20 "$work/$1"; }; }
hasnt() { ! grep -qF -e "$2" "$work/$1" || { fail "\"$2\" in $1:"; head -20 "$work/$1"; }; }
same() { cmp -s "$1" "$2" || { fail "$1 and $2 differ"; diff "$1" "$2" | head -10; }; }
lines() { [ "$(wc -l <"$1")" -eq "$2" ] || fail "$1 has $(wc -l <"$1") lines, expected $2"; }
