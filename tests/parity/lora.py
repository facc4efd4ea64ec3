"""Live check: adapters and merged models written by weft load in peft and transformers with the same logits.

    python tests/parity/lora.py BUILD_FOLDER
"""

import json
import os
import subprocess
import sys
import tempfile

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from summary import add

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MODELS = os.path.join(ROOT, "model", "data")


def logits(model, expect):
    out, cu = [], expect["cu"].tolist()
    for a, b in zip(cu, cu[1:]):
        ids = expect["ids"][a:b].long()[None]
        with torch.no_grad():
            out.append(model(input_ids=ids).logits[0].float())
    return torch.cat(out)[expect["rows"].long()]


def load(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()


def check(what, got, want):
    error = ((got - want).norm() / want.norm()).item()
    return add(f"{what}: rel-L2", "peft" if "peft" in what else "transformers", error, 1e-5)


def main(build):
    torch.set_num_threads(1)
    ok = True
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([os.path.join(build, "tests", "adapter_test_lora")], env={**os.environ, "WEFT_PARITY_OUT": out}, check=True,
                       stdout=subprocess.DEVNULL)
        cases = sorted(os.listdir(out))
        for case in cases:
            path = os.path.join(out, case)
            expect = load_file(os.path.join(path, "logits.safetensors"))
            with open(os.path.join(path, "adapter_config.json")) as f:
                base = os.path.join(MODELS, json.load(f)["base_model_name_or_path"])
            tuned = PeftModel.from_pretrained(load(base), path).eval()
            n = sum(1 for key, _ in tuned.named_parameters() if "lora_" in key or "modules_to_save" in key)
            ok &= check(f"adapter {case} in peft ({n} tensors)", logits(tuned, expect), expect["logits"])
            ok &= check(f"merged {case} in transformers", logits(load(os.path.join(path, "merged")), expect), expect["logits"])
        ok &= len(cases) == 8
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
