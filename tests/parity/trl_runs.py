"""Live runs of trl's own trainers over compared and judged answers, for tests/parity/live.py.

DPOTrainer (sigmoid, hinge, ipo), ORPOTrainer, CPOTrainer as SimPO and KTOTrainer train the adapter of
tests/model/data/curve from strings that a tokenizer of 61 words cuts: their own preparation of data, collators, losses and
loop, nothing of them changed.  Two of their habits decide what can be compared: ORPO's likelihood counts the tokens of
prompt and answer over the whole micro-batch, LLaMA-Factory's (and weft's) those of each answer, so that its prompts are of
one token here and its micro-batches of one pair; KTO takes its mismatched answers from the same micro-batch and the rows in
their order, so weft is given the same.
"""

import json
import os
import tempfile

import torch
import transformers
from datasets import Dataset
from peft import PeftModel
from tokenizers import Tokenizer, models, pre_tokenizers
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

from train import BASE, Recorder, Watch

DATA = None     # set by live.py
EOS = 2
COMMON = dict(seed=42, per_device_train_batch_size=2, gradient_accumulation_steps=3, lr_scheduler_type="cosine", warmup_steps=2,
              max_grad_norm=1.0, adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-8, weight_decay=0.0, learning_rate=2e-3,
              max_steps=50, bf16=False)
RUNS = {
    # what weft is told; what trl is told besides; trainer and its configuration
    "dpo": (dict(stage="dpo", pref_loss="sigmoid"), dict(loss_type=["sigmoid"], beta=0.1), DPOTrainer, DPOConfig),
    "dpo_hinge": (dict(stage="dpo", pref_loss="hinge"), dict(loss_type=["hinge"], beta=0.1), DPOTrainer, DPOConfig),
    "dpo_ipo": (dict(stage="dpo", pref_loss="ipo"), dict(loss_type=["ipo"], beta=0.1), DPOTrainer, DPOConfig),
    "simpo": (dict(stage="dpo", pref_loss="simpo", pref_beta=2.0), dict(loss_type="simpo", beta=2.0, simpo_gamma=0.5, cpo_alpha=0.0),
              CPOTrainer, CPOConfig),
    "orpo": (dict(stage="dpo", pref_loss="orpo", per_device_train_batch_size=1, gradient_accumulation_steps=6),
             dict(beta=0.1, per_device_train_batch_size=1, gradient_accumulation_steps=6), ORPOTrainer, ORPOConfig),
    "kto": (dict(stage="kto", kto_rejected_weight=1.5, disable_shuffling=True),
            dict(beta=0.1, undesirable_weight=1.5), KTOTrainer, KTOConfig),
}
RUNS_BF16 = {}


def words():
    """A tokenizer of the model's ids: w00 ... w60."""
    t = Tokenizer(models.WordLevel({f"w{i:02}": i for i in range(61)}, unk_token="w00"))
    t.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=t, eos_token=f"w{EOS:02}", pad_token="w00")


def text(ids):
    return " ".join(f"w{i:02}" for i in ids)


class WatchTrl(Watch):
    def on_log(self, args, state, control, logs=None, **keys):
        super().on_log(args, state, control, logs, **keys)
        if logs and "grad_norm" in logs and "rewards" in self.trainer.out:
            for to, key in zip(self.trainer.out["rewards"], ("chosen", "rejected")):
                to.append(float(logs["rewards/" + key]))


def run(name, spec, rows):
    ours, theirs, trainer_class, config_class = spec
    judged = ours["stage"] == "kto"
    rows = [{k: [i if i != EOS else 3 for i in v] if isinstance(v, list) else v for k, v in r.items()} for r in rows]
    rows = rows[: len(rows) // 2 * 2]
    if name == "orpo":
        rows = [{**r, "prompt": r["prompt"][-1:]} for r in rows]
    table = [dict(prompt=text(r["prompt"]), completion=" " + text(r["chosen"]), label=r["desirable"]) if judged else
             dict(prompt=text(r["prompt"]), chosen=" " + text(r["chosen"]), rejected=" " + text(r["rejected"])) for r in rows]
    model = transformers.AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32, attn_implementation="eager")
    model = PeftModel.from_pretrained(model, os.path.join(BASE, "adapter"), is_trainable=True)
    watch, keys = WatchTrl(), {}
    if trainer_class in (DPOTrainer, KTOTrainer):
        keys["ref_model"] = transformers.AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32,
                                                                             attn_implementation="eager")
    with tempfile.TemporaryDirectory() as folder:
        args = config_class(folder, use_cpu=True, report_to=[], logging_steps=1, save_strategy="no", disable_tqdm=True,
                            gradient_checkpointing=False, max_length=256, **{**COMMON, **theirs})
        trainer = type("Live", (Recorder, trainer_class), {})(
            model=model, args=args, train_dataset=Dataset.from_list(table), processing_class=words(), callbacks=[watch], **keys)
        watch.trainer = trainer
        # of judged answers trl averages the means of micro-batches, whatever their numbers of rows; of ipo, sums
        if not judged and name != "dpo_ipo":
            trainer.out["rewards"] = [[], []]
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    for r in rows:
        r["chosen"], r["rejected"] = r["chosen"] + [EOS], r["rejected"] + [EOS]
    for i, r in enumerate(rows):
        r["kl"] = rows[i ^ 1]["chosen"]
    out = {"settings": {**COMMON, **ours}, **trainer.out, "eval_loss": None, "rows": rows, "n_train": len(rows)}
    assert len(out["loss"]) == len(out["grad_norm"]) == COMMON["max_steps"], name
    with open(os.path.join(DATA, name + ".json"), "w") as f:
        json.dump(out, f)
    print(f"trl/{name}: loss {out['loss'][0]:.4f} -> {out['loss'][-1]:.4f}")
