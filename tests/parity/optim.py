"""Frozen loss curves of the optimizers beside AdamW, by the packages that users of the reference have.

    python tests/parity/optim.py            writes tests/train/data/optim/
    python tests/parity/optim.py NAME...    writes these runs only

bitsandbytes (8-bit AdamW), galore-torch, apollo-torch, badam and torch (Muon) inside transformers.Trainer, everything f32 on one thread of
the CPU.  The rows are those of tests/model/data/curve; the model is made from a formula that tests/train/test_parity.c
knows too, so that it may be large enough for 8-bit moments without a file.
"""

import json
import os
import sys
import tempfile

import numpy as np
import torch
import transformers

from train import BASE, COMMON, N_TRAIN, Collator, Recorder, Rows, Watch

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DATA = os.path.join(ROOT, "train", "data", "optim")
SHAPE = dict(vocab_size=61, hidden_size=72, intermediate_size=60, num_hidden_layers=3, num_attention_heads=6,
             num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=1e-6, tie_word_embeddings=False)
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

FULL = dict(finetuning_type="full", bf16=False)
RUNS = {
    "adamw_8bit": dict(FULL, optim="adamw_8bit", learning_rate=2e-3, max_steps=50),
    "galore": dict(FULL, use_galore=True, galore_rank=8, galore_update_interval=200, galore_scale=2.0,
                   learning_rate=2e-3, max_steps=50),
    "galore_gap5": dict(FULL, use_galore=True, galore_rank=8, galore_update_interval=5, galore_scale=2.0,
                        learning_rate=2e-3, max_steps=50),
    "galore_full": dict(FULL, use_galore=True, galore_rank=8, galore_update_interval=5, galore_proj_type="full",
                        galore_target="mlp", learning_rate=2e-3, max_steps=50),
    # layers as in every recipe of the reference; the second with singular vectors; the third is APOLLO-Mini
    "apollo": dict(FULL, use_apollo=True, apollo_rank=8, apollo_update_interval=5, learning_rate=2e-3, max_steps=50),
    "apollo_svd": dict(FULL, use_apollo=True, apollo_rank=8, apollo_update_interval=5, apollo_proj="svd",
                       apollo_scale_front=True, learning_rate=2e-3, max_steps=50),
    "apollo_mini": dict(FULL, use_apollo=True, apollo_rank=1, apollo_update_interval=200, apollo_scale=128.0, apollo_scale_type="tensor",
                        apollo_target="mlp,o_proj", learning_rate=2e-3, max_steps=50),
    "muon": dict(FULL, optim="muon", learning_rate=2e-3, max_steps=50),
    "badam": dict(FULL, use_badam=True, badam_switch_interval=3, learning_rate=2e-3, max_steps=50),
    "badam_descending": dict(FULL, use_badam=True, badam_switch_interval=3, badam_switch_mode="descending",
                             badam_start_block=1, learning_rate=2e-3, max_steps=50),
    "badam_ratio": dict(FULL, use_badam=True, badam_mode="ratio", badam_update_ratio=0.1, badam_mask_mode="adjacent",
                        learning_rate=2e-3, max_steps=50),
}


# For a live comparison alone, as in train.py.
RUNS_BF16 = {name + "-bf16": dict(RUNS[name], bf16=True) for name in ("adamw_8bit", "galore", "badam")}


def fill(name, shape):
    key = 2166136261
    for c in name.encode():
        key = ((key ^ c) * 16777619) & 0xFFFFFFFF
    x = (np.arange(int(np.prod(shape)), dtype=np.uint64) * 2654435761 + key) & 0xFFFFFFFF
    x = x.astype(np.uint32)
    x ^= x >> np.uint32(16)
    x = (x.astype(np.uint64) * 0x7FEB352D & 0xFFFFFFFF).astype(np.uint32)
    x ^= x >> np.uint32(15)
    x = (x.astype(np.uint64) * 0x846CA68B & 0xFFFFFFFF).astype(np.uint32)
    x ^= x >> np.uint32(16)
    u = (x >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24) - np.float32(0.5)
    u = np.float32(1) + u * np.float32(0.5) if name.endswith("norm.weight") else u * np.float32(0.5)
    return torch.from_numpy(u.reshape(shape).copy())


def make_model():
    config = transformers.Qwen2Config(**SHAPE)
    config._attn_implementation = "eager"
    model = transformers.Qwen2ForCausalLM(config).float()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(fill(name, p.shape))
    return model


