"""Frozen runs over compared and judged answers: transformers.Trainer and peft with the losses of the papers.

    python tests/parity/preference.py       writes tests/train/data/preference/

The model and the adapter's start are those of tests/parity/model.py (tests/model/data/curve).  The loop is the
reference's own: order of the rows, accumulation with a short last group, schedule, clipping, AdamW; a micro-batch's
loss is its own mean.  The losses are written here with torch's logsigmoid from the formulas of the papers, so that
autograd finds the derivatives; the reference model is the model with its adapter switched off.  Everything is f32 on
one thread of the CPU.
"""

import json
import os
import random
import sys
import tempfile

import torch
import torch.nn.functional as F
import transformers
from peft import PeftModel
from torch.utils.data import Dataset

from train import BASE, ROOT, Recorder, Watch

DATA = os.path.join(ROOT, "train", "data", "preference")
COMMON = dict(seed=42, per_device_train_batch_size=2, gradient_accumulation_steps=3, per_device_eval_batch_size=4,
              lr_scheduler_type="cosine", warmup_steps=2, max_grad_norm=1.0, adam_beta1=0.9, adam_beta2=0.999,
              adam_epsilon=1e-8, weight_decay=0.0, learning_rate=2e-3, max_steps=50)
RUNS = {
    "sigmoid": dict(stage="dpo", pref_loss="sigmoid"),
    "smoothed": dict(stage="dpo", pref_loss="sigmoid", dpo_label_smoothing=0.1, pref_ftx=0.3),
    "hinge": dict(stage="dpo", pref_loss="hinge"),
    "ipo": dict(stage="dpo", pref_loss="ipo"),
    "orpo": dict(stage="dpo", pref_loss="orpo"),
    "simpo": dict(stage="dpo", pref_loss="simpo", pref_beta=2.0),
    "kto": dict(stage="kto", kto_chosen_weight=1.0, kto_rejected_weight=1.5, pref_ftx=0.2),
}
# For a live comparison alone, as in train.py.
RUNS_BF16 = {name + "-bf16": dict(RUNS[name], bf16=True) for name in ("sigmoid", "orpo", "kto")}
N_TRAIN = 22     # 11 micro-batches, 4 updates an epoch, the last of 2 micro-batches


def make_rows():
    """Prompts and answers of the rows of curve.json; the rejected answer is another row's, or the same one shuffled."""
    with open(os.path.join(BASE, "curve.json")) as f:
        rows = json.load(f)["rows"]
    draw = random.Random(7)
    out = []
    for i, row in enumerate(rows):
        n = next((k for k, label in enumerate(row["labels"]) if label != -100), None)
        if not n or n < 1 or n + 1 >= len(row["ids"]):
            continue
        prompt, chosen = row["ids"][:n], row["ids"][n:]
        rejected = list(chosen)
        draw.shuffle(rejected)
        rejected = rejected[: max(1, len(rejected) - i % 3)]
        out.append({"prompt": prompt, "chosen": chosen, "rejected": rejected, "desirable": i % 3 != 1})
    return out


