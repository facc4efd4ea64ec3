"""Frozen loss curves of the reference trainer itself: transformers.Trainer, with peft for the adapter.

    python tests/parity/train.py            writes tests/train/data/
    python tests/parity/train.py NAME...    writes these runs only

The model, its rows and the adapter's start are those of tests/parity/model.py (tests/model/data/curve); here the whole
loop is the reference's: order of the rows, accumulation with a short last group, normalisation, schedule, clipping,
AdamW with its groups, evaluation.  Everything is f32 on one thread of the CPU.
"""

import json
import os
import sys
import tempfile

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from torch.utils.data import Dataset

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BASE = os.path.join(ROOT, "model", "data", "curve")
DATA = os.path.join(ROOT, "train", "data")

COMMON = dict(seed=42, per_device_train_batch_size=2, gradient_accumulation_steps=3, per_device_eval_batch_size=4,
              lr_scheduler_type="cosine", warmup_steps=2, max_grad_norm=1.0, adam_beta1=0.9, adam_beta2=0.999,
              adam_epsilon=1e-8, weight_decay=0.1)

RUNS = {
    # 34 of the 50 rows train, 16 validate: 17 micro-batches, 6 updates an epoch, the last of 2 micro-batches
    "lora": dict(adapter=True, learning_rate=1e-3, max_steps=50, first_label=False),
    "full": dict(adapter=False, learning_rate=2e-4, max_steps=50, first_label=False),
    # every token is a label, the first too, as in stage pt; items are counted before the shift, as transformers did from 4.46 on and
    # does not any more in 5.24: the count is larger than the number of losses (Q2)
    "first": dict(adapter=False, learning_rate=2e-4, max_steps=50, first_label=True),
    # the variants of LoRA begin in adapters of their own, or in that of "lora"; LoRA+: B at 16 times the rate
    "rslora": dict(adapter="rslora", learning_rate=1e-3, max_steps=50, first_label=False),
    "dora": dict(adapter="dora", learning_rate=1e-3, max_steps=50, first_label=False),
    "loraplus": dict(adapter=True, learning_rate=1e-4, max_steps=50, first_label=False, loraplus_lr_ratio=16.0),
    "tables": dict(adapter="tables", learning_rate=1e-3, max_steps=50, first_label=False),
    # QLoRA: the adapter of "lora" on a base quantised to NF4 with quantised scales, and on one with plain scales
    "qlora": dict(adapter=True, learning_rate=1e-3, max_steps=50, first_label=False, quantization_bit=4),
    "qlora-plain": dict(adapter=True, learning_rate=1e-3, max_steps=50, first_label=False, quantization_bit=4,
                        double_quantization="false"),
    # A and B of the leading singular vectors, which the base lacks from then on
    "pissa": dict(adapter="pissa", learning_rate=1e-3, max_steps=50, first_label=False, pissa_init=True, pissa_iter=-1, lora_rank=4,
                  lora_alpha=8),
    # rows in bins of 40 tokens: one sequence with positions that begin anew, or as many sequences as there are rows
    "packing": dict(adapter=True, learning_rate=1e-3, max_steps=50, first_label=False, packing=True),
    "neat_packing": dict(adapter=True, learning_rate=1e-3, max_steps=50, first_label=False, neat_packing=True),
    # the last layer's attention and the final norm
    "freeze": dict(adapter=False, learning_rate=1e-3, max_steps=50, first_label=False, finetuning_type="freeze",
                   freeze_trainable_layers=1, freeze_trainable_modules="self_attn,post_attention_layernorm",
                   freeze_extra_modules="norm"),
    # another seed of the data, another schedule, a fraction of an epoch
    "linear": dict(adapter=False, learning_rate=2e-4, num_train_epochs=1.5, first_label=False, data_seed=7,
                   lr_scheduler_type="linear", weight_decay=0.0),
}
# Under bf16 autocast, beside weft with products in bf16: for a live comparison alone (tests/parity/live.py).
BF16 = ("lora", "full", "dora", "qlora")
RUNS_BF16 = {name + "-bf16": dict(RUNS[name], bf16=True) for name in BF16}
N_TRAIN, BIN = 34, 40


OURS = ("loraplus_lr_ratio", "finetuning_type", "freeze_trainable_layers", "freeze_trainable_modules", "freeze_extra_modules",
        "quantization_bit", "double_quantization", "packing", "neat_packing", "pissa_init", "pissa_iter", "lora_rank", "lora_alpha")
STARTS = {
    "rslora": dict(r=4, lora_alpha=8, use_rslora=True),
    "dora": dict(r=4, lora_alpha=8, use_dora=True),
    "tables": dict(r=2, lora_alpha=4, modules_to_save=["embed_tokens", "lm_head"]),
    "pissa": dict(r=4, lora_alpha=8, init_lora_weights="pissa"),
}


