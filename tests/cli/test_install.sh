#!/bin/sh
# Installs into a folder of its own, moves that, and builds a program against it as a stranger would: by pkg-config,
# with the shared and with the static library.  Every installed header must compile alone, without warnings.
set -eu
weft=$1
build=$(dirname "$weft")
command -v pkg-config >/dev/null || { echo "skipped: no pkg-config"; exit 77; }
[ -n "$(sed -n 's/^WEFT_SANITIZE:STRING=//p' "$build/CMakeCache.txt")" ] && { echo "skipped: a sanitizer build"; exit 77; }
cc=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/moved"
libdir=$(dirname "$(dirname "$(find "$work/moved" -name weft.pc)")")
export PKG_CONFIG_PATH="$libdir/pkgconfig"
[ "$("$work/moved/bin/weft" --version)" = "weft $(pkg-config --modversion weft)" ] || { echo "versions differ"; exit 1; }
man=$(find "$work/moved" -path '*/man/man1/weft.1')
grep -q '^\.SH "WEFT data script"' "$man" || { echo "no manual page of data script"; exit 1; }
grep -q '提问短于此长度则舍去' "$(find "$work/moved" -path '*/man/zh_CN/man1/weft.1')" || { echo "no Chinese page"; exit 1; }

cat >"$work/user.c" <<'C'
#include <stdio.h>
#include <weft/base/json.h>
#include <weft/weft.h>

int main(void)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { 0 };
    struct weft_json_value v;
    int status = 1;
    if (weft_json_parse(&a, "text", WEFT_STR("{\"weft\": [1, 2, 39]}"), &v, &err)) fprintf(stderr, "%s\n", err.msg);
    else status = weft_json_get(&v, "weft")->items[2].integer == 39 ? 0 : 2;
    char hex[WEFT_SHA256_HEX];
    if (!status && weft_sha256_of(WEFT_STR("abc"), hex, &err)) status = 3;
    if (!status) printf("%.8s\n", hex);
    weft_arena_clear(&a);
    return status;
}
C
warnings="-std=c17 -Wall -Wextra -Werror"
# shellcheck disable=SC2046,SC2086
$cc $warnings "$work/user.c" -o "$work/shared" $(pkg-config --cflags --libs weft)
[ "$(LD_LIBRARY_PATH=$libdir "$work/shared")" = ba7816bf ] || { echo "the shared program fails"; exit 1; }

rm "$libdir"/libweft.so*        # now -lweft can only mean libweft.a
# shellcheck disable=SC2046,SC2086
$cc $warnings "$work/user.c" -o "$work/static" $(pkg-config --static --cflags --libs weft)
[ "$("$work/static")" = ba7816bf ] || { echo "the static program fails"; exit 1; }

cd "$work/moved/include"
for header in $(find weft -name '*.h'); do
    # shellcheck disable=SC2046,SC2086
    echo "#include <$header>" | $cc $warnings -fsyntax-only -x c $(pkg-config --cflags weft) - ||
        { echo "$header does not compile alone"; exit 1; }
done
for private in cli base/json_parts.h base/option_parts.h; do
    [ ! -e "weft/$private" ] || { echo "weft/$private is installed"; exit 1; }
done
