#!/usr/bin/env python3
"""Chat templates by name, as LLaMA-Factory's own code encodes them: frozen for tests/tokens/test_named.c.

    templates.py SOURCE      writes tests/tokens/data/named.json (a tokenizer) and named.jsonl (its answers)

SOURCE is the folder `src` of an unpacked llamafactory sdist (written with 0.9.5).  Needs transformers.  Pictures and sound
are left out: their module is replaced by one that changes nothing.
"""
import copy
import importlib
import json
import os
import sys
import types

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "tokens", "data")

SPECIALS = """<|endoftext|> <|im_start|> <|im_end|> <think> </think> <s> </s> <|begin_of_text|> <|end_of_text|> <|eot_id|>
<|start_header_id|> <|end_header_id|> [gMASK] sop <sop> <|user|> <|assistant|> <|system|> <|observation|> <reserved_102>
<reserved_103> <reserved_106> <reserved_107> <start_of_turn> <end_of_turn> <eos> <|end|> <|im_sep|> <｜User｜>
<｜Assistant｜> <|START_OF_TURN_TOKEN|> <|END_OF_TURN_TOKEN|> <|USER_TOKEN|> <|CHATBOT_TOKEN|> <|SYSTEM_TOKEN|> <sep> <eod>
<|im_user|> <|im_system|> <|im_assistant|> <|im_middle|> <|extra_0|> <|extra_4|> <|eos|> <|startoftext|> [SYSTEM_PROMPT]
[/SYSTEM_PROMPT]""".split()


def llamafactory(source):
    for name in ("", ".data", ".data.processor", ".hparams"):
        m = types.ModuleType("llamafactory" + name)
        m.__path__ = [os.path.join(source, *("llamafactory" + name).split("."))]
        sys.modules[m.__name__] = m
    class Plain:
        def process_messages(self, messages, *_):
            return messages
        def process_token_ids(self, ids, labels, *_):
            return ids, labels
    mm = types.ModuleType("llamafactory.data.mm_plugin")
    mm.BasePlugin, mm.get_mm_plugin = Plain, lambda name="base", **_: Plain()
    sys.modules[mm.__name__] = mm
    get = importlib.import_module
    return (get("llamafactory.data.template"), get("llamafactory.data.formatter"),
            get("llamafactory.data.processor.supervised").SupervisedDatasetProcessor,
            get("llamafactory.data.processor.pairwise").PairwiseDatasetProcessor)


def write_tokenizer():
    t = json.load(open(os.path.join(DATA, "qwen2.json"), encoding="utf-8"))
    known = {a["content"] for a in t["added_tokens"]}
    at = 1 + max(max(t["model"]["vocab"].values()), max(a["id"] for a in t["added_tokens"]))
    for word in SPECIALS:
        if word in known:
            continue
        t["added_tokens"].append({"id": at, "content": word, "single_word": False, "lstrip": False, "rstrip": False,
                                  "normalized": False, "special": True})
        at += 1
    with open(os.path.join(DATA, "named.json"), "w", encoding="utf-8") as f:
        json.dump(t, f, ensure_ascii=False, separators=(",", ":"))


def tokenizer(name):
    from transformers import PreTrainedTokenizerFast
    bos, eos, pad = {"named": ("<s>", "<|endoftext|>", None), "llama2": ("<s>", "</s>", None)}[name]
    return PreTrainedTokenizerFast(tokenizer_file=os.path.join(DATA, name + ".json"), bos_token=bos, eos_token=eos,
                                   pad_token=pad)


TALKS = {
    "plain": ("", ["你好，what's up?", "I'm fine.\n谢谢", "再来\n\n{{content}} <|im_end|>?", "好的"]),
    "system": ("  Be brief.\n", ["### 一\n", " two", "", "x\n"]),
    "thoughts": ("想一想", ["a?", "<think>\nhm <think>\nb\n</think>\n\n\nyes", "c?", "no", "d?",
                           "\n<think>\n\n</think>\n\nOK <think>"]),
    "open": ("", ["q", "<think>\nnever closed", "r", "<think>\none\n</think>\n\nA<think>\ntwo\n</think>\n\nB"]),
}


