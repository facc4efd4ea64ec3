#!/bin/sh
# make parity: weft beside transformers, peft, tokenizers and jinja2, live.
#
#   PYTHON=~/peers/bin/python make parity           compares
#   PYTHON=~/peers/bin/python FIXTURES=1 make parity  writes the frozen fixtures anew first
#
# PYTHON is an interpreter that has torch, transformers, peft, tokenizers, safetensors and jinja2; they are needed here
# only.  STRINGS: how many strings the tokenizers are compared on (default 100,000).
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
build=${BUILD:-build}
"$python" -c 'import torch, transformers, peft, tokenizers, jinja2' 2>/dev/null || {
    echo "make parity: $python has no torch, transformers, peft, tokenizers, jinja2. Make an environment that has:" >&2
    echo "    python3 -m venv peers && peers/bin/pip install torch transformers peft tokenizers jinja2 && PYTHON=peers/bin/python make parity" >&2
    exit 2
}
# Some shells set these and halve the speed of the peers.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
if [ -n "${FIXTURES:-}" ]; then
    "$python" tests/parity/model.py
    "$python" tests/parity/train.py
    "$python" tests/parity/optim.py
    "$python" tests/parity/preference.py
    "$python" tests/parity/tokens.py fixtures
    "$python" tests/parity/chat.py goldens
    [ -z "${LLAMAFACTORY:-}" ] || "$python" tests/parity/templates.py "$LLAMAFACTORY" # `src` of its unpacked sdist
fi
cmake --preset release >/dev/null
cmake --build "$build"
echo "== logits, gradients, loss curves against the fixtures"
ctest --test-dir "$build" -R 'model_test_parity|adapter_test_curve|train_test_parity' --output-on-failure
echo "== larger models of every family"
families=$(mktemp -d)
trap 'rm -rf "$families"' EXIT
"$python" tests/parity/model.py families "$families"
WEFT_PARITY_MODELS=$families "$build/tests/model_test_parity"
echo "== adapters and merged models in peft and transformers"
"$python" tests/parity/lora.py "$build"
echo "== chat templates"
"$python" tests/parity/chat.py live "$build"
echo "== token ids"
"$python" tests/parity/tokens.py compare "${STRINGS:-100000}"