def decayed(model, own):
    """§ the reference's two rules: its trainer's, and that of the optimizers it brings along (all but biases)."""
    names = [n for n, p in model.named_parameters() if p.requires_grad]
    if own:
        return {n for n in names if "bias" not in n}
    return {n for n in names if "bias" not in n and "norm" not in n}


def groups(model, args, own, skip=()):
    yes = decayed(model, own)
    out = []
    for flag in (True, False):
        ps = [p for n, p in model.named_parameters() if p.requires_grad and (n in yes) == flag and n not in skip]
        out.append(dict(params=ps, weight_decay=args.weight_decay if flag else 0.0, lr=args.learning_rate))
    return out


def signed(projector):
    """Singular vectors as weft has them: in f64, for in f32 the sign of a small entry of the projection is chance, and
    the first steps go by signs; and the largest entry of each is positive."""
    def fixed(weights, rank, type):
        def flip(rows):                             # [r, n]
            at = rows.abs().argmax(dim=1)
            return rows * torch.sign(rows[torch.arange(len(rows)), at])[:, None]
        u, _, vh = torch.linalg.svd(weights.double(), full_matrices=False)
        left, right = flip(u[:, :rank].t()).t().contiguous().float(), flip(vh[:rank]).float()
        return right if type == "right" else left if type == "left" else [left, right]
    projector.get_orthogonal_matrix = fixed


def philox(key, counter):
    """Philox4x32-10; counter: four arrays of uint64 below 2^32."""
    k0, k1 = key
    c0, c1, c2, c3 = counter
    m = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c2 = (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0), (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1)
        c1, c3 = p1 & m, p0 & m
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).reshape(-1)


def normal(name, draw, shape, seed=42, purpose=7):
    """The random numbers that weft takes for the directions of this matrix (base/rng.h)."""
    h = 2166136261
    for c in name.encode():
        h = ((h ^ c) * 16777619) & 0xFFFFFFFF
    n = int(np.prod(shape))
    blocks = (2 * n + 3) // 4
    words = philox((seed, purpose), [np.arange(blocks, dtype=np.uint64), np.zeros(blocks, np.uint64),
                                     np.full(blocks, draw, np.uint64), np.full(blocks, h, np.uint64)])[:2 * n]
    u, v = (words[0::2].astype(np.float64) + 0.5) * 2.0**-32, words[1::2].astype(np.float64) * 2.0**-32
    x = np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)
    return torch.from_numpy(x.astype(np.float32).reshape(shape).copy())


def random_as_ours(optimizer_class, names):
    """apollo-torch with weft's random numbers: r rows of directions, whichever side they are of."""
    old = optimizer_class._initialize_projector

    def initialize(self, group, state):
        projector = old(self, group, state)
        if group["proj"] != "random":
            signed(projector)
            return projector
        name = names[state["seed"]]

        def fixed(weights, rank, type, seed):
            draw, projector.draw = projector.draw, projector.draw + 1
            scale = np.float32(1 / np.sqrt(rank))
            if type == "left":
                return (normal(name, draw, (rank, weights.shape[0])) * scale).t().contiguous()
            return normal(name, draw, (rank, weights.shape[1])) * scale
        projector.draw = 0
        projector.get_orthogonal_matrix = fixed
        return projector
    optimizer_class._initialize_projector = initialize


class Muon(torch.optim.Optimizer):
    """torch's Muon for the matrices of layers; the rest by Adam with epsilon outside the bias correction, all decayed, as
    the reference's own Muon does.  torch keeps (1 - 0.95) of each gradient, which Newton and Schulz do not see."""

    def __init__(self, matrices, others, lr, weight_decay, betas, eps):
        super().__init__([dict(params=matrices), dict(params=others)], dict(lr=lr))
        self.inner = torch.optim.Muon(matrices, lr=lr, weight_decay=weight_decay, momentum=0.95, nesterov=True,
                                      adjust_lr_fn="match_rms_adamw")
        self.decay, self.betas, self.eps, self.t = weight_decay, betas, eps, 0

    @torch.no_grad()
    def step(self, closure=None):
        self.t += 1
        self.inner.param_groups[0]["lr"] = self.param_groups[0]["lr"]
        self.inner.step()
        lr, (b1, b2) = self.param_groups[1]["lr"], self.betas
        for p in self.param_groups[1]["params"]:
            s = self.state[p]
            if not s:
                s["m"], s["v"] = torch.zeros_like(p), torch.zeros_like(p)
            s["m"].lerp_(p.grad, 1 - b1)
            s["v"].mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
            p.mul_(1 - lr * self.decay)
            p.addcdiv_(s["m"], s["v"].sqrt().add_(self.eps), value=-lr * (1 - b2**self.t) ** 0.5 / (1 - b1**self.t))


