#!/usr/bin/env python3
"""The beginner's novel splitter, as plainly as it is copied from blog to blog: what mode seed is compared with.

    chunk.py MAX FILE...     prints one JSON object per chunk: {"text": ...}
"""
import json
import sys


def split(text, most):
    chunks, chunk = [], ""
    for sentence in text.split("。"):
        if len(chunk) + len(sentence) <= most:
            chunk += sentence + "。"
        else:
            chunks.append(chunk.strip())
            chunk = sentence
    if chunk:
        chunks.append(chunk.strip())
    return chunks


if __name__ == "__main__":
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8-sig") as f:
            for chunk in split(f.read(), int(sys.argv[1])):
                print(json.dumps({"text": chunk}, ensure_ascii=False, separators=(",", ":")))
