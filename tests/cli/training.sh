# What the tests of weft train begin with; read by them: . "$(dirname "$0")/training.sh"
# Sets weft, dir (removed at the end) and a store of its own; fail, small_model, rows.
set -eu
weft=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export WEFT_HOME="$dir/home"
export LC_ALL=C
fail() { echo "FAIL: $*" >&2; cat "$dir"/err* >&2 2>/dev/null || true; exit 1; }

# $dir/model: qwen2 of 280,864 parameters with tiny's tokenizer.
small_model() {
    cat >"$dir/config.json" <<END
{"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "vocab_size": 8192, "hidden_size": 32, "intermediate_size": 64,
 "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 512,
 "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": true, "hidden_act": "silu"}
END
    "$weft" model random --config "$dir/config.json" -o "$dir/model" --quiet
}

# rows N FORMAT: N lines, each number filled in twice.
rows() {
    i=0
    while [ $i -lt "$1" ]; do
        # shellcheck disable=SC2059
        printf "$2\n" $i $i
        i=$((i + 1))
    done
}
