#!/bin/sh
# make parity: weft beside transformers, peft, trl, LLaMA-Factory, bitsandbytes, galore-torch, apollo-torch, badam,
# tokenizers, jinja2 and gguf, live.  At the end a table of everything that was compared; exit 1 when a line of it is
# beyond its tolerance.
#
#   make parity                                       makes environments in build/peers and build/llamafactory first
#                                         (some 4 GB; LLaMA-Factory needs older releases than the rest)
#   PYTHON=~/peers/bin/python make parity             with an environment that is there
#   PYTHON=~/peers/bin/python FIXTURES=1 make parity  writes the frozen fixtures anew first
#
# The releases are those of tests/parity/requirements.txt.
#   STRINGS        how many strings the tokenizers are compared on (default 20,000)
#   RUNS           which runs of live.py, e.g. "lora optim/galore" (default all)
#   LF_PYTHON      an interpreter that has llamafactory, for yaml_runs.py, which is left out when PYTHON alone is given
#   YAMLS          which files of yaml_runs.py (default all)
#   LLAMAFACTORY   `src` of its unpacked sdist, for the fixture of its templates
set -u
cd "$(dirname "$0")/../.." || exit 2
build=${BUILD:-build}
cmake --preset release >/dev/null && cmake --build "$build" || exit 2
build=$(cd "$build" && pwd)

make_venv() {
    [ -x "$1/bin/python" ] || python3 -m venv "$1" || {
        echo "make parity: python3 cannot make an environment; install python3-venv, or give PYTHON" >&2
        exit 2
    }
}
# The CPU's build of torch is a tenth of the size of the other, but it is not everywhere to be had.
install() {
    torch=$(grep '^torch==' "$2")
    cpu=https://download.pytorch.org/whl/cpu
    "$1" -m pip install -q --retries 0 --timeout 15 --index-url "$cpu" "$torch" 2>/dev/null ||
        "$1" -m pip install -q "$torch"
    "$1" -m pip install -q -r "$2" || exit 2
}
if [ -z "${PYTHON:-}" ]; then
    make_venv "$build/peers"
    PYTHON=$build/peers/bin/python
    install "$PYTHON" tests/parity/requirements.txt
    if [ -z "${LF_PYTHON:-}" ]; then
        make_venv "$build/llamafactory"
        LF_PYTHON=$build/llamafactory/bin/python
        install "$LF_PYTHON" tests/parity/requirements-llamafactory.txt
        "$LF_PYTHON" -m pip install -q --no-deps llamafactory==0.9.5 || exit 2
        # it imports torchaudio, for sound alone
        site=$("$LF_PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
        mkdir -p "$site/torchaudio" && : >"$site/torchaudio/__init__.py"
    fi
fi
"$PYTHON" -c 'import torch, transformers, peft, trl, datasets, bitsandbytes, galore_torch, apollo_torch, badam, gguf
import tokenizers, jinja2' || {
    echo "make parity: $PYTHON lacks one of the packages of tests/parity/requirements.txt" >&2
    exit 2
}
# Some shells set these and halve the speed of the peers.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
export PYTHONWARNINGS=ignore

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
WEFT_PARITY_SUMMARY=$work/summary.jsonl
export WEFT_PARITY_SUMMARY
: >"$WEFT_PARITY_SUMMARY"

# step TITLE COMMAND...: runs it and notes whether it ended well.
step() {
    title=$1
    shift
    echo
    echo "== $title"
    "$@"
    "$PYTHON" tests/parity/summary.py step "$title" $?
}
# What a program of tests/ prints, and its figures into the summary.
model_figures() {
    WEFT_PARITY_MODELS=$work/models "$build/tests/model_test_parity" >"$work/models.txt" 2>&1
    verdict=$?
    cat "$work/models.txt"
    "$PYTHON" tests/parity/summary.py models "$work/models.txt" && return $verdict
}
gguf() {
    for type in Q8_0 Q4_0 F16; do
        "$build/weft" export "$work/models/tl3" --gguf $type -o "$work/tl3-$type.gguf" --quiet &&
            "$PYTHON" tests/parity/gguf_files.py compare "$work/models/tl3" "$work/tl3-$type.gguf" || return 1
    done
    "$PYTHON" tests/parity/gguf_files.py blocks "$work/blocks.safetensors" &&
        cmp "$work/blocks.safetensors" tests/model/data/ggml/blocks.safetensors
}
bitsandbytes() {
    "$PYTHON" tests/parity/bnb.py "$work/models/tq2" "$work/bnb" &&
        WEFT_PARITY_BNB=$work/bnb "$build/tests/model_test_quantise"
}

if [ -n "${FIXTURES:-}" ]; then
    for script in model.py train.py optim.py pure_bf16.py preference.py "tokens.py fixtures" "chat.py goldens"; do
        # shellcheck disable=SC2086
        "$PYTHON" tests/parity/$script || exit 2
    done
    for script in templates.py rope.py; do # LLAMAFACTORY: `src` of its unpacked sdist
        [ -z "${LLAMAFACTORY:-}" ] || "$PYTHON" tests/parity/$script "$LLAMAFACTORY" || exit 2
    done
    cmake --build "$build" || exit 2
fi
step "C tests against the fixtures" \
    ctest --test-dir "$build" --output-on-failure -R \
    'model_test_(parity|reference|quantise|gguf)|adapter_|train_test_(parity|moments|galore|apollo|badam)|tokens_'
step "larger models of every family: made by transformers" "$PYTHON" tests/parity/model.py families "$work/models"
step "larger models of every family: logits and gradients" model_figures
step "adapters and merged models in peft and transformers" "$PYTHON" tests/parity/lora.py "$build"
# shellcheck disable=SC2086
step "whole runs side by side" "$PYTHON" tests/parity/live.py "$build" ${RUNS:-}
if [ -n "${LF_PYTHON:-}" ]; then
    # shellcheck disable=SC2086
    step "one YAML file in LLaMA-Factory and in weft" "$PYTHON" tests/parity/yaml_runs.py "$build" "$LF_PYTHON" ${YAMLS:-}
fi
step "GGUF files in the gguf package" gguf
step "checkpoints of bitsandbytes" bitsandbytes
step "chat templates beside jinja2" "$PYTHON" tests/parity/chat.py live "$build"
step "token ids beside tokenizers" "$PYTHON" tests/parity/tokens.py compare "${STRINGS:-20000}"
"$PYTHON" tests/parity/summary.py table "$WEFT_PARITY_SUMMARY"
