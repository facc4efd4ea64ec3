#!/usr/bin/env python3
"""AdamW of a model in bf16, as torch's fused step takes it: frozen for
tests/train/test_pure_bf16.c.

    pure_bf16.py      writes tests/train/data/pure_bf16.json

Needs torch."""
import json
import os

import torch

HERE = os.path.dirname(os.path.abspath(__file__))


def bits(t):
    return [int(x) & 0xFFFF for x in t.detach().flatten().view(torch.int16)]


def main():
    torch.manual_seed(3)
    n, steps = 40, 6
    p = torch.nn.Parameter((torch.randn(n) * torch.logspace(-3, 1, n)).bfloat16())
    opt = torch.optim.AdamW([p], lr=0.01, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, fused=True)
    out = {"torch": torch.__version__, "lr": 0.01, "beta2": 0.95, "weight_decay": 0.1, "start": bits(p), "steps": []}
    for _ in range(steps):
        p.grad = (torch.randn(n) * torch.logspace(1, -4, n)).bfloat16()
        opt.step()
        s = opt.state[p]
        out["steps"].append({"g": bits(p.grad), "p": bits(p), "m": bits(s["exp_avg"]), "v": bits(s["exp_avg_sq"])})
    with open(os.path.join(HERE, "..", "train", "data", "pure_bf16.json"), "w") as f:
        json.dump(out, f, separators=(",", ":"))
        f.write("\n")


main()
