#!/usr/bin/env python3
"""What LLaMA-Factory's rope_scaling makes of a config, and the frequencies transformers computes from that: frozen for
tests/model/test_config.c.

    rope.py SOURCE      writes tests/model/data/rope_scaling.jsonl

SOURCE is the folder `src` of an unpacked llamafactory sdist (written with 0.9.5).  Needs transformers."""
import json
import os
import sys
import types

import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from templates import llamafactory

HERE = os.path.dirname(os.path.abspath(__file__))
BASES = {
    "plain": (256, None),
    "linear": (256, {"rope_type": "linear", "factor": 4.0}),
    "llama3": (512, {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 2.0, "high_freq_factor": 3.0,
                     "original_max_position_embeddings": 64}),
    "yarn": (128, {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "beta_fast": 16.0,
                   "attention_factor": 1.5}),
}


def main(source):
    llamafactory(source)
    for name in (".model", ".model.model_utils"):
        m = types.ModuleType("llamafactory" + name)
        m.__path__ = [os.path.join(source, *("llamafactory" + name).split("."))]
        sys.modules[m.__name__] = m
    from llamafactory.model.model_utils.rope import configure_rope
    with open(os.path.join(HERE, "..", "model", "data", "rope_scaling.jsonl"), "w") as out:
        for base, (positions, rope) in BASES.items():
            for kind in ("linear", "llama3", "yarn"):
                for length in (30, 33, 128, 256, 257, 1000):
                    # what LLaMA-Factory sees: the keys of older files
                    seen = types.SimpleNamespace(max_position_embeddings=positions, rope_scaling=rope)
                    configure_rope(seen, types.SimpleNamespace(rope_scaling=kind, model_max_length=length))
                    c = transformers.LlamaConfig(hidden_size=64, num_attention_heads=2, rope_theta=10000.0,
                                                 max_position_embeddings=int(seen.max_position_embeddings),
                                                 rope_parameters={**(seen.rope_scaling or {"rope_type": "default"}),
                                                                  "rope_theta": 10000.0})
                    row = {"positions": positions, "rope_scaling": rope, "type": kind, "length": length,
                           "then": int(seen.max_position_embeddings)}
                    made = seen.rope_scaling
                    if made is not rope:
                        inv, factor = ROPE_INIT_FUNCTIONS[kind](c, "cpu")
                        row |= {"factor": made["factor"], "inv": [float(x) for x in inv], "attention": float(factor)}
                    out.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
