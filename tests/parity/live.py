"""Whole runs side by side, made now: the reference's packages and weft, both curves printed with their distance.

    python tests/parity/live.py BUILD            every run of train.py, optim.py, preference.py, trl_runs.py
    python tests/parity/live.py BUILD NAME...    these runs only, e.g. lora optim/galore preference/kto trl/dpo

The runs are made anew in a temporary folder; weft's side is BUILD/tests/train_test_parity.  Appends its verdicts to the
file that WEFT_PARITY_SUMMARY names (summary.py).
"""

import json
import os
import subprocess
import sys
import tempfile

os.environ.update(TQDM_DISABLE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1", TRL_EXPERIMENTAL_SILENCE="1", HF_HUB_OFFLINE="1",
                  TOKENIZERS_PARALLELISM="false")

import torch
import transformers

import optim
import preference
import train
import trl_runs
from summary import add, show

# Largest difference of a loss; with bf16 largest and mean difference, as parts of the loss (docs/parity.md).
LOSS = {"full": 5e-5, "first": 5e-5, "linear": 5e-5, "packing": 5e-5, "neat_packing": 5e-5, "freeze": 1e-3, "optim/adamw_8bit": 2e-3,
        "optim/galore_gap5": 1e-3, "optim/galore_full": 1e-3, "optim/muon": 5e-3}
PREFERENCE, USUAL = 2e-4, 1e-4
BF16_MAX, BF16_MEAN, BF16_MEAN_ANSWERS = 2e-2, 5e-3, 1e-2
NORM = {"optim/adamw_8bit": 2e-2, "optim/muon": 5e-3}
REWARD = 1e-3

# What makes the peers' runs: name -> (module, spec)
KINDS = {"": train, "optim/": optim, "preference/": preference, "trl/": trl_runs}
PEER = {"": "transformers", "preference/": "transformers and the papers' losses", "trl/": "trl"}


def peer_of(name, spec):
    kind = name[: name.find("/") + 1]
    if kind == "optim/":
        return next(p for key, p in (("8bit", "bitsandbytes"), ("galore", "galore-torch"), ("apollo", "apollo-torch"),
                                     ("badam", "badam"), ("muon", "torch.optim.Muon")) if key in name)
    return "peft" if not kind and spec.get("adapter") else PEER[kind]


def every_run():
    return {kind + name: (module, name, spec) for kind, module in KINDS.items()
            for name, spec in {**module.RUNS, **module.RUNS_BF16}.items()}


def make(folder, runs):
    for kind, module in KINDS.items():
        module.DATA = os.path.join(folder, kind)
        os.makedirs(module.DATA, exist_ok=True)
    rows = preference.make_rows()
    preference.write_rows(rows)
    for name, (module, short, spec) in runs.items():
        if module in (preference, trl_runs):
            module.run(short, spec, rows)
        else:
            module.run(short, spec)


def ours(build, folder, names):
    curves = os.path.join(folder, "curves.jsonl")
    env = {**os.environ, "WEFT_PARITY_RUNS": folder, "WEFT_PARITY_NAMES": "\n".join(names), "WEFT_PARITY_CURVES": curves}
    done = subprocess.run([os.path.join(build, "tests", "train_test_parity")], env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(done.stdout)
    with open(curves) as f:
        return {run["name"]: run for run in map(json.loads, f)}


def compare(name, peer, want, got):
    ok = True
    show(name, peer, want["loss"], got["loss"])
    distance = [abs(a - b) for a, b in zip(want["loss"], got["loss"])]
    row = f"{name}, {len(distance)} updates"
    if name.endswith("-bf16"):
        parts = [d / abs(a) for d, a in zip(distance, want["loss"])]
        mean = BF16_MEAN_ANSWERS if "preference/" in name else BF16_MEAN
        ok &= add(f"{row}: loss, relative, largest", peer, max(parts), BF16_MAX)
        return ok & add(f"{row}: loss, relative, mean", peer, sum(parts) / len(parts), mean)
    usual = PREFERENCE if name.split("/")[0] in ("preference", "trl") else USUAL
    ok &= add(f"{row}: loss", peer, max(distance), LOSS.get(name, usual))
    norms = [abs(b / a - 1) for a, b in zip(want["grad_norm"], got["grad_norm"])]
    ok &= add(f"{row}: gradient norm, relative", peer, max(norms), NORM.get(name, 1e-3))
    if "rewards" in want:
        far = [abs(a - b) for k, key in enumerate(("chosen", "rejected")) for a, b in zip(want["rewards"][k], got[key])]
        ok &= add(f"{row}: rewards", peer, max(far), REWARD)
    if want["eval_loss"] is not None:
        ok &= add(f"{row}: validation loss", peer, abs(want["eval_loss"] - got["valid"]), LOSS.get(name, usual))
    return ok


def main(build, *names):
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    runs = {name: run for name, run in every_run().items() if not names or name in names}
    ok = bool(runs)
    with tempfile.TemporaryDirectory() as folder:
        make(folder, runs)
        got = ours(build, folder, runs)
        for name, (module, short, spec) in runs.items():
            with open(os.path.join(module.DATA, short + ".json")) as f:
                ok &= compare(name, peer_of(name, spec), json.load(f), got[name])
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
