"""Tokenizer parity with the `tokenizers` package.

    tokens.py compare [N [NAME...]]   N mixed strings (default 100,000) through each family: same ids, same decoded text
    tokens.py fixtures         writes tests/tokens/data/*: small tokenizers and golden strings with their ids
    tokens.py speed TOKENIZER [MB]   MB/s of weft, tokenizers and tiktoken on the same texts in one run, by processor time
    tokens.py unicode [NAME]   every code point through the patterns
    tokens.py files N PATH...  N mixed strings through tokenizer.json files of your own (Qwen, Llama, Gemma ...)

No model is downloaded: each family's tokenizer is trained here, on classic-zh.jsonl of $WEFT_CORPUS when set and on
Python's standard library, with the pipeline that the family's tokenizer.json files have.
The C side is tests/parity/tokens_pipe.c, compiled against build/libweft.a.
"""
import glob
import json
import os
import random
import struct
import subprocess
import sys
import sysconfig
import tempfile
import time

import summary
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("WEFT_BUILD", os.path.join(ROOT, "build"))
WORK = os.environ.get("WEFT_PARITY_DIR", os.path.join(tempfile.gettempdir(), "weft-parity-tokens"))

CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CASED = rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+%s|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*%s"
CASED_TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "qwen2": CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + TAIL,
    "llama3": CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + TAIL,
    "tekken": CASED % ("", "") + r"|\p{N}" + CASED_TAIL,
    "o200k": CASED % (CONTRACTION + "?", CONTRACTION + "?") + r"|\p{N}{1,3}" + CASED_TAIL,
    "deepseek": [r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+",
                 r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    # unknown to weft's matchers on purpose: they go through the general engine
    "odd1": r"(?i:'[sdmt]|'ll|'ve|'re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "odd2": r"[A-Z][a-z]*|(?<=\d)[^\d\s]{2,4}?|[\p{Han}]{1,3}|\w+(?=\s)|[^\S\r\n]+|\W",
}
BYTE_LEVEL = lambda: pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


# ---- texts ----

def chinese(n_bytes):
    corpus = os.environ.get("WEFT_CORPUS")
    path = corpus and os.path.join(corpus, "classic-zh.jsonl")
    texts, size = [], 0
    if path and os.path.exists(path):
        for line in open(path, encoding="utf-8"):
            texts.append(json.loads(line)["text"])
            size += len(texts[-1].encode())
            if size >= n_bytes:
                break
    else:
        texts = [open(os.path.join(ROOT, "models/tiny/recipe/modern.txt"), encoding="utf-8").read()]
    return texts


def english(n_bytes):
    texts, size = [], 0
    for path in sorted(glob.glob(os.path.join(sysconfig.get_paths()["stdlib"], "**", "*.py"), recursive=True)):
        try:
            texts.append(open(path, encoding="utf-8").read())
        except (UnicodeDecodeError, OSError):
            continue
        size += len(texts[-1])
        if size >= n_bytes:
            break
    return texts


POOL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<s>", "</s>", "<unk>", "<|im_", "<think>", "</think>", "<0x41>", "'s", "'S", "'ſ", "'LL", "'re", "'D",
        " ", "  ", "   ", "\n", "\r\n", "\n\n", "\t", "\u3000", "\u00a0", "\u2028", "\u0085", "\x00", "\x07", "\x1b", "\x7f", "é", "e\u0301", "\u0301", "\u0327\u0301",
        "한", "\u1112\u1161\u11ab", "가", "👍🏽", "👨\u200d👩\u200d👧\u200d👦", "🏳️\u200d🌈", "🇨🇳", "1", "12", "345", "6789", "６", "Ⅷ", "½", "٣", "a", "B", "the", " The",
        " hello", "World", "camelCase", "HTTPServer", "ß", "ı", "İ", "ǅ", "ſ", "你", "好", "你好", "，", "。", "…", "“", "”", "、", "豈", "𠀀", "\U00031350", "\U0001FAE8",
        "ﬁ", "ﾞ", "カﾞ", "ー", "_", "-", "--", "...", "!", "?!", "/", "//", "\u200b", "\ufeff", "\ufffd", "\ue000", "\U000e0001", "क्षि", "ไทย", "שלום", "مرحبا", "ñ",
        "n\u0303", "Å", "\u212b", "Ω", "\u2126", "ё", "Привет", "▁", "▁▁", "##ing", "ab" * 20, "\u0903", "def f(x):\n    return x\n", "{\"a\": 1}", "x+=1;", "http://a.b/c?d=e"]