def main(source):
    T, F, Sft, Pair = llamafactory(source)
    T.register_template(name="baichuan", efficient_eos=True,     # of earlier versions
                        format_user=F.StringFormatter(slots=[{"token": "<reserved_102>"}, "{{content}}",
                                                             {"token": "<reserved_103>"}]))
    T.register_template(name="baichuan2", efficient_eos=True,
                        format_user=F.StringFormatter(slots=["<reserved_106>{{content}}<reserved_107>"]))
    ours = [l.split('"')[1] for l in open(os.path.join(HERE, "..", "..", "src", "tokens", "named.c"), encoding="utf-8")
            if l.startswith("    { .name = ")]
    write_tokenizer()
    out = open(os.path.join(DATA, "named.jsonl"), "w", encoding="utf-8")

    def emit(template, talk, tok="named", thinking=True, preserve=False, mask=False, prompt=False, cutoff=4096,
             pair=False, default_system=None):
        t = tokenizer(tok)
        pad, eos0 = t.pad_token, t.eos_token
        args = types.SimpleNamespace(template=template, train_on_prompt=prompt, mask_history=mask, tool_format=None,
                                     default_system=default_system, enable_thinking=thinking, preserve_thinking=preserve,
                                     cutoff_len=cutoff)
        keep = copy.deepcopy(T.TEMPLATES[template])
        tpl = T.get_template_and_fix_tokenizer(t, args)
        T.TEMPLATES[template] = keep
        system, texts = TALKS[talk]
        turns = [{"role": "assistant" if i % 2 else "user", "content": x} for i, x in enumerate(texts)]
        row = {"template": template, "tokenizer": tok, "talk": talk}
        for key, value, usual in (("thinking", thinking, True), ("preserve", preserve, False), ("mask", mask, False),
                                  ("prompt", prompt, False), ("cutoff", cutoff, 4096), ("system", default_system, None)):
            if value != usual:
                row[key] = value
        def told(ids, labels):
            marks = ""
            for i, l in zip(ids, labels, strict=True):
                assert l in (i, -100, t.eos_token_id), (template, talk, i, l, t.eos_token_id, ids, labels)
                marks += "." if l == -100 else "x" if l == i else "e"
            return [ids, marks]
        if pair:
            p = Pair(template=tpl, tokenizer=t, processor=None, data_args=args)
            answers = [turns[-1], {"role": "assistant", "content": "other <think>\nz\n</think>\n\nend"}]
            c, cl, r, rl = p._encode_data_example(turns[:-1], answers, system, None, [], [], [])
            row["pair"] = [told(c, cl), told(r, rl)]
        else:
            p = Sft(template=tpl, tokenizer=t, processor=None, data_args=args)
            ids, labels = p._encode_data_example(turns[:-1], turns[-1:], system, None, [], [], [])
            if len(ids) != len(labels):     # an empty prompt where ends are marked by labels: an oversight there
                return
            row["row"] = told(ids, labels)
        out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")

    for name in ours:
        emit(name, "plain")
        emit(name, "system")
    for name in ("llama2", "llama2_zh", "mistral", "alpaca", "vicuna", "default", "deepseek", "baichuan2", "empty"):
        if name != "baichuan2":
            emit(name, "plain", tok="llama2")
            emit(name, "system", tok="llama2")
    for name in ("qwen3", "deepseekr1", "glmz1", "glm4_7"):
        for talk in ("thoughts", "open"):
            for thinking in (True, False, None):
                emit(name, talk, thinking=thinking)
                emit(name, talk, thinking=thinking, mask=True)
                emit(name, talk, thinking=thinking, pair=True)
            emit(name, talk, mask=True, preserve=True)
            emit(name, talk, preserve=True, pair=True)
    for name in ("glm4", "qwen", "gemma2", "llama3"):
        for cutoff in (9, 17, 40):
            emit(name, "plain", cutoff=cutoff)
            emit(name, "plain", cutoff=cutoff, mask=True)
        emit(name, "plain", cutoff=16, pair=True)
        emit(name, "plain", default_system="另一个系统提示")
    emit("qwen", "plain", prompt=True)
    out.close()


if __name__ == "__main__":
    main(sys.argv[1])
