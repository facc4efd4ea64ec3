#!/usr/bin/env python3
"""The training text of tiny, from a folder of chapters {"book","chapter","text"}: FOLDER/classic-zh.jsonl and
classic-zh-more.jsonl.  Writes into OUT: pretrain.jsonl {"text"}, heldout.jsonl {"text"}, turns.jsonl (speech and reply,
and plain paragraphs so that prose is not forgotten) and turns-valid.jsonl, and prints what was left out
and why.  Needs numpy.

  prepare.py FOLDER OUT

Held out: every 50th line of the first file, less those that share more than 10 % of their 20-grams of characters
with a training chapter.  A training chapter is left out when more than 30 % of its 20-grams stand in earlier ones.
"""
import json
import random
import re
import sys

import numpy as np

GRAM, LEAK, DOUBLE = 20, 0.10, 0.30
PAIRS, PLAIN = 60000, 24000


def grams(text):
    """Hashes of all runs of GRAM characters, white space left out."""
    codes = np.frombuffer("".join(text.split()).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    n = len(codes) - GRAM + 1
    if n <= 0:
        return np.zeros(0, dtype=np.uint64)
    h = np.zeros(n, dtype=np.uint64)
    for k in range(GRAM):
        h = h * np.uint64(0x9E3779B97F4A7C15) + codes[k:k + n]
    return h ^ (h >> np.uint64(29))


def load(folder):
    train, held = [], []
    with open(f"{folder}/classic-zh.jsonl", encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            (held if number % 50 == 0 else train).append(json.loads(line))
    with open(f"{folder}/classic-zh-more.jsonl", encoding="utf-8") as f:
        train += [json.loads(line) for line in f]
    return train, held


def without_doubles(train):
    hashes = [grams(c["text"]) for c in train]
    owner = np.concatenate([np.full(len(h), i, dtype=np.int32) for i, h in enumerate(hashes)])
    flat = np.concatenate(hashes)
    order = np.argsort(flat, kind="stable")
    flat, owner = flat[order], owner[order]
    first = np.concatenate([[True], flat[1:] != flat[:-1]])
    first_owner = owner[np.maximum.accumulate(np.where(first, np.arange(len(flat)), 0))]
    seen = np.bincount(owner[owner != first_owner], minlength=len(train))
    total = np.bincount(owner, minlength=len(train))
    keep = [i for i in range(len(train)) if total[i] == 0 or seen[i] / total[i] <= DOUBLE]
    kept = np.zeros(len(train), dtype=bool)
    kept[keep] = True
    return [train[i] for i in keep], np.unique(flat[kept[owner]])


def clean_heldout(held, known):
    good = []
    for c in held:
        h = grams(c["text"])
        at = np.searchsorted(known, h)
        at[at == len(known)] = 0
        if len(h) == 0 or np.mean(known[at] == h) <= LEAK:
            good.append(c)
    return good


# A speech with the words that introduce it: up to two characters of a name, then a verb of saying, colon, quotes.
SPEECH = re.compile(r"([\u4e00-\u9fff]{0,24}?)(道|说道|问道|答道|笑道|喝道|叫道|骂道|叹道|曰|说|问)[：:]\s*[“「]([^“”「」\n]{2,120})[”」]")
NAME = re.compile(r"([\u4e00-\u9fff]{2,4})(?:便|又|忙|也|就|乃|遂|即|却|只|大|微|冷|低|连|急|亦)?$")
STOP = set("一不了人他她它我你这那的是在有又也都便就却且把将上下来去听见说道此其之乃即忙只连众各两三此时当下")


def speaker(lead):
    """The last two or three characters before the verb, when they look like a name."""
    m = NAME.search(lead)
    if not m:
        return None
    name = m.group(1)[-2:] if len(m.group(1)) == 2 else m.group(1)[-3:]
    return None if any(ch in STOP for ch in name) else name


def turns_of(chapters, names):
    """Neighbouring speeches of different speakers, at most 40 characters apart, as system, user, assistant."""
    for c in chapters:
        found = [(m.start(), m.end(), speaker(m.group(1)), m.group(3)) for m in SPEECH.finditer(c["text"])]
        run = []
        for f in found:
            if run and (f[0] - run[-1][1] > 40 or f[2] == run[-1][2]):
                yield from session(c["book"], run, names)
                run = []
            run.append(f)
        yield from session(c["book"], run, names)


def session(book, run, names):
    for start in range(0, len(run) - 1, 2):
        part = run[start:start + 2]
        who = part[1][2]
        if len(part) < 2 or len(part[1][3]) < 4:
            continue
        messages = []
        if who and names.get((book, who), 0) >= 8:
            messages.append({"role": "system", "content": f"你是{who}，出自《{book}》。"})
        messages.append({"role": "user", "content": part[0][3]})
        messages.append({"role": "assistant", "content": part[1][3]})
        yield {"messages": messages}


def paragraphs(chapters, n, rng):
    """n paragraphs of 100 to 260 characters."""
    found = [p for c in chapters for p in c["text"].split("\n") if 100 <= len(p) <= 260]
    return [{"text": p} for p in rng.sample(found, n)]


def write(path, rows):
    with open(path, "w", encoding="utf-8") as f:
        for row in rows:
            f.write(json.dumps(row, ensure_ascii=False) + "\n")


def main():
    folder, out = sys.argv[1:3]
    train, held = load(folder)
    kept, known = without_doubles(train)
    clean = clean_heldout(held, known)
    chars = lambda cs: sum(len(c["text"]) for c in cs)
    print(f"training: {len(train)} chapters, {chars(train)} characters; {len(train) - len(kept)} doubles left out, "
          f"{len(kept)} chapters with {chars(kept)} characters stay")
    print(f"held out: {len(held)} chapters, {len(held) - len(clean)} leak, {len(clean)} with {chars(clean)} characters stay")
    random.Random(42).shuffle(kept)
    write(f"{out}/pretrain.jsonl", ({"text": c["text"]} for c in kept))
    write(f"{out}/heldout.jsonl", ({"text": c["text"]} for c in clean))
    names = {}
    for c in kept:
        for m in SPEECH.finditer(c["text"]):
            who = speaker(m.group(1))
            if who:
                names[c["book"], who] = names.get((c["book"], who), 0) + 1
    turns = list(turns_of(kept, names))
    random.Random(43).shuffle(turns)
    pairs = turns[:PAIRS]
    rows = pairs + paragraphs(kept, PLAIN, random.Random(44))
    random.Random(45).shuffle(rows)
    write(f"{out}/turns.jsonl", rows)
    write(f"{out}/turns-valid.jsonl", list(turns_of(clean, names))[:500])
    named = sum(len(t["messages"]) == 3 for t in pairs)
    print(f"turns: {len(turns)} pairs found, {len(pairs)} kept, {named} of them name their speaker; {PLAIN} paragraphs")


if __name__ == "__main__":
    main()
