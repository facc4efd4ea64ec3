"""A LoRA step in weft beside transformers + peft on the same machine, model, rows and batch.

    PYTHON=... make bench-train             or: python tests/parity/bench_train.py BUILD [SHAPE...] [KEY=VALUE...]

KEY=VALUE goes to weft train (base_compute=int8); ROUNDS in the environment changes their number.

Two kinds of rows: full blocks of 512 tokens, half of them targets, and the rows of the persona example, whose lengths
differ (the peer pads them, as its collator does).  Both sides run by turns, several rounds; a figure is the median over
the steps of all rounds without each round's first two.  Tokens are real ones, never padding.  Memory is the peak of the
process.  The peer: bf16 weights, f32 adapters under bf16 autocast, scaled dot product attention, AdamW, as many threads
as weft; it is given the better of channels_last off and torch.compile off (both are slower or fail on CPU here).
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STEPS, ROUNDS, SKIP = 6, int(os.environ.get("ROUNDS", "3")), 2
CUTOFF = 512
CASES = {"full blocks": dict(batch=1), "persona rows": dict(batch=16)}


# ---- the peer, in a process of its own ----

def encode(tokenizer, row):
    """Ids and labels of one exchange; prompt and answer are cut by the pair rule."""
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": row["instruction"]}], tokenize=False,
                                           add_generation_prompt=True)
    a = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    b = tokenizer(row["output"] + "<|im_end|>\n", add_special_tokens=False)["input_ids"]
    room = CUTOFF
    if len(b) * 2 < room:
        most = room
    elif len(a) * 2 < room:
        most = room - len(a)
    else:
        most = int(room * (len(b) / (len(a) + len(b))))
    t = min(most, len(b))
    s = min(max(room - t, 0), len(a))
    return a[:s] + b[:t], [-100] * s + b[:t]


def peer(model_dir, rows_file, batch, rank):
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_dir)
    model = transformers.AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.bfloat16, attn_implementation="sdpa")
    model = get_peft_model(model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM"))
    for p in model.parameters():
        if p.requires_grad:
            p.data = p.data.float()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, fused=True)
    with open(rows_file, encoding="utf-8") as f:
        rows = [encode(tokenizer, json.loads(line)) for line in f]
    model.train()
    out = []
    for step in range(STEPS):
        items = [rows[(step * batch + i) % len(rows)] for i in range(batch)]
        n = max(len(ids) for ids, _ in items)
        n = (n + 7) // 8 * 8
        ids = torch.tensor([x + [0] * (n - len(x)) for x, _ in items])
        labels = torch.tensor([y + [-100] * (n - len(y)) for _, y in items])
        mask = torch.tensor([[1] * len(x) + [0] * (n - len(x)) for x, _ in items])
        tokens = int(mask.sum())
        begin = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_((p for p in model.parameters() if p.requires_grad), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        out.append(tokens / (time.perf_counter() - begin))
    print(json.dumps({"rates": out, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


def peer_merge(model_dir, adapter, out):
    import torch
    import transformers
    from peft import PeftModel

    begin = time.perf_counter()
    model = transformers.AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.bfloat16)
    model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    model.save_pretrained(out)
    print(json.dumps({"seconds": time.perf_counter() - begin}))


# ---- weft ----

def run_weft(weft, model_dir, rows_file, batch, rank, folder, extra):
    run = os.path.join(folder, "run")
    shutil.rmtree(run, ignore_errors=True)
    command = [weft, "train", f"model_name_or_path={model_dir}", f"dataset={rows_file}", f"output_dir={run}", f"lora_rank={rank}",
               f"per_device_train_batch_size={batch}", f"max_steps={STEPS}", "logging_steps=1", "save_steps=0", "save_strategy=no",
               "disable_shuffling=true", f"cutoff_len={CUTOFF}", "learning_rate=1e-4", "--quiet", *extra]
    with open(os.path.join(folder, "err"), "w+") as err:
        pid = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=err)
        _, status, usage = os.wait4(pid.pid, 0)
        if status:
            err.seek(0)
            sys.exit(f"weft train failed: {err.read()}")
    with open(os.path.join(run, "log.jsonl"), encoding="utf-8") as f:
        rates = [line["tokens_per_s"] for line in map(json.loads, f) if "loss" in line]
    return {"rates": rates, "peak": usage.ru_maxrss * 1024}


def run_peer(*args):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    done = subprocess.run([sys.executable, os.path.abspath(__file__), *map(str, args)], env=environment, capture_output=True,
                          text=True, check=False)
    if done.returncode:
        sys.exit(f"the peer failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def full_rows(path):
    """Prompt and answer of more than 256 tokens each, so that every row is cut to a block."""
    words = ["江上起了雾", "灯还亮着", "船慢慢靠了岸", "没有人答话", "风从水面吹过来", "天快亮了", "秤杆平了", "茶还是热的"]
    with open(path, "w", encoding="utf-8") as f:
        for i in range(16):
            text = "，".join(words[(i * 3 + k * k) % len(words)] for k in range(120))
            f.write(json.dumps({"instruction": text, "input": "", "output": text[::-1]}, ensure_ascii=False) + "\n")


def steady(results):
    return statistics.median(rate for r in results for rate in r["rates"][SKIP:])


def measure(build, shape, extra):
    weft = os.path.join(build, "weft")
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model")
        subprocess.run([weft, "model", "random", "--like", shape, "-o", model, "--quiet"], check=True)
        rows = {"full blocks": os.path.join(folder, "full.jsonl"), "persona rows": os.path.join(folder, "persona.jsonl")}
        full_rows(rows["full blocks"])
        subprocess.run([weft, "data", "script", os.path.join(ROOT, "examples/persona/剧本.txt"), "--role", "秤婆", "-o",
                        rows["persona rows"], "--quiet"], check=True, stdout=subprocess.DEVNULL)
        for name, case in CASES.items():
            ours, theirs = [], []
            for _ in range(ROUNDS):
                ours.append(run_weft(weft, model, rows[name], case["batch"], 16, folder, extra))
                theirs.append(run_peer("peer", model, rows[name], case["batch"], 16))
            a, b = steady(ours), steady(theirs)
            m, n = max(r["peak"] for r in ours), max(r["peak"] for r in theirs)
            print(f"{shape}, {name}: weft {a:.0f} tokens/s, {m / 1e6:.0f} MB; transformers + peft {b:.0f} tokens/s, {n / 1e6:.0f} MB: "
                  f"{a / b:.2f} times as fast, {m / n:.2f} of the memory", flush=True)
        adapter, merged = os.path.join(folder, "run", "adapter"), os.path.join(folder, "merged")
        begin = time.perf_counter()
        subprocess.run([weft, "export", model, "--adapter", adapter, "--merge", "-o", merged, "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)
        ours = time.perf_counter() - begin
        shutil.rmtree(merged)
        begin = time.perf_counter()
        run_peer("merge", model, adapter, merged)
        theirs = time.perf_counter() - begin
        print(f"{shape}, merged and written: weft {ours:.1f} s, transformers + peft {theirs:.1f} s (process start included)", flush=True)


def main():
    if sys.argv[1] == "peer":
        return peer(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    if sys.argv[1] == "merge":
        return peer_merge(*sys.argv[2:5])
    extra = [a for a in sys.argv[2:] if "=" in a]
    for shape in [a for a in sys.argv[2:] if "=" not in a] or ["qwen2.5-0.5b", "qwen2.5-1.5b"]:
        measure(sys.argv[1], shape, extra)
    return 0


if __name__ == "__main__":
    sys.exit(main())
