#!/bin/bash
# weft pull against tests/mock/mock_hub: the layouts of both sites, every fault of rule B7, kill -9 and going on.
. "$(dirname "$0")/pull.sh"

hub() { serve --token T0K3N --seconds 120 "$@"; }
same() {    # same FOLDER NAME...: the files are those of the server
    local at=$1; shift
    for f in "$@"; do cmp -s "$dir/root/$repo/$f" "$at/$f" || fail "$f differs"; done
}

# A model of two shards with what else lies in such repositories, and a dataset.
repo=maker/little.one-1B
m=$dir/root/$repo
mkdir -p "$m/original" "$m/onnx" "$dir/root/private/x" "$dir/root/maker/private-x" "$dir/root/maker/gated-x" \
    "$dir/root/maker/quants" "$dir/root/maker/talk/data" "$dir/root/maker/pickled"
for f in config.json tokenizer.json tokenizer_config.json generation_config.json; do echo "{\"name\": \"$f\"}" >"$m/$f"; done
head -c 300000 /dev/urandom >"$m/model-00001-of-00002.safetensors"
head -c 200001 /dev/urandom >"$m/model-00002-of-00002.safetensors"
cat >"$m/model.safetensors.index.json" <<END
{"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
END
echo licence >"$m/LICENSE"; echo "# readme" >"$m/README.md"; echo no >"$m/pytorch_model.bin"; echo no >"$m/onnx/model.onnx"
echo no >"$m/original/consolidated.00.pth"; echo no >"$m/consolidated.safetensors"; : >"$m/empty.txt"
echo '{}' >"$dir/root/maker/private-x/config.json"; head -c 1000 /dev/urandom >"$dir/root/maker/private-x/model.safetensors"
echo '{}' >"$dir/root/maker/gated-x/config.json"
for q in Q4_K_M Q8_0; do head -c 5000 /dev/urandom >"$dir/root/maker/quants/little-$q.gguf"; done
head -c 100 /dev/urandom >"$dir/root/maker/quants/big-Q6_K-00001-of-00002.gguf"
head -c 100 /dev/urandom >"$dir/root/maker/quants/big-Q6_K-00002-of-00002.gguf"
echo '{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}' >"$dir/root/maker/talk/data/a b.jsonl"
echo x >"$dir/root/maker/talk/.gitattributes"; echo y >"$dir/root/maker/talk/README.md"
echo x >"$dir/root/maker/pickled/pytorch_model.bin"
wanted="config.json tokenizer.json tokenizer_config.json generation_config.json LICENSE README.md
    model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json"

# ---- Hugging Face's layout, the choice of files, the token ----
hub
expect 0 env HF_TOKEN=T0K3N "$weft" pull --retry-ms 20 "$repo"
folder=$(sed -n '1s/  (.*//p' "$dir/out")
[ "$folder" = "$HF_HOME/hub/models--maker--little.one-1B/snapshots/0123456789abcdef0123456789abcdef01234567" ] || fail "path: $folder"
grep -q "^next: .* chat $folder" "$dir/out" || fail "no next command: $(cat "$dir/out")"
same "$folder" $wanted
[ "$(find "$folder" -mindepth 1 | wc -l)" = 9 ] || fail "other files: $(find "$folder" -mindepth 1)"
sha=$(sha256sum <"$m/model-00001-of-00002.safetensors" | cut -d' ' -f1)
[ "$(readlink "$folder/model-00001-of-00002.safetensors")" = "../../blobs/$sha" ] || fail "link: $(readlink "$folder"/model-00001*)"
[ "$(cat "$HF_HOME/hub/models--maker--little.one-1B/refs/main")" = 0123456789abcdef0123456789abcdef01234567 ] || fail "refs"
[ -z "$(find "$dir/hf" -name '*.incomplete')" ] || fail "leftovers"
grep -q '"port":"storage"' "$dir/log" || fail "the storage was not used"
grep '"port":"site"' "$dir/log" | grep -qv 'Bearer T0K3N' && fail "a call to the site without the token"
grep '"port":"storage"' "$dir/log" | grep -q 'T0K3N' && fail "the token went to the storage"

# A second pull fetches nothing; the name works as a MODEL; --json tells all.
expect 0 "$weft" pull --retry-ms 20 "$repo" --json
grep -q '"fetched_bytes":0' "$dir/out" || fail "fetched again: $(cat "$dir/out")"
grep -q "\"path\":\"model-00001-of-00002.safetensors\",\"bytes\":300000,\"sha256\":\"$sha\"" "$dir/out" || fail "json"
expect 3 "$weft" generate "hf:$repo" --prompt x
grep -q 'snapshots/0123456789' "$dir/err" || fail "the model was not looked for in the cache"
expect 2 "$weft" generate hf:maker/never-pulled --prompt x
grep -q 'weft pull hf:maker/never-pulled' "$dir/err" || fail "no hint to pull"

# ---- offline, and a site that does not answer ----
expect 0 env HF_HUB_OFFLINE=1 "$weft" pull --retry-ms 20 "$repo"
grep -q 'from the cache' "$dir/out" || fail "offline: $(cat "$dir/out")"
expect 2 "$weft" pull --retry-ms 20 maker/quants --offline
expect 0 env HF_ENDPOINT=http://127.0.0.1:1 "$weft" pull --retry-ms 20 "$repo"
grep -q 'from the cache' "$dir/out" && grep -q 'no connection' "$dir/err" || fail "unreachable: $(cat "$dir/out" "$dir/err")"
rm "$(readlink -f "$folder/model-00002-of-00002.safetensors")"
expect 2 "$weft" pull --retry-ms 20 "$repo" --offline
expect 0 "$weft" pull --retry-ms 20 "$repo"
same "$folder" $wanted

# ---- other choices ----
expect 0 "$weft" pull --retry-ms 20 "$repo" --all
[ -e "$folder/original/consolidated.00.pth" ] && [ -e "$folder/empty.txt" ] || fail "--all"
expect 0 "$weft" pull --retry-ms 20 "hf:$repo@main" 'onnx/*'
expect 2 "$weft" pull --retry-ms 20 maker/quants
grep -q 'little-Q4_K_M.gguf' "$dir/err" || fail "GGUF names: $(cat "$dir/err")"
expect 0 "$weft" pull --retry-ms 20 maker/quants:Q4_K_M
expect 0 "$weft" pull --retry-ms 20 maker/quants:Q6_K
[ "$(find "$dir/hf/hub/models--maker--quants/snapshots" -name '*.gguf' | wc -l)" = 3 ] || fail "splits"
expect 2 "$weft" pull --retry-ms 20 maker/pickled
grep -q 'pickles' "$dir/err" || fail "pickles"
expect 2 "$weft" pull --retry-ms 20 "$repo" nothere.json
grep -q 'tokenizer_config.json' "$dir/err" || fail "names of files"
expect 0 "$weft" pull --retry-ms 20 maker/talk --dataset
cmp -s "$dir/root/maker/talk/data/a b.jsonl" "$dir/hf/hub/datasets--maker--talk/snapshots/"*"/data/a b.jsonl" || fail "dataset"
[ ! -e "$(echo "$dir"/hf/hub/datasets--maker--talk/snapshots/*/.gitattributes)" ] || fail ".gitattributes"

# ---- one file with its digest and origin ----
sum=$(sha256sum <"$dir/root/maker/talk/data/a b.jsonl" | cut -d' ' -f1)
expect 0 "$weft" pull --retry-ms 20 maker/talk "data/a b.jsonl" --dataset --sha256 "$sum" -o "$dir/one.jsonl"
cmp -s "$dir/one.jsonl" "$dir/root/maker/talk/data/a b.jsonl" || fail "one file"
grep -q "\"sha256\": \"$sum\"" "$dir/one.jsonl.origin.json" && grep -q '"repo": "maker/talk"' "$dir/one.jsonl.origin.json" || fail "origin"
expect 3 "$weft" pull --retry-ms 20 maker/talk "data/a b.jsonl" --dataset --sha256 "${sum//[0-9]/f}"
expect 0 "$weft" pull --retry-ms 20 "http://127.0.0.1:$site/plain/maker/talk/README.md?x=1" --sha256 "$(sha256sum <"$dir/root/maker/talk/README.md" | cut -d' ' -f1)" -o "$dir/in/r.md"
cmp -s "$dir/in/r.md" "$dir/root/maker/talk/README.md" || fail "address"
grep -q '"url": "http://127.0.0.1' "$dir/in/r.md.origin.json" || fail "origin of an address"
expect 3 "$weft" pull --retry-ms 20 "http://127.0.0.1:$site/plain/maker/talk/README.md" --sha256 "$sum" -o "$dir/in/bad.md"
[ ! -e "$dir/in/bad.md" ] || fail "a file with a wrong digest has its name"
expect 6 "$weft" pull --retry-ms 20 "http://127.0.0.1:$site/plain/maker/talk/none" -o "$dir/in/none"
expect 2 "$weft" pull --retry-ms 20 "http://me:secret@127.0.0.1:$site/x"
! grep -q secret "$dir/err" || fail "a password in a message"

# ---- ModelScope's layout ----
expect 0 env MODELSCOPE_API_TOKEN=T0K3N "$weft" pull --retry-ms 20 "ms:$repo"
[ -d "$dir/ms/models/maker/little___one-1B" ] || fail "ModelScope's folder"
same "$dir/ms/models/maker/little___one-1B" $wanted
expect 0 "$weft" pull --retry-ms 20 "ms:$repo" --json
grep -q '"fetched_bytes":0' "$dir/out" || fail "ModelScope: fetched again"
expect 0 "$weft" pull --retry-ms 20 ms:maker/talk --dataset
cmp -s "$dir/root/maker/talk/data/a b.jsonl" "$dir/ms/datasets/maker/talk/data/a b.jsonl" || fail "ModelScope's dataset"

# ---- what is on this machine already ----
expect 0 "$weft" pull "$m"
grep -q "^$m  (9 files, .*, on this machine)" "$dir/out" || fail "a local folder: $(cat "$dir/out")"
expect 0 "$weft" pull "file://$m" --json
grep -q '"fetched_bytes":0' "$dir/out" && grep -q '"path":"config.json"' "$dir/out" || fail "file://: $(cat "$dir/out")"
(cd "$dir/root/maker" && expect 0 "$weft" pull ./talk --dataset 'data/*.jsonl' --sha256 "$sum" -o "$dir/local.jsonl") || exit 1
cmp -s "$dir/local.jsonl" "$dir/one.jsonl" && grep -q '"site": "local"' "$dir/local.jsonl.origin.json" || fail "a local file"
expect 2 "$weft" pull "$dir/root/maker/quants"
expect 2 "$weft" pull "$dir/root/maker/pickled"
expect 5 "$weft" pull "$dir/nowhere"
expect 2 "$weft" pull file://host/x
mkdir "$dir/half"; cp "$m"/*.json "$m/model-00001-of-00002.safetensors" "$dir/half"
expect 2 "$weft" pull "$dir/half"
grep -q 'not all that its index names' "$dir/err" || fail "half a model: $(cat "$dir/err")"
expect 3 "$weft" generate "file://$m" --prompt x
grep -q "$m/tokenizer" "$dir/err" || fail "file:// as a model: $(cat "$dir/err")"

# ---- who may not ----
expect 6 "$weft" pull --retry-ms 20 maker/private-x
grep -q 'HF_TOKEN' "$dir/err" || fail "private: $(cat "$dir/err")"
expect 6 "$weft" pull --retry-ms 20 maker/gated-x
grep -q 'accept' "$dir/err" || fail "gated: $(cat "$dir/err")"
expect 6 env LANG=zh_CN.UTF-8 "$weft" pull --retry-ms 20 maker/gated-x
grep -q '许可' "$dir/err" || fail "gated, Chinese: $(cat "$dir/err")"
expect 6 "$weft" pull --retry-ms 20 maker/none
expect 6 "$weft" pull --retry-ms 20 "$repo@other"
grep -q 'revision' "$dir/err" || fail "revision: $(cat "$dir/err")"
mkdir -p "$dir/hf"; echo T0K3N >"$dir/hf/token"
expect 0 "$weft" pull --retry-ms 20 maker/private-x
rm "$dir/hf/token"

# ---- what is said names the site and what to set, in both languages ----
says() {    # says STATUS ENGLISH CHINESE ENVIRONMENT... -- WORDS...: messages hold these, with %s as *
    local status=$1 en=$2 zh=$3; shift 3
    local vars=()
    while [ "$1" != -- ]; do vars+=("$1"); shift; done
    shift
    expect "$status" env "${vars[@]}" "$weft" pull --retry-ms 5 "$@"
    grep -q "$en" "$dir/err" || fail "expected \"$en\""
    expect "$status" env "${vars[@]}" LANG=zh_CN.UTF-8 "$weft" pull --retry-ms 5 "$@"
    grep -q "$zh" "$dir/err" || fail "expected \"$zh\""
}
fresh
says 6 'maker/x: .*127.0.0.1, port 1.*HF_ENDPOINT names another site or mirror, HTTPS_PROXY' \
    'maker/x：.*HF_ENDPOINT.*镜像' HF_ENDPOINT=http://127.0.0.1:1 -- maker/x
says 6 'MODELSCOPE_DOMAIN names another site' 'MODELSCOPE_DOMAIN' MODELSCOPE_DOMAIN=http://127.0.0.1:1 -- ms:maker/x
label=$(printf 'a%.0s' $(seq 64))   # no resolver asks for a label as long
says 6 'was not found.*HF_ENDPOINT' 'HF_ENDPOINT' "HF_ENDPOINT=http://$label.org" -- maker/x
says 6 'HTTPS_PROXY names a proxy' 'HTTPS_PROXY 指定代理' -- http://127.0.0.1:1/x.jsonl -o "$dir/x.jsonl"
says 6 'maker/none does not exist at 127.0.0.1.*HF_ENDPOINT and HF_TOKEN' '在 127.0.0.1 上不存在.*HF_TOKEN' -- maker/none
says 6 'MODELSCOPE_DOMAIN and MODELSCOPE_API_TOKEN' 'MODELSCOPE_API_TOKEN' -- ms:maker/none
says 2 'not an address\|http' 'http' HF_ENDPOINT=ftp://x -- maker/x
says 2 'cannot be read' '证书' -- --ca-file /nowhere/ca.pem maker/x
says 2 'names no repository' '不是仓库名' -- a/b/../c
says 2 'offline' '离线' -- --offline http://127.0.0.1:1/x.jsonl -o "$dir/x.jsonl"
says 2 'weft pull hf:maker/x' '缓存中没有' -- --offline maker/x
"$mock" --root "$dir/root" --limit 1000 --seconds 60 >"$dir/ports2" & slow=$!
for _ in $(seq 100); do [ -s "$dir/ports2" ] && break; sleep 0.05; done
read -r busy _ <"$dir/ports2"
says 6 'asks for patience with maker/x .*HF_TOKEN' '要求放慢' HF_ENDPOINT="http://127.0.0.1:$busy" -- maker/x
kill $slow; wait $slow 2>/dev/null || true
# A certificate nobody has signed.
if [ -x "${WEFT_MOCKS:?}/mock_tls" ]; then
    "$WEFT_MOCKS/mock_tls" "$dir/cert.pem" 60 "$site" >"$dir/ports2" & slow=$!
    for _ in $(seq 100); do [ "$(cat "$dir/ports2")" != "$busy" ] && [ -s "$dir/cert.pem" ] && break; sleep 0.05; done
    sleep 0.1; read -r tls <"$dir/ports2"
    says 6 'cannot be trusted.*--ca-file or SSL_CERT_FILE' 'SSL_CERT_FILE' HF_ENDPOINT="https://127.0.0.1:$tls" \
        -- maker/talk --dataset
    expect 0 env HF_ENDPOINT="https://127.0.0.1:$tls" "$weft" pull maker/talk --dataset --ca-file "$dir/cert.pem"
    kill $slow; wait $slow 2>/dev/null || true
fi
# Help: every option and every variable of the environment, in both languages.
for lang in en zh; do
    expect 0 "$weft" help pull --lang $lang
    for word in --dataset --all --sha256 --output --offline --parallel --ranges --range_mib --retry_ms --ca_file \
        hf:OWNER/NAME ms:OWNER/NAME HF_ENDPOINT HF_TOKEN HF_HOME HF_HUB_CACHE HF_HUB_OFFLINE MODELSCOPE_DOMAIN \
        MODELSCOPE_API_TOKEN \
        MODELSCOPE_CACHE HTTPS_PROXY NO_PROXY SSL_CERT_FILE; do
        grep -qF -e "$word" "$dir/out" || fail "help ($lang) lacks $word"
    done
done

# ---- faults on the way (B7) ----
pull_all() { fresh; expect 0 "$weft" pull --retry-ms 20 "$repo"; same "$folder" $wanted; }
hub --cut 70000 --cuts 5
pull_all
grep -q '"range":"bytes=70000-"' "$dir/log" || fail "no range after a cut: $(cat "$dir/log")"
hub --cut 70000 --cuts 3 --no-range
pull_all
hub --cut 70000 --cuts 3 --short-range
fresh
expect 0 "$weft" pull --retry-ms 20 "$repo" --parallel 1
same "$folder" $wanted
hub --wrong 1
pull_all
hub --wrong 1000
fresh
expect 3 "$weft" pull --retry-ms 20 "$repo"
grep -q 'B7' "$dir/err" || fail "wrong digest: $(cat "$dir/err")"
[ -z "$(find "$dir/hf" -path '*snapshots*' -type l)" ] || fail "a file with a wrong digest is linked"
hub --busy 2 --limit 1
pull_all
hub --no-digests --no-tree
pull_all
grep -q '"method":"HEAD"' "$dir/log" || fail "no HEAD"
# What a revision does not tell stands in the tree: page by page, at this site and nowhere else.
for option in --no-digests --no-siblings; do
    hub $option --page 3
    pull_all
    [ "$(grep -c '/tree/' "$dir/log")" -ge 5 ] || fail "$option: pages: $(grep -c /tree/ "$dir/log")"
    ! grep -q '"method":"HEAD"' "$dir/log" || fail "$option: HEAD, though the tree tells all"
done
hub --no-siblings --page 3 --stray "http://127.0.0.1:1/list"
fresh
expect 3 env HF_TOKEN=T0K3N "$weft" pull --retry-ms 20 "$repo"
grep -q 'goes on at another place' "$dir/err" || fail "stray: $(cat "$dir/err")"
hub --no-siblings --no-tree
fresh
expect 6 "$weft" pull --retry-ms 20 "$repo"
hub --evil ../../../evil.txt
fresh
expect 3 "$weft" pull --retry-ms 20 "$repo" --all
[ ! -e "$dir/evil.txt" ] && [ ! -e "$dir/hf/hub/evil.txt" ] || fail "wrote outside"

# A part that is already as long as the file (416 would come), and one that is longer.
hub
fresh
blobs=$dir/hf/hub/models--maker--little.one-1B/blobs
mkdir -p "$blobs"
cp "$m/model-00001-of-00002.safetensors" "$blobs/$sha.incomplete"
sha2=$(sha256sum <"$m/model-00002-of-00002.safetensors" | cut -d' ' -f1)
cat "$m/model-00001-of-00002.safetensors" >"$blobs/$sha2.incomplete"
expect 0 "$weft" pull --retry-ms 20 "$repo" --json
same "$folder" $wanted
! grep "$sha" "$dir/log" | grep -q storage || fail "a whole part was fetched again"

# ---- stopped, killed, and going on; two at once ----
come() { stat -c %s "$blobs/$sha.incomplete" 2>/dev/null || echo 0; }
grown() { for _ in $(seq 600); do [ "$(come)" -gt "$1" ] && return; sleep 0.05; done; fail "no more than $1 bytes came"; }
hub --drip 20
fresh
"$weft" pull --retry-ms 20 "$repo" >/dev/null 2>"$dir/err" & p=$!
grown 0; kill -INT $p; got=0; wait $p || got=$?
[ $got = 130 ] || fail "SIGINT: status $got"
part=$(come)
[ "$part" -gt 0 ] || fail "nothing kept after SIGINT"
"$weft" pull --retry-ms 20 "$repo" >/dev/null 2>&1 & p=$!
grown "$part"; kill -9 $p; wait $p 2>/dev/null || true
part2=$(come)
[ "$part2" -gt "$part" ] || fail "did not go on: $part, $part2"
hub
"$weft" pull --retry-ms 20 "$repo" >/dev/null 2>"$dir/err1" & p=$!
expect 0 "$weft" pull --retry-ms 20 "$repo"
wait $p || fail "the other of two: $(cat "$dir/err1")"
same "$folder" $wanted
grep -q "\"range\":\"bytes=$part2-\"" "$dir/log" || fail "did not go on at $part2"

# Kills at random moments until it is through: the result is the same, byte by byte.
hub --drip 4
fresh
kills=0
for i in $(seq 200); do
    "$weft" pull --retry-ms 20 "$repo" >/dev/null 2>&1 & p=$!
    sleep "0.$((RANDOM % 40 + 5))"
    kill -9 $p 2>/dev/null || { wait $p; break; }
    wait $p 2>/dev/null || true
    kills=$((kills + 1))
    [ ! -e "$folder/model-00001-of-00002.safetensors" ] || same "$folder" model-00001-of-00002.safetensors
    [ $kills -lt 20 ] || break
done
hub
expect 0 "$weft" pull --retry-ms 20 "$repo"
same "$folder" $wanted
[ -z "$(find "$dir/hf" -name '*.incomplete')" ] || fail "leftovers after kills"
echo "pull: $kills kills"