def mixed(n, seed=1):
    """Strings of every kind, as bytes; some are not UTF-8."""
    rng = random.Random(seed)
    zh, en = "\n".join(chinese(4 << 20)), "\n".join(english(4 << 20))
    out = []
    for _ in range(n):
        kind = rng.random()
        if kind < 0.25:
            at = rng.randrange(len(zh) - 150)
            s = zh[at:at + rng.randrange(1, 150)]
        elif kind < 0.5:
            at = rng.randrange(len(en) - 200)
            s = en[at:at + rng.randrange(1, 200)]
        elif kind < 0.85:
            s = "".join(rng.choice(POOL) for _ in range(rng.randrange(1, 16)))
        elif kind < 0.95:
            s = "".join(chr(rng.choice([rng.randrange(0x250), rng.randrange(0x3000), rng.randrange(0x3000, 0xD800), rng.randrange(0xE000, 0x110000)]))
                        for _ in range(rng.randrange(1, 16)))
        else:
            b = bytearray("".join(rng.choice(POOL) for _ in range(rng.randrange(1, 8))).encode())
            for _ in range(rng.randrange(1, 4)):
                b[rng.randrange(len(b))] = rng.randrange(256)
            out.append(bytes(b))
            continue
        out.append(s.encode())
    return out


# ---- tokenizers ----

def split(pattern):
    return [pre_tokenizers.Split(Regex(p), "isolated") for p in ([pattern] if isinstance(pattern, str) else pattern)]


def byte_level(family, texts, vocab_size, normalizer=None):
    t = Tokenizer(models.BPE())
    if normalizer:
        t.normalizer = normalizer
    if family == "gpt2":
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        t.pre_tokenizer = pre_tokenizers.Sequence(split(PATTERNS[family]) + [BYTE_LEVEL()])
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


def edited(t, edit):
    j = json.loads(t.to_str())
    edit(j)
    return Tokenizer.from_str(json.dumps(j))


def sentencepiece(texts, vocab_size):
    """A Llama 2 type vocabulary: <unk>, <s>, </s>, 256 byte tokens, characters and merges over ▁."""
    texts = [line[i:i + 60] for text in texts for line in text.splitlines() for i in range(0, len(line), 60)]     # long words are slow to learn from
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=vocab_size - 259, show_progress=False, limit_alphabet=min(3000, vocab_size // 2)))
    j = json.loads(t.to_str())
    front = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)]
    vocab = {s: i for i, s in enumerate(front)}
    for s, _ in sorted(j["model"]["vocab"].items(), key=lambda kv: kv[1]):
        if s not in vocab:
            vocab[s] = len(vocab)
    j["model"].update(vocab=vocab, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    flags = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    j["added_tokens"] = [dict(id=i, content=front[i], **flags) for i in range(3)]
    j["pre_tokenizer"] = None
    j["post_processor"] = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                           "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                           "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}
    return Tokenizer.from_str(json.dumps(j))


def dress_llama2(j):
    j["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    j["decoder"] = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                                                     {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}


def dress_metaspace(scheme, split_):
    def dress(j):
        dress_llama2(j)
        j["normalizer"] = None
        j["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split_}
        if split_:
            j["decoder"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": True}
    return dress


def dress_gemma(j):
    dress_llama2(j)
    j["normalizer"] = j["normalizer"]["normalizers"][1]
    j["pre_tokenizer"] = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    j["decoder"]["decoders"] = j["decoder"]["decoders"][:3]


def dress_no_bytes(j):
    """No byte tokens: unknown characters are <unk>, runs of them one."""
    dress_llama2(j)
    j["model"]["byte_fallback"] = False
    j["decoder"]["decoders"] = [d for d in j["decoder"]["decoders"] if d["type"] != "ByteFallback"]


def template_bos(t, bos):
    t.add_special_tokens([AddedToken(bos, special=True, normalized=False)])
    return processors.Sequence([processors.ByteLevel(trim_offsets=False),
                                processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, t.token_to_id(bos))])])


