"""Frozen fixtures of the model: what transformers and peft compute on small random models.

    python tests/parity/model.py                    writes tests/model/data/ and tests/adapter/data/
    python tests/parity/model.py models NAME...     writes these models of tests/model/data/ only
    python tests/parity/model.py adapters           writes tests/adapter/data/ only
    python tests/parity/model.py families FOLDER    writes larger models for a live comparison (tests/parity/run.sh)

Everything is f32 on the CPU with eager attention.  Matrices hold bf16 values (so that a file of half the size holds
them exactly), norms are U(0.5, 1.5), biases N(0, 0.1^2): nothing is left at a value that hides a mistake.  A batch is
several rows; each is run alone here, and as one padding-free batch there.
"""

import json
import os
import shutil
import sys

import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MODEL_DATA = os.path.join(ROOT, "model", "data")
ADAPTER_DATA = os.path.join(ROOT, "adapter", "data")

COMMON = dict(hidden_act="silu", initializer_range=0.02, use_cache=False, attn_implementation="eager", bos_token_id=None,
              pad_token_id=None, eos_token_id=2)

MODELS = {
    # name: (class, config, rows)
    "tq2": ("Qwen2", dict(vocab_size=333, hidden_size=64, intermediate_size=172, num_hidden_layers=2, num_attention_heads=4,
                          num_key_value_heads=2, rope_theta=1e6, tie_word_embeddings=True, max_position_embeddings=256),
            [1, 2, 7, 37, 64]),
    "untied": ("Qwen2", dict(vocab_size=61, hidden_size=36, intermediate_size=52, num_hidden_layers=2, num_attention_heads=6,
                             num_key_value_heads=3, rope_theta=1e4, tie_word_embeddings=False, max_position_embeddings=256),
               [1, 2, 7, 37, 64]),
    "pad": ("Qwen2", dict(vocab_size=59, hidden_size=40, intermediate_size=43, num_hidden_layers=3, num_attention_heads=4,
                          num_key_value_heads=1, rope_theta=1e6, tie_word_embeddings=True, max_position_embeddings=256,
                          pad_token_id=5), [3, 17, 7, 64]),
    "qwen3": ("Qwen3", dict(vocab_size=53, hidden_size=24, intermediate_size=44, num_hidden_layers=2, num_attention_heads=4,
                            num_key_value_heads=2, head_dim=10, rope_theta=1e6, tie_word_embeddings=True,
                            max_position_embeddings=256), [1, 2, 7, 37, 64]),
    "llama": ("Llama", dict(vocab_size=53, hidden_size=36, intermediate_size=44, num_hidden_layers=2, num_attention_heads=6,
                            num_key_value_heads=3, rope_theta=5e5, tie_word_embeddings=False, max_position_embeddings=256,
                            rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                              original_max_position_embeddings=64)), [1, 2, 37, 130]),
    "mistral": ("Mistral", dict(vocab_size=47, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
                                num_key_value_heads=1, rope_theta=1e4, tie_word_embeddings=False, sliding_window=8,
                                max_position_embeddings=256), [1, 2, 7, 37, 64]),
    "yarn": ("Qwen2", dict(vocab_size=47, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2,
                           num_key_value_heads=1, rope_theta=1e6, tie_word_embeddings=True, max_position_embeddings=128,
                           rope_scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32)), [2, 37, 100]),
    # window layers in an order that only layer_types can say
    "windows": ("Qwen3", dict(vocab_size=47, hidden_size=20, intermediate_size=28, num_hidden_layers=3, num_attention_heads=4,
                              num_key_value_heads=2, head_dim=6, rope_theta=1e6, tie_word_embeddings=True, use_sliding_window=True,
                              sliding_window=8, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                              max_position_embeddings=256), [1, 2, 7, 37, 64]),
    # biases everywhere, and a file of f16
    "linear": ("Llama", dict(vocab_size=47, hidden_size=24, intermediate_size=28, num_hidden_layers=2, num_attention_heads=4,
                             num_key_value_heads=2, rope_theta=1e4, tie_word_embeddings=False, attention_bias=True, mlp_bias=True,
                             rope_scaling=dict(rope_type="linear", factor=4.0), max_position_embeddings=256), [1, 2, 37, 64]),
}
F16 = {"linear"}

