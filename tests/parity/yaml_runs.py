"""One YAML file through LLaMA-Factory and through weft, live: both curves and their distance.

    python tests/parity/yaml_runs.py BUILD PEER [NAME...]    PEER: the interpreter of an environment with llamafactory

The files are recipes as LLaMA-Factory's users write them, for models/tiny and rows that are made here; weft gets the same
file and is told to cut rows by LLaMA-Factory's template and to draw the adapter's start from torch's generator.  On the
peer's side losses are taken as they are, before the log rounds them.  An environment: see run.sh.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMON = dict(stage="sft", do_train=True, finetuning_type="lora", lora_rank=8, lora_target="all", template="qwen", cutoff_len=96,
              dataset="talks", per_device_train_batch_size=2, gradient_accumulation_steps=3, learning_rate=1e-3, max_steps=20,
              lr_scheduler_type="cosine", warmup_steps=2, logging_steps=1, save_strategy="no", overwrite_output_dir=True,
              bf16=False, seed=42, report_to="none", plot_loss=False)
FULL = dict(finetuning_type="full", learning_rate=2e-4, lora_rank=None, lora_target=None)
RUNS = {
    "lora_sft": {},
    "rslora": dict(use_rslora=True),
    "dora": dict(use_dora=True),
    "loraplus": dict(loraplus_lr_ratio=16.0, learning_rate=1e-4),
    "last_answers": dict(mask_history=True),
    "prompts": dict(train_on_prompt=True),
    "packing": dict(packing=True),
    "neat_packing": dict(neat_packing=True),
    "pretraining": dict(stage="pt", dataset="texts", cutoff_len=48),
    "freeze": dict(FULL, finetuning_type="freeze", freeze_trainable_layers=2, learning_rate=1e-3),
    "full": dict(FULL),
    "galore": dict(FULL, optim="adamw_torch", use_galore=True, galore_target="all", galore_rank=16, galore_update_interval=200, galore_scale=2.0,
                   learning_rate=1e-3),
    "badam": dict(FULL, use_badam=True, badam_switch_mode="ascending", badam_switch_interval=3, learning_rate=1e-3),
    "adamw_8bit": dict(FULL, optim="adamw_8bit"),
    "dpo": dict(stage="dpo", dataset="pairs", pref_loss="sigmoid"),
    "orpo": dict(stage="dpo", dataset="pairs", pref_loss="orpo"),
    "simpo": dict(stage="dpo", dataset="pairs", pref_loss="simpo"),
    "kto": dict(stage="kto", dataset="judged"),
}
# Largest difference of a loss; that of the rest is 1e-4.
TOLERANCE = {"adamw_8bit": 2e-3, "dpo": 2e-4, "orpo": 2e-4, "simpo": 2e-4, "kto": 2e-4}


def sentence(i, k):
    parts = ["渡口的秤用了三十年", "天亮开秤，天黑收秤", "掌柜的从不少人一两", "the ferry leaves at dawn", "客官里边请", "第%d天也是如此" % i,
             "船家问了%d遍" % (i * 7 % 13), "雨下了一夜", "他说：不晓得", "1 两是 1 两"]
    return "，".join(parts[(i * 3 + j * (k + 1)) % len(parts)] for j in range(1 + (i + k) % 4)) + "。"


def write_model(folder):
    """tiny in f32, for LLaMA-Factory computes a frozen base in the type of its file where bf16 is off."""
    from safetensors.torch import load_file, save_file
    tiny = os.path.join(ROOT, "models", "tiny")
    shutil.copytree(tiny, folder, ignore=shutil.ignore_patterns("recipe", "model.safetensors"))
    save_file({k: v.float() for k, v in load_file(os.path.join(tiny, "model.safetensors")).items()},
              os.path.join(folder, "model.safetensors"), {"format": "pt"})
    with open(os.path.join(tiny, "config.json")) as f:
        config = json.load(f)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({**config, "torch_dtype": "float32"}, f)
    return folder


def write_rows(folder):
    talks = [[("human", sentence(i, 0)), ("gpt", sentence(i, 1))] + ([("human", sentence(i, 2)), ("gpt", sentence(i, 3))] if i % 3 else [])
             for i in range(40)]
    sets = {
        "talks": [dict(conversations=[{"from": r, "value": v} for r, v in t]) for t in talks],
        "texts": [dict(text=sentence(i, 0) + sentence(i, 1) + sentence(i, 2)) for i in range(60)],
        "pairs": [dict(conversations=[{"from": "human", "value": sentence(i, 0)}], chosen={"from": "gpt", "value": sentence(i, 1)},
                       rejected={"from": "gpt", "value": sentence(i + 5, 2)}) for i in range(40)],
        "judged": [dict(messages=[{"role": "user", "content": sentence(i, 0)}, {"role": "assistant", "content": sentence(i, 1)}],
                        label=i % 3 != 1) for i in range(40)],
    }
    for name, rows in sets.items():
        with open(os.path.join(folder, name + ".jsonl"), "w", encoding="utf-8") as f:
            f.writelines(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
    info = {
        "talks": dict(file_name="talks.jsonl", formatting="sharegpt"),
        "texts": dict(file_name="texts.jsonl", columns=dict(prompt="text")),
        "pairs": dict(file_name="pairs.jsonl", formatting="sharegpt", ranking=True,
                      columns=dict(messages="conversations", chosen="chosen", rejected="rejected")),
        "judged": dict(file_name="judged.jsonl", formatting="sharegpt", columns=dict(messages="messages", kto_tag="label"),
                       tags=dict(role_tag="role", content_tag="content", user_tag="user", assistant_tag="assistant")),
    }
    with open(os.path.join(folder, "dataset_info.json"), "w") as f:
        json.dump(info, f)


# ---- inside the peer's environment ----

def child(folder, *names):
    """Runs the files with LLaMA-Factory, all in one process, since to import it takes longest."""
    os.environ.update(DISABLE_VERSION_CHECK="1", TQDM_DISABLE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1", HF_HUB_OFFLINE="1")
    import traceback

    import transformers
    import yaml
    from llamafactory.train.tuner import run_exp

    out = {}
    plain = transformers.Trainer.training_step

    def step(self, *args, **keys):
        loss = plain(self, *args, **keys)
        out["sum"] = out.get("sum", 0.0) + loss.item()
        return loss

    class Watch(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            out["loss"].append(out.pop("sum"))

        def on_log(self, args, state, control, logs=None, **_):
            if logs and "grad_norm" in logs:
                out["grad_norm"].append(float(logs["grad_norm"]))

    transformers.Trainer.training_step = step
    for name in names:
        out.clear()
        out.update(loss=[], grad_norm=[])
        try:
            with open(os.path.join(folder, name + ".yaml")) as f:
                keys = yaml.safe_load(f)
            run_exp({**keys, "output_dir": os.path.join(folder, "peer-" + name), "use_cpu": True}, callbacks=[Watch()])
            out.pop("sum", None)
        except Exception:
            out["error"] = traceback.format_exc()
        with open(os.path.join(folder, name + ".peer.json"), "w") as f:
            json.dump(out, f)


# ---- beside it ----

def ours(build, folder, name):
    out = os.path.join(folder, "weft-" + name)
    done = subprocess.run([os.path.join(build, "weft"), "train", os.path.join(folder, name + ".yaml"), "output_dir=" + out,
                           "template_mode=llamafactory", *(["init_rng=torch"] if "lora_rank" in open(os.path.join(folder, name + ".yaml")).read() else [])],
                          capture_output=True, text=True, env={**os.environ, "WEFT_HOME": os.path.join(folder, "home")})
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    got = {"loss": [], "grad_norm": []}
    with open(os.path.join(out, "log.jsonl")) as f:
        for line in map(json.loads, f):
            if "loss" in line:
                got["loss"].append(line["loss"])
                got["grad_norm"].append(line["grad_norm"])
    return got


def main(build, peer, *names):
    from summary import add, show
    names, ok = names or list(RUNS), True
    with tempfile.TemporaryDirectory() as folder:
        write_rows(folder)
        model = write_model(os.path.join(folder, "model"))
        for name in names:
            keys = dict(model_name_or_path=model, dataset_dir=folder, **COMMON)
            keys.update(RUNS[name])
            with open(os.path.join(folder, name + ".yaml"), "w") as f:
                f.writelines(f"{k}: {json.dumps(v)}\n" for k, v in keys.items() if v is not None)
        log = os.path.join(folder, "peer.log")
        with open(log, "w") as f:
            subprocess.run([peer, os.path.abspath(__file__), "child", folder, *names], stdout=f, stderr=f,
                           env={**os.environ, "OMP_NUM_THREADS": "1"})
        for name in names:
            try:
                with open(os.path.join(folder, name + ".peer.json")) as f:
                    want = json.load(f)
                if "error" in want:
                    raise RuntimeError("LLaMA-Factory: " + want["error"][-1500:])
                got = ours(build, folder, name)
                if len(got["loss"]) != len(want["loss"]) or not want["loss"]:
                    raise RuntimeError(f"{len(want['loss'])} updates there, {len(got['loss'])} here")
            except (RuntimeError, OSError) as e:
                print(f"\n-- {name}: {e}")
                if isinstance(e, OSError):
                    print(open(log).read()[-2000:])
                ok &= add(f"YAML {name}: runs", "llamafactory", float("nan"), 0)
                continue
            show(name, "llamafactory", want["loss"], got["loss"])
            far = max(abs(a - b) for a, b in zip(want["loss"], got["loss"]))
            ok &= add(f"YAML {name}, {len(got['loss'])} updates: loss", "llamafactory", far, TOLERANCE.get(name, 1e-4))
            if len(want["grad_norm"]) == len(got["grad_norm"]) and all(want["grad_norm"]):
                far = max(abs(b / a - 1) for a, b in zip(want["grad_norm"], got["grad_norm"]))
                ok &= add(f"YAML {name}: gradient norm, relative", "llamafactory", far, 1e-2 if "8bit" in name else 1e-3)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(child(*sys.argv[2:]) if sys.argv[1] == "child" else main(*sys.argv[1:]))