def families(zh, en, vocab_size):
    """name -> tokenizer"""
    texts = zh + en
    out = {}
    plain_sentencepiece = sentencepiece(texts, vocab_size)
    dressed = lambda dress: edited(plain_sentencepiece, dress)
    t = out["qwen2"] = byte_level("qwen2", texts, vocab_size, normalizers.NFC())
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")])
    t.add_tokens([AddedToken(s, special=False, normalized=False) for s in ("<think>", "</think>")])
    t = byte_level("llama3", texts, vocab_size)
    t.post_processor = template_bos(t, "<|begin_of_text|>")
    out["llama3"] = edited(t, lambda j: j["model"].update(ignore_merges=True))
    out["gpt2"] = byte_level("gpt2", texts, vocab_size)
    out["gpt2"].add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=True)])
    out["llama2"] = dressed(dress_llama2)
    out["metaspace_first"] = dressed(dress_metaspace("first", False))
    out["metaspace_split"] = dressed(dress_metaspace("always", True))
    out["gemma"] = dressed(dress_gemma)
    out["unknowns"] = dressed(dress_no_bytes)
    t = byte_level("tekken", texts, vocab_size)
    t.post_processor = template_bos(t, "<s>")
    out["tekken"] = edited(t, lambda j: j["model"].update(ignore_merges=True))
    out["o200k"] = byte_level("o200k", texts, vocab_size)
    t = byte_level("deepseek", texts, vocab_size, normalizers.Sequence([]))
    t.post_processor = template_bos(t, "<｜begin▁of▁sentence｜>")
    out["deepseek"] = t
    out["odd1"] = byte_level("odd1", texts, vocab_size, normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]))
    t = out["odd2"] = byte_level("odd2", texts, vocab_size, normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents()]))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("merged_with_next")] + split(PATTERNS["odd2"])
                                              + [pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)])
    t.add_tokens([AddedToken("hello", single_word=True), AddedToken("def", lstrip=True), AddedToken("x", rstrip=True, normalized=False)])
    return out


# ---- the C side ----

def pipe_program():
    exe = os.path.join(BUILD, "tokens_pipe")
    source = os.path.join(ROOT, "tests/parity/tokens_pipe.c")
    subprocess.run(["cc", "-O2", "-std=c17", "-D_GNU_SOURCE", "-I" + os.path.join(ROOT, "src"), source, os.path.join(BUILD, "libweft.a"), "-lpcre2-8", "-lutf8proc",
                    "-lfyaml", "-lcrypto", "-lpthread", "-lm", "-o", exe], check=True)
    return exe


def weft(exe, path, texts, flags):
    """[(ids, begins, text, text without specials)] of each text."""
    data = b"".join(struct.pack("<I", len(b)) + b for b in texts)
    run = subprocess.run([exe, path, str(flags)], input=data, capture_output=True)
    if run.returncode:
        sys.exit(f"{path}: weft ended with {run.returncode}: {run.stderr.decode(errors='replace')}")
    o, at, out = run.stdout, 0, []
    for _ in texts:
        (n,) = struct.unpack_from("<I", o, at)
        ids = list(struct.unpack_from("<%di" % n, o, at + 4))
        begins = list(struct.unpack_from("<%dI" % n, o, at + 4 + 4 * n))
        at += 4 + 8 * n
        decoded = []
        for _ in range(2):
            (n,) = struct.unpack_from("<I", o, at)
            decoded.append(o[at + 4:at + 4 + n].decode())
            at += 4 + n
        out.append((ids, begins, *decoded))
    return out


