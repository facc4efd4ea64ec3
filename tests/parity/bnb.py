"""A checkpoint that bitsandbytes quantised, for the tests of src/model/bnb.c; needs torch, safetensors and bitsandbytes.

    bnb.py MODEL_DIR OUT_DIR      OUT_DIR: config.json, model.safetensors and, for two of its weights, expect.safetensors

Layer 0 has quantised scales, the others plain ones.  The values of the others are compared with what train.py, whose runs
weft's are compared with, quantises to.  (bitsandbytes 0.50 on a processor with AVX-512 reads rows of a multiple of 16, not of 64 values
back wrong, so that the model may have none.)
"""
import json
import os
import sys

import bitsandbytes.functional as F
import torch
from safetensors.torch import load_file, save_file

from summary import add
from train import nf4


def main(source, target):
    weights, out, expect = load_file(source + "/model.safetensors"), {}, {}
    other = total = 0
    config = json.load(open(source + "/config.json"))
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    os.makedirs(target, exist_ok=True)
    for name, w in weights.items():
        if not name.endswith("_proj.weight"):
            out[name] = w.to(torch.bfloat16) if "embed" in name else w
            continue
        codes, state = F.quantize_4bit(w.float(), blocksize=64, quant_type="nf4", compress_statistics="layers.0." in name)
        out[name] = codes
        if "layers.0." not in name:
            other += int((F.dequantize_4bit(codes, state) != nf4(w.float(), False)).sum())
            total += w.numel()
        for key, value in state.as_dict(packed=True).items():
            out[f"{name}.{key}"] = value
        if name.endswith("0.self_attn.q_proj.weight") or name.endswith("1.mlp.down_proj.weight"):
            expect[name] = F.dequantize_4bit(codes, state)
    json.dump(config, open(target + "/config.json", "w"), indent=1)
    save_file(out, target + "/model.safetensors", {"format": "pt"})
    save_file(expect, target + "/expect.safetensors", {"format": "pt"})
    return add(f"NF4, {total} values: others than those of train.py", "bitsandbytes", other, 0)


sys.exit(not main(*sys.argv[1:]))
