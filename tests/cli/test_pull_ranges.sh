#!/bin/bash
# weft pull of a large file in ranges: what the mock hub sees, every fault a range can have, kill -9 at random moments.
# WEFT_KILLS (default 8): how many kills.
# Boots and processes are told apart by /proc, which a bare chroot lacks.
[ -r /proc/sys/kernel/random/boot_id ] || exit 77
. "$(dirname "$0")/pull.sh"

hub() { serve --seconds 600 "$@"; }
bill() {    # bytes that the hub has sent
    exec 3<>"/dev/tcp/127.0.0.1/$site"
    printf 'GET /bill HTTP/1.1\r\nHost: x\r\n\r\n' >&3
    while read -r -u3 line; do [ "$line" != $'\r' ] || break; done
    read -r -u3 sent
    exec 3<&-
    echo "$sent"
}
pull=("$weft" pull --retry-ms 10 --range-mib 1 hf:maker/big)
pull() { "${pull[@]}" "$@"; }
ranges() { grep '"port":"storage"' "$dir/log" | grep -o '"range":"[^"]*"' | sort; }
fetched() { sed -n 's/.*"fetched_bytes":\([0-9]*\).*/\1/p' "$dir/out"; }

m=$dir/root/maker/big
mkdir -p "$m"
size=5500000    # six ranges, the last one short
head -c $size /dev/urandom >"$m/model.safetensors"
echo '{}' >"$m/config.json"
sha=$(sha256sum <"$m/model.safetensors" | cut -d' ' -f1)
blobs=$dir/hf/hub/models--maker--big/blobs
right() {   # the file is right, under the name of its digest, and nothing else is left
    cmp -s "$m/model.safetensors" "$blobs/$sha" || fail "$1: the file differs"
    [ -z "$(find "$dir/hf" -name '*.incomplete')" ] || fail "$1: leftovers: $(find "$dir/hf" -name '*.incomplete')"
}