# Where weft decodes differently on purpose: a run of byte tokens with an invalid part is U+FFFD once for each maximal
# part, not once for each byte, because that cannot be streamed.
def same_text(a, b):
    squeeze = lambda s: "\ufffd".join(p for i, p in enumerate(s.split("\ufffd")) if p or i == 0)
    return a == b or squeeze(a) == squeeze(b)


def begins_of(encoding, text):
    """Byte offsets of the tokens that stand for text; the package counts characters."""
    at = [0]
    for c in text:
        at.append(at[-1] + len(c.encode()))
    return [at[b] for b, _ in encoding.offsets]


def check(name, t, exe, path, texts):
    wrong = {"ids": 0, "text": 0}
    strings = [b.decode(errors="replace") for b in texts]
    for flags, add in ((1, False), (3, True)):
        got = weft(exe, path, texts, flags)
        want = t.encode_batch(strings, add_special_tokens=add)
        for s, w, (ids, begins, text, plain) in zip(strings, want, got):
            if ids != w.ids:
                wrong["ids"] += 1
                if wrong["ids"] <= 3:
                    print(f"  {name}: {s!r}\n    weft {ids}\n    want {w.ids} {w.tokens}")
                continue
            for mine, skip in ((text, False), (plain, True)):
                if not same_text(mine, t.decode(ids, skip_special_tokens=skip)):
                    wrong["text"] += 1
                    if wrong["text"] <= 3:
                        print(f"  {name}: decoding {s!r}\n    weft {mine!r}\n    want {t.decode(ids, skip_special_tokens=skip)!r}")
    print(f"{name:16} {len(texts)} strings, twice: {wrong['ids']} with other ids, {wrong['text']} with another text")
    return summary.add(f"{name}: strings of {len(texts)} with other ids or another text", "tokenizers", sum(wrong.values()), 0)


def trained(vocab_size=10000, size=2 << 20):
    """Families in WORK, trained once."""
    os.makedirs(WORK, exist_ok=True)
    names = json.load(open(os.path.join(WORK, "done.json"))) if os.path.exists(os.path.join(WORK, "done.json")) else None
    if not names:
        made = families(chinese(size), english(size), vocab_size)
        for name, t in made.items():
            t.save(os.path.join(WORK, name + ".json"), pretty=False)
        names = list(made)
        json.dump(names, open(os.path.join(WORK, "done.json"), "w"))
    return {name: os.path.join(WORK, name + ".json") for name in names}


def compare(n, names):
    exe, texts, ok = pipe_program(), mixed(n), True
    for name, path in trained().items():
        if not names or name in names:
            ok &= check(name, Tokenizer.from_file(path), exe, path, texts)
    sys.exit(0 if ok else 1)


# ---- fixtures ----

def golden(t, texts):
    for b in texts:
        s = b.decode(errors="replace")
        ids, with_special = t.encode(s, add_special_tokens=False).ids, t.encode(s, add_special_tokens=True).ids
        text = t.decode(ids, skip_special_tokens=False)
        row = {"bytes": b.hex(), "ids": ids}
        if len(with_special) > len(ids):
            row["add"] = with_special[:len(with_special) - len(ids)]
        if text != s:
            row["text"] = text
        yield row


def fixtures():
    data = os.path.join(ROOT, "tests/tokens/data")
    os.makedirs(data, exist_ok=True)
    modern = open(os.path.join(ROOT, "models/tiny/recipe/modern.txt"), encoding="utf-8").read().splitlines()
    rng = random.Random(7)
    for name, t in families(modern, [], 900).items():
        texts = [b""] + [rng.choice(modern).encode()[:rng.randrange(1, 80)] for _ in range(60)]
        texts += ["".join(rng.choice(POOL) for _ in range(rng.randrange(1, 8))).encode() for _ in range(120)]
        texts += ["".join(chr(rng.choice([rng.randrange(0x250), rng.randrange(0x3000, 0xD800), rng.randrange(0xE000, 0x32400)])) for _ in range(4)).encode() for _ in range(20)]
        t.save(os.path.join(data, name + ".json"), pretty=False)
        with open(os.path.join(data, name + ".golden.jsonl"), "w", encoding="utf-8") as f:
            for row in golden(t, texts):
                f.write(json.dumps(row, separators=(",", ":")) + "\n")
        print(name, os.path.getsize(os.path.join(data, name + ".json")), os.path.getsize(os.path.join(data, name + ".golden.jsonl")))


