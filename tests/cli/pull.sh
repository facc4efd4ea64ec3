# What the tests of weft pull begin with; read by them: . "$(dirname "$0")/pull.sh"
# Sets weft, mock, dir (removed at the end, the server too), caches of its own; fail, expect, hub, fresh.
set -eu
weft=$1
mock=${WEFT_MOCKS:?}/mock_hub
dir=$(mktemp -d)
pid=
cleanup() { [ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$dir"; }
trap cleanup EXIT
unset WEFT_LANG LC_ALL LC_MESSAGES LANG HF_TOKEN HUGGING_FACE_HUB_TOKEN HF_HUB_CACHE HF_HUB_OFFLINE \
    MODELSCOPE_API_TOKEN http_proxy \
    https_proxy all_proxy ALL_PROXY HTTPS_PROXY SSL_CERT_FILE HF_TOKEN_PATH || true
export no_proxy=127.0.0.1 HF_HOME=$dir/hf MODELSCOPE_CACHE=$dir/ms

fail() { echo "FAIL: $*" >&2; [ ! -s "$dir/err" ] || cat "$dir/err" >&2; exit 1; }
expect() {  # expect STATUS COMMAND...
    want=$1; shift
    got=0; "$@" >"$dir/out" 2>"$dir/err" || got=$?
    [ "$got" = "$want" ] || fail "status $got, expected $want: $*"
}
serve() {   # serve OPTIONS...: a fresh server, its log and bill empty
    [ -z "$pid" ] || { kill "$pid"; wait "$pid" 2>/dev/null || true; }
    rm -f "$dir/log" "$dir/ports"
    "$mock" --root "$dir/root" --log "$dir/log" "$@" >"$dir/ports" &
    pid=$!
    for _ in $(seq 100); do [ -s "$dir/ports" ] && break; sleep 0.05; done
    read -r site storage <"$dir/ports"
    export HF_ENDPOINT=http://127.0.0.1:$site MODELSCOPE_DOMAIN=http://127.0.0.1:$site
}
fresh() { rm -rf "$dir/hf" "$dir/ms"; }
