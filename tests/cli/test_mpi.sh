#!/bin/sh
# Ranks under mpirun: the files of one process that accumulates, whatever the method; stopping, losing a rank, going on.
# Skipped where the plug-in was not built (no MPI compiler) or there is no mpirun.
. "$(dirname "$0")/training.sh"
plugin=$(dirname "$weft")/weft-mpi.so
[ -e "$plugin" ] || { echo "skipped: weft-mpi.so was not built"; exit 77; }
command -v mpirun >/dev/null && command -v pgrep >/dev/null || { echo "skipped: no mpirun, or no pgrep"; exit 77; }
# Open MPI wants to be told that more ranks than processors, and root, are meant.
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_plm_rsh_agent=false
# It leaks by itself; that is not told where the program was built with a sanitizer.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
mpirun -n 2 true 2>"$dir/err" || { echo "skipped: mpirun does not start here"; exit 77; }

small_model
rows 22 '{"instruction": "第%d问：此物价几何？", "input": "", "output": "三文钱，不二价。第%d回。"}' >"$dir/rows.jsonl"
rows 5 '{"instruction": "第%d问：可有赠品？", "input": "", "output": "无。第%d回。"}' >"$dir/valid.jsonl"
rows 14 '{"instruction": "问%d", "input": "", "chosen": "三文钱，第%d回。", "rejected": "不知道。"}' >"$dir/pairs.jsonl"
cat >"$dir/recipe.yaml" <<END
model_name_or_path: $dir/model
dataset: $dir/rows.jsonl
cutoff_len: 64
learning_rate: 1e-2
num_train_epochs: 2
logging_steps: 1
per_device_train_batch_size: 2
lora_rank: 3
save_steps: 2
END

# name, ranks, keys: each rank as often as the recipe says
ranks() {
    name=$1 n=$2
    shift 2
    mpirun -n "$n" "$weft" train "$dir/recipe.yaml" output_dir="$dir/$name" "$@" >"$dir/out" 2>"$dir/err"
}
# the files of two runs, but for the clock
same() {
    for file in "$1"/recipe.yaml "$1"/row_loss.jsonl "$1"/adapter/* "$1"/model/* "$1"/checkpoint-8/*.safetensors; do
        [ -e "$file" ] || continue
        case $file in
        */recipe.yaml) sed '/^output_dir/d' "$file" >"$dir/a" && sed '/^output_dir/d' "$2${file#"$1"}" >"$dir/b" ;;
        *) cp "$file" "$dir/a" && cp "$2${file#"$1"}" "$dir/b" ;;
        esac
        cmp -s "$dir/a" "$dir/b" || fail "$3: ${file#"$1"/} differs"
    done
    for run in "$1" "$2"; do sed 's/, "elapsed_time".*//' "$run/log.jsonl" >"$dir/log-$(basename "$run")"; done
    cmp -s "$dir/log-$(basename "$1")" "$dir/log-$(basename "$2")" || fail "$3: log.jsonl differs"
}
updates() { if [ -e "$dir/$1/log.jsonl" ]; then wc -l <"$dir/$1/log.jsonl"; else echo 0; fi; }
# name, keys: alone with three times the accumulation, as three ranks; one rank under mpirun is alone, too
method() {
    what=$1
    shift
    "$weft" train "$dir/recipe.yaml" output_dir="$dir/$what" gradient_accumulation_steps=3 "$@" >"$dir/out" 2>"$dir/err" ||
        fail "$what alone"
    ranks "$what-3" 3 "$@" || fail "$what with three ranks"
    grep -q '3 over .*MPI' "$dir/out" || fail "$what: the ranks are not told"
    [ "$(grep -c 'memory plan' "$dir/out")" = 1 ] || fail "$what: several ranks talk"
    same "$dir/$what" "$dir/$what-3" "$what"
}
method lora eval_dataset="$dir/valid.jsonl" eval_steps=3 load_best_model_at_end=true
method full finetuning_type=full
method badam finetuning_type=full use_badam=true badam_switch_interval=2
method galore finetuning_type=full use_galore=true galore_rank=4 optim=adamw_8bit
method layerwise finetuning_type=full use_galore=true galore_rank=4 galore_layerwise=true compat=clean
method qlora quantization_bit=4 lora_dropout=0.1 neftune_noise_alpha=5
method dpo stage=dpo dataset="$dir/pairs.jsonl"