class Indices(Dataset):
    def __init__(self, first, end):
        self.items = list(range(first, end))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class Preferences(Recorder):
    def __init__(self, rows, spec, *args, **keys):
        super().__init__(*args, **keys)
        self.rows, self.spec = rows, spec
        self.rewards = [[], []]         # of the answers of this update: chosen or desirable, rejected or undesirable
        self.out["rewards"] = [[], []]

    def note(self, chosen, rejected):
        if self.model.training:
            for to, values in zip(self.rewards, (chosen, rejected)):
                to += values.detach().tolist()

    def end_update(self):
        for to, values in zip(self.out["rewards"], self.rewards):
            to.append(sum(values) / len(values) if values else 0.0)
        self.rewards = [[], []]

    def answers(self, model, pairs):
        """Sum of log p over each answer's tokens, and their number."""
        n = max(len(p) + len(a) for p, a in pairs)
        ids = torch.zeros(len(pairs), n, dtype=torch.long)
        labels = torch.full((len(pairs), n), -100)
        mask = torch.zeros(len(pairs), n, dtype=torch.long)
        for i, (p, a) in enumerate(pairs):
            ids[i, : len(p) + len(a)] = torch.tensor(p + a)
            labels[i, len(p) : len(p) + len(a)] = torch.tensor(a)
            mask[i, : len(p) + len(a)] = 1
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
        target = labels[:, 1:]
        keep = target != -100
        logp = torch.gather(logits.log_softmax(-1), 2, target.clamp(min=0).unsqueeze(2)).squeeze(2)
        return (logp * keep).sum(1), keep.sum(1)

    def both(self, model, pairs):
        lp, n = self.answers(model, pairs)
        with torch.no_grad(), model.disable_adapter():
            ref, _ = self.answers(model, pairs)
        return lp, ref, n

    def pair_loss(self, model, rows):
        s = self.spec
        beta, gamma = s.get("pref_beta", 0.1), s.get("simpo_gamma", 0.5)
        pairs = [(r["prompt"], r["chosen"]) for r in rows] + [(r["prompt"], r["rejected"]) for r in rows]
        lp, ref, n = self.both(model, pairs)
        lp_c, lp_r = lp.chunk(2)
        a_c, a_r = (lp / n).chunk(2)
        d = (lp_c - lp_r) - (ref[: len(rows)] - ref[len(rows) :])
        kind, e = s["pref_loss"], s.get("dpo_label_smoothing", 0.0)
        if kind == "sigmoid":
            loss = -(1 - e) * F.logsigmoid(beta * d) - e * F.logsigmoid(-beta * d)
        elif kind == "hinge":
            loss = torch.relu(1 - beta * d)
        elif kind == "ipo":
            r_c, r_r = (ref / n).chunk(2)
            loss = ((a_c - a_r) - (r_c - r_r) - 1 / (2 * beta)) ** 2
        elif kind == "orpo":
            odds = (a_c - a_r) - (torch.log1p(-torch.exp(a_c)) - torch.log1p(-torch.exp(a_r)))
            loss = -a_c - beta * F.logsigmoid(odds)
        else:
            loss = -F.logsigmoid(beta * (a_c - a_r) - gamma)
        if kind in ("orpo", "simpo"):
            self.note(beta * a_c, beta * a_r)
        elif kind == "ipo":
            self.note(beta * (a_c - r_c), beta * (a_r - r_r))
        else:
            self.note(beta * (lp_c - ref[: len(rows)]), beta * (lp_r - ref[len(rows) :]))
        return (loss - s.get("pref_ftx", 0.0) * a_c).mean()

    def judged_loss(self, model, rows, before):
        s = self.spec
        beta = s.get("pref_beta", 0.1)
        lp, ref, n = self.both(model, [(r["prompt"], r["chosen"]) for r in rows])
        with torch.no_grad():
            kl_lp, kl_ref, _ = self.both(model, [(r["prompt"], x["chosen"]) for r, x in zip(rows, before)])
            kl = (kl_lp - kl_ref).mean().clamp(min=0)
        good = torch.tensor([r["desirable"] for r in rows])
        z = torch.where(good, beta * (lp - ref - kl), beta * (kl - (lp - ref)))
        self.note((beta * (lp - ref))[good], (beta * (lp - ref))[~good])
        weight = torch.where(good, s["kto_chosen_weight"], s["kto_rejected_weight"])
        loss = (weight * (1 - torch.sigmoid(z))).mean()
        if good.any():
            loss = loss + s["pref_ftx"] * (-(lp / n)[good]).mean() / good.sum() * len(rows)
        return loss

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        idx = inputs["index"].tolist()
        rows = [self.rows[i] for i in idx]
        if self.spec["stage"] == "kto":
            first, end = (0, N_TRAIN) if idx[0] < N_TRAIN else (N_TRAIN, len(self.rows))
            loss = self.judged_loss(model, rows, [self.rows[i - 1 if i > first else end - 1] for i in idx])
        else:
            loss = self.pair_loss(model, rows)
        return (loss, {}) if return_outputs else loss

    def prediction_step(self, model, inputs, *args, **keys):
        with torch.no_grad():
            return self.compute_loss(model, inputs).detach(), None, None


class WatchRewards(Watch):
    def on_step_end(self, args, state, control, **keys):
        super().on_step_end(args, state, control, **keys)
        self.trainer.end_update()


def run(name, spec, rows):
    model = transformers.AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32, attn_implementation="eager")
    model = PeftModel.from_pretrained(model, os.path.join(BASE, "adapter"), is_trainable=True)
    watch = WatchRewards()
    keys = {**COMMON, "bf16": False, **{k: v for k, v in spec.items() if k == "bf16"}}
    with tempfile.TemporaryDirectory() as folder:
        args = transformers.TrainingArguments(folder, use_cpu=True, report_to=[], logging_steps=1, save_strategy="no",
                                              disable_tqdm=True, remove_unused_columns=False,
                                              dataloader_num_workers=0, **keys)
        trainer = Preferences(rows, spec, model=model, args=args, train_dataset=Indices(0, N_TRAIN),
                              eval_dataset=Indices(N_TRAIN, len(rows)), callbacks=[watch],
                              data_collator=lambda items: {"index": torch.tensor(items)})
        trainer.model_accepts_loss_kwargs = False       # a micro-batch's loss is its own mean
        watch.trainer = trainer
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
        valid = trainer.evaluate()["eval_loss"]
    out = {"settings": {**keys, **spec}, **trainer.out, "eval_loss": valid}
    assert len(out["loss"]) == len(out["grad_norm"]) == COMMON["max_steps"], name
    with open(os.path.join(DATA, name + ".json"), "w") as f:
        json.dump(out, f)
        f.write("\n")
    print(f"{name}: loss {out['loss'][0]:.4f} -> {out['loss'][-1]:.4f}, eval {valid:.4f}")


def write_rows(rows):
    os.makedirs(DATA, exist_ok=True)
    with open(os.path.join(DATA, "rows.json"), "w") as f:
        json.dump({"n_train": N_TRAIN, "rows": rows}, f)
        f.write("\n")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    rows = make_rows()
    write_rows(rows)
    for name, spec in RUNS.items():
        run(name, spec, rows)


if __name__ == "__main__":
    sys.exit(main())