def fresh(model, name):
    torch.manual_seed(11)
    config = LoraConfig(task_type="CAUSAL_LM", bias="none", lora_dropout=0.0, **STARTS[name],
                        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
    return get_peft_model(model, config)


def start(model, name):
    """A fresh adapter of peft, kept beside the curves: its A is random."""
    path = os.path.join(DATA, "start-" + name)
    fresh(model, name).save_pretrained(path)
    os.remove(os.path.join(path, "README.md"))
    tidy(os.path.join(path, "adapter_config.json"))
    return path


def tidy(path):
    """A fixture names no folder of this machine, and lists no set in an order that changes."""
    with open(path) as f:
        config = json.load(f)
    config["base_model_name_or_path"] = os.path.basename(config["base_model_name_or_path"])
    config["target_modules"].sort()
    with open(path, "w") as f:
        json.dump(config, f, indent=2, sort_keys=True)


def freeze(model, spec):
    """As LLaMA-Factory chooses, but for "norm", which there means every norm of every layer too."""
    n, layers = int(spec["freeze_trainable_layers"]), model.config.num_hidden_layers
    chosen = range(layers - n, layers) if n > 0 else range(-n)
    wanted = [f"model.layers.{i}.{m}." for i in chosen for m in spec["freeze_trainable_modules"].split(",")]
    wanted += [f"model.{m}." for m in spec["freeze_extra_modules"].split(",")]
    for key, p in model.named_parameters():
        p.requires_grad_(any(key.startswith(w) for w in wanted))


NF4 = torch.tensor([
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0])


def dynamic_map():
    """The signed 8-bit map of arXiv:2110.02861."""
    code = []
    for i in range(7):
        bounds = torch.linspace(0.1, 1, 2 ** i + 1)
        middle = ((bounds[:-1] + bounds[1:]) / 2.0 * 10 ** (i - 6)).tolist()
        code += middle + [-m for m in middle]
    return torch.tensor(sorted(code + [0.0, 1.0]))


def nearest(code, x):
    """The lower code on a tie."""
    return torch.bucketize(x.double(), ((code[:-1].double() + code[1:].double()) / 2), right=False)


def nf4(w, double):
    """What a weight is after quantisation in blocks of 64 (arXiv:2305.14314)."""
    flat = torch.nn.functional.pad(w.flatten(), (0, -w.numel() % 64)).view(-1, 64)
    scale = flat.abs().amax(1)
    idx = nearest(NF4, flat * torch.where(scale > 0, 1 / scale, 0)[:, None])
    if double:
        code, offset = dynamic_map(), scale.double().mean().float()
        rest = torch.nn.functional.pad(scale - offset, (0, -len(scale) % 256)).view(-1, 256)
        top = rest.abs().amax(1, keepdim=True)
        scale = (code[nearest(code, rest * torch.where(top > 0, 1 / top, 0))] * top).flatten()[:len(scale)] + offset
    return (NF4[idx] * scale[:, None]).flatten()[:w.numel()].view(w.shape)


def quantise(model, double):
    """Every linear layer of the blocks holds what its quantised weight dequantises to, and stays so."""
    with torch.no_grad():
        for layer in model.model.layers:
            for module in layer.modules():
                if isinstance(module, torch.nn.Linear):
                    module.weight.copy_(nf4(module.weight, double))


class Rows(Dataset):
    def __init__(self, rows, first_label):
        self.rows = [dict(ids=r["ids"], labels=r["ids"] if first_label else [-100] + r["labels"][1:], parts=[len(r["ids"])])
                     for r in rows]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return {**self.rows[i], "index": i}


def pack(rows):
    """Bins of rows, in their order."""
    bins = []
    for row in rows.rows:
        if not bins or len(bins[-1]["ids"]) + len(row["ids"]) > BIN:
            bins.append(dict(ids=[], labels=[], parts=[]))
        for key in bins[-1]:
            bins[-1][key] = bins[-1][key] + row[key]
    rows.rows = bins


class Collator:
    """Pads on the right, and remembers in which order the rows came.  neat: rows of a bin do not see each other."""

    def __init__(self, packing=False, neat=False):
        self.order, self.packing, self.neat = [], packing, neat

    def __call__(self, items):
        self.order += [x["index"] for x in items]
        n = max(len(x["ids"]) for x in items)
        ids = torch.tensor([x["ids"] + [0] * (n - len(x["ids"])) for x in items])
        labels = torch.tensor([x["labels"] + [-100] * (n - len(x["labels"])) for x in items])
        mask = torch.tensor([[1] * len(x["ids"]) + [0] * (n - len(x["ids"])) for x in items])
        out = {"input_ids": ids, "labels": labels, "attention_mask": mask}
        if self.packing or self.neat:
            parts = [x["parts"] + [n - len(x["ids"])] for x in items]
            out["position_ids"] = torch.tensor([[p for part in row for p in range(part)] for row in parts])
        if self.neat:
            of = torch.tensor([[k for k, part in enumerate(row) for _ in range(part)] for row in parts])
            seen = (of[:, :, None] == of[:, None, :]) & torch.ones(n, n).tril().bool()
            out["attention_mask"] = torch.where(seen, 0.0, torch.finfo(torch.float32).min)[:, None]
        return out


class Recorder(transformers.Trainer):
    """Losses and norms as they are, before the log rounds them."""

    def __init__(self, *args, **keys):
        super().__init__(*args, **keys)
        self.update_loss = 0.0
        self.out = {"loss": [], "grad_norm": [], "lr": []}

    def training_step(self, *args, **keys):
        loss = super().training_step(*args, **keys)
        self.update_loss += loss.item()
        return loss


class Plus(Recorder):
    """LoRA+ as LLaMA-Factory groups the parameters."""

    ratio = 16.0

    def create_optimizer(self):
        groups = {False: [], True: []}
        for key, p in self.model.named_parameters():
            if p.requires_grad:
                groups["lora_B" in key or p.dim() == 1].append(p)
        a = self.args
        self.optimizer = torch.optim.AdamW(
            [dict(params=groups[False], lr=a.learning_rate), dict(params=groups[True], lr=a.learning_rate * self.ratio)],
            betas=(a.adam_beta1, a.adam_beta2), eps=a.adam_epsilon, weight_decay=a.weight_decay)
        return self.optimizer


class Watch(transformers.TrainerCallback):
    def __init__(self):
        self.trainer = None

    def on_step_begin(self, args, state, control, **_):
        self.trainer.out["lr"].append(self.trainer.lr_scheduler.get_last_lr()[0])

    def on_step_end(self, args, state, control, **_):
        self.trainer.out["loss"].append(self.trainer.update_loss)
        self.trainer.update_loss = 0.0

    def on_log(self, args, state, control, logs=None, **_):
        if logs and "grad_norm" in logs:
            self.trainer.out["grad_norm"].append(float(logs["grad_norm"]))


def run(name, spec):
    spec = dict(spec)
    with open(os.path.join(BASE, "curve.json")) as f:
        rows = json.load(f)["rows"]
    model = transformers.AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32, attn_implementation="eager")
    adapter, ours = spec.pop("adapter"), {k: spec.pop(k) for k in OURS if k in spec}
    if "quantization_bit" in ours:
        quantise(model, ours.get("double_quantization") != "false")
    if adapter == "pissa":
        model = fresh(model, adapter)
    elif adapter:
        path = os.path.join(BASE, "adapter")
        if adapter is not True:
            path = start(model, adapter)
            model = transformers.AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32, attn_implementation="eager")
        model = PeftModel.from_pretrained(model, path, is_trainable=True)
    elif ours.get("finetuning_type") == "freeze":
        freeze(model, ours)
    first_label = spec.pop("first_label")
    train, valid = Rows(rows[:N_TRAIN], first_label), Rows(rows[N_TRAIN:], first_label)
    packed = "packing" in ours or "neat_packing" in ours
    if packed:
        pack(train)
    keys = {**COMMON, "bf16": False, **spec}
    collate, watch = Collator("packing" in ours, "neat_packing" in ours), Watch()
    with tempfile.TemporaryDirectory() as folder:
        args = transformers.TrainingArguments(folder, use_cpu=True, report_to=[], logging_steps=1, save_strategy="no",
                                              disable_tqdm=True, remove_unused_columns=False,
                                              dataloader_num_workers=0, **keys)
        trainer = (Plus if "loraplus_lr_ratio" in ours else Recorder)(
            model=model, args=args, train_dataset=train, eval_dataset=valid, data_collator=collate, callbacks=[watch])
        watch.trainer = trainer
        if first_label:
            assert trainer._loss_shifts_labels      # the switch between the two counts
            trainer._loss_shifts_labels = False
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
        order = collate.order
        collate.order = []
        metrics = trainer.evaluate() if not first_label else {"eval_loss": None}
    out = {"settings": {**keys, **ours}, "start": "curve" if adapter is True else adapter if adapter and adapter != "pissa" else None,
           "first_label": first_label, "n_train": N_TRAIN, **trainer.out, "eval_loss": metrics["eval_loss"], "order": order}
    if packed:
        out["bins"] = train.rows
    moved = {k: p for k, p in model.named_parameters() if p.requires_grad}
    out["norm_of_weights"] = float(torch.sqrt(sum((p.double() ** 2).sum() for p in moved.values())))
    assert len(out["loss"]) == len(out["grad_norm"]) == len(out["lr"]), name
    with open(os.path.join(DATA, name + ".json"), "w") as f:
        json.dump(out, f)
        f.write("\n")
    print(f"{name}: {len(out['loss'])} updates, loss {out['loss'][0]:.4f} -> {out['loss'][-1]:.4f}, eval {out['eval_loss']}")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    os.makedirs(DATA, exist_ok=True)
    for name in sys.argv[1:] or RUNS:
        run(name, RUNS[name])
    import accelerate
    import peft
    with open(os.path.join(DATA, "VERSIONS"), "w") as f:
        f.write(f"torch {torch.__version__}\ntransformers {transformers.__version__}\npeft {peft.__version__}\n"
                f"accelerate {accelerate.__version__}\n")


if __name__ == "__main__":
    sys.exit(main())