ranks one 1 gradient_accumulation_steps=3 eval_dataset="$dir/valid.jsonl" eval_steps=3 load_best_model_at_end=true ||
    fail "one rank"
same "$dir/lora" "$dir/one" "one rank under mpirun"

# a rank is killed in the midst of a run: the others end, and any number of ranks goes on to the same files.
# Open MPI asks the others to end, which gives rank 0 the time to save; others kill them at once, and what was saved
# before is what is left.
polite=no save="save_steps=4 save_total_limit=2"
if mpirun --version 2>/dev/null | grep -q 'Open MPI'; then polite=yes save="save_strategy=no"; fi
"$weft" train "$dir/recipe.yaml" output_dir="$dir/long" gradient_accumulation_steps=6 num_train_epochs=60 save_strategy=no \
    >"$dir/out" 2>"$dir/err" || fail "a long run"
# shellcheck disable=SC2086
mpirun -n 3 "$weft" train "$dir/recipe.yaml" output_dir="$dir/killed" gradient_accumulation_steps=2 num_train_epochs=60 \
    $save >"$dir/out" 2>"$dir/err" &
mpirun=$!
while [ "$(updates killed)" -lt 10 ]; do
    kill -0 $mpirun 2>/dev/null || fail "the run ended before a rank was killed"
    sleep 0.05
done
victim=$(pgrep -P $mpirun -n weft || pgrep -n -f "weft train .*output_dir=$dir/killed") || fail "no rank to kill"
kill -KILL "$victim"
wait $mpirun && fail "a run that lost a rank ended as if nothing had happened"
[ -e "$dir/killed/adapter" ] && fail "a run that lost a rank wrote a result"
[ $polite = no ] || grep -q 'a rank of this run is gone' "$dir/err" || fail "a lost rank is not told"
ls -d "$dir"/killed/checkpoint-* >/dev/null 2>&1 || fail "a run that lost a rank left no checkpoint"
ranks killed 2 gradient_accumulation_steps=3 num_train_epochs=60 save_strategy=no || fail "going on with two ranks"
grep -q '"resumed"' "$dir/killed/history.jsonl" || fail "the run began anew"
same "$dir/long" "$dir/killed" "a run that lost a rank"

# mpirun is stopped, as by Ctrl-C
# shellcheck disable=SC2086
mpirun -n 2 "$weft" train "$dir/recipe.yaml" output_dir="$dir/stopped" gradient_accumulation_steps=3 num_train_epochs=60 \
    $save >"$dir/out" 2>"$dir/err" &
mpirun=$!
while [ "$(updates stopped)" -lt 5 ]; do
    kill -0 $mpirun 2>/dev/null || fail "the run ended before it was stopped"
    sleep 0.05
done
kill -INT $mpirun
wait $mpirun && fail "a stopped run ended as if it were done"
ls -d "$dir"/stopped/checkpoint-* >/dev/null 2>&1 || fail "a stopped run left no checkpoint"
"$weft" train "$dir/recipe.yaml" output_dir="$dir/stopped" gradient_accumulation_steps=6 num_train_epochs=60 save_strategy=no \
    >"$dir/out" 2>"$dir/err" || fail "going on alone"
same "$dir/long" "$dir/stopped" "a stopped run"

# what is wrong is said once
ranks wrong 3 learning_rate=-1 && fail "a wrong setting"
[ "$(grep -c 'weft: ' "$dir/err")" = 1 ] || fail "a wrong setting is told $(grep -c 'weft: ' "$dir/err") times"
mpirun -n 2 "$weft" run "$dir/recipe.yaml" output_dir="$dir/road" >"$dir/out" 2>"$dir/err" && fail "weft run under mpirun"
grep -q 'runs in one process' "$dir/err" || fail "weft run under mpirun is not explained"
mkdir "$dir/bare" && cp "$weft" "$dir/bare/weft"
mpirun -n 2 "$dir/bare/weft" train "$dir/recipe.yaml" output_dir="$dir/bare/run" >"$dir/out" 2>"$dir/err" && fail "no plug-in"
grep -q 'weft-mpi.so, which connects them' "$dir/err" || fail "a missing plug-in is not explained"