# Shapes for a live comparison (python tests/parity/model.py families FOLDER); their fixtures are too large to keep.
FAMILIES = {
    "tq2": ("Qwen2", dict(vocab_size=333, hidden_size=64, intermediate_size=172, num_hidden_layers=2, num_attention_heads=4,
                          num_key_value_heads=2, rope_theta=1e6, tie_word_embeddings=True, max_position_embeddings=256)),
    "tq3": ("Qwen3", dict(vocab_size=333, hidden_size=48, intermediate_size=100, num_hidden_layers=2, num_attention_heads=4,
                          num_key_value_heads=2, head_dim=20, rope_theta=1e6, tie_word_embeddings=True,
                          max_position_embeddings=256)),
    "tl3": ("Llama", dict(vocab_size=320, hidden_size=96, intermediate_size=200, num_hidden_layers=3, num_attention_heads=6,
                          num_key_value_heads=3, rope_theta=5e5, tie_word_embeddings=False, max_position_embeddings=512,
                          rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                            original_max_position_embeddings=64))),
    "tms": ("Mistral", dict(vocab_size=257, hidden_size=64, intermediate_size=144, num_hidden_layers=2, num_attention_heads=4,
                            num_key_value_heads=1, rope_theta=1e4, tie_word_embeddings=False, sliding_window=8,
                            max_position_embeddings=256)),
    "tq2y": ("Qwen2", dict(vocab_size=333, hidden_size=64, intermediate_size=172, num_hidden_layers=2, num_attention_heads=4,
                           num_key_value_heads=2, rope_theta=1e6, tie_word_embeddings=True, max_position_embeddings=256,
                           rope_scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32))),
}
FAMILY_ROWS = [1, 2, 7, 37, 64, 200]


def build(name, seed=1, spec=None):
    family, keys, lengths = spec or MODELS[name]
    config = getattr(transformers, family + "Config")(**{**COMMON, **keys})
    torch.manual_seed(seed)
    model = getattr(transformers, family + "ForCausalLM")(config).float().eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            if p.dim() == 2:
                half = torch.float16 if name in F16 else torch.bfloat16
                p.copy_((torch.randn(p.shape) * 0.15).to(half).float())
            elif key.endswith("bias"):
                p.copy_(torch.randn(p.shape) * 0.1)
            else:
                p.copy_(torch.rand(p.shape) + 0.5)
    model.tie_weights()
    return model, config, lengths


def make_rows(lengths, vocab, seed):
    """Ids and labels; labels have leading, inner and trailing holes, every fifth row has none at all."""
    g = torch.Generator().manual_seed(seed)
    rows = []
    for n, length in enumerate(lengths):
        ids = torch.randint(0, vocab, (length,), generator=g)
        labels = ids.clone()
        labels[: length // 4] = -100
        labels[torch.arange(length) % 7 == 3] = -100
        if n % 2:
            labels[-1] = -100
        if n % 5 == 4 and length < 64:
            labels[:] = -100
        rows.append((ids, labels))
    return rows


def run(model, ids):
    return model(input_ids=ids[None], position_ids=torch.arange(len(ids))[None]).logits[0].float()


def loss_sum(logits, labels):
    if len(labels) < 2:
        return logits.sum() * 0
    return torch.nn.functional.cross_entropy(logits[:-1], labels[1:], ignore_index=-100, reduction="sum")


def n_targets(rows):
    return sum(int((labels[1:] != -100).sum()) for _, labels in rows)


def i32(values):
    return torch.tensor(values, dtype=torch.int32)


def batch_tensors(rows):
    cu = [0]
    for ids, _ in rows:
        cu.append(cu[-1] + len(ids))
    return {"ids": torch.cat([r[0] for r in rows]).to(torch.int32), "labels": torch.cat([r[1] for r in rows]).to(torch.int32),
            "cu": i32(cu)}


def save(tensors, path):
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, path, metadata={"format": "pt"})


def write_model(model, config, path, matrices=torch.bfloat16):
    os.makedirs(path, exist_ok=True)
    state = {}
    for key, p in model.named_parameters():                # tied weights once
        state[key] = p.detach().to(matrices) if p.dim() == 2 else p.detach().clone()
    save(state, os.path.join(path, "model.safetensors"))
    d = config.to_dict()
    for key in ("transformers_version", "_name_or_path", "dtype", "torch_dtype"):
        d.pop(key, None)
    with open(os.path.join(path, "config.json"), "w") as f:
        json.dump(d, f, indent=2, sort_keys=True)
        f.write("\n")


