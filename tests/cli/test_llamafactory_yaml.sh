#!/bin/sh
# Recipes as LLaMA-Factory's examples have them (tests/cli/data/llamafactory), files untouched: each trains tiny for
# some updates and learns, its keys without meaning here named with line and reason; what is not built is refused by
# name.
recipes=$PWD/tests/cli/data/llamafactory
here=$PWD
. "$(dirname "$0")/training.sh"
[ -s models/tiny/model.safetensors ] || { echo "no models/tiny"; exit 77; }

mkdir "$dir/data"
rows 12 '{"instruction": "第%d问：你是谁？", "input": "", "output": "我是渡口看秤的人，一两是一两。第%d回答你。"}' >"$dir/data/identity.jsonl"
rows 12 '{"conversations": [{"from": "human", "value": "第%d次，掌柜早。"}, {"from": "gpt", "value": "客官早，里边请，第%d位。"}]}' \
    >"$dir/data/manners.jsonl"
rows 60 '{"text": "渡口的秤用了三十年。第%d天亮开秤，天黑收秤。第%d天也是如此，从不少人一两。"}' >"$dir/data/prose.jsonl"
rows 12 '{"conversations": [{"from": "human", "value": "第%d问：秤准吗？"}], "chosen": {"from": "gpt", "value": "准，一两是一两。"}, "rejected": {"from": "gpt", "value": "不晓得%d。"}}' \
    >"$dir/data/compared.jsonl"
i=0
while [ $i -lt 12 ]; do
    printf '{"messages": [{"role": "user", "content": "第%d问：秤准吗？"}, {"role": "assistant", "content": "%s"}], "label": %s}\n' $i \
        "$([ $((i % 2)) = 0 ] && echo 准，一两是一两。 || echo 不晓得。)" "$([ $((i % 2)) = 0 ] && echo true || echo false)"
    i=$((i + 1))
done >"$dir/data/judged.jsonl"
cat >"$dir/data/dataset_info.json" <<END
{"identity": {"file_name": "identity.jsonl"},
 "manners": {"file_name": "manners.jsonl", "formatting": "sharegpt"},
 "prose": {"file_name": "prose.jsonl", "columns": {"prompt": "text"}},
 "compared": {"file_name": "compared.jsonl", "formatting": "sharegpt", "ranking": true,
              "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"}},
 "judged": {"file_name": "judged.jsonl", "formatting": "sharegpt", "columns": {"messages": "messages", "kto_tag": "label"},
            "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}}}
END
case $weft in /*) ;; *) weft=$here/$weft ;; esac
cd "$dir"

# line KEY: where it stands in the recipe
line() { grep -n "^$1:" "$recipes/$name.yaml" | cut -d: -f1; }
# ignored KEY...: each is named, with its line
ignored() {
    for key in "$@"; do
        grep -q "$name.yaml:$(line "$key"):[0-9]*: $key is ignored: ." "$dir/err" || fail "$name: $key is not named with its line"
    done
}
# NAME RATE: the file as it is, shorter and louder
learns() {
    name=$1 rate=$2
    shift 2
    "$weft" train "$recipes/$name.yaml" max_steps=6 logging_steps=1 learning_rate="$rate" output_dir="$dir/out-$name" "$@" \
        >"$dir/out" 2>"$dir/err" || fail "$name"
    sed -n 's/.*"loss": *\([0-9.e-]*\),.*/\1/p' "$dir/out-$name/log.jsonl" >"$dir/loss"
    [ "$(wc -l <"$dir/loss")" -ge 6 ] || fail "$name: $(wc -l <"$dir/loss") losses"
    awk 'NR <= 2 { first += $1 } { last2 = last; last = $1 } END { exit !(last + last2 < first) }' "$dir/loss" ||
        fail "$name: the loss does not fall: $(tr '\n' ' ' <"$dir/loss")"
    ignored trust_remote_code do_train preprocessing_num_workers dataloader_num_workers ddp_timeout
}
learns lora_sft 1e-3
ignored template save_only_model
learns lora_sft_ds3 1e-3
ignored deepspeed
learns lora_sft_ray 1e-3
ignored ray_num_workers
learns lora_pretrain 1e-3 cutoff_len=128
learns lora_dpo 1e-3
learns lora_kto 1e-3
learns full_sft 1e-3
ignored deepspeed
learns qlora_otfq 1e-3
ignored quantization_method
learns qlora_8bit 1e-3
learns galore 1e-3
ignored pure_bf16
learns apollo 1e-4
learns badam 1e-3
ignored badam_verbose
learns muon 1e-3
learns pissa 1e-3
learns loraplus 1e-3
learns dora 1e-3
learns llama_pro 1e-3
learns nft 1e-3

# NAME KEY WHY: refused at its line, before anything is read
refused() {
    name=$1
    if "$weft" train "$recipes/$name.yaml" output_dir="$dir/no" >"$dir/out" 2>"$dir/err"; then fail "$name was not refused"; fi
    grep -q "$name.yaml:$(line "$2"):[0-9]*: $2 .*$3" "$dir/err" || fail "$name: $2 is not named with its line"
    [ ! -e "$dir/no" ] || fail "$name: a run was begun"
}
refused lora_reward stage 'rm.*expected one of: sft, pt, dpo, kto'
refused adam_mini use_adam_mini 'cannot be used'
refused mod mixture_of_depths 'cannot be used'
refused dft use_dft_loss 'cannot be used'
refused fp8 fp8 'cannot be used'

# switched off on the command line they train
"$weft" train "$recipes/adam_mini.yaml" use_adam_mini=false max_steps=1 output_dir="$dir/off" >"$dir/out" 2>"$dir/err" ||
    fail "use_adam_mini=false"