# Six ranges without a gap or an overlap, fetched once; then none.
hub
expect 0 pull --json
right ranges
[ "$(fetched)" = $((size + 3)) ] || fail "fetched $(fetched)"
want='"range":"bytes=0-1048575"
"range":"bytes=1048576-2097151"
"range":"bytes=2097152-3145727"
"range":"bytes=3145728-4194303"
"range":"bytes=4194304-5242879"
"range":"bytes=5242880-5499999"'
[ "$(ranges)" = "$want" ] || fail "ranges: $(ranges)"
expect 0 pull --json
[ "$(fetched)" = 0 ] || fail "fetched again"
# In one stream when that is wished, or when the file is short.
hub; fresh
expect 0 pull --ranges 1
right "one stream"
[ "$(ranges)" = '"range":""' ] || fail "one stream: $(ranges)"
hub; fresh
expect 0 "$weft" pull --range-mib 6 hf:maker/big
[ "$(ranges)" = '"range":""' ] || fail "a short file: $(ranges)"
# ModelScope's side knows ranges too.
hub; fresh
expect 0 "$weft" pull --retry-ms 10 --range-mib 1 ms:maker/big
cmp -s "$m/model.safetensors" "$dir/ms/models/maker/big/model.safetensors" || fail "ModelScope"
[ "$(grep -c '"range":"bytes=' "$dir/log")" = 6 ] || fail "ModelScope: $(cat "$dir/log")"
[ -z "$(find "$dir/ms" -name '*.incomplete')" ] || fail "ModelScope: leftovers"
# Two programs at once: one waits, and fetches nothing.
hub --drip 4 --piece 65536; fresh
"$weft" pull --range-mib 1 ms:maker/big --json >"$dir/first" 2>"$dir/err" & p=$!
expect 0 "$weft" pull --range-mib 1 ms:maker/big --json
wait $p || fail "two at once"
cmp -s "$m/model.safetensors" "$dir/ms/models/maker/big/model.safetensors" || fail "two at once: another file"
[ $(($(fetched) + $(sed -n 's/.*"fetched_bytes":\([0-9]*\).*/\1/p' "$dir/first"))) = $((size + 3)) ] || fail "fetched twice"

# ---- what can happen to a range ----
fault() {   # fault MOST OPTIONS...: right in the end, with at most MOST bytes received
    most=$1; shift
    hub "$@"; fresh
    expect 0 pull --json
    right "$*"
    [ "$(fetched)" -le "$most" ] || fail "$*: $(fetched) bytes fetched, expected at most $most"
}
once=$((size + 3)) more=$((2 * size))
fault $once --fault reset@2 --fault reset@3 --fault reset@7             # only the missing half is asked for again
grep -q '"range":"bytes=1572864-2097151"' "$dir/log" || fail "not the second half: $(ranges)"
fault $once --fault busy@1 --fault busy@2 --fault busy@4 --fault busy@5 # also before any range was served
fault $once --fault place@3                                             # not believed, asked for again
fault $more --fault place@2 --fault place@3 --fault place@4 --fault place@5 --fault place@6
fault $more --fault etag@4                                              # may be two files: once more, in one stream
[ "$(ranges | grep -c '"range":""')" = 1 ] || fail "an ETag that changed: $(ranges)"
fault $more --fault whole@3
[ "$(ranges | grep -c '"range":""')" = 1 ] || fail "a range ignored in the middle: $(ranges)"
fault $more --fault gone@5
fault $once --no-range                                                  # one stream, and nothing thrown away for it
[ "$(ranges | wc -l)" -le 2 ] || fail "ranges are not served: $(ranges)"
fault $more --short-range
hub --wrong 1; fresh     # a wrong byte: deleted, once more, in one stream
expect 0 pull model.safetensors --json
right "a wrong byte"
[ "$(fetched)" = $((2 * size)) ] && [ "$(ranges | grep -c '"range":""')" = 1 ] || fail "a wrong byte: $(ranges)"
hub --wrong 1000; fresh
expect 3 pull model.safetensors
grep -q 'deleted' "$dir/err" && grep -q 'B7' "$dir/err" || fail "wrong twice"
[ -z "$(find "$dir/hf" -name "*$sha*" -size +0)" ] || fail "a wrong file was kept: $(find "$dir/hf" -name "*$sha*")"
expect 3 env LANG=zh_CN.UTF-8 "$weft" pull --retry-ms 10 --range-mib 1 hf:maker/big model.safetensors
grep -q '已删除' "$dir/err" || fail "Chinese"

# ---- stopped, killed, gone on with ----
# A part of one stream, of an earlier weft or of the Python tools, is gone on with in ranges.
hub; fresh
mkdir -p "$blobs"
head -c 3000000 "$m/model.safetensors" >"$blobs/$sha.incomplete"
expect 0 pull --json
right "an older part"
[ "$(fetched)" = $((size - 3000000 + 3)) ] || fail "an older part: $(fetched)"

hub --drip 16 --piece 16384 --buffer 16384; fresh
"${pull[@]}" >/dev/null 2>"$dir/err" & p=$!    # no function here: its subshell would get the signal
for _ in $(seq 600); do [ -s "$blobs/$sha.journal.incomplete" ] && break; sleep 0.05; done; sleep 0.3
kill -INT $p; got=0; wait $p || got=$?
[ $got = 130 ] || fail "SIGINT: status $got"
[ -s "$blobs/$sha.parts.incomplete" ] && [ -s "$blobs/$sha.journal.incomplete" ] || fail "nothing kept after SIGINT"
expect 0 pull --json --ranges 1     # the ranges there are are finished, whatever is wished now
right "after SIGINT"
[ "$(fetched)" -lt $size ] || fail "after SIGINT everything came again"

# Kills at random moments, round after round.  Bytes that were under way at a kill are lost, no others.
wished=${WEFT_KILLS:-8} kills=0 rounds=0 total=0 least=0
while [ $kills -lt "$wished" ]; do
    hub --drip 16 --piece 16384 --buffer 16384
    fresh
    rounds=$((rounds + 1)) in_round=0
    while [ $kills -lt "$wished" ]; do
        "${pull[@]}" >/dev/null 2>&1 & p=$!
        sleep "0.$((RANDOM % 25 + 10))"
        kill -9 $p 2>/dev/null || { wait $p || fail "round $rounds"; break; }
        if wait $p 2>/dev/null; then break; fi
        kills=$((kills + 1)) in_round=$((in_round + 1))
        [ ! -e "$blobs/$sha" ] || cmp -s "$m/model.safetensors" "$blobs/$sha" || fail "a damaged file has its name"
    done
    expect 0 pull --json
    right "after $kills kills"
    sent=$(bill)
    # At each kill four ranges may have had what the sockets hold; heads and lists are some 4 KiB a run.
    most=$((size + in_round * 4 * 98304 + (in_round + 2) * 16384))
    [ "$sent" -le $most ] || fail "$sent bytes were sent for a file of $size, $in_round kills; expected at most $most"
    total=$((total + sent)) least=$((least + size))
done
echo "ranges: $kills kills in $rounds rounds, $total bytes sent for $least"
