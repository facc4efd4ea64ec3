"""Blocks of the GGUF formats as the `gguf` package reads and writes them, and a check of a file that weft wrote.

    gguf_files.py blocks OUT.safetensors     random blocks of every format and their values; values and their Q8_0, Q4_0 bytes
    gguf_files.py compare MODEL_DIR FILE.gguf    every tensor of the file against the model's, type by type
"""
import json
import os
import struct
import sys

import numpy as np
from gguf import GGMLQuantizationType as T, GGUFReader
from gguf.quants import dequantize, quantize

from summary import add

READ = [T.Q8_0, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q4_K, T.Q5_K, T.Q6_K]
SIZES = {T.Q8_0: (32, 34), T.Q4_0: (32, 18), T.Q4_1: (32, 20), T.Q5_0: (32, 22), T.Q5_1: (32, 24),
         T.Q4_K: (256, 144), T.Q5_K: (256, 176), T.Q6_K: (256, 210)}
HALVES = {T.Q4_1: (0, 2), T.Q5_1: (0, 2), T.Q4_K: (0, 2), T.Q5_K: (0, 2), T.Q6_K: (208,)}


def write_safetensors(path, tensors):
    header, data = {}, b""
    names = {np.dtype("float32"): "F32", np.dtype("uint8"): "U8"}
    for name, x in sorted(tensors.items(), key=lambda t: (names[t[1].dtype], t[0])):
        raw = np.ascontiguousarray(x).tobytes()
        header[name] = {"dtype": names[x.dtype], "shape": list(x.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def read_safetensors(path):
    with open(path, "rb") as f:
        n, = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(n)), f.read()
    out = {}
    for name, t in header.items():
        if name == "__metadata__":
            continue
        raw = data[slice(*t["data_offsets"])]
        if t["dtype"] == "BF16":
            x = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            x = np.frombuffer(raw, {"F32": np.float32, "F16": np.float16}[t["dtype"]]).astype(np.float32)
        out[name] = x.reshape(t["shape"])
    return out


def blocks(path):
    rng = np.random.default_rng(5)
    tensors = {}
    for t in READ:
        block, size = SIZES[t]
        n = 512 // block
        raw = rng.integers(0, 256, (n, size), dtype=np.uint8)
        for at in HALVES.get(t, (0,)):
            raw[:, at:at + 2] = rng.normal(0, 0.02, n).astype(np.float16).view(np.uint8).reshape(n, 2)
        tensors[f"{t.name.lower()}.bytes"] = raw.reshape(-1)
        tensors[f"{t.name.lower()}.values"] = dequantize(raw.reshape(1, -1), t).astype(np.float32).reshape(-1)
    x = rng.normal(0, 0.05, 512).astype(np.float32)
    x[32:64] = 0
    x[70], x[71] = -0.3, 0.3                # two of the largest magnitude: the first decides
    tensors["x"] = x
    for t in (T.Q8_0, T.Q4_0):
        tensors[f"{t.name.lower()}.encoded"] = np.ascontiguousarray(quantize(x.reshape(1, -1), t)).view(np.uint8).reshape(-1)
    write_safetensors(path, tensors)


NAMES = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
         "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
         "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}


def our_name(name):
    top = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
           "output.weight": "lm_head.weight"}
    if name in top:
        return top[name]
    _, layer, part, suffix = name.split(".")
    return f"model.layers.{layer}.{NAMES[part]}.{suffix}"


def compare(model, path):
    want, reader, worst = read_safetensors(model + "/model.safetensors"), GGUFReader(path), {}
    config = json.load(open(model + "/config.json"))
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    llama = reader.get_field("general.architecture").contents() == "llama"
    for t in reader.tensors:
        if t.name == "rope_freqs.weight":           # of no weight: what llama3's rule makes of the rotary frequencies
            continue
        w = want[our_name(t.name)]
        part = t.name.split(".")[2] if t.name.startswith("blk.") else ""
        if llama and part in heads:
            h = heads[part]
            w = w.reshape(h, 2, w.shape[0] // h // 2, -1).swapaxes(1, 2).reshape(w.shape)
        got = dequantize(t.data, t.tensor_type).reshape(w.shape)
        if t.tensor_type in (T.Q8_0, T.Q4_0):
            same = np.array_equal(quantize(np.ascontiguousarray(w), t.tensor_type).reshape(-1), t.data.reshape(-1))
        else:
            same = np.array_equal(got, w if t.tensor_type == T.F32 else dequantize(quantize(w, t.tensor_type), t.tensor_type))
        n, equal, error = worst.get(t.tensor_type.name, (0, 0, 0.0))
        error = max(error, float(np.linalg.norm(got - w) / np.linalg.norm(w)))
        worst[t.tensor_type.name] = (n + 1, equal + same, error)
    ok = bool(worst)
    for name, (n, equal, error) in worst.items():
        print(f"{name}: {n} tensors, {equal} with the bytes of the package's encoder, worst relative error {error:.5f}")
        ok &= add(f"GGUF {os.path.basename(path)}, {name}: tensors of {n} with other bytes", "gguf", n - equal, 0)
    tokens = reader.get_field("tokenizer.ggml.tokens")
    print("keys:", len(reader.fields), "tokens:", len(tokens.data) if tokens else 0)
    return ok


sys.exit({"blocks": blocks, "compare": compare}[sys.argv[1]](*sys.argv[2:]) is False)