def expectation(model, rows, trained, keep_rows=24):
    """Loss and gradients of loss_sum / N over `trained` (name -> parameter), logits of some rows."""
    out = batch_tensors(rows)
    n = n_targets(rows)
    for p in trained.values():
        p.grad = None
    total, logits, losses = 0.0, [], []
    for ids, labels in rows:
        z = run(model, ids)
        loss = loss_sum(z, labels)
        (loss / n).backward()
        losses.append(loss.item())
        total += loss.item()
        logits.append(z.detach())
    logits = torch.cat(logits)
    step = max(1, len(logits) // keep_rows)
    chosen = list(range(0, len(logits), step))
    out["rows"] = i32(chosen)
    out["logits"] = logits[chosen]
    out["row_loss"] = torch.tensor(losses, dtype=torch.float64)
    out["n"] = i32([n])
    for key, p in trained.items():
        out["grad." + key] = p.grad.float()
    return out


def greedy(model, prompt, n):
    ids = prompt.clone()
    for _ in range(n):
        with torch.no_grad():
            ids = torch.cat([ids, run(model, ids)[-1].argmax()[None]])
    return ids[len(prompt):]


def write_fixture(name, path, spec=None):
    model, config, lengths = build(name, spec=spec)
    shutil.rmtree(path, ignore_errors=True)
    write_model(model, config, path, torch.float16 if name in F16 else torch.bfloat16)
    rows = make_rows(lengths, config.vocab_size, seed=3)
    out = expectation(model, rows, dict(model.named_parameters()))
    prompt = rows[-1][0][:9]
    out["prompt"] = prompt.to(torch.int32)
    out["greedy"] = greedy(model, prompt, 24).to(torch.int32)
    rope = model.model.rotary_emb
    out["inv_freq"] = rope.inv_freq.float()
    if spec:
        out["bf16_cosine"] = bf16_cosine(model, rows, out)
    save(out, os.path.join(path, "expect.safetensors"))


def bf16_cosine(model, rows, exact):
    """How far the reference's own bf16 gradients turn from its f32 gradients."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = expectation(model, rows, dict(model.named_parameters()))
    a = torch.cat([v.double().flatten() for k, v in exact.items() if k.startswith("grad.")])
    b = torch.cat([half[k].double().flatten() for k in exact if k.startswith("grad.")])
    return (a @ b / a.norm() / b.norm()).reshape(1)


def write_models(only=None):
    for name in only or MODELS:
        write_fixture(name, os.path.join(MODEL_DATA, name))


def write_families(folder):
    for name, (family, keys) in FAMILIES.items():
        write_fixture(name, os.path.join(folder, name), (family, keys, FAMILY_ROWS))


def add_lora(model, r, alpha, seed, rslora=False, **more):
    config = LoraConfig(r=r, lora_alpha=alpha, lora_dropout=0.0, use_rslora=rslora, task_type="CAUSAL_LM", bias="none",
                        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], **more)
    torch.manual_seed(seed)
    tuned = get_peft_model(model, config)
    return tuned.float()


def lora_parameters(tuned):
    return {k.replace(".modules_to_save.default", "").replace("vector.default.weight", "vector").replace(".default", "")
             .removeprefix("base_model.model."): p for k, p in tuned.named_parameters() if p.requires_grad}


def write_adapters():
    """Adapters as peft writes them: different ranks and strengths by pattern, DoRA, copies of the tables of a tied model
    with a pad id; B and magnitudes away from their start."""
    shutil.rmtree(ADAPTER_DATA, ignore_errors=True)
    for name, (base, keys) in {
        "peft": ("untied", dict(r=4, alpha=8)),
        "patterns": ("untied", dict(r=2, alpha=3, rslora=True,
                                    rank_pattern={r"layers\.1\.self_attn\.q_proj": 3, "down_proj": 1},
                                    alpha_pattern={"v_proj": 7})),
        "dora": ("untied", dict(r=3, alpha=5, use_dora=True)),
        "tables": ("pad", dict(r=1, alpha=2, modules_to_save=["embed_tokens", "lm_head"])),
        "embed": ("pad", dict(r=1, alpha=2, modules_to_save=["embed_tokens"])),
    }.items():
        model, config, lengths = build(base)
        tuned = add_lora(model, seed=9, **keys)
        with torch.no_grad():
            for key, p in tuned.named_parameters():
                if "lora_B" in key:
                    p.copy_(torch.randn(p.shape) * 0.05)
                elif "lora_magnitude" in key:
                    p.mul_(1 + 0.2 * (torch.rand(p.shape) - 0.5))
                elif "modules_to_save" in key:
                    p.add_(torch.randn(p.shape) * 0.03)
        path = os.path.join(ADAPTER_DATA, name)
        tuned.save_pretrained(path)
        os.remove(os.path.join(path, "README.md"))
        rows = make_rows(lengths, config.vocab_size, seed=4)
        for k in range(0, len(rows), 2):                    # the pad row occurs as input
            if config.pad_token_id is not None:
                rows[k][0][::5] = config.pad_token_id
        out = expectation(tuned, rows, lora_parameters(tuned))
        merged = tuned.merge_and_unload()
        for key in ("model.layers.1.self_attn.q_proj.weight", "model.layers.0.mlp.down_proj.weight"):
            out["merged." + key] = dict(merged.named_parameters())[key]
        save(out, os.path.join(path, "expect.safetensors"))
    write_pissa()


def write_pissa():
    """What PiSSA takes out of the base: scale * B A of some modules, which no choice of signs changes."""
    out = {}
    for name, rslora in (("plain", False), ("rslora", True)):
        model, _, _ = build("untied")
        tuned = add_lora(model, seed=9, r=3, alpha=5, rslora=rslora, init_lora_weights="pissa")
        for key in ("layers.1.self_attn.q_proj", "layers.0.mlp.down_proj", "layers.0.self_attn.k_proj"):
            m = tuned.get_submodule("base_model.model.model." + key)
            a, b = m.lora_A["default"].weight, m.lora_B["default"].weight
            out[f"{name}.taken.model.{key}"] = m.scaling["default"] * (b @ a)
            out[f"{name}.base.model.{key}"] = m.base_layer.weight
    path = os.path.join(ADAPTER_DATA, "pissa")
    os.makedirs(path, exist_ok=True)
    save(out, os.path.join(path, "expect.safetensors"))


def write_curve():
    """50 LoRA updates: micro-batches of 2 rows, 3 of them an update, a short last group in each epoch, natural order,
    AdamW with decay, clipping at 1, cosine with 2 warm-up updates; losses are token means over the update."""
    settings = dict(lora_rank=4, lora_alpha=8, batch=2, accumulation=3, updates=50, warmup=2, lr=5e-3, weight_decay=0.1,
                    max_grad_norm=1.0, beta1=0.9, beta2=0.999, eps=1e-8)
    path = os.path.join(MODEL_DATA, "curve")
    shutil.rmtree(path, ignore_errors=True)
    model, config, _ = build("untied", seed=5)
    write_model(model, config, path)
    lengths = [3 + (7 * i) % 23 for i in range(50)]
    rows = make_rows(lengths, config.vocab_size, seed=6)
    # every row has a label: a row without would change the count of items
    for ids, labels in rows:
        if (labels != -100).sum() == 0:
            labels[-1] = ids[-1]
    tuned = add_lora(model, r=settings["lora_rank"], alpha=settings["lora_alpha"], seed=7)
    tuned.save_pretrained(os.path.join(path, "adapter"))
    os.remove(os.path.join(path, "adapter", "README.md"))
    params = [p for p in tuned.parameters() if p.requires_grad]
    opt = torch.optim.AdamW(params, lr=settings["lr"], betas=(0.9, 0.999), eps=1e-8, weight_decay=settings["weight_decay"])
    sched = transformers.get_cosine_schedule_with_warmup(opt, settings["warmup"], settings["updates"])
    micro = [rows[i:i + settings["batch"]] for i in range(0, len(rows), settings["batch"])]
    groups = [micro[i:i + settings["accumulation"]] for i in range(0, len(micro), settings["accumulation"])]
    losses, norms, lrs = [], [], []
    for u in range(settings["updates"]):
        group = groups[u % len(groups)]
        n = sum(int((labels != -100).sum()) for batch in group for _, labels in batch)       # unshifted
        total = 0.0
        for batch in group:
            for ids, labels in batch:
                loss = loss_sum(run(tuned, ids), labels) / n
                loss.backward()
                total += loss.item()
        norms.append(float(torch.nn.utils.clip_grad_norm_(params, settings["max_grad_norm"])))
        lrs.append(sched.get_last_lr()[0])
        opt.step()
        sched.step()
        opt.zero_grad()
        losses.append(total)
    with open(os.path.join(path, "curve.json"), "w") as f:
        json.dump({"settings": settings, "loss": losses, "grad_norm": norms, "lr": lrs,
                   "rows": [{"ids": i.tolist(), "labels": l.tolist()} for i, l in rows]}, f)
        f.write("\n")


def main():
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["families"]:
        return write_families(sys.argv[2])
    if sys.argv[1:2] == ["adapters"]:
        return write_adapters()
    if sys.argv[1:2] == ["models"]:
        return write_models(sys.argv[2:])
    os.makedirs(MODEL_DATA, exist_ok=True)
    write_models()
    write_adapters()
    write_curve()
    import peft
    with open(os.path.join(MODEL_DATA, "VERSIONS"), "w") as f:
        f.write(f"torch {torch.__version__}\ntransformers {transformers.__version__}\npeft {peft.__version__}\n")


if __name__ == "__main__":
    sys.exit(main())