def unicode():
    """Each code point alone, doubled, between letters, digits, spaces and signs."""
    exe = pipe_program()
    texts = []
    for first in range(0, 0x110000, 64):
        chars = [chr(c) for c in range(first, first + 64) if not 0xD800 <= c < 0xE000]
        texts += ["\n".join(f"{c}a{c}1{c} {c}{c}。{c}A'{c}" for c in chars).encode()] if chars else []
    ok = True
    for name, path in trained().items():
        if name in (sys.argv[2:] or [name]):
            ok &= check(name, Tokenizer.from_file(path), exe, path, texts)
    sys.exit(0 if ok else 1)


def files(n, paths):
    exe, texts, ok = pipe_program(), mixed(n), True
    for path in paths:
        ok &= check("/".join(path.split("/")[-4:-1])[:16], Tokenizer.from_file(path), exe, path, texts)
    sys.exit(0 if ok else 1)


def tiktoken_encoder(path):
    """The same vocabulary in tiktoken, for byte-level tokenizers with one Split; None otherwise."""
    try:
        import tiktoken
    except ImportError:
        return None
    j = json.load(open(path, encoding="utf-8"))
    parts = (j["pre_tokenizer"] or {}).get("pretokenizers", [])
    if len(parts) != 2 or "Regex" not in parts[0].get("pattern", {}):
        return None
    table, n = {}, 0
    for b in range(256):
        itself = 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b
        table[chr(b if itself else 256 + n)] = b
        n += not itself
    ranks = {bytes(table[c] for c in token): rank for token, rank in j["model"]["vocab"].items()}
    return tiktoken.Encoding("same", pat_str=parts[0]["pattern"]["Regex"], mergeable_ranks=ranks, special_tokens={})


def speed(path, megabytes):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    subprocess.run(["cmake", "--build", BUILD, "--target", "bench_tokenize"], check=True, stdout=subprocess.DEVNULL)
    other, tik = Tokenizer.from_file(path), tiktoken_encoder(path)
    os.makedirs(WORK, exist_ok=True)
    for name, texts in (("Chinese", chinese(megabytes << 20)), ("English", english(megabytes << 20))):
        texts = [t.replace("\0", "") for t in texts if t]
        size = sum(len(t.encode()) for t in texts)
        file = os.path.join(WORK, "speed.nul")
        open(file, "wb").write(b"\0".join(t.encode() for t in texts))
        line = json.loads(subprocess.run([os.path.join(BUILD, "bench_tokenize"), path, file, "3"], check=True, capture_output=True).stdout)
        rows = [("weft", line["mb_s"])]
        for label, encode in (("tokenizers", lambda t: other.encode(t, add_special_tokens=False)), ("tiktoken", tik and tik.encode_ordinary)):
            if encode:
                start = time.process_time()
                for t in texts:
                    encode(t)
                rows.append((label, size / (time.process_time() - start) / 1e6))
        print(f"{name}, {size / 1e6:.1f} MB: " + ", ".join(f"{label} {mb:.1f} MB/s" + (f" (weft is {rows[0][1] / mb:.1f} times as fast)" if label != "weft" else "")
                                                          for label, mb in rows))


if __name__ == "__main__":
    verb = sys.argv[1] if len(sys.argv) > 1 else "compare"
    if verb == "compare":
        compare(int(sys.argv[2]) if len(sys.argv) > 2 else 100000, sys.argv[3:])
    elif verb == "fixtures":
        fixtures()
    elif verb == "unicode":
        unicode()
    elif verb == "speed":
        speed(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 4)
    elif verb == "files":
        files(int(sys.argv[2]), sys.argv[3:])
    else:
        sys.exit(__doc__)