class Ours(Recorder):
    spec = None
    blocks = None
    restore = staticmethod(lambda: None)

    def create_optimizer(self):
        s, a, m = self.spec, self.args, self.model
        keys = dict(betas=(a.adam_beta1, a.adam_beta2), eps=a.adam_epsilon)
        if s.get("optim") == "adamw_8bit":
            import bitsandbytes as bnb
            self.optimizer = bnb.optim.AdamW8bit(groups(m, a, False), lr=a.learning_rate, **keys)
            manager = bnb.optim.GlobalOptimManager.get_instance()
            for module in m.modules():
                if isinstance(module, torch.nn.Embedding):
                    manager.register_module_override(module, "weight", {"optim_bits": 32})
            # the head is an embedding of its own kind: weft keeps f32 for it too
            manager.register_module_override(m.lm_head, "weight", {"optim_bits": 32})
        elif s.get("optim") == "muon":
            named = [(n, p) for n, p in m.named_parameters() if p.requires_grad]
            matrix = {n for n, p in named if p.dim() == 2 and "embed" not in n and "lm_head" not in n}
            self.optimizer = Muon([p for n, p in named if n in matrix], [p for n, p in named if n not in matrix],
                                  a.learning_rate, a.weight_decay, **keys)
        elif s.get("use_galore"):
            import galore_torch.galore_projector as gp
            from galore_torch import GaLoreAdamW
            target = s.get("galore_target", "all")
            wanted = LINEAR if target == "all" else tuple(target.split(","))
            names = {n for n, p in m.named_parameters() if p.dim() == 2 and any(w in n for w in wanted)
                     and "embed" not in n and "lm_head" not in n}
            old = gp.GaLoreProjector.__init__

            def init(self, *args, **kw):
                old(self, *args, **kw)
                signed(self)
            gp.GaLoreProjector.__init__ = init
            gs = groups(m, a, True, names)
            gs.append(dict(params=[p for n, p in m.named_parameters() if n in names], rank=s["galore_rank"],
                           update_proj_gap=s["galore_update_interval"], scale=s.get("galore_scale", 2.0),
                           proj_type=s.get("galore_proj_type", "std"), weight_decay=a.weight_decay, lr=a.learning_rate))
            self.optimizer = GaLoreAdamW(gs, lr=a.learning_rate, no_deprecation_warning=True, **keys)
        elif s.get("use_apollo"):
            from apollo_torch import APOLLOAdamW
            target = s.get("apollo_target", "all")
            wanted = LINEAR if target == "all" else tuple(target.split(","))
            names = {n for n, p in m.named_parameters() if p.dim() == 2 and any(w in n for w in wanted)
                     and "embed" not in n and "lm_head" not in n}
            gs = groups(m, a, True, names)
            gs.append(dict(params=[p for n, p in m.named_parameters() if n in names], rank=s["apollo_rank"],
                           proj=s.get("apollo_proj", "random"), proj_type="std",
                           update_proj_gap=s["apollo_update_interval"], scale=s.get("apollo_scale", 32.0),
                           scale_type=s.get("apollo_scale_type", "channel"), weight_decay=a.weight_decay,
                           lr=a.learning_rate))
            gs = [g for g in gs if g["params"]]
            where = {id(p): n for n, p in m.named_parameters()}
            order = {i + 1: where[id(p)] for i, p in enumerate(p for g in gs for p in g["params"])}
            plain = APOLLOAdamW._initialize_projector
            random_as_ours(APOLLOAdamW, order)
            self.optimizer = APOLLOAdamW(gs, lr=a.learning_rate, scale_front=s.get("apollo_scale_front", False), **keys)
            self.restore = lambda: setattr(APOLLOAdamW, "_initialize_projector", plain)
        elif s.get("badam_mode") == "ratio":
            from badam import BlockOptimizerRatio
            named = list(m.named_parameters())
            self.optimizer = BlockOptimizerRatio(
                param_groups=[dict(params=[p for n, p in named if "embed" not in n and "lm_head" not in n])],
                named_parameters_list=named, update_ratio=s["badam_update_ratio"], mask_mode=s["badam_mask_mode"],
                lr=a.learning_rate, verbose=0, **keys)
            # as the reference does: the norm of what is trained now
            from types import MethodType
            from badam import clip_grad_norm_old_version
            self.accelerator.clip_grad_norm_ = MethodType(clip_grad_norm_old_version, self.accelerator)
        else:
            from badam import BlockOptimizer
            base = torch.optim.AdamW(groups(m, a, False), lr=a.learning_rate, **keys)
            self.optimizer = BlockOptimizer(
                base_optimizer=base, named_parameters_list=list(m.named_parameters()),
                switch_block_every=s["badam_switch_interval"], start_block=s.get("badam_start_block"),
                switch_mode=s.get("badam_switch_mode", "ascending"), verbose=0)
            self.blocks = []
        return self.optimizer

    def training_step(self, *args, **keys):
        loss = super().training_step(*args, **keys)
        if self.blocks is not None:
            prefix = getattr(self.optimizer, "optimizer", self.optimizer).active_param_prefixs[0]
            self.active = int(prefix.rstrip(".").split(".")[-1])
        return loss


