#!/bin/sh
# deps.sh [dev] - sees to it that what weft is built with is there.
#
# On Debian and its relatives it installs what is missing, as root or through sudo; when nothing is missing it does
# nothing and returns at once.  On other systems it names what is needed.  `dev` adds what only fuzzing, linting
# and formatting need.
set -eu

# Debian package, and how another system shows that it has the thing: a command, or a header.
build="
make                command:make
gcc                 command:cc
libc6-dev           header:stdio.h
cmake               command:cmake
ninja-build         command:ninja
pkg-config          command:pkg-config
libfyaml-dev        header:libfyaml.h
libpcre2-dev        header:pcre2.h
libutf8proc-dev     header:utf8proc.h
libssl-dev          header:openssl/evp.h
libxxhash-dev       header:xxhash.h
zlib1g-dev          header:zlib.h
libexpat1-dev       header:expat.h
libsqlite3-dev      header:sqlite3.h
libseccomp-dev      header:seccomp.h
libcurl4-openssl-dev header:curl/curl.h
libmd4c-dev         header:md4c.h
poppler-utils       command:pdftotext
poppler-data        any
libcmocka-dev       header:cmocka.h
"
dev="
clang-14            command:clang-14
clang-format-14     command:clang-format-14
clang-tidy-14       command:clang-tidy-14
"

list=$build
[ "${1:-}" = dev ] && list="$build$dev"
packages=$(echo "$list" | awk 'NF { print $1 }')

if command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
    # One call for all of them; a package that dpkg has never heard of is missing too.
    # shellcheck disable=SC2016,SC2086
    have=$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' $packages 2>/dev/null | awk '$1 == "ii" { print $2 }')
    missing=""
    for p in $packages; do
        case "
$have
" in
        *"
$p
"*) ;;
        # Debian lets another package stand in (a compiler that is called otherwise).
        *) missing="$missing $p" ;;
        esac
    done
    [ -n "$missing" ] || exit 0
    echo "weft: installing the Debian packages$missing" >&2
    if [ "$(id -u)" = 0 ]; then as_root=""
    elif command -v sudo >/dev/null 2>&1; then as_root="sudo"
    else
        echo "weft: neither root nor sudo here; please have these installed:" >&2
        echo "    apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    # Package lists may be old or absent (a fresh image has none): the second try fetches them.
    # shellcheck disable=SC2086
    $as_root apt-get install -qq -y --no-install-recommends $missing >/dev/null 2>&1 && exit 0
    $as_root apt-get update -qq >&2 || echo "weft: apt-get update failed; trying with the lists there are" >&2
    # shellcheck disable=SC2086
    $as_root apt-get install -qq -y --no-install-recommends $missing >&2 && exit 0
    echo "weft: apt-get could not install$missing" >&2
    exit 1
fi

missing=""
for entry in $(echo "$list" | awk 'NF { print $1 "=" $2 }'); do
    package=${entry%%=*}
    check=${entry#*=}
    case $check in
    command:*) command -v "${check#command:}" >/dev/null 2>&1 || missing="$missing $package" ;;
    header:*)
        if command -v cc >/dev/null 2>&1; then
            echo "#include <${check#header:}>" | cc -E - >/dev/null 2>&1 || missing="$missing $package"
        fi
        ;;
    esac
done
[ -n "$missing" ] || exit 0
echo "weft: these are needed (Debian's names; your system may call them otherwise):$missing" >&2
exit 1