class WatchBlocks(Watch):
    def on_step_end(self, args, state, control, **_):
        super().on_step_end(args, state, control, **_)
        if self.trainer.blocks is not None:
            self.trainer.blocks.append(self.trainer.active)


def run(name, spec):
    with open(os.path.join(BASE, "curve.json")) as f:
        rows = json.load(f)["rows"]
    model = make_model()
    train, valid = Rows(rows[:N_TRAIN], False), Rows(rows[N_TRAIN:], False)
    keys = {**COMMON, "learning_rate": spec["learning_rate"], "max_steps": spec["max_steps"], "bf16": spec["bf16"]}
    collate, watch = Collator(), WatchBlocks()
    with tempfile.TemporaryDirectory() as folder:
        args = transformers.TrainingArguments(folder, use_cpu=True, report_to=[], logging_steps=1, save_strategy="no",
                                              disable_tqdm=True, remove_unused_columns=False,
                                              dataloader_num_workers=0, **keys)
        trainer = Ours(model=model, args=args, train_dataset=train, eval_dataset=valid, data_collator=collate,
                       callbacks=[watch])
        trainer.spec = spec
        watch.trainer = trainer
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
        metrics = trainer.evaluate()
        trainer.restore()
    ours = {k: v for k, v in spec.items() if k not in keys}
    out = {"settings": {**keys, **ours}, "shape": SHAPE, "first_label": False, "n_train": N_TRAIN, **trainer.out,
           "eval_loss": metrics["eval_loss"]}
    if trainer.blocks is not None:
        out["blocks"] = trainer.blocks
    with open(os.path.join(DATA, name + ".json"), "w") as f:
        json.dump(out, f)
        f.write("\n")
    print(f"{name}: {len(out['loss'])} updates, loss {out['loss'][0]:.4f} -> {out['loss'][-1]:.4f}, "
          f"eval {out['eval_loss']}, blocks {trainer.blocks}")


def codes():
    """The two tables of bitsandbytes, and a tensor in the codes nearest to it.  (On a CPU bitsandbytes looks codes up in a
    coarse table and is one or two off for small values; on a GPU it takes the nearest.)"""
    import bitsandbytes.functional as F
    x = fill("codes", (2048,))
    x = torch.sign(x) * x.abs() ** 4 * 17
    x[:256] = 0
    x[300], x[301] = 1e-12, -1e-12
    out = {"signed": F.create_dynamic_map(signed=True).tolist(), "unsigned": F.create_dynamic_map(signed=False).tolist()}
    scales = x.view(-1, 256).abs().max(dim=1).values
    out["scales"] = scales.tolist()
    part = torch.nan_to_num(x.view(-1, 256) / scales[:, None]).flatten()
    for name, signed in (("signed_codes", True), ("unsigned_codes", False)):
        code = F.create_dynamic_map(signed=signed).double()
        value = part.double() if signed else part.abs().double()
        out[name] = (value[:, None] - code[None]).abs().argmin(dim=1).tolist()
    with open(os.path.join(DATA, "codes.json"), "w") as f:
        json.dump(out, f)
        f.write("\n")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    os.makedirs(DATA, exist_ok=True)
    codes()
    for name in sys.argv[1:] or RUNS:
        run(name, RUNS[name])
    import importlib.metadata as meta
    with open(os.path.join(DATA, "VERSIONS"), "w") as f:
        for p in ("torch", "transformers", "bitsandbytes", "galore-torch", "apollo-torch", "badam"):
            f.write(f"{p} {meta.version(p)}\n")


if __name__ == "__main__":
    sys.exit(main())
